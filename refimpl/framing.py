"""Frames: the unit that travels on an open connection (RFC 6455 section 5).

A frame is a head of 2 to 14 bytes and a payload. `parse_frame` reads one out of a buffer at a
position, or says that more bytes are needed; it keeps nothing between calls, so any split of the
stream gives the same frames. What frames mean together (fragments, text, closing) is the next
chapter's, in `messages`.

>>> frame, position = parse_frame(bytes.fromhex("8105 48656c6c6f"))
>>> frame.opcode.name, frame.payload, position
('TEXT', b'Hello', 7)
>>> serialize_frame(frame).hex(" ")
'81 05 48 65 6c 6c 6f'
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from refimpl.errors import RemoteProtocolError

try:  # a C function that ships with `websockets`: 47x at 64 KiB; chapter 02 measures it
    from websockets.speedups import apply_mask as _apply_mask
except ImportError:
    _apply_mask = None  # type: ignore[assignment]

__all__ = [
    "ACCELERATED",
    "CloseCode",
    "Frame",
    "Opcode",
    "mask",
    "mask_int",
    "mask_pure",
    "mask_strides",
    "parse_frame",
    "parse_header",
    "serialize_frame",
    "serialize_header",
]

Buffer = bytes | bytearray

FIN = 0b1000_0000
RSV1 = 0b0100_0000
RSV2_RSV3 = 0b0011_0000
OPCODE = 0b0000_1111
MASKED = 0b1000_0000
LENGTH = 0b0111_1111


class Opcode(IntEnum):
    """What a frame is for (RFC 6455 section 5.2); 8 and up are control frames (section 5.5)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Why a connection closes (RFC 6455 section 7.4.1 and the IANA registry it set up)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


OPCODES: Mapping[int, Opcode] = MappingProxyType({int(opcode): opcode for opcode in Opcode})


@dataclass(slots=True)
class Frame:
    """One frame (RFC 6455 section 5.2).

    payload: unmasked, at most 125 bytes in a control frame. masking_key: 4 bytes, or None where the
    frame travels unmasked. rsv1: set on the first frame of a compressed message (RFC 7692 6).
    """

    opcode: Opcode
    payload: bytes
    fin: bool = True
    rsv1: bool = False
    masking_key: bytes | None = None


# --- masking (RFC 6455 section 5.3) ---


def mask_int(data: Buffer | memoryview, key: Buffer) -> bytes:
    """Return data XOR the repeated key, as one XOR of two very long integers."""
    size = len(data)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


@functools.cache
def xor_table(value: int) -> bytes:
    """Return the 256-byte table that `bytes.translate` needs to XOR every byte with value."""
    return bytes(byte ^ value for byte in range(256))


def mask_strides(data: Buffer | memoryview, key: Buffer) -> bytes:
    """Return data XOR the repeated key, every fourth byte at a time, each through a table."""
    masked = bytearray(data)
    for offset in range(4):
        masked[offset::4] = masked[offset::4].translate(xor_table(key[offset]))
    return bytes(masked)


def mask_pure(data: Buffer | memoryview, key: Buffer) -> bytes:
    """Return data XOR the repeated key: the quicker of the two pure forms for its size."""
    return mask_int(data, key) if len(data) < 1024 else mask_strides(data, key)


ACCELERATED = _apply_mask is not None
"""Whether `mask` is the C function; where it is not, it is `mask_pure`."""

mask: Callable[[Buffer | memoryview, Buffer], bytes] = _apply_mask if ACCELERATED else mask_pure
"""Return data XOR the repeated 4-byte key: masks and unmasks alike (RFC 6455 section 5.3)."""


# --- parsing (RFC 6455 section 5.2) ---


def _allowed_first_bytes(compressed: bool) -> frozenset[int]:
    """Return every legal first byte: one set look-up then replaces four tests a frame."""
    data = {
        fin | opcode
        for fin in (0, FIN)
        for opcode in (Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY)
    }
    control = {FIN | opcode for opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG)}
    rsv1 = {first | RSV1 for first in data if first & OPCODE} if compressed else set()
    return frozenset(data | control | rsv1)


FIRST_BYTES = _allowed_first_bytes(compressed=False)
FIRST_BYTES_COMPRESSED = _allowed_first_bytes(compressed=True)


def parse_length(buffer: Buffer, position: int, short: int) -> tuple[int, int] | None:
    """Return a length of 2 or 8 bytes and the position after it, or None for more bytes.

    short: the 7-bit length that announced it, 126 or 127.
    """
    end = position + (2 if short == 126 else 8)
    if len(buffer) < end:
        return None
    length = int.from_bytes(buffer[position:end], "big")
    if length >> 63:
        raise RemoteProtocolError("got a 64-bit length with its top bit set (RFC 6455 5.2)")
    if length <= (125 if short == 126 else 0xFFFF):
        form = f"length {length} in {end - position} bytes"
        raise RemoteProtocolError(f"got {form}, expected the shortest form (RFC 6455 5.2)")
    return length, end


