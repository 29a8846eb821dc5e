"""A connection on the server's side, from TCP to the first frame (RFC 6455 section 4.2).

The handshake runs in the callbacks of the transport, without a task: only an asynchronous
`process_request` gets one. Whatever goes wrong, the client gets exactly one answer, the end of the
stream, and no handler is started.
"""

import asyncio
import contextvars
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from refimpl.errors import ConnectionClosed, HandshakeError
from refimpl.framing import CloseCode
from refimpl.handshake import (
    Acceptance,
    Client,
    Headers,
    Policy,
    Request,
    Response,
    check_request,
    find_client,
    refuse,
)
from refimpl.handshake.server import check_http
from refimpl.lifecycle.connection import WebSocket
from refimpl.lifecycle.heartbeat import start_heartbeat
from refimpl.lifecycle.memory_limit import MemoryLimit
from refimpl.lifecycle.settings import Settings
from refimpl.lifecycle.upgrade_page import with_page
from refimpl.messages import Event, HandshakeFailed, Role, State

__all__ = ["ProcessRequest", "ServerConnection"]

logger = logging.getLogger("refimpl.server")


class ServerConnection(WebSocket):
    """A WebSocket that a server accepts; a handler gets it when it is open.

    context: what process_request sets in its context variables, the handler and its tasks see, and
    no other connection does. client: who asks, through the proxies that the server trusts; None
    where it trusts none.
    """

    __slots__ = ("_open_timer", "_request_task", "client", "context", "server")

    def __init__(self, server: "Owner") -> None:
        super().__init__(server.settings.new_core(Role.SERVER), server.settings)
        self.server = server
        self.context = contextvars.copy_context()
        self.client: Client | None = None  # who asks, where there are proxies to believe
        self._open_timer: asyncio.TimerHandle | None = None
        self._request_task: asyncio.Task[None] | None = None

    def connected(self) -> None:
        """Give the client open_timeout seconds for its whole handshake, however slowly it drips."""
        self.server.joined(self)
        if self.server.memory_limit is not None:
            self.driver.grew = self.driver.writer.grew = self.server.memory_limit.grew
        timeout = self.settings.open_timeout
        if timeout is not None:
            self._open_timer = asyncio.get_running_loop().call_later(timeout, self._too_slow)

    def disconnected(self) -> None:
        """Leave the server's list, whether or not the handshake ever came through."""
        self._stop_timer()
        self._stop_asking()
        self.server.left(self)

    def _stop_timer(self) -> None:
        if self._open_timer is not None:
            self._open_timer.cancel()
            self._open_timer = None

    def _stop_asking(self) -> None:
        if self._request_task is not None and self._request_task is not asyncio.current_task():
            self._request_task.cancel()

    def handle(self, event: Event) -> None:
        """Deal with the request, or with its failure."""
        if type(event) is Request:
            self.request = event
            self._consider(event)
        elif type(event) is HandshakeFailed:
            self._refused(event.error.reason)

    # --- deciding ---

    def _consider(self, request: Request) -> None:
        """Ask process_request where there is one, then check the handshake."""
        process_request = self.server.process_request
        if process_request is None:
            self._accept(request)
            return
        try:
            check_http(request)  # what could be smuggled reaches no application code
            answer = self.context.run(process_request, self, request)
        except Exception as error:
            self._refuse_for(error)
        else:
            if isinstance(answer, Awaitable):
                self.driver.pause_reading()  # nothing may pile up while the application thinks
                self._request_task = self.server.own(
                    self._answer_later(request, answer), self.context
                )
            else:
                self._answer(request, answer)

    async def _answer_later(self, request: Request, answer: Awaitable[Response | None]) -> None:
        try:
            response = await answer
        except Exception as error:
            self._refuse_for(error)
        else:
            # A context cannot be entered twice, and an eager handler would begin inside this task.
            self.context = contextvars.copy_context()
            self._answer(request, response)
        self.driver.resume_reading()

    def _answer(self, request: Request, response: Response | None) -> None:
        """Go on with the handshake, or give the application's own answer."""
        if response is None:
            self._accept(request)
        elif self.core.state is State.CONNECTING:
            self._refuse_with(response, f"process-request-{getattr(response, 'status', '')}")

    def _refuse_for(self, error: Exception) -> None:
        """Refuse as a HandshakeError says; log any other error, which is ours, and answer 500."""
        # A client's HandshakeError has status 0: process_request asked another server in vain.
        if not (isinstance(error, HandshakeError) and 200 <= error.status < 600):
            logger.error("process_request failed", exc_info=error)
            error = HandshakeError("the server failed", status=500, reason="process-request")
        self.refuse(error)

    def _accept(self, request: Request) -> None:
        """Check the request; send 101 and start the handler, or refuse."""
        if self.core.state is not State.CONNECTING:
            return  # too late: the client left, or open_timeout was over
        if self.server.is_closing:
            self.leave()
            return
        policy = self.server.policy
        try:
            if policy.trusted_proxies:
                self.client = self._find_client(request, policy)
                policy = policy.for_client(self.client)
            acceptance = check_request(request, policy)
        except HandshakeError as error:
            self.refuse(with_page(error, request, secure=policy.secure))
            return
        self._open(acceptance)

    def _find_client(self, request: Request, policy: Policy) -> Client:
        address = self.remote_address
        peer = address[0] if isinstance(address, tuple) else None
        return find_client(request.headers, peer, policy.trusted_proxies, secure=policy.secure)

    def _open(self, acceptance: Acceptance) -> None:
        """Send 101 and tell the server that the connection is open."""
        self.response = acceptance.response
        self._stop_timer()
        self.core.accept(acceptance, limit=0)
        self.driver.writer.flush()
        start_heartbeat(self.driver)
        self.server.opened(self)
        if self.core.unparsed:  # frames that came right behind the request
            self.driver.parse()

    # --- refusing ---

    def refuse(self, error: HandshakeError) -> None:
        """Answer a request with the error's status, and close."""
        if self.core.state is State.CONNECTING:
            self._refuse_with(error, error.reason)

    def _refuse_with(self, refusal: HandshakeError | Response, reason: str) -> None:
        """Answer a request with a refusal, count it, and close; one that cannot travel is a 500."""
        mistakes: list[Exception] = []
        self.response = refuse(refusal, on_mistake=mistakes.append)
        for mistake in mistakes:
            logger.error("process_request failed: its refusal cannot be written", exc_info=mistake)
            reason = "process-request"
        self.core.reject(self.response)
        self._refused(reason)

    def _refused(self, reason: str) -> None:
        """Count a refusal whose answer is queued, send it, and let TCP go."""
        if self.driver.heard:  # a probe that connects and leaves asked for nothing
            self.server.refused[reason] += 1
        self._let_go()

    def _let_go(self) -> None:
        """End a connection that never opened; what open_timeout leaves of its time still counts."""
        self._stop_asking()
        self.driver.finish(ConnectionClosed(None, None, None))

    def _too_slow(self) -> None:
        """Refuse a client whose request did not come in time, and cut off one already refused."""
        message = "got no whole request in time"
        self.refuse(HandshakeError(message, status=408, reason="open-timeout"))
        self.transport.close()

    def leave(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Close the connection because the server closes; refuse it where it is not open yet."""
        self.refuse(HandshakeError("the server is closing", status=503, reason="server-closing"))
        self.start_close(code, reason)

    def respond(self, status: int, text: str) -> Response:
        """Return a plain-text response for process_request to return."""
        return Response(
            status, Headers([("Content-Type", "text/plain; charset=utf-8")]), text.encode()
        )


ProcessRequest = Callable[[ServerConnection, Request], Response | Awaitable[Response | None] | None]


class Owner(Protocol):
    """What a connection needs of the server it belongs to."""

    settings: Settings
    policy: Policy
    process_request: ProcessRequest | None
    refused: Counter[str]
    memory_limit: MemoryLimit | None

    @property
    def is_closing(self) -> bool:
        """Whether new connections are refused."""

    def joined(self, connection: ServerConnection) -> None:
        """Note a new TCP connection."""

    def left(self, connection: ServerConnection) -> None:
        """Forget a connection that is gone."""

    def opened(self, connection: ServerConnection) -> None:
        """Run the handler for a connection whose handshake is through."""

    def own(
        self, work: Coroutine[None, None, None], context: contextvars.Context
    ) -> asyncio.Task[None]:
        """Run work in a context, as a task that closing the server waits for."""
