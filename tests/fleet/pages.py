"""Processes that run a node, and pages that stay in a room whatever happens to the node.

A page keeps its place, comes back at the next address when it is cut off, says again (under the
same id) what was not acknowledged, and drops what came twice by message id.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, suppress
from typing import Any, Self

from refimpl import ConnectionClosed, WebSocketError, connect
from tests.support.stores import until

ROOM = "harbour"
LEASE = 1.5  # seconds


class Process(AbstractContextManager["Process"]):
    """A node in a process of its own."""

    def __init__(self, name: str, url: str, *, lease: float = LEASE) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "tests.fleet.program", name, url, str(lease)]
        self._process: subprocess.Popen[str]
        self.start()

    def start(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        self.address = f"ws://127.0.0.1:{int(self._process.stdout.readline())}"

    def signal(self, number: int) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
            self.kill()


class Page:
    """One user's page. `ids`: the messages that were shown; doubles: came twice, and were not."""

    def __init__(self, user: str, *addresses: str, stays: bool = True) -> None:
        self.user, self.addresses, self.stays = user, list(addresses), stays
        self.ids: list[str] = []
        self.doubles = self.missing = self.connections = 0
        self.epochs: list[str] = []
        self.presence: list[tuple[str, bool]] = []
        self.degraded: list[bool] = []
        self.closes: list[int] = []
        self.place: list[Any] | None = None
        self.said: set[str] = set()
        self._unsaid: dict[str, None] = {}
        self._asked: dict[str, asyncio.Future[Any]] = {}
        self._websocket: Any = None
        self._joined = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._stay())
        async with asyncio.timeout(30):
            await self._joined.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _stay(self) -> None:
        """Be in the room; come back at the next address after every loss."""
        turn = 0
        while True:
            address = self.addresses[turn % len(self.addresses)]
            turn += 1
            try:
                async with connect(f"{address}/?user={self.user}", close_timeout=0.2) as websocket:
                    self.connections += 1
                    await self._talk(websocket)
            except (OSError, WebSocketError) as error:
                if isinstance(error, ConnectionClosed) and error.code is not None:
                    self.closes.append(error.code)
            self._websocket = None
            if not self.stays:
                return
            await asyncio.sleep(0.02)

    async def _talk(self, websocket: Any) -> None:
        await websocket.send(json.dumps({"join": ROOM, "after": self.place}))
        async for text in websocket:
            self._hear(json.loads(text), websocket)
        self.closes.append(websocket.close_code)

    def _hear(self, event: dict[str, Any], websocket: Any) -> None:
        match event:
            case {"type": "message", "id": id, "epoch": epoch, "number": number}:
                self.place = [epoch, number, id]
                if id in self.ids:
                    self.doubles += 1
                else:
                    self.ids.append(id)
            case {"type": "joined" | "resync" as kind, "epoch": epoch, "number": number}:
                self.missing += event["missing"]
                if epoch not in self.epochs:
                    self.epochs.append(epoch)
                if kind == "resync" or not event["messages"]:
                    self.place = [epoch, number, ""]
                if kind == "joined":
                    self._websocket = websocket
                    self._joined.set()
                    for id in self._unsaid:
                        self._send({"say": ROOM, "id": id})
            case {"type": "presence", "user": user, "here": here}:
                self.presence.append((user, here))
            case {"type": "store", "degraded": degraded}:
                self.degraded.append(degraded)
            case {"type": "said", "id": id}:
                self._unsaid.pop(id, None)
                self.said.add(id)
            case {"type": "refused", "id": id}:
                loop = asyncio.get_running_loop()
                loop.call_later(0.05, self._send, {"say": ROOM, "id": id})
            case {"type": "who" | "metrics" as kind}:
                if waiting := self._asked.pop(kind, None):
                    waiting.set_result(event)

    def _send(self, request: Any) -> None:
        """Send a request, if there is a connection; what was lost with one is asked again."""

        async def send(websocket: Any) -> None:
            with suppress(WebSocketError, OSError):
                await websocket.send(json.dumps(request))

        if self._websocket is not None:
            task = asyncio.get_running_loop().create_task(send(self._websocket))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def say(self, id: str) -> None:
        """Say something, again until it is acknowledged."""
        self._unsaid[id] = None
        self._send({"say": ROOM, "id": id})

    async def said_all(self) -> None:
        await until(lambda: not self._unsaid, 60)

    async def ask(self, what: str) -> dict[str, Any]:
        """Ask the node: `who` is in the room, or its `metrics`."""
        while True:
            waiting = self._asked[what] = asyncio.get_running_loop().create_future()
            self._send({what: ROOM})
            try:
                async with asyncio.timeout(1):
                    return dict(await waiting)
            except TimeoutError:
                continue  # the node went, and the question with it

    async def sees(self, *users: str) -> bool:
        return (await self.ask("who"))["users"] == sorted(users)


def lost_silently(page: Page, *talkers: Page) -> set[str]:
    """Return the acknowledged messages that a page has not, beyond those it was told to miss."""
    unseen = set().union(*(talker.said for talker in talkers)) - set(page.ids)
    return unseen if len(unseen) > page.missing else set()
