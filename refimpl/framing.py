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
CONTROL = 0b0000_1000  # the bit of an opcode that makes it a control frame (RFC 6455 5.5)
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


def check_first_byte(first: int, compressed: bool) -> None:
    """Raise RemoteProtocolError for a first byte that no frame may have."""
    opcode = OPCODES.get(first & OPCODE)
    if opcode is None:
        raise RemoteProtocolError(f"got reserved opcode {first & OPCODE:#x} (RFC 6455 5.2)")
    if first & RSV2_RSV3 or (first & RSV1 and not compressed):
        raise RemoteProtocolError("got a reserved bit that no extension defines (RFC 6455 5.2)")
    if first & CONTROL and not first & FIN:
        raise RemoteProtocolError(f"got a fragment of a {opcode.name} frame (RFC 6455 5.5)")
    if first & RSV1 and opcode not in (Opcode.TEXT, Opcode.BINARY):
        raise RemoteProtocolError(f"got RSV1 on a {opcode.name} frame (RFC 7692 6)")


def find_first_bytes(compressed: bool) -> frozenset[int]:
    """Return every first byte that `check_first_byte` lets through."""
    found = set()
    for first in range(256):
        try:
            check_first_byte(first, compressed)
        except RemoteProtocolError:
            continue
        found.add(first)
    return frozenset(found)


# One look-up in a set answers four questions for a frame that breaks no rule.
FIRST_BYTES = find_first_bytes(compressed=False)
FIRST_BYTES_COMPRESSED = find_first_bytes(compressed=True)


def parse_length(buffer: Buffer | memoryview, position: int, short: int) -> tuple[int, int] | None:
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


def parse_header(
    buffer: Buffer | memoryview,
    position: int = 0,
    *,
    masked: bool | None = None,
    compressed: bool = False,
    max_size: int | None = None,
) -> tuple[int, bytes | None, int, int] | None:
    """Return (first byte, masking key, payload's start and end) of a frame, or None for more bytes.

    All that a head alone can break is refused here, before a byte of payload is kept: a wrong first
    byte, mask bit or length with 1002, more than max_size bytes of payload with 1009. The end may
    lie beyond the buffer. masked: True where frames must be masked, False where they must not be,
    None for either.
    """
    if len(buffer) < position + 2:
        return None
    first, second = buffer[position], buffer[position + 1]
    if first not in (FIRST_BYTES_COMPRESSED if compressed else FIRST_BYTES):
        check_first_byte(first, compressed)
    if (second >= MASKED) is not masked and masked is not None:
        got, expected = ("an unmasked", "a masked") if masked else ("a masked", "an unmasked")
        raise RemoteProtocolError(f"got {got} frame, expected {expected} one (RFC 6455 5.1)")
    length = second & LENGTH
    position += 2
    if length > 125:
        if first & CONTROL:
            raise RemoteProtocolError("got a control frame over 125 bytes (RFC 6455 5.5)")
        extended = parse_length(buffer, position, length)
        if extended is None:
            return None
        length, position = extended
    if max_size is not None and length > max_size and not first & CONTROL:
        too_big = f"got {length} bytes, expected at most {max_size} (RFC 6455 10.4)"
        raise RemoteProtocolError(too_big, CloseCode.MESSAGE_TOO_BIG)
    if second < MASKED:
        return first, None, position, position + length
    start = position + 4
    if len(buffer) < start:
        return None
    key = buffer[position:start]
    return first, key if type(key) is bytes else bytes(key), start, start + length


def read_payload(buffer: Buffer | memoryview, start: int, end: int, key: bytes | None) -> bytes:
    """Return a copy of buffer[start:end], unmasked where there is a key."""
    if type(buffer) is bytes:
        payload = buffer[start:end]
        return mask(payload, key) if key else payload
    with memoryview(buffer) as view, view[start:end] as part:  # a slice would be one copy more
        return mask(part, key) if key else bytes(part)


def parse_frame(
    buffer: Buffer | memoryview,
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
    if header is None:
        return None
    first, key, start, end = header
    if end > len(buffer):
        return None
    payload = read_payload(buffer, start, end, key)
    return Frame(OPCODES[first & OPCODE], payload, first >= FIN, first & RSV1 != 0, key), end


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
