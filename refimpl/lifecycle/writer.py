"""What a connection has to write: from the protocol core to the transport, with back-pressure.

**One write a batch.** Replies that are sent while parsed messages wait in the inbox are held and
leave together: one write for each message is one system call for each message. **Senders wait.** A
full transport makes `drain` wait, a closing one makes it wait for the end, and a sender that never
meets either gives way to others after SENDS writes, so that no loop of sends can stop the rest.
"""

import asyncio
from collections.abc import Callable, Sized
from time import monotonic

from refimpl.errors import ConnectionClosed
from refimpl.lifecycle.settings import Settings
from refimpl.messages import Protocol

__all__ = ["Writer"]

SENDS = 64  # writes in a row behind which a sender gives way

# Seconds for which a reply may be held: an application that computes for long between two messages
# of one batch, and never awaits, would else keep the first reply back until the last is done.
MAX_HOLD = 0.002


class Writer:
    """The way out of one connection.

    must_wait: whether a sender has to await `drain`. is_paused: whether the transport holds more
    than write_limit bytes. written: bytes given to the transport. held: bytes of messages that wait
    for a flush, about. closed: how the WebSocket ended, set by the closer; TCP may live on. lost:
    whether TCP is over too, and lost_error why.
    """

    __slots__ = (
        "_drainers",
        "_flush_scheduled",
        "_hold_until",
        "_loop",
        "closed",
        "core",
        "grew",
        "held",
        "in_a_row",
        "is_paused",
        "lost",
        "lost_error",
        "must_wait",
        "settings",
        "transport",
        "written",
    )

    def __init__(self, core: Protocol, settings: Settings) -> None:
        self.core = core
        self.settings = settings
        self.transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self.written = 0
        self.held = 0
        self._flush_scheduled = False
        self._hold_until = 0.0
        self.in_a_row = 0  # writes since the sender last gave way
        self.is_paused = self.must_wait = False
        self._drainers: list[asyncio.Future[None]] | None = None  # every sender that waits
        self.grew: Callable[[int], None] | None = None  # told what waits to be sent
        self.closed: ConnectionClosed | None = None
        self.lost = False
        self.lost_error: Exception | None = None

    @property
    def waiting(self) -> int:
        """Bytes that wait to be sent."""
        return self.held + self.transport.get_write_buffer_size()

    # --- writing ---

    def flush(self) -> None:
        """Give everything that the core has queued to the transport, in one write.

        A transport that is closing takes nothing, and asyncio does not say so. Whoever sends on has
        to wait for `connection_lost`, which comes only when they give way.
        """
        self.held = 0
        data = self.core.data_to_send()
        if data:
            self.write(data)

    def write(self, data: bytes) -> None:
        """Give bytes to the transport that the core knows nothing of, or has queued."""
        if self.transport.is_closing():
            self.must_wait = True
            return
        self.written += len(data)
        self.transport.write(data)
        if self.is_paused and self.grew is not None:
            self.grew(len(data))
        self.in_a_row += 1
        if self.in_a_row > SENDS:
            self.must_wait = True

    def leave(self, size: int, inbox: Sized) -> None:
        """Let a message of size bytes go: at once, or with its batch while messages wait in inbox.

        A held one leaves with the next flush, at latest in the loop's next turn.
        """
        if not inbox:
            self.flush()
            return
        self.held += size + 2  # with the head of its frame: an empty message waits too
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._hold_until = monotonic() + MAX_HOLD
            self._loop.call_soon(self._flush_held)
        elif self.held > self.settings.write_limit or monotonic() > self._hold_until:
            self.flush()
            self._hold_until = monotonic() + MAX_HOLD

    def _flush_held(self) -> None:
        self._flush_scheduled = False
        if self.held:
            self.flush()

    # --- back-pressure ---

    def pause(self) -> None:
        """Make senders wait: the transport holds more than write_limit bytes."""
        self.is_paused = self.must_wait = True

    def resume(self) -> None:
        """Let senders go on: the transport has sent most of what it held, or never will."""
        self.is_paused = self.must_wait = False
        self.flush()
        for waiter in self._drainers or ():
            if not waiter.done():
                waiter.set_result(None)

    async def drain(self) -> None:
        """Wait until the transport takes more; raises ConnectionClosed where it never will."""
        while self.must_wait and self.closed is None and not self.lost:
            if self.is_paused or self.transport.is_closing():
                await self._wait_for_room()
            else:  # only this sender's turn is over
                self.in_a_row = 0
                self.must_wait = False
                await asyncio.sleep(0)
        if self.closed is not None or self.lost:
            raise self.closed_error()

    async def _wait_for_room(self) -> None:
        waiter = self._loop.create_future()
        drainers = self._drainers = self._drainers or []
        drainers.append(waiter)
        try:
            await waiter
        finally:
            drainers.remove(waiter)

    # --- the end ---

    def end(self) -> None:
        """Tell the peer that nothing more comes; the other direction stays open where it can."""
        if self.transport.is_closing():
            return
        if not self.transport.can_write_eof():
            self.transport.close()  # TLS knows no half-close: its close flushes and waits
            return
        try:
            self.transport.write_eof()
        except OSError:  # a reset came since the last write: `connection_lost` says so next
            self.transport.close()

    def closed_error(self) -> ConnectionClosed:
        """Return a fresh copy of the error that ended the connection, with its cause.

        Where TCP is lost, but messages that came before its end still wait to be received, it says
        what is known so far.
        """
        closed = self.closed
        if closed is None:
            closed = ConnectionClosed(self.core.close_sent, self.core.close_received, None)
        error = ConnectionClosed(closed.sent, closed.received, closed.order)
        error.__cause__ = closed.__cause__ or self.lost_error
        return error
