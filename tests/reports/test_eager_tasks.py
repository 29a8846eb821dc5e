"""Everything works where tasks begin at once (`asyncio.eager_task_factory`, Python 3.12).

Reported as cpython#157301: a task that begins inside the context it is to run in cannot enter it.
Older versions have one way to begin a task only, and run these tests with that.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from refimpl import HandshakeError, Request, Response, ServerConnection, connect, serve

FACTORIES = {"lazy": None}
if hasattr(asyncio, "eager_task_factory"):
    FACTORIES["eager"] = asyncio.eager_task_factory

PATIENCE = 20
who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


async def greet(websocket: ServerConnection) -> None:
    await websocket.send(f"hello {who.get()}")
    async for message in websocket:
        await websocket.send(message)


async def think(connection: ServerConnection, request: Request) -> Response | None:
    who.set("Ada")
    await asyncio.sleep(0)
    return None


async def answer_at_once(connection: ServerConnection, request: Request) -> Response | None:
    who.set("Ada")
    return None


async def say_no(connection: ServerConnection, request: Request) -> Response | None:
    return connection.respond(403, "no")


async def fail(connection: ServerConnection, request: Request) -> Response | None:
    raise HandshakeError("no", status=403)


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
@pytest.mark.parametrize("process_request", [think, answer_at_once, say_no, fail])
def test_an_asynchronous_process_request(factory: Any, process_request: Any) -> None:
    async def run() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        async with serve(greet, "127.0.0.1", 0, process_request=process_request) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            if process_request in (say_no, fail):
                with pytest.raises(HandshakeError) as caught:
                    await asyncio.wait_for(connect(uri), PATIENCE)
                assert caught.value.status == 403
                return
            async with connect(uri) as websocket:
                assert await asyncio.wait_for(websocket.recv(), PATIENCE) == "hello Ada"
                await websocket.send("back")
                assert await asyncio.wait_for(websocket.recv(), PATIENCE) == "back"

    asyncio.run(run())


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_a_handler_that_ends_in_its_first_step(factory: Any) -> None:
    async def nothing(websocket: ServerConnection) -> None:
        """Return before the first await."""

    async def run() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        async with serve(nothing, "127.0.0.1", 0) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            websocket = await asyncio.wait_for(connect(uri), PATIENCE)
            await asyncio.wait_for(websocket.wait_closed(), PATIENCE)
            assert websocket.close_code == 1000

    asyncio.run(run())
