"""The peer `websockets`: its asyncio server and its `broadcast`."""

import asyncio

from websockets.asyncio.server import ServerConnection, broadcast, serve

from refimpl.bench.peers.common import BACKLOG, JOINED, LIMIT, announce, heartbeat, named

__all__ = ["main"]

members: set[ServerConnection] = set()


async def echo(websocket: ServerConnection) -> None:
    """Send every message back."""
    async for message in websocket:
        await websocket.send(message)


async def bcast(websocket: ServerConnection) -> None:
    """Send every message to everyone."""
    members.add(websocket)
    await websocket.send(JOINED)
    async for message in websocket:
        broadcast(members, message)


async def run(mode: str) -> None:
    """Serve for ever. mode: `echo`, `bcast`, or `idle` as echo."""
    handler = bcast if mode == "bcast" else echo
    server = await serve(
        handler,
        "127.0.0.1",
        0,
        compression=None,
        ping_interval=heartbeat(mode),
        max_size=LIMIT,
        backlog=BACKLOG,
    )
    announce(next(iter(server.sockets)).getsockname()[1], named("websockets"))
    await server.serve_forever()


def main(mode: str) -> None:
    """Run in the server's process."""
    asyncio.run(run(mode))
