"""Chapter 02: frames between frames."""

import copy
from collections.abc import Iterable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise
from refimpl.classroom.checks.framing.explain import unless_words_differ
from refimpl.framing import Frame, Opcode

HELLO = Frame(Opcode.TEXT, b"Hello")
BYE = Frame(Opcode.CLOSE, b"\x03\xe8")
ASK = Frame(Opcode.PING, b"still there?")
PARTS = (
    Frame(Opcode.TEXT, b"one message ", fin=False),
    Frame(Opcode.CONTINUATION, b"in ", fin=False),
    Frame(Opcode.CONTINUATION, b"three parts"),
)
WHOLE = (Opcode.TEXT, b"one message in three parts")


SHOWN = 60  # characters of a payload; as text even where a close code is in it


def _show(result: Iterable[tuple[Opcode, bytes]]) -> str:
    words = (f"{Opcode(opcode).name} {payload!r:.{SHOWN}}" for opcode, payload in result)
    return ", ".join(words) or "no messages"


def _case(
    name: str, frames: list[Frame], expect: list[tuple[Opcode, bytes]], why: str = ""
) -> Case:
    def ask(complete_messages: Any) -> Any:
        return complete_messages(copy.deepcopy(frames))

    listed = ",\n                   ".join(map(_in_words, frames))
    return Case(name, drive=ask, shown=f"complete_messages([{listed}])", expect=expect, why=why)


def _in_words(frame: Frame) -> str:
    return f"{frame.opcode.name} {frame.payload!r}{' FIN' if frame.fin else ''}"


COMPLETE_MESSAGES = Exercise(
    "complete_messages",
    points=2,
    rule='RFC 6455 5.4 "Fragmentation"',
    hints=(
        "FIN says that a *message* is complete. A control frame is no part of a message, although "
        "it has FIN and comes in its midst. Which of a frame's fields tells you that first?",
        "RFC 6455 5.4, on what Node's ws sent: 01 (TEXT), 00 (CONTINUATION), 89 (PING), 80 "
        "(CONTINUATION, FIN). 89 & 08 is not 0: a control frame, handled at once. The type of the "
        "message is that of its first frame, 01; 80 & 0f says only that it goes on.",
        "1. A control frame: append (opcode, payload) and go on; touch nothing else.\n"
        "2. Not a continuation: a message begins; remember its opcode, start from no payload.\n"
        "3. Add the payload.\n"
        "4. FIN: append (remembered opcode, payload).",
    ),
    cases=(
        _case(
            "two messages of a frame each",
            [HELLO, Frame(Opcode.BINARY, b"\x00\x01")],
            [(Opcode.TEXT, b"Hello"), (Opcode.BINARY, b"\x00\x01")],
            "each first frame begins a new message, and each FIN hands one out",
        ),
        _case(
            "a message in three fragments",
            list(PARTS),
            [WHOLE],
            "the type of a message is the opcode of its first frame",
        ),
        _case(
            "a ping between fragments",
            [PARTS[0], PARTS[1], ASK, PARTS[2]],
            [(Opcode.PING, b"still there?"), WHOLE],
            "the ping interrupts and is no part of the message; it comes out at once",
        ),
        _case(
            "an empty ping after the first fragment",
            [PARTS[0], Frame(Opcode.PING, b""), *PARTS[1:], HELLO],
            [(Opcode.PING, b""), WHOLE, (Opcode.TEXT, b"Hello")],
            "what a control frame leaves behind: nothing",
        ),
        _case(
            "two fragmented messages, one after the other",
            [*PARTS, *PARTS],
            [WHOLE, WHOLE],
            "each message begins without a payload",
        ),
        _case(
            "a close before the message is complete",
            [PARTS[0], BYE],
            [(Opcode.CLOSE, b"\x03\xe8")],
            "Close is a control frame too: no part of the message, whose own FIN never came",
        ),
        _case(
            "an empty last fragment",
            [Frame(Opcode.BINARY, b"ab", fin=False), Frame(Opcode.CONTINUATION, b"")],
            [(Opcode.BINARY, b"ab")],
            "an empty fragment with FIN ends a message like any other",
        ),
        _case(
            "an empty first fragment",
            [Frame(Opcode.TEXT, b"", fin=False), Frame(Opcode.CONTINUATION, b"x")],
            [(Opcode.TEXT, b"x")],
            "a message may be open and have no payload yet: only the opcode says that one begins",
        ),
        _case("no frames", [], []),
    ),
    show=_show,
    explain=unless_words_differ(_show),
)
