"""Two WebSockets joined in memory, for tests and lessons: the real classes, no socket.

>>> async def main():
...     client, server = await memory_pipe()
...     await client.send("hello")
...     print(await server.recv())
...     await asyncio.gather(client.close(), server.close())
>>> asyncio.run(main())
hello

Below them is a `MemoryTransport`: two asyncio transports joined without socket, port or kernel. It
keeps the contract of `asyncio.Transport`: callbacks never run inside `write`, `pause_writing` and
`resume_writing` follow the water marks, `write_eof` leaves the other direction open, and
`connection_lost` comes once, last. Bytes for an end that has closed reset the connection. What a
test writes arrives in an order that never changes, and
`chunk=1` cuts it byte by byte. Left out: TLS, and addresses that mean anything.
"""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Coroutine
from typing import cast

from refimpl.handshake import Policy, build_request, make_key, parse_uri
from refimpl.lifecycle.client import ClientConnection
from refimpl.lifecycle.memory_limit import MemoryLimit
from refimpl.lifecycle.server_connection import ProcessRequest, ServerConnection
from refimpl.lifecycle.settings import Settings
from refimpl.messages import OFFER, negotiate

__all__ = ["MemoryTransport", "join", "memory_pipe"]

DEFAULT_HIGH_WATER = 64 * 1024


class MemoryTransport(asyncio.Transport):
    """One end of a pair made by `join`.

    chunk: the most bytes that one `data_received` call of the other end gets; None for no limit.
    """

    def __init__(self, name: str, peer: str, chunk: int | None) -> None:
        super().__init__({"sockname": name, "peername": peer})
        self._loop = asyncio.get_running_loop()
        self._chunk = chunk
        self._protocol: asyncio.Protocol | asyncio.BufferedProtocol
        self._peer: MemoryTransport
        self._outgoing = bytearray()
        self._low, self._high = DEFAULT_HIGH_WATER // 4, DEFAULT_HIGH_WATER
        self._writing_paused = False
        self._reading = True
        self._scheduled = False
        self._eof_queued = self._eof_delivered = False
        self._closing = self._lost = False

    # --- towards the other end ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue data for the other end; it arrives in a later turn of the event loop."""
        if self._closing or not data:
            return
        if self._eof_queued:
            raise RuntimeError("got write() after write_eof(), expected nothing more")
        self._outgoing += data
        if len(self._outgoing) > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()
        self._schedule()

    def write_eof(self) -> None:
        """Queue the end of this direction behind what was written; the other stays open."""
        if not self._eof_queued:
            self._eof_queued = True
            self._schedule()

    def can_write_eof(self) -> bool:
        """Return True: half-closing works here as it does on TCP."""
        return True

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the other end to take them."""
        return len(self._outgoing)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and high water marks."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks between which `pause_writing` and `resume_writing` are called."""
        self._high = (
            high if high is not None else 4 * low if low is not None else DEFAULT_HIGH_WATER
        )
        self._low = low if low is not None else self._high // 4

    # --- from the other end ---

    def is_reading(self) -> bool:
        """Return whether the other end's bytes are taken."""
        return self._reading

    def pause_reading(self) -> None:
        """Take nothing more from the other end, so that its buffer fills."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take the other end's bytes again."""
        self._reading = True
        self._peer._schedule()

    # --- the end ---

    def is_closing(self) -> bool:
        """Return whether `close` or `abort` was called."""
        return self._closing

    def close(self) -> None:
        """Deliver what was written, then tell both ends that the connection is over."""
        if not self._closing:
            self._closing = self._eof_queued = True
            self._schedule()

    def abort(self) -> None:
        """Drop what was written and cut the connection: the other end sees a reset."""
        self._closing = True
        self._outgoing.clear()
        self._lose(None)
        self._peer._lose(ConnectionResetError("connection reset by peer"))

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that gets this end's callbacks."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand this end's callbacks to another protocol."""
        self._protocol = cast(asyncio.Protocol | asyncio.BufferedProtocol, protocol)

    # --- moving the bytes ---

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Hand over one chunk, then what follows from an empty buffer: resume, end, loss."""
        self._scheduled = False
        peer = self._peer
        if self._outgoing and not (peer._reading or peer._closing):
            return
        data = bytes(self._outgoing[: self._chunk])
        del self._outgoing[: len(data)]
        gone = peer._lost or (peer._closing and not self._reading)
        if data and gone and not self._closing:  # TCP answers for an end that is gone
            self._outgoing.clear()
            self._lose(ConnectionResetError("connection reset by peer"))
        elif data and not peer._closing:
            hand_over(peer._protocol, data)
        if self._writing_paused and len(self._outgoing) <= self._low and not self._lost:
            self._writing_paused = False
            self._protocol.resume_writing()
        if self._outgoing:
            self._schedule()
        elif self._eof_queued:
            self._deliver_end()

    def _deliver_end(self) -> None:
        """Tell the other end that nothing more comes, and this end that it is closed."""
        peer = self._peer
        if peer._reading and not self._eof_delivered and not peer._closing:
            self._eof_delivered = True
            if not peer._protocol.eof_received():
                peer.close()
        if self._closing:
            self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, error)


