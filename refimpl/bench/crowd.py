"""Many idle connections to a server in a process of its own, and the cost of each.

    crowd = await gather_crowd("refimpl", 200)
    crowd.bytes_each, crowd.answered

The servers are `refimpl` and `websockets`, both with their default settings, and `bare`: asyncio's
streams alone, which echo lines and know no WebSocket. Memory is what the operating system counts as
resident in the server's process. The kernel's buffers for a socket come on top, the same for all
three.

    python -m tools.record.crowd 10000     gather all three, write records/crowd.json (a checkout)

>>> sorted(SERVERS)
['bare', 'refimpl', 'websockets']
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil

from refimpl.handshake import build_request, make_key, parse_uri

__all__ = ["RECORD", "SERVERS", "Crowd", "gather_crowd", "recorded_crowds"]

RECORD = Path(__file__).with_name("records") / "crowd.json"
WARM_UP = 50  # connections opened first, so that one-time costs of the server do not count
AT_A_TIME = 50  # connections that open at the same time
BACKLOG = 1024

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HELLO_FRAME = bytes.fromhex("8182 00000000") + b"Hi"  # a text frame; a key of zeros masks nothing
ANSWER = b"echo: Hi"


@dataclass(frozen=True, slots=True)
class Crowd:
    """The cost of a crowd. seconds: to open all; answered: how many connections still echo."""

    server: str
    connections: int
    bytes_each: int
    seconds: float
    answered: int


# --- in the server's process ---


async def echo(websocket: Any) -> None:
    """Echo every message: the handler of both WebSocket servers."""
    async for message in websocket:
        await websocket.send("echo: " + message)


async def echo_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo every line: all that the bare server does."""
    while line := await reader.readline():
        writer.write(b"echo: " + line)
        await writer.drain()
    writer.close()


async def serve_refimpl() -> Any:
    """Return a listening server of ours."""
    from refimpl import serve

    return await serve(echo, "127.0.0.1", backlog=BACKLOG)


async def serve_websockets() -> Any:
    """Return a listening server of `websockets`."""
    from websockets.asyncio.server import serve

    return await serve(echo, "127.0.0.1", 0, backlog=BACKLOG)


async def serve_bare() -> Any:
    """Return a listening server of asyncio's streams."""
    return await asyncio.start_server(echo_lines, "127.0.0.1", 0, backlog=BACKLOG)


SERVERS: dict[str, Callable[[], Awaitable[Any]]] = {
    "refimpl": serve_refimpl,
    "websockets": serve_websockets,
    "bare": serve_bare,
}


async def run_server(name: str) -> None:
    """Serve until standard input ends, as it does when the parent process is gone."""
    allow_files(2**20)
    server = await SERVERS[name]()
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


# --- in the client's process ---


async def gather_crowd(name: str, connections: int) -> Crowd:
    """Start a server, open idle connections to it, have each echo once, and end the server."""
    allow_files(connections + WARM_UP + 200)
    with start_process(name) as process:
        assert process.stdout is not None
        streams: list[Stream] = []
        try:
            port = int(await asyncio.to_thread(process.stdout.readline))
            streams += await open_many(name, port, WARM_UP)
            before, started = resident_bytes(process.pid), perf_counter()
            streams += await open_many(name, port, connections)
            seconds = perf_counter() - started
            grown = resident_bytes(process.pid) - before
            answered = 0
            for stream in streams[WARM_UP:]:
                answered += await answers(name, stream)
        finally:
            for _, writer in streams:
                writer.transport.abort()
            process.kill()
    return Crowd(name, connections, round(grown / connections), round(seconds, 4), answered)


def start_process(name: str) -> subprocess.Popen[bytes]:
    """Return a process that runs a server; its first line is the port."""
    command = [sys.executable, "-m", "refimpl.bench.crowd", name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def open_many(name: str, port: int, count: int) -> list[Stream]:
    """Return open connections, each through its handshake where the server has one."""
    streams: list[Stream] = []
    while len(streams) < count:
        batch = min(AT_A_TIME, count - len(streams))
        streams += await asyncio.gather(*(open_one(name, port) for _ in range(batch)))
    return streams


async def open_one(name: str, port: int) -> Stream:
    """Return one open connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if name == "bare":
        await answers(name, (reader, writer))  # then it is accepted, as after a handshake
    else:
        uri = parse_uri(f"ws://127.0.0.1:{port}/")
        writer.write(build_request(uri, key=make_key()).serialize())
        await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def answers(name: str, stream: Stream) -> bool:
    """Return whether a greeting comes back."""
    reader, writer = stream
    writer.write(b"Hi\n" if name == "bare" else HELLO_FRAME)
    try:
        await reader.readuntil(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    return True


def resident_bytes(pid: int) -> int:
    """Return the memory of a process that is in RAM, as the operating system counts it."""
    return int(psutil.Process(pid).memory_info().rss)


def allow_files(count: int) -> None:
    """Raise this process's limit of open files to `count`, or as far as it may go."""
    try:
        resource = import_module("resource")
    except ImportError:
        return  # Windows has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# --- the record ---


def recorded_crowds() -> dict[str, Crowd]:
    """Return the crowds of the committed record, by server."""
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["crowds"]
    return {row["server"]: Crowd(**row) for row in rows}


if __name__ == "__main__":
    asyncio.run(run_server(sys.argv[1]))
