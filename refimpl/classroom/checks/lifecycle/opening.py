"""Chapter 05: a handshake that never breaks the limit on a read, and never ends."""

from collections.abc import Callable, Iterable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong
from refimpl.classroom.checking.rendering import render
from refimpl.handshake import build_request, parse_uri

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEAD = build_request(parse_uri("ws://slow.example/"), key=KEY).serialize()
LONGER = build_request(
    parse_uri("ws://slow.example/feed"), key=KEY, additional_headers=[("Cookie", "a=1")]
).serialize()


def naive_hold(pieces: Iterable[tuple[float, bytes]], patience: float) -> float:
    """Return for how many seconds a server with a limit on each read holds a connection."""
    held, head = 0.0, b""
    for wait, piece in pieces:
        if wait >= patience:
            raise TimeoutError(f"nothing came for {patience} s")
        if not piece:
            raise EOFError("an empty read is the end of the stream")
        held += wait
        head += piece
        if head.endswith(b"\r\n\r\n"):
            return held
    raise EOFError("the client left in the middle of its head")


def _attack(head: bytes, patience: float) -> Callable[[Any], float]:
    def drive(hold_on: Any) -> float:
        pieces = hold_on(head, patience)
        try:
            pieces = list(pieces)
            sent = b"".join(piece for _, piece in pieces)
        except (TypeError, ValueError):
            raise Wrong(f"{render(pieces)}, wanted a list of pairs (seconds, bytes)") from None
        if sent != head:
            raise Wrong(f"pieces that make {len(sent)} bytes, not the head of {len(head)} bytes")
        try:
            return naive_hold(pieces, patience)
        except (TimeoutError, EOFError) as error:
            raise Wrong(f"the server hung up: {error}") from None

    return drive


def _case(name: str, patience: float, why: str = "", head: bytes = HEAD) -> Case:
    return Case(
        name,
        drive=_attack(head, patience),
        shown=f"naive_hold(hold_on(head, {patience}), {patience}), the head of {len(head)} bytes",
        holds=lambda seconds: seconds > 100 * patience,
        wanted=f"the server is held for more than {100 * patience:g} s, and gets the whole head",
        why=why,
    )


HOLD_ON = Exercise(
    "hold_on",
    points=2,
    rule="one deadline for the whole handshake, not one for each read",
    hints=(
        "The limit starts again with each read. How many reads can you make of one head?",
        "RFC 6455 4.2.1: a handshake is the head up to 0d 0a 0d 0a. The server cannot know before "
        f"that. A head of {len(HEAD)} bytes has {len(HEAD)} pieces that are not empty.",
        "1. Take a wait a little shorter than patience, say nine tenths of it.\n"
        "2. One pair (wait, one byte) for each byte of the head, in order.",
    ),
    cases=(
        _case(
            "a patience of 10 s",
            10.0,
            "its patience starts again with each piece; how many pieces can a head have?",
        ),
        _case(
            "a patience of 0.5 s",
            0.5,
            "the wait has to fit the patience that you are given",
        ),
        _case("another head", 10.0, "the pieces come from the head that you are given", LONGER),
    ),
)
