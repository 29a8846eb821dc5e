"""Messages out of frames: fragments joined, text decoded, limits kept (RFC 6455 section 5.4).

>>> assembler = MessageAssembler(max_size=1024)
>>> assembler.add(Frame(Opcode.TEXT, b"Hel", fin=False))
>>> assembler.add(Frame(Opcode.CONTINUATION, b"lo"))
'Hello'

>>> events = []
>>> take_small(bytes.fromhex("81 05 48656c6c6f 81"), 0, False, events, 9), events
(7, ['Hello'])
"""

from sys import getsizeof

from refimpl.errors import RemoteProtocolError
from refimpl.framing import (
    CONTROL,
    FIN,
    FIRST_BYTES,
    FIRST_BYTES_COMPRESSED,
    OPCODE,
    OPCODES,
    RSV1,
    Buffer,
    CloseCode,
    Frame,
    Opcode,
    mask,
)
from refimpl.messages.deflate import PerMessageDeflate
from refimpl.messages.events import Event
from refimpl.messages.utf8 import Utf8Decoder, decode_text

__all__ = ["MessageAssembler", "skip_small", "take_small"]

CONTINUATION, TEXT = Opcode.CONTINUATION, Opcode.TEXT
FINAL_TEXT = FIN | Opcode.TEXT
FINAL_BINARY = FIN | Opcode.BINARY
UNLIMITED = 2**62

# The first bytes of data frames (RFC 6455 5.2, RFC 7692 6).
DATA_BYTES = frozenset(first for first in FIRST_BYTES if not first & CONTROL)
DATA_BYTES_COMPRESSED = frozenset(first for first in FIRST_BYTES_COMPRESSED if not first & CONTROL)


class Parts:
    """What has come of a message in fragments; made for its first one."""

    __slots__ = ("compressed", "data", "decoder", "fragments", "is_text", "size", "text")

    def __init__(self, first: Frame) -> None:
        self.is_text = first.opcode is TEXT
        self.compressed = first.rsv1
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
    room: bytes that the next frame may carry, whatever it is. takes_small: whether `take_small` may
    be used, because no message is unfinished and 125 bytes are allowed.
    """

    __slots__ = (
        "_deflate", "_max_fragments", "_max_frame", "_max_size", "_parts", "room", "takes_small"
    )  # fmt: skip

    def __init__(self, *, max_size: int | None, max_fragments: int = 1024) -> None:
        limit = UNLIMITED if max_size is None else max_size
        self._max_size = self._max_frame = self.room = limit
        self.takes_small = limit >= 125
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
    def size(self) -> int:
        """Bytes held of a message whose last fragment has not come."""
        parts = self._parts
        return 0 if parts is None else len(parts.data) + sum(map(getsizeof, parts.text))

    def add(self, frame: Frame) -> str | bytes | None:
        """Take one data frame; return the message that it ends."""
        opcode, payload, final = frame.opcode, frame.payload, frame.fin
        parts = self._parts
        plain = parts is None and final and not frame.rsv1
        if plain and opcode and len(payload) <= self._max_size:  # as nearly all are
            return decode_text(payload) if opcode is TEXT else payload
        self._check_order(opcode)
        self._check_size(frame.rsv1, len(payload))
        if parts is None:
            parts = self._parts = Parts(frame)
            self.takes_small = False
        if parts.compressed and self._deflate is not None:
            room = self._max_size - parts.size
            payload = self._deflate.decompress(payload, limit=room, final=final)
        parts.append(payload, final)
        self.room = self._max_frame - parts.size
        if not final:
            return None
        self._parts, self.room = None, self._max_frame
        self.takes_small = self._max_size >= 125
        return parts.whole()

    def _check_order(self, opcode: Opcode) -> None:
        """A message begins with its type and goes on with continuations, not without end (5.4)."""
        parts = self._parts
        if parts is None:
            if opcode is CONTINUATION:
                raise RemoteProtocolError("got a continuation of no message (RFC 6455 5.4)")
            return
        if opcode is not CONTINUATION:
            raise RemoteProtocolError("got a new message inside a fragmented one (RFC 6455 5.4)")
        if parts.fragments >= self._max_fragments:
            message = f"got over {self._max_fragments} fragments"
            raise RemoteProtocolError(message, CloseCode.POLICY_VIOLATION)

    def _check_size(self, rsv1: bool, size: int) -> None:
        """A plain message has no use for the room of a compressed one (RFC 6455 10.4)."""
        parts = self._parts
        if parts is not None:
            rsv1, size = parts.compressed, parts.size + size
        if size > self._max_size and not rsv1:
            message = f"got over {self._max_size} bytes (RFC 6455 10.4)"
            raise RemoteProtocolError(message, CloseCode.MESSAGE_TOO_BIG)

    def expect(self, first: int, size: int) -> bytes | None:
        """Refuse what `add` would refuse of a frame whose head has come, and not yet its payload.

        Returns the unfinished character that the text of the frame goes on from, so that it can be
        checked as it comes; None where the frame is compressed or no text. first: its first byte.
        """
        opcode, rsv1 = OPCODES[first & OPCODE], first & RSV1 != 0
        self._check_order(opcode)
        self._check_size(rsv1, size)
        parts = self._parts
        if parts is None:
            return b"" if opcode is TEXT and not rsv1 else None
        return parts.decoder.pending if parts.is_text and not parts.compressed else None


# --- the short way for small whole messages, which most messages are ---


def take_small(buffer: Buffer, position: int, masked: bool, events: list[Event], limit: int) -> int:
    """Add at most limit messages of up to 125 bytes to events; return where the last one ends.

    It stops before whatever else there is, mistakes among it: for that `parse_frame` and
    `MessageAssembler` are the way. masked: whether these messages are; others are left alone.
    Messages of 64 B cost 0.3 of what they cost in the loop, and 0.6 where each comes in a read of
    its own (`python -m tests.bench.parse`).
    """
    low, high, shift, head = (128, 253, -122, 6) if masked else (0, 125, 2, 2)
    size, add = len(buffer), events.append
    last = size - head
    try:
        while position <= last and limit:
            first, second = buffer[position], buffer[position + 1]
            end = position + second + shift
            if end > size or second < low or second > high:
                break
            start = position + head
            if first == FINAL_TEXT:
                if masked:
                    add(mask(buffer[start:end], buffer[position + 2 : start]).decode())
                else:
                    add(buffer[start:end].decode())
            elif first == FINAL_BINARY:
                if masked:
                    add(mask(buffer[start:end], buffer[position + 2 : start]))
                else:
                    add(bytes(buffer[start:end]))
            else:
                break
            position = end
            limit -= 1
    except UnicodeDecodeError:
        pass
    return position


def skip_small(buffer: Buffer, position: int, masked: bool, compressed: bool) -> int:
    """Return where the data frames of up to 125 bytes that begin at position end.

    The last may end beyond the buffer. It stops before control frames, long ones and mistakes.
    """
    firsts = DATA_BYTES_COMPRESSED if compressed else DATA_BYTES
    low, shift = (128, -122) if masked else (0, 2)
    high, last = low + 125, len(buffer) - 2
    while position <= last:
        second = buffer[position + 1]
        if second < low or second > high or buffer[position] not in firsts:
            break
        position += second + shift
    return position
