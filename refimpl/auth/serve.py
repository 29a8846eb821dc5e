"""Authentication for `refimpl.serve`: a process_request and a wrapped handler.

auth = ServeAuth(authenticator)
async with serve(auth.protect(handler), process_request=auth.process_request) as server: ...
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from refimpl.auth.authenticator import Authenticator
from refimpl.auth.errors import AuthError
from refimpl.auth.expiry import CHECK_EVERY, LEAVE_WITHIN, REASON, TOKEN_OVER
from refimpl.auth.tokens import Claims
from refimpl.concurrency.cancelling import Cancellation
from refimpl.handshake import Request, Response
from refimpl.lifecycle import ServerConnection
from refimpl.middleware.context import bind

__all__ = ["ServeAuth"]

logger = logging.getLogger("refimpl.auth")

Handler = Callable[[ServerConnection], Awaitable[None]]

_claims: ContextVar[Claims] = ContextVar("refimpl.auth.claims")


class ServeAuth:
    """Admits connections of `refimpl.serve` by the credential in their request.

    secure: whether the server speaks TLS. check_every: seconds between two looks at the clock. A
    credential in a first message is not supported.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        secure: bool = False,
        check_every: float = CHECK_EVERY,
    ) -> None:
        self.authenticator = authenticator
        self.secure = secure
        self.check_every = check_every

    async def process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Keep the claims for the handler. Raises AuthError, which the server answers with."""
        query = request.target.partition("?")[2]
        claims = await self.authenticator.authenticate(request.headers, query, secure=self.secure)
        if claims is None:
            raise AuthError("missing", "got no credential")
        if claims.expires_at <= self.authenticator.verifier.now():
            raise AuthError("expired", "got a token that ends now")
        _claims.set(claims)  # the handler runs in this connection's context
        return None

    def protect(self, handler: Handler) -> Handler:
        """Return a handler to serve: it binds User and Claims, and closes with 4401 at the end.

        A handler that has not returned a few seconds after that is cancelled.
        """

        async def protected(connection: ServerConnection) -> None:
            claims, task = _claims.get(), asyncio.current_task()
            assert task is not None
            end = Cancellation(task)
            watching = asyncio.create_task(self._watch(connection, claims, end))
            try:
                with bind(claims.user, claims):
                    await handler(connection)
            except asyncio.CancelledError:
                if not end.take_back():
                    raise  # somebody else's
            finally:
                end.take_back()  # the handler swallowed it
                watching.cancel()
                await asyncio.wait([watching])

        return protected

    async def _watch(self, connection: ServerConnection, claims: Claims, end: Cancellation) -> None:
        """Close the connection with its token, then see to it that the handler ends."""
        now = self.authenticator.verifier.now
        while True:
            left = claims.expires_at - now()
            if left <= 0:
                break
            await asyncio.sleep(min(left, self.check_every))
        connection.start_close(TOKEN_OVER, REASON)
        while True:
            await asyncio.sleep(LEAVE_WITHIN)
            logger.warning("%s outlived its token and is cancelled", end.task.get_name())
            end.ask()
