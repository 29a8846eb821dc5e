"""The peer `aiohttp`: its WebSocketResponse, with the C parts it ships."""

import asyncio

from aiohttp import WSMsgType, web

from refimpl.bench.peers.common import BACKLOG, JOINED, LIMIT, announce, listen, named

__all__ = ["main"]

members: set[web.WebSocketResponse] = set()


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send every message back."""
    websocket = web.WebSocketResponse(compress=False, max_msg_size=LIMIT)
    await websocket.prepare(request)
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
    return websocket


async def bcast(request: web.Request) -> web.WebSocketResponse:
    """Send every message to everyone; aiohttp has no broadcast of its own."""
    websocket = web.WebSocketResponse(compress=False, max_msg_size=LIMIT)
    await websocket.prepare(request)
    members.add(websocket)
    await websocket.send_str(JOINED)
    async for message in websocket:
        for member in members:
            await member.send_str(message.data)
    return websocket


async def run(mode: str) -> None:
    """Serve for ever. mode: `echo`, `bcast`, or `idle` as echo."""
    application = web.Application()
    application.router.add_get("/", bcast if mode == "bcast" else echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    listener = listen()
    await web.SockSite(runner, listener, backlog=BACKLOG).start()
    announce(listener.getsockname()[1], named("aiohttp"))
    await asyncio.Event().wait()


def main(mode: str) -> None:
    """Run in the server's process."""
    asyncio.run(run(mode))
