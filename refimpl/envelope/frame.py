"""The application's own binary frame: length, type, payload, checksum.

It travels over raw TCP, where the stream must be cut into messages again, and inside binary
WebSocket messages alike::

    0        4    5               5+n     9+n
    | length | ty | payload (n)   | crc32 |      big-endian; the CRC covers all before it

`parse` tells three things apart that are often confused: an envelope (an empty payload is one),
NEED_MORE, and an error. A CRC-32 finds what noise does to bytes; against anyone who can compute one
it protects nothing. What is not here: retransmission, encryption, and the meaning of the types.

>>> data = encode(0x10, "café".encode())
>>> data.hex(" ")
'00 00 00 05 10 63 61 66 c3 a9 ec eb f0 e2'
>>> parse(data)
(Envelope(type=16, payload=b'caf\\xc3\\xa9'), 14)
>>> parse(data[:-1])
<Need.MORE: 'more bytes'>
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal

from refimpl.errors import LocalProtocolError, RemoteProtocolError
from refimpl.framing import Buffer, CloseCode

__all__ = [
    "NEED_MORE",
    "BadChecksum",
    "BadPayload",
    "Decoder",
    "Envelope",
    "EnvelopeError",
    "Need",
    "TooLong",
    "Truncated",
    "TypeRegistry",
    "UnknownType",
    "encode",
    "encode_text",
    "parse",
    "parse_message",
]

HEADER = struct.Struct("!IB")
CHECKSUM = struct.Struct("!I")
OVERHEAD: Final = HEADER.size + CHECKSUM.size
MAX_SIZE: Final = 2**20


# --- what can be wrong with what a peer sent ---


class EnvelopeError(RemoteProtocolError):
    """The stream cannot be trusted any more: close it; the next envelope's start is unknown."""


class TooLong(EnvelopeError):
    """The length says more than the limit; raised before the payload is waited for."""

    def __init__(self, length: int, max_size: int) -> None:
        message = f"got an envelope of {length} bytes, expected at most {max_size}"
        super().__init__(message, CloseCode.MESSAGE_TOO_BIG)


class BadChecksum(EnvelopeError):
    """Header or payload changed on the way."""

    def __init__(self, got: int, expected: int) -> None:
        message = f"got CRC-32 {got:08x}, expected {expected:08x}"
        super().__init__(message, CloseCode.INVALID_PAYLOAD)


class UnknownType(EnvelopeError):
    """An envelope of a type that nobody registered."""

    def __init__(self, kind: int) -> None:
        message = f"got envelope type {kind:#04x}, which is not registered"
        super().__init__(message, CloseCode.UNSUPPORTED_DATA)


class Truncated(EnvelopeError):
    """The stream, or the message around it, ended inside an envelope."""

    def __init__(self, rest: int) -> None:
        super().__init__(f"got the end {rest} bytes into an envelope")


class BadPayload(EnvelopeError):
    """A payload that its type's reader cannot read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, CloseCode.INVALID_PAYLOAD)


# --- the envelope ---


class Need(Enum):
    """What a parser says when it can say nothing yet."""

    MORE = "more bytes"


NEED_MORE: Final = Need.MORE


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message of the application. type: 0 to 255. payload: may be empty."""

    type: int
    payload: bytes


def encode(kind: int, payload: bytes) -> bytes:
    """Return an envelope's bytes: header, payload, CRC-32 of both."""
    if not 0 <= kind <= 0xFF:
        raise LocalProtocolError(f"got type {kind}, expected 0 to 255")
    if len(payload) > 0xFFFF_FFFF:
        raise LocalProtocolError(f"got {len(payload)} bytes, expected at most 4294967295")
    body = HEADER.pack(len(payload), kind) + payload
    return body + CHECKSUM.pack(zlib.crc32(body))


def encode_text(kind: int, text: str) -> bytes:
    """Return an envelope of text: UTF-8 checked first, then type, CRC and bytes."""
    try:
        return encode(kind, text.encode())
    except UnicodeEncodeError as error:
        raise LocalProtocolError("got text with a lone surrogate, which has no UTF-8") from error


def parse(
    buffer: Buffer, position: int = 0, *, max_size: int = MAX_SIZE
) -> tuple[Envelope, int] | Literal[Need.MORE]:
    """Return the envelope at position and the position after it, or NEED_MORE.

    Raises TooLong from the header alone, and BadChecksum before anyone sees the payload.
    """
    start = position + HEADER.size
    if len(buffer) < start:
        return NEED_MORE
    length, kind = HEADER.unpack_from(buffer, position)
    if length > max_size:
        raise TooLong(length, max_size)
    end = start + length
    if len(buffer) < end + CHECKSUM.size:
        return NEED_MORE
    with memoryview(buffer) as view:
        computed = zlib.crc32(view[position:end])
        payload = bytes(view[start:end])
    (sent,) = CHECKSUM.unpack_from(buffer, end)
    if sent != computed:
        raise BadChecksum(sent, computed)
    return Envelope(kind, payload), end + CHECKSUM.size


def parse_message(message: bytes, *, max_size: int = MAX_SIZE) -> Envelope:
    """Return the one envelope a WebSocket message is; Truncated where it is not whole."""
    found = parse(message, max_size=max_size)
    if found is NEED_MORE:
        raise Truncated(len(message))
    envelope, end = found
    if end != len(message):
        raise BadPayload(f"got {len(message) - end} bytes behind the envelope, expected none")
    return envelope


class Decoder:
    """Cuts a stream into envelopes, for any chunks, in linear time.

    error: what broke the stream, or None; from then on nothing more is decoded. Whoever owns the
    stream looks at it after each call and closes.
    """

    def __init__(self, *, max_size: int = MAX_SIZE) -> None:
        self.error: EnvelopeError | None = None
        self._max_size = max_size
        self._buffer = bytearray()

    def receive_data(self, data: Buffer) -> list[Envelope]:
        """Return the envelopes that data completes, those before a broken one included."""
        envelopes: list[Envelope] = []
        if self.error is not None:
            return envelopes
        self._buffer += data
        position = 0
        try:
            while True:
                found = parse(self._buffer, position, max_size=self._max_size)
                if found is NEED_MORE:
                    break
                envelope, position = found
                envelopes.append(envelope)
        except EnvelopeError as error:
            self.error = error
            position = len(self._buffer)
        del self._buffer[:position]
        return envelopes

    def receive_eof(self) -> None:
        """Take the end of the stream: `error` says where it came inside an envelope."""
        if self._buffer and self.error is None:
            self.error = Truncated(len(self._buffer))


# --- what the types mean ---

Read = Callable[[bytes], object]


class TypeRegistry:
    """The types an application knows, each with the function that reads its payload."""

    def __init__(self, readers: Mapping[int, Read] = MappingProxyType({})) -> None:
        self._readers: dict[int, Read] = {}
        for kind, read in readers.items():
            self.register(kind, read)

    def register(self, kind: int, read: Read) -> None:
        """Add a type; LocalProtocolError where it is taken already."""
        if kind in self._readers:
            raise LocalProtocolError(f"got type {kind:#04x} twice, expected each type once")
        self._readers[kind] = read

    def read(self, envelope: Envelope) -> object:
        """Return what an envelope says; UnknownType or BadPayload where it says nothing."""
        read = self._readers.get(envelope.type)
        if read is None:
            raise UnknownType(envelope.type)
        try:
            return read(envelope.payload)
        except (ValueError, struct.error) as error:  # UnicodeDecodeError is a ValueError
            message = f"got a payload that type {envelope.type:#04x} cannot read"
            raise BadPayload(message) from error
