"""Messages out of frames: fragments joined, text decoded, limits kept (RFC 6455 section 5.4).

>>> assembler = MessageAssembler(max_size=1024)
>>> assembler.add(Opcode.TEXT, b"Hel")
>>> assembler.add(FIN | Opcode.CONTINUATION, b"lo")
Text(text='Hello')
"""

from refimpl.errors import RemoteProtocolError
from refimpl.framing import FIN, OPCODE, RSV1, CloseCode, Opcode
from refimpl.messages.deflate import PerMessageDeflate
from refimpl.messages.events import Binary, Text
from refimpl.messages.utf8 import Utf8Decoder, decode_text

__all__ = ["MessageAssembler"]

FINAL_TEXT = FIN | Opcode.TEXT
FINAL_BINARY = FIN | Opcode.BINARY


class MessageAssembler:
    """Joins data frames into messages; every error is a RemoteProtocolError.

    A message fails with 1009 beyond max_size bytes and with 1008 beyond max_fragments frames. Empty
    fragments are legal (RFC 6455 section 5.4) and hold no memory here, so counting them is enough.
    """

    def __init__(
        self, *, max_size: int, max_fragments: int = 1024, deflate: PerMessageDeflate | None = None
    ) -> None:
        self._max_size = max_size
        self._max_fragments = max_fragments
        self._deflate = deflate
        # Stored blocks make random data a little longer; the message's own limit is kept inflating.
        self._max_frame = max_size if deflate is None else max_size + max_size // 64 + 64
        self._begin(None)

    def _begin(self, first: int | None) -> None:
        """Begin a message with its first byte, or wait for one."""
        self._first = first
        self._fragments = 0
        self._size = 0
        self._text: list[str] = []
        self._data = bytearray()
        self._decoder = Utf8Decoder()
        self.room = self._max_frame

    def add(self, first: int, payload: bytes) -> Text | Binary | None:
        """Take one data frame by its first byte and payload; return the message that it ends."""
        if self._first is None and self._deflate is None:  # nearly all frames are one of these
            if first == FINAL_TEXT:
                return Text(decode_text(payload))
            if first == FINAL_BINARY:
                return Binary(payload)
        self._check_order(first)
        if self._first is None:
            self._begin(first)
        final = first >= FIN
        self._append(self._inflate(payload, final), final)
        return self._finish() if final else None

    def _check_order(self, first: int) -> None:
        """A message begins with its type and goes on with continuations, not without end (5.4)."""
        continues = first & OPCODE == Opcode.CONTINUATION
        if continues and self._first is None:
            raise RemoteProtocolError("got a continuation of no message (RFC 6455 5.4)")
        if not continues and self._first is not None:
            raise RemoteProtocolError("got a new message inside a fragmented one (RFC 6455 5.4)")
        if self._fragments >= self._max_fragments:
            message = f"got over {self._max_fragments} fragments"
            raise RemoteProtocolError(message, CloseCode.POLICY_VIOLATION)

    def _inflate(self, payload: bytes, final: bool) -> bytes:
        """Return a fragment's own bytes, inflated where its message is compressed."""
        if self._deflate is None or not (self._first or 0) & RSV1:
            return payload
        return self._deflate.decompress(payload, limit=self._max_size - self._size, final=final)

    def _append(self, payload: bytes, final: bool) -> None:
        self._fragments += 1
        self._size += len(payload)
        if self._size > self._max_size:  # a plain message had the room of a compressed one
            message = f"got over {self._max_size} bytes (RFC 6455 10.4)"
            raise RemoteProtocolError(message, CloseCode.MESSAGE_TOO_BIG)
        if self._is_text:
            self._text.append(self._decoder.decode(payload, final))
        else:
            self._data += payload
        self.room = self._max_frame - self._size

    def pending_text(self, first: int) -> bytes | None:
        """Return the unfinished character that a plain text frame goes on from.

        Asked with the first byte of a frame that has not wholly arrived, so that its text can be
        checked as it comes; None where the frame is compressed or no text.
        """
        self._check_order(first)
        message = first if self._first is None else self._first
        return self._decoder.pending if message & (OPCODE | RSV1) == Opcode.TEXT else None

    @property
    def _is_text(self) -> bool:
        return self._first is not None and self._first & OPCODE == Opcode.TEXT

    def _finish(self) -> Text | Binary:
        message = Text("".join(self._text)) if self._is_text else Binary(bytes(self._data))
        self._begin(None)
        return message
