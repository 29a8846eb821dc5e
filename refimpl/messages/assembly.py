"""Messages out of frames: fragments joined, text decoded, limits kept (RFC 6455 section 5.4).

>>> assembler = MessageAssembler(max_size=1024)
>>> assembler.add(Opcode.TEXT, b"Hel")
>>> assembler.add(FIN | Opcode.CONTINUATION, b"lo")
'Hello'

>>> events = []
>>> take_small(bytes.fromhex("81 85 37fa213d 7f9f4d5158 81"), 0, events, 9), events
(11, ['Hello'])
"""

from itertools import repeat

from refimpl.errors import RemoteProtocolError
from refimpl.framing import FIN, OPCODE, RSV1, Buffer, CloseCode, Opcode, mask
from refimpl.messages.deflate import PerMessageDeflate
from refimpl.messages.events import Event
from refimpl.messages.utf8 import Utf8Decoder, decode_text

__all__ = ["MessageAssembler", "skip_small", "take_small"]

FINAL_TEXT = FIN | Opcode.TEXT
FINAL_BINARY = FIN | Opcode.BINARY
UNLIMITED = 2**62


class Parts:
    """What has come of a message in fragments; made for its first one."""

    __slots__ = ("compressed", "data", "decoder", "fragments", "is_text", "size", "text")

    def __init__(self, first: int) -> None:
        self.is_text = first & OPCODE == Opcode.TEXT
        self.compressed = bool(first & RSV1)
        self.fragments = 0
        self.size = 0
        self.text: list[str] = []
        self.decoder = Utf8Decoder()
        self.data = bytearray()

    def append(self, payload: bytes, final: bool) -> None:
        """Add a fragment; an empty one holds no memory, so counting them is limit enough."""
        self.fragments += 1
        self.size += len(payload)
        if self.is_text:
            self.text.append(self.decoder.decode(payload, final))
        else:
            self.data += payload

    def whole(self) -> str | bytes:
        """Return the message, once its last fragment is there."""
        return "".join(self.text) if self.is_text else bytes(self.data)


class MessageAssembler:
    """Joins data frames into messages; every error is a RemoteProtocolError.

    A message fails with 1009 beyond max_size bytes and with 1008 beyond max_fragments frames.
    room: bytes that the next frame may carry.
    """

    __slots__ = ("_deflate", "_max_fragments", "_max_frame", "_max_size", "_parts", "room")

    def __init__(self, *, max_size: int | None, max_fragments: int = 1024) -> None:
        limit = UNLIMITED if max_size is None else max_size
        self._max_size = self._max_frame = self.room = limit
        self._max_fragments = max_fragments
        self._deflate: PerMessageDeflate | None = None
        self._parts: Parts | None = None

    def inflate_with(self, deflate: PerMessageDeflate) -> None:
        """Take compressed messages too, from now on.

        Stored blocks make what cannot be compressed a little longer, so a frame may have that much
        more; the message's own limit is kept when it is inflated.
        """
        self._deflate = deflate
        self._max_frame = self.room = self._max_size + self._max_size // 64 + 64

    @property
    def takes_small(self) -> bool:
        """Whether a small whole message can be taken as it is: no other is unfinished."""
        return self._parts is None and self._deflate is None and self.room >= 125

    def add(self, first: int, payload: bytes) -> str | bytes | None:
        """Take one data frame by its first byte and payload; return the message that it ends."""
        if self._parts is None and self._deflate is None:  # nearly all frames are one of these
            if first == FINAL_TEXT:
                return decode_text(payload)
            if first == FINAL_BINARY:
                return payload
        self._check_order(first)
        parts = self._parts = self._parts or Parts(first)
        final = first >= FIN
        self._check_size(payload, parts)
        parts.append(self._inflate(payload, parts, final), final)
        self.room = self._max_frame - parts.size
        if not final:
            return None
        self._parts, self.room = None, self._max_frame
        return parts.whole()

    def _check_order(self, first: int) -> None:
        """A message begins with its type and goes on with continuations, not without end (5.4)."""
        continues = first & OPCODE == Opcode.CONTINUATION
        if continues and self._parts is None:
            raise RemoteProtocolError("got a continuation of no message (RFC 6455 5.4)")
        if not continues and self._parts is not None:
            raise RemoteProtocolError("got a new message inside a fragmented one (RFC 6455 5.4)")
        if self._parts is not None and self._parts.fragments >= self._max_fragments:
            message = f"got over {self._max_fragments} fragments"
            raise RemoteProtocolError(message, CloseCode.POLICY_VIOLATION)

    def _check_size(self, payload: bytes, parts: Parts) -> None:
        """A plain message had the room of a compressed one, whose size shows only when inflated."""
        if not parts.compressed and parts.size + len(payload) > self._max_size:
            message = f"got over {self._max_size} bytes (RFC 6455 10.4)"
            raise RemoteProtocolError(message, CloseCode.MESSAGE_TOO_BIG)

    def _inflate(self, payload: bytes, parts: Parts, final: bool) -> bytes:
        """Return a fragment's own bytes, inflated where its message is compressed."""
        if self._deflate is None or not parts.compressed:
            return payload
        return self._deflate.decompress(payload, limit=self._max_size - parts.size, final=final)

    def pending_text(self, first: int) -> bytes | None:
        """Return the unfinished character that a plain text frame goes on from.

        Asked with the first byte of a frame that has not wholly arrived, so that its text can be
        checked as it comes; None where the frame is compressed or no text.
        """
        self._check_order(first)
        parts = self._parts
        if parts is None:
            return b"" if first & (OPCODE | RSV1) == Opcode.TEXT else None
        return parts.decoder.pending if parts.is_text and not parts.compressed else None


# --- the short way for small whole messages, which most messages are ---


def take_small(buffer: Buffer, position: int, events: list[Event], limit: int) -> int:
    """Add at most limit masked messages of up to 125 bytes to events; return where they end.

    It stops before whatever else there is, mistakes among it: for that `parse_header` and
    `MessageAssembler` are the way. To be called where neither a fragmented message nor a compressed
    one is possible. The echo of a message of 64 B in a batch costs 0.7 of what it did with every
    frame on the long way (`refimpl bench`, workload pipe).
    """
    add, unmask, size = events.append, mask, len(buffer)
    try:
        for _ in repeat(None, limit):
            if position + 6 > size:
                break
            first, second = buffer[position], buffer[position + 1]
            end = position + second - 122  # six bytes of head, and the length without its mask bit
            if end > size or second < 128 or second > 253:
                break
            if first == FINAL_TEXT:
                key = buffer[position + 2 : position + 6]
                add(unmask(buffer[position + 6 : end], key).decode())
            elif first == FINAL_BINARY:
                add(unmask(buffer[position + 6 : end], buffer[position + 2 : position + 6]))
            else:
                break
            position = end
    except UnicodeDecodeError:
        pass
    return position


def skip_small(buffer: Buffer, position: int) -> int:
    """Return the position behind the small masked data frames that begin at position."""
    size = len(buffer)
    while (
        position + 2 <= size and buffer[position] & 0x7F <= 2 and 128 <= buffer[position + 1] < 254
    ):
        position += buffer[position + 1] - 122
    return position
