"""chaos: a bad network on a free port, with one fault or several, reproducible by a seed.

A connection within a machine is fast, complete and never silent; real networks are not. The proxy
stands between client and server, passes bytes on, and does to them what a network does: it delays
them, cuts them into pieces, drops them in silence, or ends the connection.

    async with chaos(host, port, slices=(1, 4), seed=7) as proxy:
        async with connect(proxy.uri) as websocket: ...
        proxy.black_hole()                   from now on nothing arrives, and nobody is told

Faults apply to each connection, in both directions, and may be changed at any time: `proxy.faults`.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Chaos", "Faults", "chaos"]

IN_FLIGHT = 64 * 1024  # the most bytes of one direction that are held in the network


@dataclass(slots=True)
class Faults:
    """What is wrong with the network; the defaults are a perfect one.

    latency and jitter: seconds; each piece is late by latency and up to jitter more, never out of
    order. bandwidth: bytes a second in each direction. slices: the smallest and largest piece, in
    bytes. limit: bytes of one direction after which the connection is reset. silent: nothing
    arrives.
    """

    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: float | None = None
    slices: tuple[int, int] | None = None
    limit: int | None = None
    silent: bool = False


class Chaos:
    """A proxy with faults; `connections` counts all so far, `carried` the bytes passed on."""

    def __init__(self, host: str, port: int, faults: Faults, seed: int) -> None:
        self.faults = faults
        self.connections = 0
        self.carried = 0
        self._target = (host, port)
        self._random = random.Random(seed)
        self._listener: asyncio.Server
        self._links: set[Link] = set()
        self._gone = asyncio.Event()
        self._accepting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        for task in set(self._accepting):
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        self.reset()
        if self._links:
            await self._gone.wait()  # the transports report their loss in the loop's next turns

    @property
    def port(self) -> int:
        """The port that a client connects to."""
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def uri(self) -> str:
        """The ws:// address of the proxy."""
        return f"ws://127.0.0.1:{self.port}"

    # --- faults that happen at one moment ---

    def black_hole(self) -> None:
        """Let nothing arrive from now on, in silence, as when a cable is pulled."""
        self.faults.silent = True

    def heal(self) -> None:
        """Make the network perfect again; bytes held in it arrive."""
        self.faults = Faults()
        for link in set(self._links):
            link.pump()

    def reset(self) -> None:
        """Reset every connection on both sides."""
        for link in set(self._links):
            link.cut()

    def half_close(self, side: str) -> None:
        """End the stream to one side, "client" or "server", which may still send."""
        for link in set(self._links):
            if link.towards == side:
                link.end()

    # --- passing bytes on ---

    def _accept(self) -> End:
        near = End(self)
        task = asyncio.get_running_loop().create_task(self._join(near))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return near

    async def _join(self, near: End) -> None:
        """Connect to the server, and join the two ends."""
        self.connections += 1
        far = End(self)
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *self._target)
        except OSError:
            near.transport.abort()
            return
        near.link = far.feeder = Link(self, near, far, "server")
        far.link = near.feeder = Link(self, far, near, "client")
        self._links |= {near.link, far.link}
        self._gone.clear()
        for end in (near, far):
            end.transport.resume_reading()

    def pieces(self, data: bytes) -> list[bytes]:
        """Cut data as the faults say."""
        if self.faults.slices is None:
            return [data]
        pieces, position = [], 0
        while position < len(data):
            size = self._random.randint(*self.faults.slices)
            pieces.append(data[position : position + size])
            position += size
        return pieces

    def delay(self) -> float:
        """Return how late the next piece is, in seconds."""
        return self.faults.latency + self.faults.jitter * self._random.random()

    def forget(self, link: Link) -> None:
        """Note that a direction has ended."""
        self._links.discard(link)
        if not self._links:
            self._gone.set()


