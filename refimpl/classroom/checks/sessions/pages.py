"""The client's side: a page that knows what it has, and says what it lacks."""

from collections.abc import Callable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong

Event = dict[str, Any]


def said(number: int, id: str = "", epoch: str = "e1") -> Event:
    """Return a message's event."""
    id = id or f"m{number}"
    return {"type": "message", "epoch": epoch, "number": number, "id": id, "data": f"text {id}"}


def joined(number: int, messages: int = 0, missing: int = 0, epoch: str = "e1") -> Event:
    """Return the event of a page that was let in."""
    place = {"epoch": epoch, "number": number}
    return {"type": "joined", **place, "messages": messages, "missing": missing, "users": ["ada"]}


def resync(number: int, missing: int, epoch: str = "e1") -> Event:
    """Return the event that says that messages are lost."""
    return {"type": "resync", "epoch": epoch, "number": number, "missing": missing}


def store(degraded: bool) -> Event:
    """Return the event about the store."""
    return {"type": "store", "degraded": degraded}


def _shows(*events: Event, of: str = "lines") -> Callable[[Any], object]:
    def drive(page_class: Any) -> object:
        page = page_class()
        for event in events:
            page.take(dict(event))
        found = getattr(page, of, ...)
        if found is ... and of != "lines":
            raise Wrong(f"no attribute {of}")
        return list(found) if isinstance(found, list) else found

    return drive


def _words(event: Event) -> str:
    """Return an event as a report shows it."""
    names = ("epoch", "number", "id", "messages", "missing", "degraded")
    values = ", ".join(f"{name} {event[name]}" for name in names if name in event)
    return f"{event['type']} ({values})" if values else str(event["type"])


def _case(name: str, expect: object, *events: Event, of: str = "lines", why: str = "") -> Case:
    words = ", ".join(map(_words, events)) or "nothing"
    shown = f"Page(), take: {words}; then .{of}"
    return Case(name, drive=_shows(*events, of=of), shown=shown, expect=expect, why=why)


MOVES = "the place is what has arrived; an announcement has not arrived yet"
LOST = "(4 messages are missing)"

SHOWN = (
    _case("messages", ["text m1", "text m2"], joined(0), said(1), said(2)),
    _case("nothing yet", [], joined(0)),
    _case(
        "a message twice",
        ["text m1", "text m2"],
        joined(0),
        said(1),
        said(2),
        said(1),
        why="an id that was shown is not shown again",
    ),
    _case(
        "a message again in a new epoch",
        ["text m1", "text m2"],
        said(1),
        resync(2, 0, "e2"),
        said(1, epoch="e2"),
        said(2, epoch="e2"),
        why="numbers and epochs change, ids do not: doubles are known by their ids",
    ),
    _case(
        "a new message under an old number",
        ["text m1", "text z1"],
        said(1),
        resync(1, 0, "e2"),
        said(1, "z1", "e2"),
        why="number 1 of another epoch is another message",
    ),
    _case(
        "a loss",
        ["text m1", LOST, "text m6"],
        said(1),
        resync(6, 4),
        said(6),
        why="the reader sees how many are missing, and where",
    ),
    _case("a loss while away", [LOST, "text m6"], joined(6, 1, 4), said(6)),
    _case(
        "a resync without a loss",
        ["text m1"],
        said(1),
        resync(1, 0, "e2"),
        why="0 are missing: there is nothing to tell",
    ),
    _case(
        "one is missing", ["(1 message is missing)"], resync(2, 1), why="one message *is* missing"
    ),
    _case(
        "an event of a newer server",
        ["text m1"],
        {"type": "typing", "user": "ben"},
        said(1),
        why="an unknown type is passed over: servers are upgraded before pages",
    ),
)

PLACES = (
    _case("the place at the start", ("", 0), of="place"),
    _case("the place of the last message", ("e1", 2), joined(0), said(1), said(2), of="place"),
    _case(
        "cut off behind joined",
        ("e1", 2),
        said(2),
        joined(5, 3),
        of="place",
        why=f"{MOVES}: a page that says 5 now never gets 3 to 5",
    ),
    _case("cut off behind resync", ("e1", 2), said(2), resync(9, 3), of="place", why=MOVES),
    _case(
        "cut off behind resync, in a new epoch",
        ("e1", 2),
        said(2),
        resync(9, 3, "e2"),
        of="place",
        why=f"{MOVES}, of a new epoch too: with the old one the node knows that all is new",
    ),
    _case(
        "an old message comes again",
        ("e1", 5),
        said(5),
        said(3),
        of="place",
        why="in one epoch the place never goes back",
    ),
    _case(
        "a smaller number in a new epoch",
        ("e2", 1),
        said(5),
        resync(1, 0, "e2"),
        said(1, "z1", "e2"),
        of="place",
        why="numbers of two epochs cannot be compared: the new epoch counts",
    ),
    _case(
        "an epoch whose name is smaller",
        ("1a", 2),
        said(1, epoch="9f"),
        resync(1, 0, "1a"),
        said(2, epoch="1a"),
        of="place",
        why="epochs are drawn at random: ask whether they differ, not which is larger",
    ),
    _case(
        "a double in a new epoch",
        ("e2", 1),
        said(1),
        resync(1, 0, "e2"),
        said(1, epoch="e2"),
        of="place",
        why="it is not shown again, and it has arrived: the place is in the new epoch",
    ),
)

STATES = (
    _case(
        "may send at the start",
        True,
        of="may_send",
        why="nobody has said that the store is out of reach",
    ),
    _case(
        "the store is out of reach",
        False,
        joined(0),
        store(True),
        of="may_send",
        why="degraded True: nothing can be sent",
    ),
    _case(
        "the store is back",
        True,
        store(True),
        store(False),
        of="may_send",
        why="degraded False: the store answers again",
    ),
)

PAGE = Exercise(
    "Page",
    points=4,
    rule="(epoch, number) says where to go on; the id says what was shown",
    hints=(
        "Keep three things: the lines, the ids that were shown, and the place of the last message "
        "that arrived. Each type of event changes some of them.",
        "place ('e1', 2), then joined with number 5 and messages 3, and the socket breaks. Come "
        "back with ('e1', 2), and 3 to 5 are sent again. With ('e1', 5) they would never come.",
        "1. message: append the data where the id is new, and note the id.\n"
        "2. message: move the place where the epoch is another, or the number is larger.\n"
        "3. joined, resync: a line where missing is 1 or more; the place stays.\n"
        "4. store: may_send is the opposite of degraded.\n"
        "5. Every other type: nothing.",
    ),
    cases=(*SHOWN, *PLACES, *STATES),
)
