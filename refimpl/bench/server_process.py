"""A server in a process and on a core of its own, which reports its memory, tasks and files.

The client must not measure itself, so the server under test is another process. It prints its port,
then answers every line on its standard input with one line of JSON: memory, tasks, open files, CPU
time, and the most bytes that ever waited for one member of the room.
"""

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from refimpl.bench.machine import FIRST, LAST, on_core, raise_file_limit
from refimpl.concurrency import Hub, Slow
from refimpl.errors import ConnectionClosed
from refimpl.lifecycle import WebSocket, serve

__all__ = ["Health", "ServerProcess", "server_process"]

ROOM_LIMIT = 2**20
STALL = 0.25  # seconds


@dataclass(frozen=True, slots=True)
class Health:
    """The server at one moment. rss: bytes. waiting: the most bytes for one member of the room."""

    rss: int
    tasks: int
    files: int
    cpu: float
    connections: int
    waiting: int
    closed_slow: int


# --- in the server's process ---


class Application:
    """The handlers of a server process.

    `echo`, `idle` (reads and sends nothing), `room` (all get all messages), and `stall`: an echo
    whose loop stands still for STALL seconds in every second, like that of a server with blocking
    calls.
    """

    def __init__(self) -> None:
        self.hub = Hub(slow=Slow.QUEUE, limit=ROOM_LIMIT)
        self.members: set[WebSocket] = set()
        self.waiting = 0
        self.staller: asyncio.Task[None] | None = None

    async def idle(self, websocket: WebSocket) -> None:
        """Read, and send nothing."""
        async for _ in websocket:
            pass

    async def echo(self, websocket: WebSocket) -> None:
        """Send every message back."""
        async for message in websocket:
            await websocket.send(message)

    async def stall(self, websocket: WebSocket) -> None:
        """Send every message back, but not while the loop stands still."""
        if self.staller is None:
            self.staller = asyncio.create_task(stand_still())
        await self.echo(websocket)

    async def room(self, websocket: WebSocket) -> None:
        """Send every message to every member."""
        self.members.add(websocket)
        try:
            with self.hub.member(websocket):
                async for message in websocket:
                    self.hub.publish(message)
                    self.waiting = max(self.waiting, *(m.buffered_amount for m in self.members))
        except ConnectionClosed:
            pass  # a member that was too slow, or lost
        finally:
            self.members.discard(websocket)

    def health(self, connections: int) -> dict[str, Any]:
        """Return the figures of this process as they are now."""
        gc.collect()
        return {
            "rss": _rss(),
            "tasks": len(asyncio.all_tasks()),
            "files": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
            "cpu": time.process_time(),
            "connections": connections,
            "waiting": self.waiting,
            "closed_slow": self.hub.counts["closed"],
        }


async def stand_still() -> None:
    """Block the loop for STALL seconds, once a second, for ever."""
    while True:
        await asyncio.sleep(1 - STALL)
        time.sleep(STALL)  # noqa: ASYNC251 - the fault that is wanted


def _rss() -> int:
    """Return the resident memory of this process in bytes; 0 where it is unknown."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


async def run_server(kind: str, ping_interval: float) -> None:
    """Serve until standard input ends."""
    application = Application()
    handler = getattr(application, kind)
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in iter(sys.stdin.buffer.readline, b""):
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, b"")

    reading = loop.run_in_executor(None, read)
    async with serve(
        handler, "127.0.0.1", 0, ping_interval=ping_interval, backlog=1000, close_timeout=2
    ) as server:
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)  # noqa: T201
        while await lines.get():
            print(json.dumps(application.health(len(server.connections))), flush=True)  # noqa: T201
    await reading


# --- in the client's process ---


class ServerProcess:
    """The server's process, seen from the client's."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self._lock = asyncio.Lock()
        self.port = port

    @property
    def uri(self) -> str:
        """The server's address."""
        return f"ws://127.0.0.1:{self.port}"

    async def health(self) -> Health:
        """Ask the server for its figures."""
        assert self._process.stdin is not None and self._process.stdout is not None
        async with self._lock:
            self._process.stdin.write(b"\n")
            return Health(**json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def server_process(kind: str, *, ping_interval: float = 20) -> AsyncIterator[ServerProcess]:
    """Run a server of that kind on the first core and this process on the last, for the block."""
    program = f"from refimpl.bench.server_process import main; main{kind, ping_interval}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        raise_file_limit()
        with on_core(LAST):
            yield ServerProcess(process, json.loads(await process.stdout.readline())["port"])
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def main(kind: str, ping_interval: float) -> None:
    """Run in the server's process."""
    raise_file_limit()
    with on_core(FIRST):
        asyncio.run(run_server(kind, ping_interval))
