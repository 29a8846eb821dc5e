"""A registry of WebSocket endpoints that can be changed while the server runs.

`Registry` is an ASGI middleware: it takes WebSocket requests under its prefix before the
application sees them, looks the name up, asks the endpoint's policy, and hands over. The chain ends
there. Plain HTTP and everything else go to the application untouched.

The decision rests on the scope's path, which the server read from the request line. It never rests
on Host or on a URL built from headers, which a client can set as it likes.

>>> async def echo(scope, receive, send): ...
>>> registry = Registry(echo)
>>> registry.add("echo", echo, limit=100)
>>> "echo" in registry, registry.connections("echo")
(True, 0)
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from refimpl.errors import Close, HandshakeError, LocalProtocolError
from refimpl.framing import CloseCode
from refimpl.handshake import Headers, Policy, as_tuple, check_origin
from refimpl.messages.close_frame import serialize_close
from refimpl.middleware.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    deny,
    header_values,
    is_secure,
    no_such_endpoint,
    route_path,
)
from refimpl.middleware.closable import Closable, Connection
from refimpl.middleware.context import bind

__all__ = ["Endpoint", "Guard", "Registry", "endpoint_name"]

Guard = Callable[[Scope], Awaitable[Iterable[object]]]

logger = logging.getLogger("refimpl.middleware")

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # letters that no URL ever needs to encode


@dataclass(slots=True, eq=False)
class Endpoint:
    """An ASGI application under a name, who may connect to it, and who is connected.

    origins: as in `Policy`: None for the server's own, "*" for any. subprotocols: the endpoint's,
    most wanted first; empty leaves the choice to it. limit: connections at a time. guard: raises
    HandshakeError to refuse, returns the values to bind while the connection lives.
    """

    app: App
    origins: Sequence[str | None] | None = None
    subprotocols: Sequence[str] = ()
    limit: int | None = None
    guard: Guard | None = None
    open: set[Closable] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.subprotocols = as_tuple("subprotocols", self.subprotocols)
        if self.origins is not None:
            self.origins = as_tuple("origins", self.origins)


class Registry:
    """ASGI middleware that hands `/ws/{name}` to the endpoint of that name."""

    def __init__(self, app: App, prefix: str = "/ws/") -> None:
        self.app = app
        self.prefix = prefix
        self._endpoints: dict[str, Endpoint] = {}

    def add(
        self,
        name: str,
        endpoint: App,
        *,
        origins: Sequence[str | None] | None = None,
        subprotocols: Sequence[str] = (),
        limit: int | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Serve an endpoint from now on; its options are those of `Endpoint`.

        Raises ValueError for a name that is taken or is not one plain path segment, TypeError for a
        str in place of a list: its letters would be taken for the items.
        """
        if not NAME.fullmatch(name):
            raise ValueError(f"got the name {name!r}, expected 1-64 of A-Z a-z 0-9 _ -")
        if name in self._endpoints:
            raise ValueError(f"{name!r} is taken: remove it first")
        self._endpoints[name] = Endpoint(endpoint, origins, subprotocols, limit, guard)

    async def remove(
        self,
        name: str,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "this endpoint is gone",
        *,
        timeout: float = 10.0,
    ) -> int:
        """Stop serving an endpoint, close its connections, return how many were open.

        Its clients get Close with code and reason (1012 invites them back), those in their
        handshake get 404. Endpoints that have not returned after timeout seconds are cancelled.
        Raises KeyError for an unknown name.
        """
        serialize_close(code, reason)  # raises for a bad code before anything ends
        ending = list(self._endpoints.pop(name).open)
        # An endpoint that removes itself is not waited for: it goes on after this call.
        others = [each for each in ending if each.task is not asyncio.current_task()]
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(_end(each, Close(code, reason)) for each in ending))
                for each in others:
                    await each.finished.wait()
        except TimeoutError:
            pass
        finally:  # when cancelled too: nobody else would end them
            for each in others:
                each.cut()
        return len(ending)

    def __contains__(self, name: object) -> bool:
        return name in self._endpoints

    def connections(self, name: str) -> int:
        """Return how many connections an endpoint has, those in their handshake included."""
        return len(self._endpoints[name].open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a WebSocket under the prefix over; pass everything else on."""
        if scope["type"] != "websocket" or not route_path(scope).startswith(self.prefix):
            return await self.app(scope, receive, send)
        name = endpoint_name(scope, self.prefix)
        endpoint = self._endpoints.get(name) if name is not None else None
        if name is None or endpoint is None:
            return await no_such_endpoint(scope, receive, send)
        await self._hand_over(name, endpoint, scope, receive, send)

    async def _hand_over(
        self, name: str, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run the endpoint, or refuse as its policy says."""
        try:
            check_policy(endpoint, scope)
        except HandshakeError as error:
            return await _refuse(error, scope, receive, send)
        params = {**scope.get("path_params", {}), "name": name}
        connection = Closable({**scope, "path_params": params}, receive, send)
        endpoint.open.add(connection)  # before the guard awaits: else more than limit could get in

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                bound = await endpoint.guard(scope) if endpoint.guard else ()
                app = _with_subprotocol(endpoint, scope)
            except HandshakeError as error:
                return await _refuse(error, scope, receive, send)
            with bind(*bound, connection_of(name, connection)):
                if not connection.ended:
                    await app(scope, receive, send)

        try:
            await connection.run(guarded)
        finally:
            endpoint.open.discard(connection)


async def _end(connection: Closable, close: Close) -> None:
    """End one of several connections; an error with one must not keep the others open."""
    try:
        await connection.end(close)
    except Exception:
        logger.exception("a connection could not be told that its endpoint is gone")


async def _refuse(error: HandshakeError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the error's status; raise an error without one, as a client of ours gets it."""
    if not 200 <= error.status <= 599:
        raise error
    body = error.body or f"{error}\n".encode()
    await deny(scope, receive, send, error.status, body, error.headers)


def endpoint_name(scope: Scope, prefix: str) -> str | None:
    """Return the name a path asks for, or None for every path that is not exactly prefix + name.

    Dots, slashes and NUL are no part of a name. A percent-encoded letter is refused as well: a
    proxy that guards `/ws/admin` by its text has not recognised `/ws/%61dmin`.
    """
    path = route_path(scope)
    name = path.removeprefix(prefix)
    if name == path or not NAME.fullmatch(name):
        return None
    raw: bytes | None = scope.get("raw_path")
    if raw is not None and not raw.partition(b"?")[0].endswith(f"{prefix}{name}".encode()):
        return None
    return name


def check_policy(endpoint: Endpoint, scope: Scope) -> None:
    """Raise a HandshakeError if the endpoint does not accept such a connection."""
    lines = [(name, value) for name in ("Host", "Origin") for value in header_values(scope, name)]
    try:
        headers = Headers(lines)
    except LocalProtocolError as error:
        raise HandshakeError("got a control character in a header") from error
    if len(headers.get_all("Host")) != 1:
        raise HandshakeError("got no Host header, or several", reason="host")
    check_origin(headers, Policy(origins=endpoint.origins, secure=is_secure(scope)))
    if endpoint.limit is not None and len(endpoint.open) >= endpoint.limit:
        raise HandshakeError(
            "this endpoint has as many connections as it takes",
            status=503,
            reason="limit",
            headers=[("retry-after", "5")],
        )


def _with_subprotocol(endpoint: Endpoint, scope: Scope) -> App:
    """Return the endpoint's app, changed to accept with its first choice among the offers.

    A client that offers none is accepted without one. A client that offers only others is refused:
    it would fail the connection itself (WHATWG WebSockets, "establish a WebSocket connection").
    """
    offered: Sequence[str] = scope.get("subprotocols") or ()
    if not endpoint.subprotocols or not offered:
        return endpoint.app
    chosen = next((name for name in endpoint.subprotocols if name in offered), None)
    if chosen is None:
        speaks = ", ".join(endpoint.subprotocols)
        raise HandshakeError(f"this endpoint speaks {speaks}", reason="subprotocol")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_chosen(message: Message) -> None:
            if message["type"] == "websocket.accept":
                message = {**message, "subprotocol": chosen}
            await send(message)

        # Other offers stay hidden: one of them may be a credential.
        await endpoint.app({**scope, "subprotocols": [chosen]}, receive, send_chosen)

    return app


def connection_of(name: str, connection: Closable) -> Connection:
    """Return the value by which code below finds its connection in the context."""

    async def send(message: str | bytes) -> None:
        key = "text" if isinstance(message, str) else "bytes"
        await connection.send({"type": "websocket.send", key: message})

    async def close(code: int, reason: str) -> None:
        await connection.end(Close(code, reason))

    return Connection(name, send, close)
