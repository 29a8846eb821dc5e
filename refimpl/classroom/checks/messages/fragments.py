"""Fragments: what may come next, and what a streamed message cost."""

from refimpl.classroom.checking.cases import Answer, Case, Exercise, call, raises
from refimpl.errors import RemoteProtocolError

BROKEN_RULE = raises(RemoteProtocolError, close_code=1002)

INSIDE_AFTER = Exercise(
    "inside_after",
    points=1,
    rule="RFC 6455 5.4: a message begins with its type and goes on with continuations",
    hints=(
        "Three kinds of frame: control frames, which change nothing; first frames of a message; "
        "continuations. Only the last two care whether a message is open.",
        "RFC 6455 5.4, on first bytes: 01 opens a message (FIN 0, TEXT), 00 goes on, 80 ends it, "
        "81 is a whole message at once. 89 is a ping: its low four bits are 9, and 8 or more is "
        "control.",
        "1. opcode = first & 15; fin = first & 128.\n"
        "2. A control frame: return inside.\n"
        "3. A continuation while nothing is open, or a type while something is: raise.\n"
        "4. Otherwise a message is open afterwards if FIN is not set.",
    ),
    cases=(
        Case("a whole text message: 81", call(False, 0x81), expect=False),
        Case("the first fragment of a text: 01", call(False, 0x01), expect=True),
        Case("a fragment in the middle: 00", call(True, 0x00), expect=True),
        Case("the last fragment: 80", call(True, 0x80), expect=False),
        Case(
            "a ping between two fragments: 89",
            call(True, 0x89),
            expect=True,
            why="a control frame belongs to no message; its FIN ends nothing",
        ),
        Case(
            "a pong while no message is open: 8a",
            call(False, 0x8A),
            expect=False,
            why="a control frame opens no message",
        ),
        Case(
            "a continuation of nothing: 80",
            call(False, 0x80),
            error=BROKEN_RULE,
            why="no frame before it has said whether it is text or binary",
        ),
        Case(
            "a new message inside another: 02",
            call(True, 0x02),
            error=BROKEN_RULE,
            why="the first message would never end",
        ),
        Case(
            "a whole message inside another: 81",
            call(True, 0x81),
            error=BROKEN_RULE,
            why="with FIN it is a message of its own, and there is one open already",
        ),
        Case(
            "the first fragment of a compressed message: 41",
            call(False, 0x41),
            expect=True,
            why="RSV1 is a bit beside the opcode, not a part of it: take the low four bits",
        ),
    ),
)

DEFLATE_COST = Answer(
    "deflate_cost",
    points=1,
    rule="RFC 7692 6.1: RSV1 is on the first fragment, and all of them are compressed",
    hints=(
        "Find the first frame of the message, the one that has no FIN, and follow it to its end. "
        "Every one of its frames is compressed, whatever its own RSV1 says.",
        "RFC 7692 6.1: only the first fragment carries RSV1. In the listing a line such as "
        "'TEXT rsv1 masked 18 bytes inflated to 12 bytes' says both sizes: 18 travelled, 12 are "
        "the text.",
        "1. List the message's four frames.\n"
        "2. Add up the sizes that travelled.\n"
        "3. Add up what they were inflated to.\n"
        "4. Subtract the second sum from the first.",
    ),
    accepts=19,
    mistakes={
        6: "this is the first fragment alone; the continuations belong to the message too, and "
        "are compressed without a bit of their own that says so",
        18: "the last frame is missing: its one byte inflates to nothing, but it travelled",
        -19: "the right size, the wrong sign: it grew",
        43: "without the heads: only payload bytes count",
        45: "this is what travelled; the text itself would have travelled too",
        26: "this is the text; how many bytes more than these travelled?",
    },
    otherwise="add up the payload sizes of the client's message that comes in four frames, as they "
    "travelled and as inflated",
)