def hand_over(protocol: asyncio.Protocol | asyncio.BufferedProtocol, data: bytes) -> None:
    """Give data to a protocol in its own way: as bytes, or written into the buffers it offers."""
    if isinstance(protocol, asyncio.Protocol):
        protocol.data_received(data)
        return
    while data:
        buffer = memoryview(protocol.get_buffer(len(data)))
        part = data[: len(buffer)]
        buffer[: len(part)] = part
        protocol.buffer_updated(len(part))
        data = data[len(part) :]


def join(
    first: asyncio.Protocol | asyncio.BufferedProtocol,
    second: asyncio.Protocol | asyncio.BufferedProtocol,
    *,
    chunk: int | None = None,
) -> tuple[MemoryTransport, MemoryTransport]:
    """Return two transports joined to each other, with both protocols told of them."""
    one, two = (
        MemoryTransport("memory:1", "memory:2", chunk),
        MemoryTransport("memory:2", "memory:1", chunk),
    )
    for transport, peer, protocol in ((one, two, first), (two, one, second)):
        transport._peer = peer
        transport.set_protocol(protocol)
    first.connection_made(one)
    second.connection_made(two)
    return one, two


class Owner:
    """Stands where a `Server` would: it accepts one connection and starts no handler."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self.settings = settings
        self.policy = policy
        self.process_request: ProcessRequest | None = None
        self.refused: Counter[str] = Counter()
        self.memory_limit: MemoryLimit | None = None
        self.is_closing = False

    def joined(self, connection: ServerConnection) -> None:
        """Do nothing: the pair belongs to whoever asked for it."""

    left = opened = joined

    def own(
        self, work: Coroutine[None, None, None], context: contextvars.Context
    ) -> asyncio.Task[None]:
        """Run work as a task; only an asynchronous process_request needs it."""
        return asyncio.get_running_loop().create_task(work, context=context)


async def memory_pipe(
    settings: Settings | None = None,
    *,
    server_settings: Settings | None = None,
    compression: bool = False,
    chunk: int | None = None,
) -> tuple[ClientConnection, ServerConnection]:
    """Return a client's and a server's WebSocket, open and joined to each other.

    settings: of both ends, or of the client's where server_settings is given. chunk: the most bytes
    that arrive at once, 1 for byte by byte.
    """
    settings = settings or Settings()
    policy = Policy(negotiate=negotiate if compression else None)
    server = ServerConnection(Owner(server_settings or settings, policy))
    client = ClientConnection(settings)
    join(client.driver, server.driver, chunk=chunk)
    extensions = (OFFER,) if compression else ()
    await client.open(
        build_request(parse_uri("ws://memory/"), key=make_key(), extensions=extensions)
    )
    return client, server
