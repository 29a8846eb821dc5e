"""Take a frame apart, bit field by bit field, whether valid or not (RFC 6455 5.2).

The parser of `refimpl.framing` stops at the first fault, as a server must. An instrument must not:
it names every field that is there, cuts the frame where its header says it ends, and lists its
faults.

>>> frame = dissect(bytes.fromhex("8105 48656c6c6f"))
>>> [(field.name, field.bits, field.value) for field in frame.fields][:3]
[('FIN', 1, 1), ('RSV1', 1, 0), ('RSV2', 1, 0)]
>>> frame.payload, frame.end, frame.problems
(b'Hello', 7, ())
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from refimpl.framing import CloseCode, Opcode
from refimpl.lab.text import plural, preview

LONGEST_HEAD = 14
OPCODES = {opcode.value: opcode.name for opcode in Opcode}
CLOSE_CODES = {code.value: code.name for code in CloseCode}
_OPCODE_MEANING = {
    0x0: "carries on a fragmented message",
    0x1: "a message of UTF-8 text, or its first fragment",
    0x2: "a message of bytes, or its first fragment",
    0x8: "says goodbye: the last frame from this side",
    0x9: "asks for a Pong with the same payload",
    0xA: "answers a Ping with its payload",
}


class Field(NamedTuple):
    """One named run of bits: the first (counted from the frame's), how many, what they say."""

    name: str
    start: int
    bits: int
    value: int | bytes
    meaning: str

    @property
    def end(self) -> int:
        """The position of the first bit behind this field."""
        return self.start + self.bits


@dataclass(slots=True)
class Dissection:
    """One frame in pieces.

    data: the bytes of the frame that are there. begun: the field of the header in which the bytes
    end. payload: unmasked. position: where the frame starts in the dissected bytes. end: where the
    next one starts, once this one is complete. missing: bytes still to come, at least. problems:
    what breaks RFC 6455, each with its section.
    """

    position: int
    data: bytes = b""
    fields: list[Field] = field(default_factory=list)
    begun: Field | None = None
    payload: bytes = b""
    missing: int = 0
    problems: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every byte that the header promises is there."""
        return self.missing == 0

    @property
    def end(self) -> int:
        """The position after the bytes of this frame that are there."""
        return self.position + len(self.data)

    def value(self, name: str, default: int = 0) -> int:
        """Return the number in the named field, or `default` if the frame has no such field."""
        for each in self.fields:
            if each.name == name and isinstance(each.value, int):
                return each.value
        return default

    @property
    def key(self) -> bytes:
        """The masking key, or b"" in an unmasked frame."""
        for each in self.fields:
            if each.name == "masking key" and isinstance(each.value, bytes):
                return each.value
        return b""

    @property
    def title(self) -> str:
        """The frame in a few words: 'TEXT fin masked, 5 bytes'."""
        if len(self.fields) < 5:
            return "the start of a frame"
        words = [opcode_name(self.value("opcode"))]
        words += [flag for flag, name in _FLAGS if self.value(name)]
        if self.value("FIN") == 0:
            words.append("not the last fragment")
        length = self.length
        return " ".join(words) + (f", {plural(length, 'byte')}" if length is not None else "")

    @property
    def length(self) -> int | None:
        """The payload's length by the header, or None while the header is incomplete."""
        stated = [
            each for each in self.fields if each.name in ("payload length", "extended length")
        ]
        if not stated or (stated[-1].value in (126, 127) and len(stated) == 1):
            return None
        return self.value(stated[-1].name)


_FLAGS = (("fin", "FIN"), ("rsv1", "RSV1"), ("rsv2", "RSV2"), ("rsv3", "RSV3"), ("masked", "MASK"))


def opcode_name(opcode: int) -> str:
    """Return the RFC's name of the opcode in capitals, or 'reserved 0x3'."""
    return OPCODES.get(opcode, f"reserved 0x{opcode:x}")


def close_name(code: int) -> str:
    """Return the RFC's name of the close code in capitals, or the range that it is in."""
    if code in CLOSE_CODES:
        return CLOSE_CODES[code]
    if 3000 <= code <= 3999:
        return "registered with IANA"
    if 4000 <= code <= 4999:
        return "private use"
    return "not allowed in a frame"


def unmask(payload: bytes, key: bytes) -> bytes:
    """Return the payload XORed with the key; not by `mask`, so that a fault in `mask` shows."""
    if not key:
        return payload
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(pad)).to_bytes(len(payload))


def dissect(
    data: bytes | bytearray,
    position: int = 0,
    *,
    masked: bool | None = None,
    compressed: bool = False,
) -> Dissection:
    """Return the frame at `position` in pieces, complete or not, valid or not.

    masked: whether it must be: True from a client, False from a server, None if unknown.
    compressed: whether permessage-deflate was negotiated, which uses RSV1.
    """
    head = bytes(data[position : position + LONGEST_HEAD])
    frame = Dissection(position)
    if not head:
        frame.missing = 2
        return frame
    _first_byte(frame, head[0], compressed)
    if len(head) < 2:
        frame.data, frame.missing = head, 1
    else:
        _second_byte(frame, head[1])
        start = _variable_part(frame, head)
        if start is not None:
            _payload(frame, data, start)
    frame.problems = tuple(_problems(frame, masked, compressed))
    return frame


