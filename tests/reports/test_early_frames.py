"""Frames that a client sends before it has seen the 101, with or behind its request.

bun#43149: a server that decides late lost them without a word, and a frame cut by the hand-over
broke the connection. A client that does so breaks RFC 6455 section 4.1, but TCP does not say where
a read ends, so nothing of what was read may be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from refimpl import serve
from refimpl.handshake import Request
from refimpl.lifecycle import ServerConnection
from refimpl.middleware.serving import running
from tests.support import wire

EARLY = wire.frame(wire.TEXT, b"early", key=wire.KEY)
LATER = wire.frame(wire.TEXT, b"later", key=wire.KEY)
ANSWERS = wire.frame(wire.TEXT, b"early") + wire.frame(wire.TEXT, b"later")


class Decision:
    """What a server waits for before it accepts; asked is set once it waits."""

    def __init__(self, late: bool) -> None:
        self.asked, self.made = asyncio.Event(), asyncio.Event()
        if not late:
            self.made.set()

    async def wait(self) -> None:
        self.asked.set()
        await self.made.wait()


@asynccontextmanager
async def our_server(decision: Decision) -> AsyncIterator[int]:
    async def ask(connection: ServerConnection, request: Request) -> None:
        await decision.wait()

    async def echo(websocket: ServerConnection) -> None:
        async for message in websocket:
            await websocket.send(message)

    options = {"process_request": ask, "allowed_hosts": ["*"]}
    async with serve(echo, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type]
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def our_engine(decision: Decision) -> AsyncIterator[int]:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await decision.wait()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})

    settings = {"http": "refimpl.middleware.engine.http:HTTP"}
    async with running(echo, settings=settings) as server:
        yield server.port


@pytest.mark.parametrize("server", [our_server, our_engine])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize(
    "reads",
    [
        [wire.request_head() + EARLY],
        [wire.request_head() + EARLY[:3], EARLY[3:]],
        [wire.request_head(), EARLY],
    ],
    ids=["in one read", "cut inside the frame", "in a read of its own"],
)
async def test_nothing_is_lost(
    server: Callable[[Decision], AbstractAsyncContextManager[int]], late: bool, reads: list[bytes]
) -> None:
    decision = Decision(late)
    async with asyncio.timeout(20), server(decision) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(reads[0])
        await decision.asked.wait()
        writer.writelines(reads[1:])
        for _ in range(10):  # turns of the loop: the server reads before it decides
            await asyncio.sleep(0)
        decision.made.set()
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(LATER)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(len(ANSWERS)) == ANSWERS
        writer.close()
