"""One connection of a user: what waits for it, how it is closed, and when its sender must wait."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from refimpl.auth.tokens import Claims
from refimpl.chat.outbox import Outbox
from refimpl.framing import CloseCode
from refimpl.middleware.asgi import Send
from refimpl.middleware.context import User
from refimpl.sessions import Connection

__all__ = ["Visitor"]

logger = logging.getLogger("refimpl.chat")


class Visitor:
    """A tab of a browser. claims: of the session that opened it.

    close: closes the connection, with a code and a reason. `rooms`: the ids of those it is in.
    `connection`: as all nodes know it, None before and behind that.
    """

    def __init__(
        self, claims: Claims, outbox: Outbox, close: Callable[[int, str], Awaitable[None]]
    ) -> None:
        self.claims = claims
        self.outbox = outbox
        self.rooms: set[str] = set()
        self.connection: Connection | None = None
        self._close = close
        self._ending = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    @property
    def user(self) -> User:
        """Whose connection it is."""
        return self.claims.user

    def tell(self, text: str) -> None:
        """Let text wait for this visitor; one who reads too slowly has to come back and ask."""
        if not self.outbox.put(text) and self.outbox.overflowed:
            self.hang_up(CloseCode.TRY_AGAIN_LATER, "too slow a reader")

    def hang_up(self, code: int, reason: str) -> None:
        """Begin to close the connection, without waiting; a second call does nothing."""
        if self._closing is None:
            self._ending.set()
            self.outbox.stop()
            self._closing = asyncio.get_running_loop().create_task(self._end(code, reason))

    async def _end(self, code: int, reason: str) -> None:
        try:
            await self._close(code, reason)
        except Exception:
            logger.exception("a connection could not be closed")

    async def pause(self, seconds: float) -> None:
        """Wait so long, and until half of what waits is gone; less where the connection ends.

        While this waits nothing is received: the sender is slowed down, and nobody else.
        """
        await asyncio.sleep(0)  # what was just said leaves before the next is heard
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._ending.wait()
        await self.outbox.half_empty()

    @asynccontextmanager
    async def served(self, send: Send) -> AsyncIterator[None]:
        """Send what waits for the visitor while the block runs; leave no task behind."""
        delivering = asyncio.create_task(self._deliver(send))
        try:
            yield
        finally:
            delivering.cancel()
            await asyncio.wait(
                [delivering] if self._closing is None else [delivering, self._closing]
            )

    async def _deliver(self, send: Send) -> None:
        try:
            await self.outbox.deliver(send)
        except Exception:
            logger.exception("a message could not be sent")
            self.hang_up(CloseCode.INTERNAL_ERROR, "")
