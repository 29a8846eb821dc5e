"""The types of ASGI, and what every middleware here does with a scope.

An ASGI application is one coroutine function: it gets a `scope` (what the request is), calls
`receive` for what the client says and `send` for what it answers. A middleware is an application
that holds another one. ASGI 3.0, "Applications"; nothing here imports a framework.

>>> scope = {"type": "websocket", "headers": [(b"host", b"a.example"), (b"Host", b"b.example")]}
>>> header_values(scope, "host")
['a.example', 'b.example']
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any

__all__ = [
    "App",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "can_deny",
    "deny",
    "header_values",
    "is_secure",
    "no_such_endpoint",
    "respond",
    "route_path",
]

# Any, because ASGI lets servers and middlewares add keys of their own to both dictionaries.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DENIAL = "websocket.http.response"


def header_values(scope: Scope, name: str) -> list[str]:
    """Return every value of a request header, in order; names are compared without case."""
    wanted = name.lower().encode("latin-1")
    headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
    return [value.decode("latin-1") for key, value in headers if key.lower() == wanted]


def route_path(scope: Scope) -> str:
    """Return the path below the application's root; the server has percent-decoded it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def is_secure(scope: Scope) -> bool:
    """Whether the client speaks TLS: to this server, or to a proxy that the server trusts."""
    return scope.get("scheme") in ("https", "wss")


def can_deny(scope: Scope) -> bool:
    """Whether the server can refuse a WebSocket with an HTTP answer of ours."""
    return DENIAL in (scope.get("extensions") or {})


async def respond(
    scope: Scope,
    send: Send,
    status: int,
    body: bytes = b"",
    headers: Sequence[tuple[str, str]] = (),
) -> None:
    """Answer with one whole HTTP response: to a plain request, or to a WebSocket instead of 101.

    headers: without a Content-Type, a body is plain text. A server without the extension
    `websocket.http.response` can answer a WebSocket only with 403: it gets `websocket.close`.
    """
    kind = "http.response" if scope["type"] == "http" else DENIAL
    if kind == DENIAL and not can_deny(scope):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    fields = {name.lower() for name, _ in headers}
    lines = [*headers, ("content-length", str(len(body)))]
    if body and "content-type" not in fields:
        lines.insert(0, ("content-type", "text/plain; charset=utf-8"))
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in lines]
    await send({"type": f"{kind}.start", "status": status, "headers": encoded})
    await send({"type": f"{kind}.body", "body": body})


async def deny(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    body: bytes = b"",
    headers: Sequence[tuple[str, str]] = (),
) -> None:
    """Refuse a request that has no answer yet: `respond`, unless the client has left.

    For a WebSocket it waits for `websocket.connect` first, as ASGI demands.
    """
    if scope["type"] == "websocket" and (await receive())["type"] != "websocket.connect":
        return  # the client has left
    await respond(scope, send, status, body, headers)


async def no_such_endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket with 404: no endpoint has its path."""
    await deny(scope, receive, send, 404, b"There is no such endpoint.\n")
