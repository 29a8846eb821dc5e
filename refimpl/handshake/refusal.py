"""Refusals over HTTP: the answer to a request that opens no WebSocket.

A refusal is a HandshakeError or a Response. Either may come from an application, so everything in
it is checked, and the client always gets an answer: a refusal that cannot be written becomes a 500.

>>> error = HandshakeError("got no token", status=401, headers=[("WWW-Authenticate", "Bearer")])
>>> print(refuse(error).serialize().decode().replace("\\r", ""), end="")
HTTP/1.1 401 Unauthorized
WWW-Authenticate: Bearer
Content-Type: text/plain; charset=utf-8
Connection: close
Content-Length: 13
<BLANKLINE>
got no token
"""

from collections.abc import Callable

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.handshake.head import Headers, Response

__all__ = ["refuse"]

# Headers about one connection, and about where a message ends on it (RFC 9110 7.6.1, RFC 9112 6).
# An application that passes on the refusal of another server has them from there.
OF_THE_CONNECTION = (
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
NO_BODY = (204, 304)
FAILED = Response(
    500, Headers([("Content-Type", "text/plain; charset=utf-8")]), b"the server failed\n"
)


def refuse(
    refusal: HandshakeError | Response, *, on_mistake: Callable[[Exception], None] | None = None
) -> Response:
    """Return the answer that refuses a request. The connection must close after it. Never raises.

    A refusal that cannot be written, say for a line break in a header or a status below 200,
    becomes a 500. That is a mistake of the application, and on_mistake is called with the error.
    """
    try:
        if isinstance(refusal, HandshakeError):
            refusal = _as_response(refusal)
        answer = _closing(refusal)
        answer.serialize()
    except (LocalProtocolError, AttributeError, TypeError, ValueError) as mistake:
        if on_mistake is not None:
            on_mistake(mistake)
        return _closing(FAILED)
    return answer


def _as_response(error: HandshakeError) -> Response:
    """Return an error as a response; its message is the body if it has no other."""
    body = error.body or f"{error}\n".encode(errors="backslashreplace")
    headers = Headers(error.headers)
    if "Content-Type" not in headers:
        headers.add("Content-Type", "text/plain; charset=utf-8")
    return Response(error.status, headers, body)


def _closing(response: Response) -> Response:
    """Return a response with the headers that end the connection after its body."""
    status, body = response.status, response.body
    if not 200 <= status <= 599:
        raise LocalProtocolError(f"got status {status} in a refusal, expected 200 to 599")
    lines = [(name, value) for name, value in response.headers]
    headers = Headers(line for line in lines if line[0].lower() not in OF_THE_CONNECTION)
    if status == 426:  # RFC 9110 15.5.22 requires Upgrade, and 7.8 its name in Connection
        headers.add("Upgrade", "websocket")
    headers.add("Connection", "close, Upgrade" if status == 426 else "close")
    if status in NO_BODY:  # these end with their head (RFC 9112 6.3)
        return Response(status, headers, reason=response.reason)
    headers.add("Content-Length", str(len(body)))
    return Response(status, headers, body, response.reason)
