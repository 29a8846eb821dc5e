"""The types of ASGI, and what every middleware here does with a scope.

An ASGI application is one coroutine function: it gets a `scope` (what the request is), calls
`receive` for what the client says and `send` for what it answers. A middleware is an application
that holds another one. ASGI 3.0, "Applications"; nothing here imports a framework.

>>> scope = {"type": "websocket", "headers": [(b"host", b"a.example"), (b"Host", b"b.example")]}
>>> header_values(scope, "host")
['a.example', 'b.example']
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
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
    """Return the path below the application's root, percent-decoded by the server."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def can_deny(scope: Scope) -> bool:
    """Whether the server lets us refuse a WebSocket with an HTTP answer of our own."""
    return DENIAL in (scope.get("extensions") or {})


async def deny(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    body: bytes = b"",
    headers: Iterable[tuple[str, str]] = (),
) -> None:
    """Refuse a WebSocket before it is accepted, with status and a plain-text body.

    Waits for `websocket.connect` first, as ASGI asks for. A server without the extension
    `websocket.http.response` can only say 403: it gets `websocket.close`.
    """
    if (await receive())["type"] != "websocket.connect":
        return  # the client is gone already
    if not can_deny(scope):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    fields = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", str(len(body))),
        *headers,
    ]
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    await send({"type": f"{DENIAL}.start", "status": status, "headers": encoded})
    await send({"type": f"{DENIAL}.body", "body": body})
