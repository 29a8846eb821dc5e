"""What a request asks for, and through which layers it passed."""

from refimpl.classroom.checking.cases import Answer, Case, Exercise, call

WHOLE = "a token is a whole word: cut at commas, take blanks off, then compare"


def _wants(name: str, *lines: tuple[bytes, bytes], expect: bool, why: str = "") -> Case:
    return Case(name, call(list(lines)), expect=expect, why=why)


UPGRADE = (b"upgrade", b"websocket")
CONNECTION = (b"connection", b"Upgrade")

WANTS_WEBSOCKET = Exercise(
    "wants_websocket",
    points=2,
    rule='RFC 6455 4.2.1 "Reading the Client\'s Opening Handshake"',
    hints=(
        "Both headers are lists of tokens. A list is cut up before its members are compared.",
        "RFC 9110 5.6.1: `Connection: keep-alive, Upgrade` are two tokens, and so are two lines. "
        "b'keep-alive, Upgrade'.split(b',') is [b'keep-alive', b' Upgrade']: mind the blank.",
        "1. Collect the values of all lines of a name, compared in lower case.\n"
        "2. Split each at commas; strip and lower each piece.\n"
        "3. True where b'websocket' is among those of upgrade and b'upgrade' among those of "
        "connection.",
    ),
    cases=(
        _wants(
            "a browser's handshake",
            UPGRADE,
            CONNECTION,
            expect=True,
            why="tokens are compared without regard to case: Upgrade and upgrade are one",
        ),
        _wants("a plain request", (b"host", b"a.example"), expect=False),
        _wants(
            "Upgrade: websocket and no Connection",
            UPGRADE,
            expect=False,
            why="without Connection: Upgrade the other header is an offer to nobody: it needs both",
        ),
        _wants("Connection: Upgrade and no Upgrade", CONNECTION, expect=False),
        _wants(
            "Upgrade: WebSocket",
            (b"Upgrade", b"WebSocket"),
            (b"Connection", b"UPGRADE"),
            expect=True,
            why="names and these tokens are compared without regard to case",
        ),
        _wants(
            "Upgrade: not-a-websocket",
            (b"upgrade", b"not-a-websocket"),
            CONNECTION,
            expect=False,
            why=WHOLE,
        ),
        _wants(
            "Upgrade: websocket2", (b"upgrade", b"websocket2"), CONNECTION, expect=False, why=WHOLE
        ),
        _wants(
            "Upgrade: not websocket",
            (b"upgrade", b"not websocket"),
            CONNECTION,
            expect=False,
            why="commas stand between tokens; a blank inside makes no token of the rest",
        ),
        _wants(
            "Connection: upgrade2", UPGRADE, (b"connection", b"upgrade2"), expect=False, why=WHOLE
        ),
        _wants(
            "Connection: keep-alive,Upgrade",
            UPGRADE,
            (b"connection", b"keep-alive,Upgrade"),
            expect=True,
            why="one line may hold several tokens, with commas between them",
        ),
        _wants(
            "Connection: keep-alive, Upgrade",
            UPGRADE,
            (b"connection", b"keep-alive, Upgrade"),
            expect=True,
            why="blanks around a token are no part of it",
        ),
        _wants(
            "Connection: not-upgrade",
            UPGRADE,
            (b"connection", b"not-upgrade,close"),
            expect=False,
            why=WHOLE,
        ),
        _wants(
            "Upgrade: h2c, websocket",
            (b"upgrade", b"h2c, websocket"),
            CONNECTION,
            expect=True,
            why="Upgrade is a list too",
        ),
        _wants(
            "two lines of Upgrade",
            UPGRADE,
            (b"upgrade", b"h2c"),
            CONNECTION,
            expect=True,
            why="a name may come on several lines, and all of them count: a dictionary keeps one",
        ),
        _wants(
            "two lines of Upgrade, ours last",
            (b"upgrade", b"h2c"),
            UPGRADE,
            CONNECTION,
            expect=True,
            why="all lines of a name count, the first and the last",
        ),
        _wants(
            "a name in Latin-1 beside it",
            UPGRADE,
            CONNECTION,
            (b"x-name", b"J\xf6rg"),
            expect=True,
            why="headers are bytes, and not every value is UTF-8: there is no need to decode",
        ),
        _wants(
            "two lines of Connection",
            UPGRADE,
            CONNECTION,
            (b"connection", b"keep-alive"),
            expect=True,
            why="a name may come on several lines, and all of them count: a dictionary keeps one",
        ),
    ),
)

LAYERS = Answer(
    "layers",
    points=2,
    rule="an answer passes through the layers outside of the one that gave it, and no others",
    hints=(
        "Ask of each answer: who gave it? Its headers tell which layers it passed on its way out.",
        "The 401 was given by guard and carries an id: ids stands outside of guard. Now the 500: "
        "who gave it, and did it pass through ids?",
        "1. guard answered 401, with an id: where is ids, seen from guard?\n"
        "2. errors answered 500, without: where is ids, seen from errors?\n"
        "3. Two answers fix the order of three.",
    ),
    accepts=("errors", "ids", "guard"),
    mistakes={
        ("guard", "ids", "errors"): "that is the right chain from the inside; outermost first",
        ("ids", "errors", "guard"): "then the 500 of errors would pass through ids, and have an id",
        ("ids", "guard", "errors"): "then the 500 of errors would pass through ids, and have an id",
        ("errors", "guard", "ids"): "then the 401 of guard would not pass through ids",
        ("guard", "errors", "ids"): "then the 401 of guard would not pass through ids",
    },
    otherwise='a tuple of the three names "ids", "errors" and "guard", the outermost first',
)