def dissect_all(
    data: bytes, *, masked: bool | None = None, compressed: bool = False
) -> list[Dissection]:
    """Return every frame in the bytes, in order; the last one may be incomplete."""
    frames: list[Dissection] = []
    position = 0
    while position < len(data):
        frames.append(dissect(data, position, masked=masked, compressed=compressed))
        if frames[-1].end == position:
            break
        position = frames[-1].end
    return frames


def _first_byte(frame: Dissection, byte: int, compressed: bool) -> None:
    fin = byte >> 7
    opcode = byte & 0x0F
    last = "the last frame of its message" if fin else "more fragments follow"
    frame.fields.append(Field("FIN", 0, 1, fin, last))
    for bit in (1, 2, 3):
        value = byte >> (7 - bit) & 1
        meaning = "reserved, no extension uses it"
        if bit == 1 and compressed:
            meaning = "this message is compressed" if value else "this message is not compressed"
        frame.fields.append(Field(f"RSV{bit}", bit, 1, value, meaning))
    meaning = _OPCODE_MEANING.get(opcode, "reserved for later versions")
    frame.fields.append(Field("opcode", 4, 4, opcode, f"{opcode_name(opcode)}: {meaning}"))


def _second_byte(frame: Dissection, byte: int) -> None:
    meaning = (
        "a key follows, the payload is XORed with it"
        if byte >> 7
        else "the payload is sent as it is"
    )
    frame.fields.append(Field("MASK", 8, 1, byte >> 7, meaning))
    size = byte & 0x7F
    where = {126: "126 means: see the next two bytes", 127: "127 means: see the next eight bytes"}
    frame.fields.append(Field("payload length", 9, 7, size, where.get(size, plural(size, "byte"))))


def _variable_part(frame: Dissection, head: bytes) -> int | None:
    """Add the extended length and the masking key; return where the payload starts, or None."""
    position = 2
    for name, size in (
        ("extended length", {126: 2, 127: 8}.get(head[1] & 0x7F, 0)),
        ("masking key", 4 if head[1] >> 7 else 0),
    ):
        if not size:
            continue
        part = head[position : position + size]
        if len(part) < size:
            frame.data, frame.missing = head, size - len(part)
            frame.begun = Field(name, position * 8, size * 8, part, "not all of it is there")
            return None
        value = part if name == "masking key" else int.from_bytes(part)
        meaning = "four random bytes" if isinstance(value, bytes) else plural(value, "byte")
        frame.fields.append(Field(name, position * 8, size * 8, value, meaning))
        position += size
    return position


def _payload(frame: Dissection, data: bytes | bytearray, start: int) -> None:
    length = frame.length or 0
    wire = bytes(data[frame.position + start : frame.position + start + length])
    frame.payload = unmask(wire, frame.key)
    if wire:
        name = "masked payload" if frame.key else "payload"
        frame.fields.append(Field(name, start * 8, len(wire) * 8, wire, preview(frame.payload)))
    frame.data = bytes(data[frame.position : frame.position + start]) + wire
    frame.missing = length - len(wire)


def _problems(frame: Dissection, masked: bool | None, compressed: bool) -> list[str]:
    """Return the rules that the header breaks, in the order of the RFC's section 5."""
    found = []
    opcode = frame.value("opcode")
    for bit in (1, 2, 3):
        if frame.value(f"RSV{bit}") and not (bit == 1 and compressed):
            found.append(f"RSV{bit} is 1 and no negotiated extension uses it (RFC 6455 5.2)")
    if opcode not in OPCODES:
        found.append(f"opcode 0x{opcode:x} is reserved (RFC 6455 5.2)")
    if opcode >= 8 and not frame.value("FIN"):
        found.append("a control frame must not be fragmented (RFC 6455 5.5)")
    if len(frame.fields) < 7:
        return found
    if masked is not None and frame.value("MASK") != masked:
        rule = "client must be masked" if masked else "server must not be masked"
        found.append(f"a frame from a {rule} (RFC 6455 5.1)")
    size, length = frame.value("payload length"), frame.length
    if opcode >= 8 and size > 125:
        found.append("a control frame carries at most 125 bytes (RFC 6455 5.5)")
    if length is not None and ((size == 126 and length < 126) or (size == 127 and length < 65536)):
        found.append(f"{length} fits a shorter length form (RFC 6455 5.2)")
    if length is not None and length >= 2**63:
        found.append("the first bit of a 64-bit length must be 0 (RFC 6455 5.2)")
    if opcode == 8 and length == 1:
        found.append("a Close frame has no payload or at least two bytes (RFC 6455 5.5.1)")
    return found
