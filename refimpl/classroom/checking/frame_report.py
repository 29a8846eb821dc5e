"""Frames field by field, for reports about bytes: which bit of which byte (RFC 6455 section 5.2).

`frame_result` explains a wrong result of a function that parses, `frame_bytes` that of a function
that serialises; both fit `Exercise.explain`. The fields are those that `refimpl.lab.wire.dissect`
finds, in broken frames too, but in whole bytes and simpler words.

    >>> [field.text for field in fields(bytes.fromhex("81fe012c37fa213d"))][1]
    'bit 0 is MASK; the other seven say 126, and 126 means: the length is in the next two bytes'
"""

from itertools import zip_longest
from typing import Any, NamedTuple

from refimpl.classroom.checking.cases import Case, Row
from refimpl.classroom.checking.difference import differences, same
from refimpl.classroom.checking.rendering import quantity, render
from refimpl.framing import Frame
from refimpl.lab.wire.dissect import OPCODES, Dissection, dissect
from refimpl.lab.wire.dissect import Field as BitField

NAMES = {  # a report's names for the fields after the first two bytes
    "extended length": "length",
    "masking key": "key",
    "masked payload": "payload",
    "payload": "payload",
}
SHOWN_PAYLOAD = 8  # bytes


class Field(NamedTuple):
    """One field of a frame: its place from the frame's first byte, and what its bytes say."""

    name: str
    start: int
    stop: int
    text: str


def fields(data: bytes) -> list[Field]:
    """The fields of one frame's bytes, as far as they have come."""
    frame = dissect(data)
    found = []
    if data:
        opcode = frame.value("opcode")
        rsv = "".join(str(frame.value(f"RSV{bit}")) for bit in (1, 2, 3))
        bits = f"FIN is {frame.value('FIN')}, RSV is {rsv}"
        meaning = OPCODES.get(opcode, "reserved")
        found.append(Field("first", 0, 1, f"{bits}, the low four bits say {opcode:#x}: {meaning}"))
    if len(data) > 1:
        found.append(Field("second", 1, 2, _second_byte(frame)))
    for each in (*frame.fields, frame.begun):
        if each is not None and each.name in NAMES and each.start // 8 < len(data):
            found.append(_whole_bytes(frame, each))
    return found


def _second_byte(frame: Dissection) -> str:
    short = frame.value("payload length")
    where = {126: "the next two bytes", 127: "the next eight bytes"}.get(short)
    means = f"and {short} means: the length is in {where}" if where else "which is the length"
    mask_bit = "bit 0 is MASK" if frame.value("MASK") else "bit 0, MASK, is 0"
    return f"{mask_bit}; the other seven say {short}, {means}"


def _whole_bytes(frame: Dissection, each: BitField) -> Field:
    """A field after the first two bytes, in simpler words."""
    start, size = each.start // 8, each.bits // 8
    name = NAMES[each.name]
    if name == "payload":
        size = frame.length or 0  # a payload of which some bytes are there
        return Field(name, start, start + size, f"the payload, {size} bytes")
    if name == "key":
        words = "the masking key: payload byte i was XORed with key byte i % 4"
    else:
        value = int.from_bytes(each.value) if isinstance(each.value, bytes) else each.value
        words = f"the length, {size} bytes, most significant first: {value}"
    return Field(name, start, start + size, words)


def draw(data: bytes, *, mark: str = "", note: str = "") -> str:
    """A frame's bytes in hex, by fields; the marked one is underlined and explained."""
    text, line = "", ""
    for field in fields(data):
        shown = data[field.start : field.stop]
        piece = shown.hex(" ") + (" ..." if len(data) < field.stop else "")
        if len(shown) > SHOWN_PAYLOAD:
            piece = "..."
        text += " | " if text else ""
        if field.name == mark:
            line = (
                " " * len(text) + "^" * len(piece.removesuffix(" ...")) + " " + (note or field.text)
            )
        text += piece
    return f"{text}\n{line or note}" if line or note else text


def frame_result(case: Case, got: Any) -> list[Row]:
    """The entries for a function that parses: what differs, and the field that decides it.

    The case's first argument is the bytes, the second, if any, the frame's position in them.
    """
    position = case.call.args[1] if len(case.call.args) > 1 else case.call.kwargs.get("position", 0)
    data = bytes(case.call.args[0])[position:]
    expected = case.expect
    if expected is None and not isinstance(got, BaseException):
        rows = [("expected", "None: the frame is not complete yet")]
        return [*rows, ("bytes", draw(data, mark=_last_field(data)))]
    if case.error is not None:
        return [("bytes", draw(data, mark=_refused_field(data)))]
    if isinstance(got, BaseException):
        return [("bytes", draw(data))]
    if got is None:
        mark = "length" if _has(data, "length") else "second"
        return [("got", "None: more bytes needed"), ("bytes", draw(data, mark=mark))]
    if not _is_result(got):
        return [
            ("differs", "expected a pair: a Frame, and the position after it"),
            ("bytes", draw(data)),
        ]
    wanted, held = _describe(expected, got)
    return [
        ("expected", wanted),
        ("got", held),
        ("bytes", draw(data, mark=_deciding_field(data, expected, got))),
    ]


