"""A server in memory for ASGI applications, which plays the client too; and uvicorn, for real."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from refimpl.middleware.asgi import App, Message, Scope
from tests.support.clockwork import settle


def scope_of(kind: str = "websocket", path: str = "/ws/chat", **extra: Any) -> Scope:
    """Return a scope as a server makes it; headers and query as text."""
    headers = [("Host", "chat.example"), *extra.pop("headers", [])]
    query = extra.pop("query", "")
    scope: Scope = {
        "type": kind,
        "path": path,
        "root_path": "",
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "scheme": "wss" if kind == "websocket" else "https",
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }
    if kind == "http":
        scope["method"] = "GET"
    else:
        protocols = [value for name, value in headers if name == "Sec-WebSocket-Protocol"]
        scope["subprotocols"] = [name.strip() for line in protocols for name in line.split(",")]
    return {**scope, **extra}


class Exchange:
    """One request to an application: feed it events, look at `sent`."""

    def __init__(self, app: App, scope: Scope) -> None:
        self.scope = scope
        self.sent: list[Message] = []
        self.blocked = asyncio.Event()  # set: send() returns
        self.blocked.set()
        self.gone = False
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        if scope["type"] == "websocket":
            self.feed({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(self._run(app))

    async def _run(self, app: App) -> None:
        await app(self.scope, self._events.get, self._send)

    async def _send(self, message: Message) -> None:
        await self.blocked.wait()
        if self.gone:
            raise OSError("the client is gone")
        self.sent.append(message)

    def feed(self, event: Message) -> None:
        """Let the application receive an event."""
        self._events.put_nowait(event)

    def say(self, text: str) -> None:
        """Let the client send a text message."""
        self.feed({"type": "websocket.receive", "text": text})

    def leave(self, code: int = 1001) -> None:
        """Let the client go away."""
        self.feed({"type": "websocket.disconnect", "code": code, "reason": ""})

    async def settle(self) -> Exchange:
        """Wait until nothing is left to do but wait."""
        await settle()
        return self

    @property
    def status(self) -> int:
        """The HTTP status that was answered; 101 for an accepted socket, 403 for a bare close."""
        first = self.sent[0]
        if first["type"].endswith("response.start"):
            return int(first["status"])
        return 101 if first["type"] == "websocket.accept" else 403

    @property
    def body(self) -> bytes:
        return b"".join(
            message["body"] for message in self.sent if message["type"].endswith("response.body")
        )

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def closes(self) -> list[int]:
        """The close codes that were sent."""
        return [message["code"] for message in self.sent if message["type"] == "websocket.close"]


@contextlib.asynccontextmanager
async def served(app: App, ws: Any = "websockets-sansio", **options: Any) -> AsyncIterator[int]:
    """Serve app with uvicorn on this loop, on a free port, and return the port."""
    config = uvicorn.Config(app, ws=ws, lifespan="off", log_config=None, **options)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listening = socket.create_server(("127.0.0.1", 0))
    await server.startup(sockets=[listening])
    try:
        yield listening.getsockname()[1]
    finally:
        await server.shutdown(sockets=[listening])
        listening.close()
