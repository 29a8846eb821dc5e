"""The lower half of a connection: bytes between an asyncio transport and the protocol core.

Two rules live here. **One write per batch**: replies sent while parsed messages still wait in the
inbox are held and leave together, with a `call_soon` flush as the net (one write per message is
one system call per message). **Back-pressure both ways**: a full inbox pauses reading, a full
transport makes `send` wait. How a connection ends is `closing`, and what a program sees of it
`connection`.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import cast

from refimpl.errors import ConnectionClosed
from refimpl.lifecycle.settings import Settings
from refimpl.messages import Event, Protocol, State

__all__ = ["Wire"]

INFLATE_STEP = 4 * 1024  # a message of 1 MiB may be 1 KiB of it
LARGE = 16 * 1024  # bytes of a read that are worth parsing where they lie

# Seconds for which a reply may be held: an application that computes for long between two messages
# of one batch, and never awaits, would else keep the first reply back until the last is done.
MAX_HOLD = 0.002

# The inbox of a connection that waits for messages: an empty deque of its own has 760 bytes, and a
# list would make taking the first of many tiny messages cost in proportion to their number.
NOTHING: deque[str | bytes] = deque(maxlen=0)

OPEN = State.OPEN  # an enum member costs two look-ups, and every message asks


READ = 256 * 1024  # bytes taken from the kernel at once; asyncio's own protocols take as many


class Scratch(threading.local):
    """The memory that every connection of a thread reads into, one read at a time.

    For a plain protocol asyncio makes 256 KiB of new memory a read and gives most of it back, which
    malloc often does with two system calls and a page fault. A ping-pong of 32 B cost 1.5 times as
    much so, of 100 connections 2.3 times, of 64 KiB 2.1 times (`refimpl bench`).
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ))


SCRATCH = Scratch()