class End(asyncio.Protocol):
    """One of the proxy's two sockets of a connection: `link` takes what it receives."""

    transport: asyncio.Transport
    link: Link
    feeder: Link | None = None  # the link that writes to this socket

    def __init__(self, proxy: Chaos) -> None:
        self.blocked = False
        self._proxy = proxy

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read nothing until the other end is connected."""
        self.transport = transport  # type: ignore[assignment]
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Give what came to the link to the other end."""
        self.link.take(data)

    def eof_received(self) -> bool:
        """Pass the end on, and keep this side open: the connection is half-closed."""
        self.link.end()
        return True

    def pause_writing(self) -> None:
        """Pause the link to this socket: its reader is slower than the network."""
        self.blocked = True

    def resume_writing(self) -> None:
        """Let the link write again."""
        self.blocked = False
        if self.feeder is not None:
            self.feeder.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass a reset on as a reset, and an end as an end."""
        if self.feeder is None:
            return
        if exc is not None:
            self.link.cut()
        self.link.end()
        self._proxy.forget(self.feeder)


class Link:
    """One direction: pieces from `source` to `out`, each with its time of arrival."""

    def __init__(self, proxy: Chaos, source: End, out: End, towards: str) -> None:
        self.source, self.out, self.towards = source, out, towards
        self.ended = False
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[float, bytes]] = deque()
        self._waiting = 0  # bytes in the queue
        self._last = 0.0  # when the last piece arrives: none may overtake it
        self._carried = 0
        self._ending = False
        self._timer: asyncio.TimerHandle | None = None

    def take(self, data: bytes) -> None:
        """Queue bytes for the other end; stop reading if much is queued already."""
        faults = self._proxy.faults
        for piece in self._proxy.pieces(data):
            arrival = max(self._last, self._loop.time() + self._proxy.delay())
            self._last = arrival + (len(piece) / faults.bandwidth if faults.bandwidth else 0)
            self._queue.append((self._last, piece))
        self._waiting += len(data)
        if self._waiting > IN_FLIGHT:
            self.source.transport.pause_reading()
        self.pump()

    def end(self) -> None:
        """Queue the end of the stream."""
        self._ending = True
        self.pump()

    def pump(self) -> None:
        """Deliver what is due, and schedule the next call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue and not self._stuck():
            arrival, piece = self._queue[0]
            if arrival > self._loop.time():
                self._timer = self._loop.call_at(arrival, self.pump)
                return
            self._queue.popleft()
            self._deliver(piece)
        if self._ending and not (self._queue or self.ended or self._stuck()):
            self._end_output()

    def _stuck(self) -> bool:
        closing = self.out.transport.is_closing()
        return self._proxy.faults.silent or self.out.blocked or closing

    def _deliver(self, piece: bytes) -> None:
        self._waiting -= len(piece)
        limit = self._proxy.faults.limit
        if limit is not None and self._carried + len(piece) > limit:
            self.out.transport.write(piece[: limit - self._carried])
            self._proxy.reset()
            return
        self._carried += len(piece)
        self._proxy.carried += len(piece)
        self.out.transport.write(piece)
        if self._waiting <= IN_FLIGHT and not self.source.transport.is_closing():
            self.source.transport.resume_reading()

    def _end_output(self) -> None:
        """Half-close the other side; close both if both directions have ended."""
        self.ended = True
        try:
            self.out.transport.write_eof()
        except OSError:  # that side was reset, and the loop is about to report it
            pass
        if self.out.link.ended:
            self.out.transport.close()
            self.source.transport.close()

    def cut(self) -> None:
        """Drop what is queued, and reset the socket."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        sock = self.out.transport.get_extra_info("socket")
        if not self.out.transport.is_closing():  # linger 0 sends RST: abort() alone would send FIN
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.out.transport.abort()


def chaos(
    host: str,
    port: int,
    *,
    latency: float = 0.0,
    jitter: float = 0.0,
    bandwidth: float | None = None,
    slices: tuple[int, int] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Chaos:
    """Return a faulty proxy before host:port, for `async with`; arguments as in `Faults`."""
    return Chaos(host, port, Faults(latency, jitter, bandwidth, slices, limit), seed)
