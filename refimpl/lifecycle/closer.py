"""How a connection ends: Close both ways, then TCP, within one deadline (RFC 6455 7.1 and 5.5.1).

The server drops TCP first. Behind a Close we go on reading and throwing away until the peer's end
of stream, because closing a socket with unread bytes resets it, and a reset tears up what the peer
has not read yet. **One deadline** is set once, when closing begins, and no chatter extends it.
"""

import asyncio

from refimpl.errors import ConnectionClosed
from refimpl.framing import CloseCode
from refimpl.lifecycle.settings import Settings
from refimpl.lifecycle.driver import OPEN, Wire
from refimpl.messages import Protocol, Role

__all__ = ["Closing", "hangs_up"]


def hangs_up(role: Role, closed: ConnectionClosed) -> bool:
    """Return whether this side ends TCP by itself: a server always, a client without both Closes.

    Whoever ends first keeps the port in TIME_WAIT; RFC 6455 7.1.1 leaves that to the server.
    """
    return role is Role.SERVER or closed.sent is None or closed.received is None


class Closing(Wire):
    """A wire that knows how to end; what begins the end is the upper half's to say."""

    __slots__ = ("_deadline", "_gone")

    def __init__(self, core: Protocol, settings: Settings) -> None:
        super().__init__(core, settings)
        self._deadline: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] | None = None  # for those who wait until TCP is over

    def _start_deadline(self) -> None:
        """Give what is left of the connection close_timeout seconds, whatever the peer sends."""
        timeout = self.settings.close_timeout
        if self._deadline is None and timeout is not None and not self._lost:
            self._deadline = self._loop.call_later(
                timeout, self._give_up, "the peer did not end the connection in time"
            )

    def _give_up(self, why: str) -> None:
        """Cut the connection without waiting; why becomes the cause that callers see."""
        self._lost_error = TimeoutError(why)
        self.transport.abort()

    def start_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send Close without waiting; the deadline of closing runs from here.

        Does nothing on a connection that is not open. Raises LocalProtocolError for a code that may
        not be sent or a reason of more than 123 bytes.
        """
        if self.core.state is not OPEN:
            return
        self.core.send_close(code, reason)
        self._flush()
        self._start_deadline()
        if self._reading_paused:
            self._resume_reading()

    def _close_behind_answers(self, error: ConnectionClosed) -> None:
        """End the WebSocket, but let a program that waits in `recv` answer what it has got first.

        It runs in the loop's next turn, before what is scheduled behind it; whoever is slower than
        that finds the connection closed.
        """
        if self._inbox and self.core.can_answer:
            self._wake_reader()
            self._loop.call_soon(self._finish, error)
        else:
            self._finish(error)

    def _finish(self, error: ConnectionClosed) -> None:
        """End the WebSocket, wake everyone, and let TCP go, the server first (RFC 6455 7.1.1)."""
        self._closed = error
        self._flush()
        self._start_deadline()
        self._wake_reader()
        self.resume_writing()
        if self._reading_paused:
            self._resume_reading()
        if hangs_up(self.core.role, error):
            self._end_output()

    def _end_output(self) -> None:
        """Tell the peer that nothing more comes, and go on reading until it says so too."""
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()  # TLS knows no half-close: its close flushes and waits

    async def wait_closed(self) -> None:
        """Wait until the connection is over and its transport closed."""
        if not self._lost:
            if self._gone is None:
                self._gone = self._loop.create_future()
            await asyncio.shield(self._gone)  # one waiter's cancellation is not the others'

    def eof_received(self) -> None:
        """Tell the core that the peer sends no more; asyncio then closes the transport."""
        self._start_deadline()
        for event in self.core.receive_eof():
            self._handle(event)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake everyone who waits: there is no connection any more; asyncio calls it once, last."""
        self._lost = True
        self._lost_error = self._lost_error or exc
        if self._unparsed:
            self._resume_reading()
        for event in self.core.receive_eof():
            self._handle(event)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._gone is not None:
            self._gone.set_result(None)
