"""One side of a recorded connection: its unread bytes, its open message, its compression."""

from __future__ import annotations

import codecs
import zlib
from typing import Literal

from refimpl.errors import RemoteProtocolError
from refimpl.framing import Frame, Opcode
from refimpl.handshake import Response
from refimpl.messages.close_frame import parse_close

Direction = Literal["client", "server"]
Mode = Literal["head", "waiting", "frames", "passing", "body", "broken"]

INFLATE_LIMIT = 2**22
"""The most bytes that one message is inflated to: the recording may hold a bomb."""


class CannotInflate(Exception):
    """Compressed bytes are corrupt or grow beyond the limit: nothing is inflated after them."""


class Inflater:
    """Inflates one direction's compressed messages, frame by frame (RFC 7692 7.2.2)."""

    def __init__(self, *, window_bits: int = 15, context_takeover: bool = True) -> None:
        self._window_bits = window_bits
        self._context_takeover = context_takeover
        self._decompressor: zlib._Decompress | None = zlib.decompressobj(-window_bits)
        self._compressed = False
        self._inflated = 0

    def frame(self, frame: Frame) -> bytes | None:
        """Return the frame's plain bytes, None if it is not compressed. Raises CannotInflate."""
        if frame.opcode >= 8:
            return None
        if frame.opcode is not Opcode.CONTINUATION:
            self._compressed = frame.rsv1
            self._inflated = 0
        if not self._compressed or self._decompressor is None:
            return None
        data = frame.payload + (b"\x00\x00\xff\xff" if frame.fin else b"")
        try:
            plain = self._decompressor.decompress(data, INFLATE_LIMIT - self._inflated + 1)
        except zlib.error as error:
            self._decompressor = None
            raise CannotInflate(f"cannot be inflated: {error} (RFC 7692 7.2.2)") from error
        self._inflated += len(plain)
        if self._inflated > INFLATE_LIMIT:
            self._decompressor = None
            raise CannotInflate(f"inflates to more than {INFLATE_LIMIT:,} bytes, left compressed")
        if frame.fin and not self._context_takeover:
            self._decompressor = zlib.decompressobj(-self._window_bits)
        return plain

    def give_up(self) -> None:
        """Inflate nothing more: part of the compressed stream is missing."""
        self._decompressor = None


class Side:
    """What one side of the connection has sent so far, and how far it is decoded."""

    def __init__(self, direction: Direction) -> None:
        self.direction = direction
        self.buffer = bytearray()
        self.needed = 0  # the least size of the current frame, in bytes
        self._searched = 0  # bytes of the current head already searched for its end
        self._tried = 0  # its size when it was last parsed
        self.mode: Mode = "head"
        self.passing = 0  # bytes to come of a frame that is not kept
        self.body_left: int | None = 0  # None: until the stream ends
        self.inflater: Inflater | None = None
        self._open_message: Opcode | None = None
        self._utf8 = _new_utf8_decoder()
        self._closed = False

    def take(self, size: int) -> bytes:
        """Remove and return the first `size` unread bytes."""
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        self._searched = self._tried = 0
        return data

    def is_head_due(self, *, at_end: bool = False) -> bool:
        """Tell whether to parse the current head: it is complete, or may be malformed.

        A fault shows before the end, but parsing at every read would cost the square of the head's
        size. So it is parsed when it has doubled, and at the end of the stream.
        """
        end = self.buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self.buffer)
        if end < 0 and len(self.buffer) < 2 * self._tried and not at_end:
            return False
        self._tried = len(self.buffer)
        return True

    def follow(self, frame: Frame, plain: bytes | None) -> list[str]:
        """Return what is wrong with a frame at this point of the conversation.

        plain: its inflated payload, None if it is not compressed or cannot be inflated.
        """
        problems = []
        if self._closed:
            problems.append("nothing may follow a Close frame (RFC 6455 5.5.1)")
        if frame.opcode is Opcode.CLOSE:
            self._closed = True
            problems += _close_problems(frame.payload)
        if frame.opcode >= 8:
            return problems
        if frame.opcode is Opcode.CONTINUATION and self._open_message is None:
            problems.append("there is no message to continue (RFC 6455 5.4)")
        if frame.opcode is not Opcode.CONTINUATION:
            if self._open_message is not None:
                problems.append("the message before has not ended (RFC 6455 5.4)")
            self._open_message = frame.opcode
            self._utf8 = _new_utf8_decoder()
        if self._open_message is Opcode.TEXT and (plain is not None or self.inflater is None):
            problems += self._utf8_problems(frame.payload if plain is None else plain, frame.fin)
        if frame.fin:
            self._open_message = None
        return problems

    def follow_unseen(self, opcode: Opcode, fin: bool) -> list[str]:
        """Return what is wrong with a frame whose payload was dropped, as `follow` does."""
        if self.inflater is not None:
            self.inflater.give_up()
        problems = self.follow(Frame(opcode, b"", fin), None)
        self._utf8 = _new_utf8_decoder("replace")  # part of the text is missing
        return problems

    def _utf8_problems(self, payload: bytes, final: bool) -> list[str]:
        try:
            self._utf8.decode(payload, final)
        except UnicodeDecodeError as error:
            self._utf8 = _new_utf8_decoder("replace")  # one report for each message is enough
            return [f"the text is not UTF-8: {error.reason} (RFC 6455 8.1)"]
        return []


def _new_utf8_decoder(errors: str = "strict") -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")(errors)


def _close_problems(payload: bytes) -> list[str]:
    if len(payload) == 1:
        return []  # `dissect` has said so
    try:
        parse_close(payload)
    except RemoteProtocolError as error:
        return [str(error)]
    return []


def inflaters(response: Response) -> tuple[Inflater | None, Inflater | None]:
    """Return the client's and the server's inflater, as the response says (RFC 7692 7.1)."""
    value = ",".join(response.headers.get_all("Sec-WebSocket-Extensions"))
    name, *rest = [part.strip() for part in value.partition(",")[0].split(";")]
    if name.lower() != "permessage-deflate":
        return None, None
    params = dict(part.replace(" ", "").partition("=")[::2] for part in rest)

    def inflater(side: str) -> Inflater:
        bits = params.get(f"{side}_max_window_bits", "").strip('"')
        return Inflater(
            window_bits=int(bits) if bits in map(str, range(9, 16)) else 15,
            context_takeover=f"{side}_no_context_takeover" not in params,
        )

    return inflater("client"), inflater("server")
