"""The answer to a client's request, read from a stream: a 101, or a refusal with its body.

RFC 9112 sections 4, 6.3 and 7.1; RFC 9110 section 15.2 (interim responses, which are skipped). What
a valid 101 has to say is checked in `client`.

>>> from refimpl.handshake.client import build_request
>>> from refimpl.handshake.uri import parse_uri
>>> request = build_request(parse_uri("ws://a.example/"), key="dGhlIHNhbXBsZSBub25jZQ==")
>>> hint, busy = b"HTTP/1.1 103 Early Hints\\r\\n\\r\\n", b"HTTP/1.1 503 Busy\\r\\n\\r\\n"
>>> reader = ResponseReader(request)
>>> reader.read(hint)
>>> reader.read(hint + busy, ended=True)
Traceback (most recent call last):
    ...
refimpl.errors.HandshakeError: got status 503, expected 101
"""

import re
from dataclasses import replace

from refimpl.errors import HandshakeError
from refimpl.handshake.client import Agree, Agreement, check_response
from refimpl.handshake.fields import has_token
from refimpl.handshake.head import LIMITS, Buffer, HeadLimits, Request, Response, parse_response

__all__ = ["ResponseReader", "read_response"]

MAX_INTERIM = 10
MAX_BODY = 64 * 1024
NO_BODY = (204, 304)
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


def read_response(
    request: Request, buffer: Buffer, *, ended: bool = False, agree: Agree | None = None
) -> tuple[Response, Agreement, int] | None:
    """Return what `ResponseReader.read` returns, for an answer in one piece."""
    return ResponseReader(request, agree=agree).read(buffer, ended=ended)


class ResponseReader:
    """Reads the answer to one request from a buffer that grows.

    It remembers how far it has read, so every byte is parsed once, however small the pieces.
    agree: as for `check_response`.
    """

    __slots__ = ("_agree", "_begin", "_body", "_interim", "_limits", "_request", "_searched")

    def __init__(
        self, request: Request, *, agree: Agree | None = None, limits: HeadLimits = LIMITS
    ) -> None:
        self._request = request
        self._agree = agree
        self._limits = limits
        self._begin = 0  # of the head that is read now, counted from where the answer begins
        self._searched = 0
        self._interim = 0
        self._body: _Body | None = None

    def read(
        self, buffer: Buffer, position: int = 0, *, ended: bool = False
    ) -> tuple[Response, Agreement, int] | None:
        """Return the 101, what it agrees on and the position behind it, or None for more bytes.

        buffer: all bytes received so far, with the answer at position. ended: whether the server
        closed TCP. Any other final answer raises HandshakeError with the status, the headers and
        what has come of the body.
        """
        while self._body is None:
            begin = position + self._begin
            parsed = parse_response(buffer, begin, searched=self._searched, limits=self._limits)
            if parsed is None:
                self._searched = len(buffer) - begin
                if ended:
                    message = f"got {len(buffer)} bytes and the end, expected a whole response"
                    raise HandshakeError(message, status=0, reason="no-response")
                return None
            response, end = parsed
            if response.status == 101:
                return response, check_response(self._request, response, self._agree), end
            self._begin, self._searched = end - position, 0
            if response.status < 200:
                self._skip_interim()
            else:
                self._body = _Body(response)
        refusal = self._body.read(buffer, position + self._begin, ended)
        if refusal is not None:
            check_response(self._request, refusal, self._agree)
        return None

    def _skip_interim(self) -> None:
        """Count an interim response; HandshakeError if there are too many.

        RFC 9110 15.2: a client must be able to parse them, even if it expects none.
        """
        self._interim += 1
        if self._interim > MAX_INTERIM or self._begin > self._limits.max_head:
            message = f"got {self._interim} interim responses, {self._begin} bytes of them"
            raise HandshakeError(message, status=0, reason="interim")


class _Body:
    """The body of a refusal while it comes: at most MAX_BODY bytes (RFC 9112 section 6.3)."""

    __slots__ = ("_chunks", "_length", "_response")

    def __init__(self, response: Response) -> None:
        headers = response.headers
        self._response = response
        self._chunks = None
        self._length = MAX_BODY
        if response.status in NO_BODY:
            self._length = 0
        elif has_token(headers.get_all("Transfer-Encoding"), "chunked"):
            self._chunks = _Chunks()
        else:
            try:
                length = int(headers.get("Content-Length") or MAX_BODY)
                self._length = min(max(length, 0), MAX_BODY)
            except (ValueError, LookupError):
                pass

    def read(self, buffer: Buffer, begin: int, ended: bool) -> Response | None:
        """Return the response with its body, or None for more bytes. begin: of the body."""
        received = len(buffer) - begin
        if self._chunks is None:
            if not ended and received < self._length:
                return None
            return replace(self._response, body=bytes(buffer[begin : begin + self._length]))
        whole = self._chunks.join(buffer, begin)
        if not whole and not ended and received < 2 * MAX_BODY:  # tiny chunks are mostly framing
            return None
        return replace(self._response, body=bytes(self._chunks.joined[:MAX_BODY]))


class _Chunks:
    """Joins the chunks of a body (RFC 9112 section 7.1).

    A malformed chunk ends the body, which is only shown to a person.
    """

    __slots__ = ("_left", "_read", "_searched", "joined")

    def __init__(self) -> None:
        self.joined = bytearray()
        self._read = 0  # bytes of the body that are parsed
        self._left = 0  # bytes that are missing of the current chunk
        self._searched = 0  # bytes of the body that were searched for a line end

    def join(self, buffer: Buffer, begin: int) -> bool:
        """Join the chunks that have come; return whether the last one was among them."""
        while True:
            start = begin + self._read
            if self._left:
                piece = buffer[start : start + self._left]
                self.joined += piece
                self._read += len(piece)
                self._left -= len(piece)
                if self._left:
                    return False
                self._read += 2  # the line end after a chunk
                start = begin + self._read
            end = buffer.find(b"\r\n", max(start, begin + self._searched - 1))
            if end < 0:
                self._searched = len(buffer) - begin
                return False
            size = CHUNK_SIZE.match(buffer, start, end)
            if size is None or int(size[0], 16) == 0:
                return True
            self._left = int(size[0], 16)
            self._read = end + 2 - begin