def show_result(result: tuple[Frame, int] | None) -> str:
    """A parsed frame and the position after it in words, for `Exercise.show`."""
    if result is None:
        return "None"
    frame, position = result
    payload = (
        f"payload {render(frame.payload)}"
        if len(frame.payload) < 16
        else f"payload of {len(frame.payload)} bytes"
    )
    return f"{OPCODES[frame.opcode]}, {payload}, next position {position}"


def _is_result(got: Any) -> bool:
    names = ("opcode", "payload", "fin", "rsv1", "masking_key")
    return isinstance(got, tuple) and len(got) == 2 and all(hasattr(got[0], name) for name in names)


def _describe(expected: tuple[Frame, int], got: tuple[Frame, int]) -> tuple[str, str]:
    """Two results in words: only what differs."""
    texts: tuple[list[str], list[str]] = ([], [])
    for (frame, end), (other, other_end), words in (
        (expected, got, texts[0]),
        (got, expected, texts[1]),
    ):
        if frame.opcode != other.opcode:
            words.append(OPCODES.get(frame.opcode, f"opcode {render(frame.opcode)}"))
        words += [
            f"{name} {getattr(frame, name)!r}"
            for name in ("fin", "rsv1")
            if not same(getattr(frame, name), getattr(other, name))
        ]
        if not isinstance(frame.payload, type(other.payload)):
            words.append(f"payload of type {type(frame.payload).__name__}")
        elif len(frame.payload) != len(other.payload):
            words.append(f"payload of {len(frame.payload)} bytes")
        elif frame.payload != other.payload:
            words.append(f"payload {render(frame.payload)}")
        elif frame.masking_key != other.masking_key:
            words.append(f"masking key {render(frame.masking_key)}")
        elif not same(frame.masking_key, other.masking_key):
            words.append(f"masking key of type {type(frame.masking_key).__name__}")
        if not same(end, other_end):
            words.append(f"next position {render(end)}")
        if type(frame).__name__ != type(other).__name__:
            words.append(f"an object of type {type(frame).__name__}")
    return ", ".join(texts[0]), ", ".join(texts[1])


def _deciding_field(data: bytes, expected: tuple[Frame, int], got: tuple[Frame, int]) -> str:
    """The name of the field that was read wrongly, by the first of the differences."""
    (frame, _), (other, _) = expected, got
    if any(
        not same(getattr(frame, name), getattr(other, name)) for name in ("opcode", "fin", "rsv1")
    ):
        return "first"
    if len(frame.payload) != len(other.payload):
        return (
            "length" if _has(data, "length") and len(other.payload) not in (126, 127) else "second"
        )
    if not same(frame.masking_key, other.masking_key) or frame.payload != other.payload:
        return "key" if frame.masking_key else "payload"
    return "second"


def _last_field(data: bytes) -> str:
    found = fields(data)
    return found[-1].name if found else ""


def _has(data: bytes, name: str) -> bool:
    return any(each.name == name for each in fields(data))


def _refused_field(data: bytes) -> str:
    """The field for which a head is refused: the first byte, unless that one is valid."""
    frame = dissect(data)
    opcode = frame.value("opcode")
    reserved = opcode not in OPCODES or any(frame.value(f"RSV{bit}") for bit in (1, 2, 3))
    if reserved or (opcode >= 8 and not frame.value("FIN")):
        return "first"
    return "length" if _has(data, "length") and opcode < 8 else "second"


def frame_bytes(case: Case, got: object) -> list[Row]:
    """The entries for a function that serialises: both frames, with the first wrong bit named."""
    expected = case.expect
    if not isinstance(expected, bytes) or not isinstance(got, bytes | bytearray) or not expected:
        return differences(expected, got)
    index = next((i for i, (a, b) in enumerate(zip_longest(expected, got)) if a != b), None)
    if index is None:
        return differences(expected, got)
    at = next((field for field in fields(expected) if field.start <= index < field.stop), None)
    name = at.name if at else ""
    return [
        ("expected", draw(expected)),
        ("got", draw(bytes(got), mark=name, note=_difference_at(expected, bytes(got), index))),
    ]


def _difference_at(expected: bytes, got: bytes, index: int) -> str:
    if index >= len(got):
        return f"ends here, {len(got)} of {len(expected)} bytes"
    if index >= len(expected):
        return f"{quantity(len(got) - len(expected), 'byte')} too many"
    wanted, held = expected[index], got[index]
    if index < 2:
        bit = next(bit for bit in range(8) if (wanted ^ held) >> 7 - bit & 1)
        name = next(each.name for each in dissect(expected).fields if each.end > 8 * index + bit)
        values = f"expected {wanted >> 7 - bit & 1}, got {held >> 7 - bit & 1}"
        return f"byte {index}, bit {bit} ({name}): {values} (RFC 6455 5.2)"
    return f"byte {index}: expected {wanted:02x}, got {held:02x} (RFC 6455 5.2)"
