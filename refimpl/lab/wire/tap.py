"""wiretap: a recording TCP proxy, and two protocol cores joined in memory; both make captures.

The tap stands between any two programs, knows nothing of WebSocket, changes nothing, and records
every read with its time and direction. TLS passes through unchanged, and cannot be decoded
afterwards.
"""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from refimpl.handshake.head import MAX_HEAD
from refimpl.lab.wire.capture import Capture
from refimpl.lab.wire.direction import Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

READ_SIZE = 64 * 1024
GRACE = 2.0
"""Seconds for open connections to end by themselves when the tap is closed."""


class Wiretap:
    """A proxy on a free port of this machine; `captures` has a recording of each connection."""

    def __init__(
        self, host: str, port: int, *, program: str = "", version: str = "", command: str = ""
    ) -> None:
        self._target = (host, port)
        self._about = (program, version, command)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard = asyncio.Event()
        self.captures: list[Capture] = []

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> Self:
        """Listen, for a tap that is used in several cells; `close` it at the end."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=READ_SIZE)
        return self

    @property
    def port(self) -> int:
        """The port that the program under observation connects to."""
        assert self._server is not None, "the tap is not started"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def uri(self) -> str:
        """The ws:// address of the tap."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def capture(self) -> Capture:
        """The first WebSocket connection, or if there was none, the first connection.

        Raises LookupError if nobody has connected yet.
        """
        if not self.captures:
            raise LookupError("nobody has connected to the tap yet")
        return next(filter(_is_websocket, self.captures), self.captures[0])

    async def idle(self, timeout: float = 5.0) -> None:
        """Wait until no connection is open; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while self._tasks:
                await asyncio.wait(set(self._tasks))

    async def until(self, condition: Callable[[Capture], bool], timeout: float = 5.0) -> Capture:
        """Wait until `condition` holds for the capture; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while not (self.captures and condition(self.capture)):
                self._heard.clear()
                await self._heard.wait()
        return self.capture

    async def close(self) -> None:
        """Stop listening, give open connections a moment to end, then reset them."""
        if self._server is None:
            return
        self._server.close()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=GRACE)
        for task in set(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        capture = Capture(*self._about)
        self.captures.append(capture)
        try:
            await self._relay(capture, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # refused, reset, or the tap was closed: the capture has what came until then
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _relay(
        self, capture: Capture, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        started = asyncio.get_running_loop().time()
        far_reader, far_writer = await asyncio.open_connection(*self._target, limit=READ_SIZE)
        try:
            for each in (writer, far_writer):
                each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(capture, "client", reader, far_writer, started))
                group.create_task(self._pump(capture, "server", far_reader, writer, started))
        except* OSError:
            pass
        finally:
            far_writer.transport.abort()

    async def _pump(
        self,
        capture: Capture,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        started: float,
    ) -> None:
        """Pass on what one side sends; record it first, before the other side can answer."""
        loop = asyncio.get_running_loop()
        while data := await reader.read(READ_SIZE):
            capture.add(loop.time() - started, direction, data)
            self._heard.set()
            writer.write(data)
            await writer.drain()
        capture.add(loop.time() - started, direction, b"")
        self._heard.set()
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


def _is_websocket(capture: Capture) -> bool:
    """Tell whether a client asks for a WebSocket; only the bytes of a head are examined."""
    head = bytearray()
    for direction, data in ((each.direction, each.data) for each in capture.chunks):
        if direction == "client":
            head += data
            if len(head) >= MAX_HEAD or b"\r\n\r\n" in head[-len(data) - 3 :]:
                break
    return b"upgrade: websocket" in head.lower()


def wiretap(
    host: str, port: int, *, program: str = "", version: str = "", command: str = ""
) -> Wiretap:
    """Return a recording proxy before host:port, for `async with` or `await tap.start()`.

    program, version, command: what is recorded and how, kept in the captures.
    """
    return Wiretap(host, port, program=program, version=version, command=command)


class Core(Protocol):
    """The methods that `Wire` needs of each end; `refimpl.messages.Protocol` has them."""

    def receive_data(self, data: bytes) -> Sequence[Any]:
        """Take bytes from the other side, return the events in them."""
        ...

    def data_to_send(self) -> bytes:
        """Return what is queued for the other side."""
        ...


class Wire:
    """Two protocol cores joined in memory; every byte between them is recorded in `capture`.

    split: how many bytes are delivered at a time, None for all at once.
    """

    def __init__(self, client: Core, server: Core, *, split: int | None = None) -> None:
        self.client = client
        self.server = server
        self.split = split
        self.capture = Capture()
        self.heard: dict[Direction, list[Any]] = {"client": [], "server": []}

    def run(self) -> list[tuple[Direction, Any]]:
        """Carry bytes both ways until both are silent; return (receiver, event) in order."""
        events: list[tuple[Direction, Any]] = []
        while True:
            moved = self._carry("client", self.client, self.server, "server", events)
            if not self._carry("server", self.server, self.client, "client", events) and not moved:
                return events

    def _carry(
        self,
        direction: Direction,
        sender: Core,
        receiver: Core,
        hearer: Direction,
        events: list[tuple[Direction, Any]],
    ) -> bool:
        data = bytes(sender.data_to_send())
        size = self.split or max(1, len(data))
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self.capture.add(len(self.capture.chunks) / 1000, direction, piece)
            heard = receiver.receive_data(piece)
            self.heard[hearer] += heard
            events += [(hearer, event) for event in heard]
        return bool(data)