class Wire(asyncio.BufferedProtocol):
    """Feeds a `Protocol` core from a transport, and the transport from the core."""

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_closed",
        "_drainers",
        "_flush_scheduled",
        "_heard",
        "_held",
        "_hold_until",
        "_inbox",
        "_loop",
        "_lost",
        "_lost_error",
        "_reader",
        "_reading_paused",
        "_unparsed",
        "_writing_paused",
        "_written",
        "core",
        "settings",
        "transport",
    )

    def __init__(self, core: Protocol, settings: Settings) -> None:
        self.core = core
        self.settings = settings
        self.transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._inbox = NOTHING  # messages that wait for recv(), oldest first
        self._reader: asyncio.Future[None] | None = None  # the recv() that waits
        self._reading_paused = False
        self._unparsed = b""  # what came between a full inbox and the pause
        self._heard = 0  # reads that brought something: what a heartbeat calls life
        self._written = 0  # bytes given to the transport
        self._held = 0  # bytes of messages that wait for a flush, about
        self._flush_scheduled = False
        self._hold_until = 0.0
        self._writing_paused = False
        self._drainers: list[asyncio.Future[None]] | None = None  # every send() that waits
        # Set when the WebSocket is over; TCP may live on to drain.
        self._closed: ConnectionClosed | None = None
        self._lost = False  # TCP is over too
        self._lost_error: Exception | None = None

    def _handle(self, event: Event) -> None:
        """Deal with an event that is no message; the upper half says how."""
        raise NotImplementedError

    # --- reading ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; asyncio calls it once, first."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(self.settings.write_limit)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to; asyncio calls it, then `buffer_updated`."""
        return SCRATCH.view

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read: a copy of it, or the memory itself where that pays."""
        data = SCRATCH.view[:nbytes]
        self.data_received(data if nbytes >= LARGE else bytes(data))

    def data_received(self, data: bytes | memoryview) -> None:
        """Parse what came, or put it by where the inbox is full.

        data: of a memoryview nothing is kept, its memory is for the next read.
        """
        self._heard += 1
        if not self._inbox or not self._is_full():
            self._feed(data)
        elif self.core.state is OPEN:
            # Pausing a read late, when more really comes, spares two system calls a batch: an
            # application that keeps up has emptied the inbox by then.
            self._pause_reading()
            self._unparsed += data
        else:
            # We are closing and must read on for the peer's Close (7.1.1), so what has no room is
            # dropped.
            room = len(self._inbox)
            self._settle(self.core.receive_data(data))
            while len(self._inbox) > room:
                self._inbox.pop()

    def _feed(self, data: bytes | memoryview) -> None:
        """Parse data, compressed data in small steps: one read may inflate a thousand times.

        What comes when the inbox is full waits unparsed, small as it is.
        """
        core = self.core
        if core.agreement.extension is None:
            self._settle(core.receive_data(data))
            return
        for start in range(0, len(data), INFLATE_STEP):
            if start and self._is_full() and self.core.state is OPEN:
                self._pause_reading()
                self._unparsed = bytes(data[start:])
                return
            self._settle(self.core.receive_data(data[start : start + INFLATE_STEP]))

    def _settle(self, events: Iterable[Event]) -> None:
        """Deal with events: messages go to the inbox, answers that the core queued go out."""
        answered = self._deal_out(events)
        if not answered or self._writing_paused or (self._inbox and self.core.can_answer):
            return  # a peer that does not read gets one pong, the latest; answers go before Close
        self._flush()

    def _deal_out(self, events: Iterable[Event]) -> bool:
        """Hand out events; return whether there was any but messages, which the core may answer."""
        answered = False
        for event in events:
            if type(event) is str or type(event) is bytes:
                self._put(event)
            else:
                answered = True
                self._handle(event)
        if self._inbox:
            self._wake_reader()
        return answered

    def _put(self, message: str | bytes) -> None:
        if self._inbox is NOTHING:
            self._inbox = deque()
        self._inbox.append(message)

    def _is_full(self) -> bool:
        """Return whether no more should be read: too many messages wait, or too large ones.

        Asked once a read, and only where some wait; 16 of 16 MiB each would be 256 MiB.
        """
        inbox, settings = self._inbox, self.settings
        return len(inbox) >= settings.high_water or sum(map(len, inbox)) >= settings.high_bytes

    def _next_message(self) -> str | bytes:
        """Take the oldest message, and read on where enough has been taken."""
        inbox, settings = self._inbox, self.settings
        message = inbox.popleft()
        if not self._reading_paused or len(inbox) > settings.low_water:
            return message
        if sum(map(len, inbox)) <= settings.high_bytes / 4:
            self._resume_reading()
        return message

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _pause_reading(self) -> None:
        self._reading_paused = True
        self.transport.pause_reading()

    def _resume_reading(self) -> None:
        """Parse what was put by and read on: the inbox has emptied, or matters no more."""
        self._reading_paused = False
        data, self._unparsed = self._unparsed, b""
        if data:
            self._feed(data)
        if not (self._lost or self._reading_paused):
            self.transport.resume_reading()

    # --- writing ---

    def _flush(self) -> None:
        """Give everything that the core has queued to the transport, in one write."""
        self._held = 0
        data = self.core.data_to_send()
        if data and not self._lost:
            self._written += len(data)
            self.transport.write(data)

    def _leave(self, size: int) -> None:
        """Let a message of size bytes go: at once, or with its batch while messages wait.

        A held one leaves with the next flush, at latest in the loop's next turn.
        """
        if not self._inbox:
            self._flush()
            return
        self._held += size
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._hold_until = monotonic() + MAX_HOLD
            self._loop.call_soon(self._flush_held)
        elif self._held > self.settings.write_limit or monotonic() > self._hold_until:
            self._flush()
            self._hold_until = monotonic() + MAX_HOLD

    def _flush_held(self) -> None:
        self._flush_scheduled = False
        if self._held:
            self._flush()

    def pause_writing(self) -> None:
        """Make `send` wait: the transport holds more than write_limit bytes."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Let every waiting `send` go on: the transport has sent most of what it held."""
        self._writing_paused = False
        self._flush()
        for waiter in self._drainers or ():
            if not waiter.done():
                waiter.set_result(None)

    async def _drain(self) -> None:
        """Wait until the transport takes more; raises ConnectionClosed where it never will."""
        while self._writing_paused and self._closed is None:
            waiter = self._loop.create_future()
            drainers = self._drainers = self._drainers or []
            drainers.append(waiter)
            try:
                await waiter
            finally:
                drainers.remove(waiter)
        if self._closed is not None:
            raise self._closed_error()

    def _closed_error(self) -> ConnectionClosed:
        """Return a fresh copy of the error that ended the connection, with its cause."""
        closed = self._closed
        assert closed is not None
        error = ConnectionClosed(closed.sent, closed.received, closed.order)
        error.__cause__ = closed.__cause__ or self._lost_error
        return error
