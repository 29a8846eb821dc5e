"""Messages out of frames: fragments joined, text decoded, limits kept (RFC 6455 section 5.4).

>>> assembler = MessageAssembler(max_size=1024)
>>> assembler.add(Frame(Opcode.TEXT, b"Hel", fin=False))
>>> assembler.add(Frame(Opcode.CONTINUATION, b"lo"))
'Hello'
"""

from sys import getsizeof

from refimpl.errors import RemoteProtocolError
from refimpl.framing import (
    OPCODE,
    OPCODES,
    RSV1,
    CloseCode,
    Frame,
    Opcode,
)
from refimpl.messages.deflate import PerMessageDeflate
from refimpl.messages.utf8 import Utf8Decoder, decode_text

__all__ = ["MessageAssembler"]

CONTINUATION, TEXT = Opcode.CONTINUATION, Opcode.TEXT
UNLIMITED = 2**62


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
