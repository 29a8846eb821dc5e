"""The application's answer to a WebSocket request as HTTP: 101, or a denial.

Header lines come from the application, so they are checked: a line break would begin another
header, and the headers of the handshake are the engine's alone.

>>> start = {"type": "websocket.http.response.start", "status": 401, "headers": []}
>>> Denial(start, defaults=[]).begin(b"sign in first", more=False).serialize().splitlines()[-1]
b'sign in first'
"""

from collections.abc import Iterable

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.handshake import Acceptance, Headers, Response
from refimpl.middleware.asgi import Message

__all__ = [
    "DENIED",
    "FAILED",
    "SERVER_CLOSING",
    "Denial",
    "HeaderLines",
    "accept_with",
    "with_headers",
]

HeaderLines = Iterable[tuple[bytes, bytes]]

# What an application may not set: framing of the answer, and the handshake (RFC 6455 4.2.2).
OURS = ("connection", "content-length", "transfer-encoding", "upgrade")

# What the engine answers by itself.
SERVER_CLOSING = HandshakeError("the server is closing", status=503, reason="server-closing")
DENIED = HandshakeError("the application said no", status=403, reason="application")
FAILED = HandshakeError(
    "the application failed", status=500, reason="application", body=b"Internal Server Error"
)

NO_BODY = (204, 304)  # RFC 9112 6.3: these statuses never have a body


def accept_with(
    acceptance: Acceptance, message: Message, *, offered: list[str], defaults: HeaderLines
) -> Acceptance:
    """Return the acceptance with the subprotocol and headers of a `websocket.accept` message.

    offered: the client's subprotocols; it must fail a connection that agrees on any other (RFC 6455
    section 4.1). Raises LocalProtocolError for another one, and for headers that may not be sent.
    """
    subprotocol: str | None = message.get("subprotocol") or None
    if subprotocol is not None and subprotocol not in offered:
        raise LocalProtocolError(
            f"got subprotocol {subprotocol!r}, expected one that the client offered: {offered}"
        )
    headers = Headers(acceptance.response.headers)
    for name, value in _decode(defaults, message.get("headers") or ()):
        if name.lower() in OURS or name.lower().startswith("sec-websocket-"):
            raise LocalProtocolError(f"got header {name} in websocket.accept: it is the engine's")
        headers.add(name, value)
    if subprotocol is not None:
        headers.add("Sec-WebSocket-Protocol", subprotocol)
    return Acceptance(Response(101, headers), subprotocol, acceptance.extension)


def with_headers(response: Response, defaults: HeaderLines) -> Response:
    """Return a refusal with the server's default headers in front of its own."""
    lines = [*_decode(defaults), *response.headers]
    return Response(response.status, Headers(lines), response.body, response.reason)


def _decode(*groups: HeaderLines) -> list[tuple[str, str]]:
    """Return headers as text. Raises TypeError if one is not a pair of bytes (ASGI, "Headers")."""
    try:
        return [
            (name.decode("latin-1"), value.decode("latin-1"))
            for group in groups
            for name, value in group
        ]
    except (AttributeError, TypeError, ValueError) as error:
        raise TypeError("got other headers, expected pairs of bytes: [(b'x', b'1')]") from error


class Denial:
    """An HTTP answer that the application gives instead of a connection, whole or in pieces.

    A whole one gets a Content-Length. One in pieces is sent chunked (RFC 9112 section 7.1), so that
    the client can tell the end from a lost connection.
    """

    __slots__ = ("_headers", "_status", "begun")

    def __init__(self, start: Message, *, defaults: HeaderLines) -> None:
        """Check a `websocket.http.response.start` message; RuntimeError for an invalid status.

        An application may not answer 101, and no other 1xx ends a request.
        """
        status = start["status"]
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise RuntimeError(f"got status {status!r} in a denial, expected 200 to 599")
        lines = _decode(defaults, start.get("headers") or ())
        self._headers = Headers(line for line in lines if line[0].lower() not in OURS)
        self._headers.add("Connection", "close")
        self._status = status
        self.begun = False

    def begin(self, body: bytes, *, more: bool) -> Response:
        """Return the head with the first piece of the body. more: whether others follow."""
        self.begun = True
        if self._status in NO_BODY:
            return Response(self._status, self._headers)
        if more:
            self._headers.add("Transfer-Encoding", "chunked")
            return Response(self._status, self._headers, _chunk(body))
        self._headers.add("Content-Length", str(len(body)))
        return Response(self._status, self._headers, body)

    def go_on(self, body: bytes, *, more: bool) -> bytes:
        """Return the next piece as it is sent; the last one brings the end of the body."""
        if self._status in NO_BODY:
            return b""
        return _chunk(body) + (b"" if more else b"0\r\n\r\n")


def _chunk(data: bytes) -> bytes:
    """Return data as one chunk; b"" for no data, since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
