"""An application behind the door of `refimpl.auth`, in memory."""

from __future__ import annotations

import asyncio
from typing import Any

from refimpl.auth import Authenticate
from refimpl.middleware.asgi import App, Receive, Scope, Send
from refimpl.middleware.context import User, find
from tests.support.asgi import Exchange, scope_of
from tests.support.signing import Clock, authenticator

COOKIE = "__Host-session"


OWN = ("Origin", "https://chat.example")


class Echo:
    """An application that answers what it is told, and remembers its scopes and its disconnects."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.users: list[User] = []
        self.ends: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        self.users.append(await asyncio.create_task(self.who()))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        assert (await receive())["type"] == "websocket.connect"
        await send(
            {"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)}
        )
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        self.ends.append(dict(message))

    async def who(self) -> User:
        """Run in a task of its own, as an application might."""
        return find(User) or User("nobody")


def guarded(app: App | None = None, clock: Clock | None = None, **options: Any) -> Authenticate:
    outer = {
        name: options.pop(name)
        for name in ("public", "first_message_within", "subprotocols", "check_every")
        if name in options
    }
    return Authenticate(app or Echo(), authenticator(clock, **options), **outer)


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


async def asked(door: App, kind: str = "websocket", **scope: Any) -> Exchange:
    """Return the exchange of one request, when nothing more happens; a socket's client has left."""
    exchange = Exchange(door, scope_of(kind, **scope))
    await exchange.settle()
    if not exchange.task.done():
        exchange.leave()
        await exchange.settle()
    await exchange.task
    return exchange
