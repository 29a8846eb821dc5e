"""A client of an ASGI application in memory: says what it is told, remembers what it got."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

DENIAL = "websocket.http.response"


def websocket_scope(
    path: str = "/ws/echo",
    *,
    headers: Iterable[tuple[str, str]] = (),
    subprotocols: Iterable[str] = (),
    raw_path: bytes | None = None,
    denial: bool = True,
    **more: object,
) -> dict[str, Any]:
    """Return the scope of a WebSocket handshake from the page of this very server."""
    fields = [("host", "a.example"), *headers]
    return {
        "type": "websocket",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode() if raw_path is None else raw_path,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields],
        "subprotocols": list(subprotocols),
        "extensions": {DENIAL: {}} if denial else {},
        "state": {},
        **more,
    }


def http_scope(
    path: str = "/", *, headers: Iterable[tuple[str, str]] = (), method: str = "GET", **more: object
) -> dict[str, Any]:
    """Return the scope of a plain HTTP request."""
    fields = [("host", "a.example"), *headers]
    return {
        "type": "http",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields],
        "extensions": {},
        "state": {},
        **more,
    }


class Peer:
    """One client of an application: `put` what it says, read `sent`, the application's messages.

    After the last message put, `receive` waits, as a server's does.
    """

    def __init__(self, scope: dict[str, Any], *says: str | bytes) -> None:
        self.scope = scope
        self.sent: list[dict[str, Any]] = []
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        if scope["type"] == "websocket":
            self.put({"type": "websocket.connect"})
            for text in says:
                self.say(text)
        else:
            self.put({"type": "http.request", "body": b"", "more_body": False})

    def put(self, message: dict[str, Any]) -> None:
        self._queue.put_nowait(message)

    def say(self, text: str | bytes) -> None:
        key = "text" if isinstance(text, str) else "bytes"
        self.put({"type": "websocket.receive", key: text})

    def leave(self, code: int = 1006, *, at_once: bool = False) -> None:
        """Disconnect behind what was put, or before anything is heard."""
        if at_once:
            self._queue.get_nowait()
        self.put({"type": "websocket.disconnect", "code": code})

    async def receive(self) -> dict[str, Any]:
        return await self._queue.get()

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        self._news.set()

    def start(self, app: Any) -> asyncio.Task[None]:
        return asyncio.ensure_future(app(self.scope, self.receive, self.send))

    async def run(self, app: Any) -> Peer:
        """Call the application and wait until it returns."""
        async with asyncio.timeout(10):
            await app(self.scope, self.receive, self.send)
        return self

    async def until(self, kind: str, count: int = 1) -> None:
        """Wait for the count-th message of a type."""
        async with asyncio.timeout(10):
            while self.types.split().count(kind) < count:
                self._news.clear()
                await self._news.wait()

    @property
    def types(self) -> str:
        """The types of what was sent, in order, separated by blanks."""
        return " ".join(message["type"] for message in self.sent)

    @property
    def status(self) -> int | None:
        """The status of the HTTP answer, a denial's included."""
        starts = [message["status"] for message in self.sent if message["type"].endswith(".start")]
        return starts[0] if starts else None

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer or acceptance; fails where one comes twice."""
        pairs = [pair for message in self.sent for pair in message.get("headers", ())]
        found = {name.decode().lower(): value.decode("latin-1") for name, value in pairs}
        assert len(found) == len(pairs)
        return found


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Accept, then answer every message with "echo: " before it, until the client leaves."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"echo: {message['text']}"})


async def page(scope: Any, receive: Any, send: Any) -> None:
    """Answer any HTTP request with 200 and the type of its scope."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["type"].encode()})
