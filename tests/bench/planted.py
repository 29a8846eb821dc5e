"""Servers with a fault that the bench must find: each runs in a process of its own.

`slow` burns 300 us a message, `liar` changes a byte, `late_liar` only from its 50th message on,
`twice` answers twice, `dying` hangs up on its 50th, `web` speaks HTTP only, `broken` ends at once.
`mapping` takes four blocks of 200 KiB a message, which an allocator may give back each time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from refimpl.bench.peers import Peer
from refimpl.bench.peers.common import LIMIT, announce
from refimpl.lifecycle import ServerConnection, serve

BURNT = 300e-6
PATIENT = 50
BLOCK = 200 << 10
MAPPED = BLOCK // 4096 // 2  # pages of it, at the very least


async def slow(websocket: ServerConnection) -> None:
    async for message in websocket:
        end = time.process_time() + BURNT
        while time.process_time() < end:
            pass
        await websocket.send(message)


async def mapping(websocket: ServerConnection) -> None:
    async for message in websocket:
        [bytearray(BLOCK) for _ in range(4)]
        await websocket.send(message)


def changed(message: str | bytes) -> str | bytes:
    return message[:-1] + ("?" if isinstance(message, str) else b"?")  # type: ignore[operator]


async def liar(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(changed(message))


async def late_liar(websocket: ServerConnection) -> None:
    seen = 0
    async for message in websocket:
        seen += 1
        await websocket.send(message if seen < PATIENT else changed(message))


async def twice(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)
        await websocket.send(message)


async def dying(websocket: ServerConnection) -> None:
    seen = 0
    async for message in websocket:
        seen += 1
        if seen == PATIENT:
            websocket.transport.abort()
        await websocket.send(message)


async def run(kind: str) -> None:
    if kind == "web":
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        announce(server.sockets[0].getsockname()[1], "a planted web server")
        await server.serve_forever()
    handler = globals()[kind]
    ours = await serve(handler, "127.0.0.1", 0, ping_interval=None, max_size=LIMIT)
    announce(ours.sockets[0].getsockname()[1], f"planted: {kind}")
    await ours.serve_forever()


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    writer.close()


def main(kind: str) -> None:
    if kind == "broken":
        raise SystemExit("this server has a bad day")
    asyncio.run(run(kind))


def plant(kind: str) -> Peer:
    """Return a faulty server as a peer of that name."""

    def command(mode: str, folder: Path) -> list[str]:
        return [sys.executable, "-c", f"from tests.bench.planted import main; main({kind!r})"]

    return Peer(kind, command)
