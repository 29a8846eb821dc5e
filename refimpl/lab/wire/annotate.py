"""Annotated hex: every byte of a frame or a head beside the name of its field.

>>> annotate(bytes.fromhex("8900"))
PING fin, 0 bytes
byte  bits or hex              field            value
   0  1.......                 FIN              1     the last frame of its message
      .000....                 RSV1-3           0     reserved, no extension uses them
      ....1001                 opcode           0x9   PING: asks for a Pong with the same payload
   1  0.......                 MASK             0     the payload is sent as it is
      .0000000                 payload length   0     0 bytes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refimpl.lab.text import Text, characters, plural, quoted, spaced_hex
from refimpl.lab.wire.dissect import Dissection, Field, close_name, dissect_all, unmask
from refimpl.lab.wire.heads import annotate_head, is_head

if TYPE_CHECKING:
    from refimpl.framing import Frame
    from refimpl.handshake import Request, Response

BYTES_A_LINE = 8
HEADING = f"{'byte':>4}  {'bits or hex':<23}  {'field':<15}  value"


def annotate(
    source: bytes | Frame | Request | Response,
    *,
    masked: bool | None = None,
    compressed: bool = False,
    limit: int = 32,
    hide_key: bool = False,
) -> Text:
    """Return frames or a head field by field, as text that stays the same from run to run.

    source: bytes on the wire (one frame or several, or a head), or a Frame, a Request, a Response.
    masked: True checks them as a client's, False as a server's, None as neither. compressed: RSV1
    is allowed. limit: how many payload bytes to print. hide_key: print kk for a random masking key
    and mm for the masked bytes, so that the text of a live frame can be compared.
    """
    data = to_bytes(source)
    if is_head(data):
        return annotate_head(data)
    parts = []
    frames = dissect_all(data, masked=masked, compressed=compressed)
    for number, frame in enumerate(frames, 1):
        title = frame.title
        if len(frames) > 1:
            title = f"frame {number}, bytes {frame.position}-{frame.end - 1}: {title}"
        parts.append("\n".join([title, *_table(frame, limit, hide_key)]))
    return Text("\n\n".join(parts) or "no bytes")


def to_bytes(source: bytes | Frame | Request | Response) -> bytes:
    """Return bytes as they are, a Frame, Request or Response serialised."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if hasattr(source, "serialize"):
        return source.serialize()
    from refimpl.framing import serialize_frame

    return bytes(serialize_frame(source))


def _table(frame: Dissection, limit: int, hide_key: bool) -> list[str]:
    lines = [HEADING]
    rsv = sum(frame.value(f"RSV{bit}") for bit in (1, 2, 3))
    for each in frame.fields:
        if each.name in ("RSV2", "RSV3") and not rsv:
            continue
        if each.name == "RSV1" and not rsv:
            each = Field("RSV1-3", 1, 3, 0, "reserved, no extension uses them")
        lines += (
            _payload(frame, each, limit, hide_key)
            if each.name.endswith("payload")
            else _row(each, hide_key)
        )
    if frame.missing:
        at_least = "" if frame.length is not None else "at least "
        lines.append(f"{'':>4}  ... {at_least}{plural(frame.missing, 'more byte')} to come")
    lines += [f"{'':>4}  WRONG: {problem}" for problem in frame.problems]
    return lines


def _row(each: Field, hide_key: bool) -> list[str]:
    byte = str(each.start // 8) if each.start % 8 == 0 else ""
    if isinstance(each.value, bytes):
        shown = "kk kk kk kk" if hide_key else spaced_hex(each.value)
        return [f"{byte:>4}  {shown:<23}  {each.name:<15}  {each.meaning}"]
    if each.bits >= 8:
        shown = spaced_hex(each.value.to_bytes(each.bits // 8))
        return [f"{byte:>4}  {shown:<23}  {each.name:<15}  {each.value:<4}  {each.meaning}"]
    before = each.start % 8
    bits = "." * before + f"{each.value:0{each.bits}b}" + "." * (8 - before - each.bits)
    value = f"0x{each.value:x}" if each.name == "opcode" else str(each.value)
    return [f"{byte:>4}  {bits:<23}  {each.name:<15}  {value:<4}  {each.meaning}"]


def _payload(frame: Dissection, each: Field, limit: int, hide_key: bool) -> list[str]:
    """Return the payload, eight bytes a line, each masked line followed by its plain bytes."""
    assert isinstance(each.value, bytes)
    lines = []
    start = each.start // 8
    for offset in range(0, min(len(each.value), limit), BYTES_A_LINE):
        wire = each.value[offset : offset + BYTES_A_LINE][: limit - offset]
        plain = unmask(
            wire, frame.key
        )  # eight bytes a line: every line starts at the key's first byte
        shown = " ".join(["mm"] * len(wire)) if hide_key and frame.key else spaced_hex(wire)
        name = each.name if offset == 0 else ""
        if frame.key:
            lines.append(f"{start + offset:>4}  {shown:<23}  {name}".rstrip())
            name = "unmasked" if offset == 0 else ""
            lines.append(f"{'':>4}  {spaced_hex(plain):<23}  {name:<15}  {characters(plain)}")
        else:
            lines.append(f"{start + offset:>4}  {shown:<23}  {name:<15}  {characters(plain)}")
    if len(each.value) > limit:
        lines.append(f"{'':>4}  ... {plural(len(each.value) - limit, 'more byte')} of payload")
    if frame.value("opcode") == 8 and len(frame.payload) >= 2:
        lines += _close(frame.payload)
    return lines


def _close(payload: bytes) -> list[str]:
    """Return the code of a Close frame's payload, and its reason if there is one."""
    code = int.from_bytes(payload[:2])
    lines = [
        f"{'':>4}  {spaced_hex(payload[:2]):<23}  {'close code':<15}  {code}  {close_name(code)}"
    ]
    if len(payload) > 2:
        lines.append(f"{'':>4}  {'':<23}  {'close reason':<15}  {quoted(payload[2:])}")
    return lines
