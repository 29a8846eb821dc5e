"""Chapter 05: what shows that a peer is alive, and when a silent one counts as dead."""

from refimpl.classroom.checking.cases import Answer, Case, Exercise, call
from refimpl.lifecycle.heartbeat import Progress

DECLARED_DEAD = Answer(
    "declared_dead",
    points=2,
    rule="a peer is dead when it owes a pong and a whole ping_timeout passed without life",
    hints=(
        "Go through the times at which the server judges, one by one, and ask at each: since the "
        "last look, did anything come?",
        "RFC 6455 5.5.2: a Pong (8a) answers a Ping (89). The first ping is answered; the second "
        "goes out at 60 and never is. The first look after it is at 70.",
        "1. Looks at 70, 80, 90, ... as long as no pong came.\n"
        "2. Between 60 and 70 a message came, at 63. Between 70 and 80?\n"
        "3. The first look with nothing before it is the answer.",
    ),
    accepts=90,
    mistakes={
        70: "at 70 a pong is owed, but a message came at 63, and each byte is life",
        73: "it looks only every ping_timeout: at 70, 80, 90",
        80: "at 80 a pong is still owed, but a message came at 75, after the look at 70",
        85: "10 s after the last message; but it looks only every ping_timeout: at 70, 80, 90",
        100: "at 90, a whole ping_timeout has passed without anything; why wait longer?",
        120: "the next ping would be at 90; by then the look at 90 has decided",
        60: "at 60 the ping goes out; the peer gets ping_timeout to answer",
    },
    otherwise="the second, as a whole number, of a look: the server looks every ping_timeout "
    "after the ping at 60",
)

STILL = Progress(heard=7, taken=9_000, waiting=True, reading=True)
IDLE = STILL._replace(waiting=False)

SHOWS_LIFE = Exercise(
    "shows_life",
    points=3,
    rule="RFC 6455 5.5.2 asks for a pong; what counts as life besides is ours to say",
    hints=(
        "First ask whether it said something. If not, ask whether bytes waited for it before: then "
        "it must have taken some. If none did, ask whether we listened.",
        "RFC 6455 5.5.2: a Pong comes as soon as is practical, so after the 81 fe of a message "
        "that is on its way. `heard` grows with every read. `taken` grows also when the "
        "*kernel* takes bytes, which it does for a dead peer too, until it is full.",
        "1. now.heard > before.heard: life.\n"
        "2. before.waiting (the kernel was full): life if now.taken > before.taken, else none.\n"
        "3. Not before.waiting: life if reading was False in one of the two, for its pong may lie "
        "unread; else none.",
    ),
    cases=(
        Case("nothing has moved", call(STILL, STILL), expect=False),
        Case(
            "it sent something",
            call(STILL, STILL._replace(heard=17)),
            expect=True,
            why="each byte that arrives shows life",
        ),
        Case(
            "it took some of what waited",
            call(STILL, STILL._replace(taken=9_500)),
            expect=True,
            why="500 bytes more left us while the kernel was full, so the other side has taken "
            "something; that others wait now says nothing",
        ),
        Case(
            "we sent something, and nothing had waited",
            call(IDLE, IDLE._replace(taken=12_000)),
            expect=False,
            why="the kernel took those bytes, and it does so for a dead peer too",
        ),
        Case(
            "we sent so much that some waits now",
            call(IDLE, Progress(7, 80_000, True, True)),
            expect=False,
            why="ask whether any waited *before*: what filled the kernel proves nothing",
        ),
        Case(
            "it took the last of what waited",
            call(STILL, IDLE._replace(taken=9_900)),
            expect=True,
            why="ask whether any waited before; that none waits now is what it did for us",
        ),
        Case(
            "we do not read now",
            call(IDLE, IDLE._replace(reading=False)),
            expect=True,
            why="its pong may lie where we do not look",
        ),
        Case(
            "we did not read before",
            call(IDLE._replace(reading=False), IDLE),
            expect=True,
            why="its pong may still be on its way from where we did not look",
        ),
        Case(
            "much waits, and we do not read",
            call(STILL, STILL._replace(reading=False)),
            expect=False,
            why="it takes nothing of what waits, our ping included: that we do not read is no life",
        ),
        Case("much waits and stays", call(STILL, STILL._replace(waiting=True)), expect=False),
    ),
    replaces="lifecycle.heartbeat.shows_life",
)
