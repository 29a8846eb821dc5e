"""An open socket and the token that keeps it open: closed with 4401 when the token is over.

The handshake is checked once; a socket may live for days. So the end of the token is the end of the
socket, unless the application renews it (chapter 12 does, in band). A timer waits for `exp`, and
looks at the clock in between, because the clock of a machine that slept has jumped.
"""

import asyncio
import logging
from collections.abc import Callable

from refimpl.auth.errors import AuthError
from refimpl.auth.tokens import Claims
from refimpl.concurrency.cancelling import Cancellation
from refimpl.middleware.asgi import App, Message, Receive, Scope, Send

__all__ = ["CHECK_EVERY", "TOKEN_OVER", "ExpiringSocket", "SocketOver"]

logger = logging.getLogger("refimpl.auth")

TOKEN_OVER = 4401
REASON = "the token has expired"
CHECK_EVERY = 4.0  # seconds: with it, 4401 comes within 5 s of exp whatever the clock did
CLOSE_WITHIN = 2.0  # seconds for a Close that has to wait behind what the peer does not read
LEAVE_WITHIN = 5.0  # seconds that the application has to notice


class SocketOver(OSError):
    """The token has expired and the socket is closing: stop sending (ASGI 2.4 wants an OSError)."""


class ExpiringSocket:
    """Stands between server and application for one socket, and ends it when the token ends.

    now: Unix seconds. Use: `open_early` where a first message must come before the application,
    then `run`.
    """

    def __init__(
        self, receive: Receive, send: Send, *, now: Callable[[], float], check_every: float
    ) -> None:
        self._receive = receive
        self._send = send
        self._now = now
        self._check_every = check_every
        self._claims: Claims | None = None
        self._opened_early = False
        self._connect: Message | None = None
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    # --- before the application ---

    async def open_early(self, subprotocol: str | None, *, within: float) -> Message | None:
        """Accept the socket and return its first message; None where the client left.

        Raises AuthError where no message comes in time.
        """
        self._connect = await self._receive()
        if self._connect["type"] != "websocket.connect":
            return None
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol})
        self._opened_early = True
        try:
            async with asyncio.timeout(within):
                message = await self._receive()
        except TimeoutError:
            raise AuthError("missing", f"got no first message within {within} s") from None
        return message if message["type"] == "websocket.receive" else None

    async def close(self, code: int, reason: str) -> None:
        """Send Close, if the client still reads; give up after CLOSE_WITHIN."""
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception as error:  # gone, or closed by the application just before
            logger.debug("no Close could be sent: %r", error)

    # --- around the application ---

    async def run(self, app: App, scope: Scope, claims: Claims) -> None:
        """Run app on this socket until it returns; cancel it where it outstays the token."""
        self._claims = claims
        task = asyncio.current_task()
        assert task is not None
        cut = Cancellation(task)
        self._watch(cut)
        try:
            await app(scope, self.receive, self.send)
        except SocketOver:
            pass  # the application let it through, as it may
        except asyncio.CancelledError:
            if not cut.take_back():
                raise  # somebody else's
        finally:
            cut.take_back()  # the application swallowed it
            await self._stop()

    async def receive(self) -> Message:
        """Return the next event for the application; after the end, only the end."""
        if self._connect is not None:
            message, self._connect = self._connect, None
            return message
        while True:
            message = await self._receive()
            if not self._is_over:
                return message
            if message["type"] == "websocket.disconnect":
                return {**message, "code": TOKEN_OVER, "reason": REASON}

    async def send(self, message: Message) -> None:
        """Pass on what the application says. Raises SocketOver after the end."""
        if self._is_over:
            raise SocketOver(REASON)
        if self._opened_early:
            kind = message["type"]
            if kind == "websocket.accept":
                return  # it is, already
            if kind == "websocket.http.response.start":
                message = {"type": "websocket.close", "code": 4000 + message["status"]}
            elif kind == "websocket.http.response.body":
                return await asyncio.sleep(0)  # one without end must let others run
        await self._send(message)

    # --- the end ---

    def renew(self, claims: Claims) -> None:
        """Let the socket live as long as a new token. Raises AuthError for another user's."""
        if self._claims is None or claims.user.id != self._claims.user.id:
            raise AuthError("subject", "got a token of another user")
        if self._is_over:
            raise AuthError("expired", "got a token after the end of the socket")
        self._claims = claims

    def _watch(self, cut: Cancellation) -> None:
        """End the socket if its token is over, else look again at that time, or before."""
        assert self._claims is not None
        left = self._claims.expires_at - self._now()
        loop = asyncio.get_running_loop()
        if left > 0:
            self._timer = loop.call_later(min(left, self._check_every), self._watch, cut)
        else:
            self._is_over = True
            self._ending = loop.create_task(self._end(cut))

    async def _end(self, cut: Cancellation) -> None:
        """Close the socket, then see to it that the application ends."""
        await self.close(TOKEN_OVER, REASON)
        while True:
            await asyncio.sleep(LEAVE_WITHIN)
            cut.ask()

    async def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.wait([self._ending])
