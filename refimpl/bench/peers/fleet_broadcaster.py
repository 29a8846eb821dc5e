"""The peer `broadcaster` under the load of two nodes: Starlette on uvicorn, over Redis pub/sub.

As its users write it: a task for each direction of each connection. A delivery is the text alone;
nothing is numbered, kept or filled.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from broadcaster import Broadcast
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from refimpl.bench.machine import FIRST, on_core, raise_file_limit
from refimpl.bench.peers.common import BACKLOG, announce, listen, named

__all__ = ["LEAD", "main"]

LEAD = 0


def application(url: str, prefix: str) -> Starlette:
    """Return the node's application."""
    # Its client refuses the 101st command at once; that many people may speak here.
    channels = Broadcast(f"{url}?max_connections=1000")

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        room = prefix + await websocket.receive_text()

        async def listen_in() -> None:
            async with channels.subscribe(room) as subscriber:
                await websocket.send_text("ready")
                while True:
                    await websocket.send_text((await subscriber.get()).message)

        listening = asyncio.create_task(listen_in())
        try:
            while True:
                await channels.publish(room, await websocket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    @asynccontextmanager
    async def connected(_: Starlette) -> AsyncIterator[None]:
        # Its first channel stays deaf until there is a second one.
        async with channels, channels.subscribe("one"), channels.subscribe("two"):
            yield

    return Starlette(routes=[WebSocketRoute("/", talk)], lifespan=connected)


def main(name: str, url: str, prefix: str) -> None:
    """Run in a node's process."""
    raise_file_limit()
    with on_core(FIRST):
        config = uvicorn.Config(
            application(url, prefix), ws="websockets-sansio", loop="asyncio", backlog=BACKLOG,
            log_level="critical", access_log=False, ws_per_message_deflate=False,
        )  # fmt: skip
        listener = listen()
        announce(listener.getsockname()[1], named("broadcaster"))
        uvicorn.Server(config).run(sockets=[listener])
