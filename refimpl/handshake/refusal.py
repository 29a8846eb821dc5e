"""Saying no over HTTP: the one way in which a request that opens no WebSocket is answered.

Whatever refuses gives a HandshakeError or a Response. Both may come from an application, so nothing
in them is taken on trust, and there is always an answer: one that cannot be written becomes a 500.

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

# Headers that concern one connection, or where a message ends on it (RFC 9110 7.6.1, RFC 9112 6):
# an application may have them from another server, whose refusal it passes on.
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
    """Return the answer that refuses a request; the connection closes behind it. Raises nothing.

    A refusal that cannot be written (a line break in a header, a status that refuses nothing) is
    answered with 500. It is a mistake of the application: on_mistake is called with what is wrong.
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
    """Return what an error says as a response; its message is the body where it has no other."""
    body = error.body or f"{error}\n".encode(errors="backslashreplace")
    headers = Headers(error.headers)
    if "Content-Type" not in headers:
        headers.add("Content-Type", "text/plain; charset=utf-8")
    return Response(error.status, headers, body)


def _closing(response: Response) -> Response:
    """Return a response with the headers that end a connection: nothing may follow its body."""
    status, body = response.status, response.body
    if not 200 <= status <= 599:
        raise LocalProtocolError(f"got status {status} in a refusal, expected 200 to 599")
    lines = [(name, value) for name, value in response.headers]
    headers = Headers(line for line in lines if line[0].lower() not in OF_THE_CONNECTION)
    if status == 426:  # RFC 9110 15.5.22 asks for Upgrade, and 7.8 for its name in Connection
        headers.add("Upgrade", "websocket")
    headers.add("Connection", "close, Upgrade" if status == 426 else "close")
    if status in NO_BODY:  # such an answer ends with its head, whatever it says (RFC 9112 6.3)
        return Response(status, headers, reason=response.reason)
    headers.add("Content-Length", str(len(body)))
    return Response(status, headers, body, response.reason)
