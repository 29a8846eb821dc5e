"""Chapter 02: a frame written, a mask in pieces."""

import inspect
from typing import Any

from refimpl.classroom.checking import frame_report
from refimpl.classroom.checking.cases import Case, Exercise, Row, Wrong, call
from refimpl.classroom.checking.difference import differences
from refimpl.classroom.checking.rendering import render
from refimpl.framing import Frame, Opcode, mask, serialize_frame

KEY = bytes.fromhex("37fa213d")  # the masking key of the RFC's own example (5.7)


def _text_case(name: str, text: str, why: str = "") -> Case:
    frame = Frame(Opcode.TEXT, text.encode(), masking_key=KEY)
    return Case(name, call(text, KEY), expect=serialize_frame(frame), why=why)


def _borrowed(text_frame: Any) -> list[str]:
    """Return the package's writers that a function calls by name."""
    code = getattr(inspect.unwrap(text_frame), "__code__", None)
    names = code.co_names if code else ()
    return [name for name in ("serialize_frame", "serialize_header") if name in names]


def _explain_frame(case: Case, got: object) -> list[Row]:
    return [] if isinstance(case.expect, list) else frame_report.frame_bytes(case, got)


def _in_words(result: object) -> str:
    """Return a list as what was borrowed, anything else as usual."""
    if not isinstance(result, list):
        return render(result)
    return f"a call of {', '.join(result)}" if result else "none of the package's writers"


TEXT_FRAME = Exercise(
    "text_frame",
    points=2,
    rule="RFC 6455 5.2 and 5.3",
    hints=(
        "Four parts, one after the other: first byte, MASK and length, masking key, masked "
        "payload. Only the second part has three forms. And count bytes, not characters.",
        "RFC 6455 5.7: Hello with the key 37 fa 21 3d travels as 81 85 37 fa 21 3d 7f 9f 4d 51 58. "
        "81 is FIN and TEXT, 85 is MASK and 5, then the key, then 48 ^ 37, 65 ^ fa and so on. With "
        "300 bytes, 85 would be fe 01 2c.",
        "1. payload = text.encode(); size = len(payload)\n"
        "2. Up to 125: one byte, 0x80 | size. Up to 0xffff: 0xfe and two bytes. Beyond: 0xff and "
        "eight.\n"
        "3. Join b'\\x81', that length, the key, and the payload XORed with the key.",
    ),
    cases=(
        _text_case("the RFC's own example, Hello", "Hello"),
        _text_case("no text at all", "", "an empty message has a masking key too"),
        _text_case(
            "Grüße, five characters",
            "Grüße",
            "the length counts bytes, and ü and ß have two each in UTF-8",
        ),
        _text_case("125 bytes", "x" * 125, "125 still fits the seven bits"),
        _text_case(
            "300 bytes",
            "x" * 300,
            "fe is MASK and 126; then comes the length in two bytes, most significant first",
        ),
        _text_case("126 bytes", "x" * 126, "126 is not a length: it announces two bytes"),
        _text_case("65,535 bytes", "x" * 65_535, "the last length that fits two bytes"),
        _text_case(
            "65,536 bytes",
            "x" * 65_536,
            "ff is MASK and 127; then comes the length in eight bytes, most significant first",
        ),
        Case(
            "each byte by your own code",
            drive=_borrowed,
            shown="text_frame(...)",
            expect=[],
            why="the exercise is to write the head; only mask(payload, key) may be borrowed",
        ),
    ),
    show=_in_words,
    explain=_explain_frame,
)


def _explain_turn(case: Case, got: object) -> list[Row]:
    """Return by how much the key was turned, if the result shows it."""
    if len(case.call.args) < 3 or not isinstance(got, bytes) or got == case.expect:
        return differences(case.expect, got)
    piece, key, offset = case.call.args
    for turn in range(4):
        if mask(piece, key[turn:] + key[:turn]) == got:
            right = offset % 4
            how = ", turned the other way round" if turn == -right % 4 != right else ""
            words = f"the piece began with byte {turn} of the key, expected byte {right}{how}"
            return [("differs", words)]
    return differences(case.expect, got)


TEXT = b"Masks come in fours."


def _in_pieces(unmask_piece: Any) -> bytes:
    """Return a masked text, unmasked in pieces of every size from 1 to 6."""
    masked, plain, offset = mask(TEXT, KEY), b"", 0
    for size in (1, 2, 3, 4, 5, 6):
        piece = unmask_piece(masked[offset : offset + size], KEY, offset)
        if not isinstance(piece, bytes | bytearray):
            raise Wrong(f"{piece!r} for the piece at offset {offset}")
        plain, offset = plain + piece, offset + size
    return plain


UNMASK_PIECE = Exercise(
    "unmask_piece",
    points=2,
    rule="RFC 6455 5.3",
    hints=(
        "Byte i of the *payload* meets key byte i % 4. The first byte of a piece is not byte 0 of "
        "the payload, but byte `offset`.",
        "RFC 6455 5.3, on the key 37 fa 21 3d: a piece that begins at offset 6 meets 21 first, "
        "because 6 % 4 is 2, then 3d, 37, fa, and so on. That is the key turned: 21 3d 37 fa.",
        "1. turn = offset % 4\n"
        "2. turned = key[turn:] + key[:turn]\n"
        "3. The piece XOR turned, by whichever of the chapter's ways you like.",
    ),
    cases=(
        Case("a whole payload", call(mask(b"Hello", KEY), KEY, 0), expect=b"Hello"),
        Case(
            "one letter later",
            call(mask(b"Hello", KEY)[1:], KEY, 1),
            expect=b"ello",
            why="the piece's first byte is the payload's second",
        ),
        Case(
            "at offset 6",
            call(mask(TEXT, KEY)[6:9], KEY, 6),
            expect=TEXT[6:9],
            why="the key begins again after four bytes: only offset % 4 matters",
        ),
        Case("at offset 8", call(mask(TEXT, KEY)[8:], KEY, 8), expect=TEXT[8:]),
        Case("no bytes", call(b"", KEY, 3), expect=b""),
        Case(
            "a text in pieces of 1 to 6 bytes",
            drive=_in_pieces,
            shown="unmask_piece(piece, key, offset) for each piece",
            expect=TEXT,
        ),
        Case(
            "at offset 2**62 + 3",
            call(mask(b"...Hi", KEY)[3:], KEY, 2**62 + 3),
            expect=b"Hi",
            why="the bytes before the piece are gone: nothing may be made of their number but a "
            "remainder",
        ),
    ),
    explain=_explain_turn,
    limit=2.0,
)
