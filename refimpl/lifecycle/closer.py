"""The closing handshake: Close both ways, then TCP, within one deadline (RFC 6455 7.1 and 5.5.1).

The server drops TCP first. Behind a Close we go on reading and throwing away until the peer's end
of stream, because closing a socket with unread bytes resets it, and a reset tears up what the peer
has not read yet. **One deadline** is set once, when closing begins, and no chatter extends it.
"""

import asyncio

from refimpl.errors import ConnectionClosed
from refimpl.framing import CloseCode
from refimpl.lifecycle.writer import Writer
from refimpl.messages import Role, State, serialize_close

__all__ = ["Closer", "hangs_up"]


def hangs_up(role: Role, closed: ConnectionClosed) -> bool:
    """Return whether this side ends TCP by itself: a server always, a client without both Closes.

    Whoever ends first keeps the port in TIME_WAIT; RFC 6455 7.1.1 leaves that to the server.
    """
    return role is Role.SERVER or closed.sent is None or closed.received is None


class Closer:
    """Ends one connection; when to begin is its owner's to say."""

    __slots__ = ("_deadline", "_gone", "_writer")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._deadline: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] | None = None  # for those who wait until TCP is over

    def start(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> bool:
        """Send Close without waiting; return whether the connection was open until now.

        The deadline of closing runs from here. Raises LocalProtocolError for a code that may not be
        sent or a reason of more than 123 bytes.
        """
        writer = self._writer
        serialize_close(code, reason)  # a mistake is one in every state
        if writer.core.state is not State.OPEN:
            return False
        writer.core.send_close(code, reason)
        writer.flush()
        self.start_deadline()
        return True

    def start_deadline(self) -> None:
        """Give what is left of the connection close_timeout seconds, whatever the peer sends."""
        timeout = self._writer.settings.close_timeout
        if self._deadline is None and timeout is not None and not self._writer.lost:
            self._deadline = asyncio.get_running_loop().call_later(
                timeout, self.give_up, "the peer did not end the connection in time"
            )

    def give_up(self, why: str) -> None:
        """Cut the connection without waiting; why becomes the cause that callers see."""
        self._writer.lost_error = TimeoutError(why)
        self._writer.transport.abort()

    def finish(self, closed: ConnectionClosed) -> None:
        """End the WebSocket, wake who sends, and let TCP go, the server first (RFC 6455 7.1.1)."""
        writer = self._writer
        writer.closed = closed
        self.start_deadline()
        writer.resume()
        if hangs_up(writer.core.role, closed):
            writer.end()

    def lost(self, error: Exception | None) -> None:
        """Take note that TCP is over, and wake everyone who waits for that or has to send."""
        writer = self._writer
        writer.lost = True
        writer.lost_error = writer.lost_error or error
        if self._deadline is not None:
            self._deadline.cancel()
        writer.resume()
        writer.must_wait = True  # for whoever sends on: `drain` tells them
        if self._gone is not None:
            self._gone.set_result(None)

    async def wait(self) -> None:
        """Wait until the connection is over and its transport closed."""
        if not self._writer.lost:
            if self._gone is None:
                self._gone = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._gone)  # one waiter's cancellation is not the others'