def explain_head(first: int, second: int, compressed: bool) -> RemoteProtocolError:
    """Return the error for a head whose first two bytes break a rule: which, and its section."""
    opcode = OPCODES.get(first & OPCODE)
    if opcode is None:
        return RemoteProtocolError(f"got reserved opcode {first & OPCODE:#x} (RFC 6455 5.2)")
    if first & RSV2_RSV3 or (first & RSV1 and not compressed):
        return RemoteProtocolError("got a reserved bit that no extension defines (RFC 6455 5.2)")
    if first not in FIRST_BYTES_COMPRESSED:
        fault = "RSV1 on" if first & RSV1 else "a fragment of"
        return RemoteProtocolError(f"got {fault} a {opcode.name} frame (RFC 6455 5.5, RFC 7692 6)")
    if first & 0b1000 and second & LENGTH > 125:
        return RemoteProtocolError("got a control frame over 125 bytes (RFC 6455 5.5)")
    got, wanted = ("masked", "unmasked") if second & MASKED else ("unmasked", "masked")
    return RemoteProtocolError(f"got an {got} frame, expected {wanted} (RFC 6455 5.1)")


def parse_header(
    buffer: Buffer,
    position: int = 0,
    *,
    masked: bool | None = None,
    compressed: bool = False,
    max_size: int | None = None,
) -> tuple[int, Buffer | None, int, int] | None:
    """Return (first byte, masking key, payload's start and end) of a frame, or None for more bytes.

    All that a head alone can break is refused here, before a byte of payload is kept: a wrong first
    byte, mask bit or length with 1002, more than max_size bytes of payload with 1009. The end may
    lie beyond the buffer. masked: True where frames must be masked, False where they must not be,
    None for either.
    """
    if len(buffer) < position + 2:
        return None
    first, second = buffer[position], buffer[position + 1]
    length = second & LENGTH
    if (
        first not in (FIRST_BYTES_COMPRESSED if compressed else FIRST_BYTES)
        or (masked is not None and masked is not (second >= MASKED))
        or (length > 125 and first & 0b1000)
    ):
        raise explain_head(first, second, compressed)
    position += 2
    if length > 125:
        extended = parse_length(buffer, position, length)
        if extended is None:
            return None
        length, position = extended
    if max_size is not None and length > max_size and not first & 0b1000:
        too_big = f"got {length} bytes, expected at most {max_size} (RFC 6455 10.4)"
        raise RemoteProtocolError(too_big, CloseCode.MESSAGE_TOO_BIG)
    if not second & MASKED:
        return first, None, position, position + length
    if len(buffer) < position + 4:
        return None
    return first, buffer[position : position + 4], position + 4, position + 4 + length


def read_payload(buffer: Buffer | memoryview, start: int, end: int, key: Buffer | None) -> bytes:
    """Return a copy of buffer[start:end], unmasked where there is a key."""
    if type(buffer) is bytes:
        payload = buffer[start:end]
        return mask(payload, key) if key else payload
    with (
        memoryview(buffer) as view,
        view[start:end] as part,
    ):  # a slice of a bytearray would be one copy more
        return mask(part, key) if key else bytes(part)


def parse_frame(
    buffer: Buffer,
    position: int = 0,
    *,
    masked: bool | None = None,
    compressed: bool = False,
    max_size: int | None = None,
) -> tuple[Frame, int] | None:
    """Return the frame at position and the position after it, or None for more bytes.

    RFC 6455 section 5.2. compressed: whether an extension gives RSV1 a meaning. Raises
    RemoteProtocolError as `parse_header` does.
    """
    header = parse_header(buffer, position, masked=masked, compressed=compressed, max_size=max_size)
    if header is None or len(buffer) < header[3]:
        return None
    first, key, start, end = header
    payload = read_payload(buffer, start, end, key)
    masking_key = bytes(key) if key else None
    fin, rsv1 = bool(first & FIN), bool(first & RSV1)
    return Frame(OPCODES[first & OPCODE], payload, fin, rsv1, masking_key), end


# --- serialising ---


def serialize_header(first: int, length: int, masked: bool) -> bytes:
    """Return a frame's head up to its masking key (RFC 6455 section 5.2), in its shortest form."""
    mask_bit = MASKED if masked else 0
    if length <= 125:
        return bytes((first, mask_bit | length))
    if length <= 0xFFFF:
        return bytes((first, mask_bit | 126)) + length.to_bytes(2, "big")
    return bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")


def serialize_frame(frame: Frame) -> bytes:
    """Return a frame's bytes, masked where it has a masking key (RFC 6455 section 5.2)."""
    first = (FIN if frame.fin else 0) | (RSV1 if frame.rsv1 else 0) | frame.opcode
    key = frame.masking_key
    if key is None:
        return serialize_header(first, len(frame.payload), False) + frame.payload
    return serialize_header(first, len(frame.payload), True) + key + mask(frame.payload, key)
