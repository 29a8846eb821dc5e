"""The engine in memory: an application, a raw client, and no uvicorn but its configuration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from refimpl.lifecycle.memory import join
from refimpl.middleware.engine import Engine
from tests.support import wire
from tests.support.clockwork import settle
from tests.support.rawpeer import RawPeer

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]


class Client(RawPeer):
    """A raw client that speaks to one engine."""

    engine: Engine
    state: ServerState


def new_client(
    app: App,
    *,
    engine: type[Engine] = Engine,
    state: ServerState | None = None,
    app_state: Message | None = None,
    chunk: int | None = None,
    **settings: Any,
) -> Client:
    """Return a client on a connection that an engine has just been given. settings: uvicorn's."""
    options = {"ws_ping_interval": None, "lifespan": "off", "log_config": None, **settings}
    config = Config(app, proxy_headers=False, **options)
    client = Client()
    client.state = state or ServerState()
    client.engine = engine(config=config, server_state=client.state, app_state=app_state or {})
    join(client, client.engine, chunk=chunk)
    return client


class Script:
    """An application that a test plays by hand: it says what it is told and gets what it asks."""

    scope: Any
    receive: Any
    send: Any

    def __init__(self) -> None:
        self._end: asyncio.Future[Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        self.scope, self.receive, self.send = scope, receive, send
        self._end = asyncio.get_running_loop().create_future()
        return await self._end

    async def finish(self, error: BaseException | None = None, *, returns: Any = None) -> None:
        """Return from the application, or raise in it; nothing where it has ended."""
        if self._end is None or self._end.done():
            return
        if error is None:
            self._end.set_result(returns)
        else:
            self._end.set_exception(error)
        await settle()

    async def accept(self, **more: Any) -> None:
        """Take the connection."""
        assert (await self.receive()) == {"type": "websocket.connect"}
        await self.send({"type": "websocket.accept", **more})
        await settle()

    async def close(self, **more: Any) -> None:
        """Close the connection, or refuse it."""
        await self.send({"type": "websocket.close", **more})
        await settle()


@asynccontextmanager
async def asked(head: bytes | None = None, **options: Any) -> AsyncIterator[tuple[Script, Client]]:
    """Give a connection whose application has been asked and has not answered; end both after."""
    script = Script()
    client = new_client(script, **options)
    await client.send(wire.request_head() if head is None else head)
    try:
        yield script, client
    finally:
        await script.finish()
        client.transport.abort()
        await settle()
        assert not client.state.connections and not client.state.tasks


@asynccontextmanager
async def opened(
    *, add: Sequence[tuple[str, str]] = (), **options: Any
) -> AsyncIterator[tuple[Script, Client]]:
    """Give an accepted connection: the application's end, and the client's past the 101."""
    async with asked(wire.request_head(add=add), **options) as (script, client):
        await script.accept()
        assert client.take().startswith(b"HTTP/1.1 101 ")
        yield script, client


def text(content: str) -> Message:
    """Return the message that sends a text."""
    return {"type": "websocket.send", "text": content}


async def until(done: Callable[[], object]) -> None:
    """Let the loop run on until something is so; TimeoutError after ten seconds."""
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0)
