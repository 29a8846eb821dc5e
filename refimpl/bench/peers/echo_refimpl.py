"""The peer `refimpl`: this package's own server, as it is, without its C mask, or on uvloop.

The parent removes the C mask before this module is imported; see `peers.WITHOUT_C_MASK`.
"""

import asyncio

from refimpl import __version__
from refimpl.bench.peers.common import BACKLOG, JOINED, LIMIT, announce, heartbeat, named
from refimpl.framing import ACCELERATED
from refimpl.lifecycle import ServerConnection, broadcast, serve

__all__ = ["main", "main_on_uvloop"]

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


async def run(mode: str, measured: str) -> None:
    """Serve for ever. mode: `echo`, `bcast`, or `idle` as echo."""
    handler = bcast if mode == "bcast" else echo
    server = await serve(
        handler, "127.0.0.1", 0, ping_interval=heartbeat(mode), max_size=LIMIT, backlog=BACKLOG
    )
    announce(server.sockets[0].getsockname()[1], measured)
    await server.serve_forever()


def main(mode: str) -> None:
    """Run in the server's process, on asyncio's own loop."""
    mask = f"C mask of {named('websockets')}" if ACCELERATED else "pure mask"
    asyncio.run(run(mode, f"refimpl {__version__}, {mask}"))


def main_on_uvloop(mode: str) -> None:
    """Run in the server's process, on uvloop."""
    import uvloop

    uvloop.run(run(mode, f"refimpl {__version__} on {named('uvloop')}"))
