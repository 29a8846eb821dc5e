"""The engine: our WebSockets under any ASGI application, as uvicorn's `ws` protocol class.

Run it with `uvicorn --ws refimpl.middleware.engine:Engine app:app`. It takes the place that
`WebSocket` and its handler have in our own server: below it are the same core, driver, closer and
heartbeat, above it is an application. A table in `order` says what an application may send; the
core checks what the peer sends.

uvicorn reads the head of the request and writes it out again for us. Bytes after it in the same
segment are lost, unless `http` reads the head; a client has to wait for the 101 anyway (RFC 6455
section 4.1).
"""

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from refimpl.errors import ConnectionClosed, HandshakeError
from refimpl.framing import CloseCode
from refimpl.handshake import Acceptance, Request, check_request, parse_subprotocols
from refimpl.handshake import refuse as answer_to
from refimpl.lifecycle.driver import Driver
from refimpl.lifecycle.heartbeat import TIMED_OUT, start_heartbeat
from refimpl.messages import Event, HandshakeFailed, Role, State
from refimpl.middleware.asgi import Message, Scope
from refimpl.middleware.engine.answers import (
    DENIED,
    FAILED,
    SERVER_CLOSING,
    Denial,
    HeaderLines,
    accept_with,
    with_headers,
)
from refimpl.middleware.engine.log import is_return, log_outcome, logger, trace
from refimpl.middleware.engine.observe import Observed
from refimpl.middleware.engine.order import (
    Disconnected,
    Stage,
    body_of,
    check_order,
    close_of,
    content_of,
    disconnect_message,
    is_disconnect,
)
from refimpl.middleware.engine.passing import PassingOn
from refimpl.middleware.engine.scope import describe_request, describe_transport
from refimpl.middleware.engine.server import EngineServer, server_of

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["Disconnected", "Engine"]

OPEN = State.OPEN  # an enum member costs two look-ups, for every message


class Engine(PassingOn):
    """One connection that uvicorn handed over, from the request to the end of the application."""

    __slots__ = (
        "__weakref__", "_acceptance", "_app_state", "_connect_told", "_default_headers", "_denial",
        "_observed", "_offered", "_scope", "_server", "_stage", "core", "driver", "writer",
    )  # fmt: skip

    max_fragments = 1024
    """Frames of one message; uvicorn has no option for it, a subclass may change it."""
    close_timeout = 10.0
    """Seconds that a peer has to end a connection that we close."""

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._server: EngineServer = server_of(
            config, server_state, max_fragments=self.max_fragments, close_timeout=self.close_timeout
        )
        settings = self._server.settings
        self.core = settings.new_core(Role.SERVER)
        self.driver = Driver(self.core, settings, self)
        self.writer = self.driver.writer
        self._observed = Observed(self.driver)
        self._app_state = app_state
        self._default_headers: HeaderLines = server_state.default_headers
        self._scope: Scope = {}
        self._stage = Stage.ASKED
        self._connect_told = False
        self._acceptance: Acceptance | None = None
        self._offered: list[str] = []
        self._denial: Denial | None = None

    # --- what uvicorn calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of a request that uvicorn has read, and give it to the driver.

        uvicorn then gives us the request and names us to the transport; the driver, which reads
        into memory of its own, takes our place in the next turn of the loop.
        """
        self.driver.connection_made(transport)
        asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if not self.writer.lost and self.writer.transport.get_protocol() is self:
            self.writer.transport.set_protocol(self.driver)

    def shutdown(self) -> None:
        """Tell the client that the service restarts; refuse with 503 a request without an answer.

        A connection that is closing already is not waited for any longer.
        """
        self._server.is_closing = True
        if self.writer.closed is not None or self.core.close_sent is not None:
            self.writer.transport.close()
        else:
            self._leave()
            self.driver.closer.start_deadline()

    def _leave(self) -> None:
        self._refuse(SERVER_CLOSING)
        self.driver.start_close(CloseCode.SERVICE_RESTART)

    # --- what the driver calls ---

    def connected(self) -> None:
        """Tell uvicorn about the connection."""
        self._server.joined(self)
        trace(self.writer.transport, "connection made")

    def handle(self, event: Event) -> None:
        """Handle the request, or its failure."""
        if type(event) is Request:
            self._consider(event)
        elif type(event) is HandshakeFailed:
            self._refused(event.error)

    def disconnected(self) -> None:
        """Wake the application wherever it waits, even in the middle of a denial."""
        if self.core.close_sent is not None and self.core.close_sent.reason == TIMED_OUT:
            trace(self.writer.transport, TIMED_OUT)
        trace(self.writer.transport, "connection lost")
        self._observed.end()
        self._server.left(self)
        if self.writer.closed is None and self.core.state is State.CLOSED:
            self.driver.finish(ConnectionClosed(None, None, None))

    # --- the request ---

    def _consider(self, request: Request) -> None:
        """Check the handshake, and pass the request to the application."""
        server = self._server
        transport = describe_transport(self.writer.transport)
        self._scope = {**describe_request(request, server.root_path), **transport}
        if server.is_closing:
            self._leave()
            return
        try:
            self._acceptance = check_request(request, server.policy)
            self._offered = parse_subprotocols(request.headers.get_all("Sec-WebSocket-Protocol"))
        except HandshakeError as error:
            self._refuse(error)
            return
        self._scope.update(
            asgi=dict(server.asgi),
            subprotocols=list(self._offered),
            state=self._app_state.copy(),
            extensions={
                "websocket.http.response": {},
                "refimpl.wire": {"observe": self._observed.observe},
            },
        )
        server.own(self._run(), Context() if server.reset_context else copy_context())

    async def _run(self) -> None:
        """Run the application, and end what it left open: 1011 and 500 say that it failed."""
        code = CloseCode.INTERNAL_ERROR
        try:
            returned: object = await self._server.app(  # type: ignore[func-returns-value]
                self._scope, self._receive, self._send
            )
            if is_return(returned, answered=self.core.state is not State.CONNECTING):
                code = CloseCode.NORMAL_CLOSURE
        except Exception as error:
            if not is_disconnect(error):
                logger.exception("Exception in ASGI application\n")
        finally:
            self._end(code)

    def _end(self, code: CloseCode) -> None:
        """End the connection of an application that has returned or failed."""
        self._refuse(FAILED)
        self.driver.start_close(code)
        self.driver.inbox.clear()
        self.driver.discard_messages()
        if self._stage is Stage.DENYING and self.writer.closed is None:
            self.writer.transport.abort()  # the denial is incomplete: it must not look complete
        self._scope = {}  # it refers to `observe`, and so to us

    # --- from the client to the application ---

    async def _receive(self) -> Message:
        """Return the next ASGI message; after `websocket.disconnect`, the same one again.

        Raises ConcurrencyError if another task waits already.
        """
        if not self._connect_told:
            self._connect_told = True
            return {"type": "websocket.connect"}
        driver = self.driver
        while not driver.inbox:
            if self.writer.closed is not None or self.core.close_sent is not None:
                await asyncio.sleep(0)  # an endless loop of receive() must let others run
                return disconnect_message(self.core.close_sent, self.writer.closed)
            if driver.reader is not None:
                raise driver.two_readers()
            try:
                await driver.expect_message()
            finally:
                driver.reader = driver.reader_task = None
        message = driver.take()
        if type(message) is str:
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    # --- from the application to the client ---

    async def _send(self, message: Message) -> None:
        """Carry out an ASGI message; wait if much is waiting to be sent.

        Raises RuntimeError for a message out of order, Disconnected if the client is gone.
        """
        writer = self.writer
        if writer.must_wait and message["type"] == "websocket.send":
            await self._drain()  # other tasks send too, and each would add to the buffer
        is_open = self.core.state is OPEN or self._may_answer()
        if not is_open or message["type"] != "websocket.send":
            await self._answer_with(message)
            return
        text = message.get("text")
        if type(text) is str:
            self.core.send_text(text)
            writer.leave(len(text), self.driver.inbox)
        else:
            self._send_other(message)
        if writer.must_wait:
            await self._drain()

    def _send_other(self, message: Message) -> None:
        """Send a message other than a plain str: usually bytes."""
        content: str | bytes | None = message.get("bytes")
        if type(content) is not bytes or message.get("text") is not None:
            content = content_of(message)
        if isinstance(content, str):
            self.core.send_text(content)
        else:
            self.core.send_binary(content)
        self.writer.leave(len(content), self.driver.inbox)

    def _may_answer(self) -> bool:
        """Whether the connection has failed, but answers may still be sent before our Close."""
        return self.core.can_answer and self.writer.closed is None and self._stage is Stage.ACCEPTED

    async def _drain(self) -> None:
        try:
            await self.writer.drain()
        except ConnectionClosed as error:
            raise Disconnected(str(error)) from error

    async def _answer_with(self, message: Message) -> None:
        """Carry out a message that is not a plain send: an answer, an end, or a mistake."""
        kind = message["type"]
        check_order(self._stage, kind)
        if kind == "websocket.close":
            self._close_with(message)
            return
        self._check_connected()
        if kind == "websocket.accept":
            self._accept_with(message)
        elif kind == "websocket.http.response.start":
            self._denial = Denial(message, defaults=self._default_headers)
            self._stage = Stage.DENYING
        else:
            await self._deny(message)

    def _check_connected(self) -> None:
        """Raise Disconnected if nothing that is sent could arrive."""
        if self.writer.closed is not None:
            error = self.writer.closed_error()
            raise Disconnected(str(error)) from error
        if self._stage is Stage.ACCEPTED:  # it may not send any more
            raise Disconnected("the connection is closing")

    def _accept_with(self, message: Message) -> None:
        assert self._acceptance is not None
        acceptance = accept_with(
            self._acceptance, message, offered=self._offered, defaults=self._default_headers
        )
        self._acceptance = None
        self._stage = Stage.ACCEPTED
        log_outcome(self._scope, "[accepted]")
        self.core.accept(acceptance, limit=0)
        self.writer.flush()
        start_heartbeat(self.driver)
        self._observed.begin()
        self.driver.parse()  # frames that came right after the request

    def _close_with(self, message: Message) -> None:
        """Send Close, or 403 before the 101; do nothing on a connection that has ended."""
        if self._stage is Stage.ASKED:  # its reason is not sent, and FastAPI's is not even a str
            self._refuse(DENIED)
        else:
            self.driver.start_close(*close_of(message))
        self._stage = Stage.DONE

    # --- refusals ---

    async def _deny(self, message: Message) -> None:
        """Send the next piece of the application's own answer."""
        assert self._denial is not None
        body, more = body_of(message), message.get("more_body", False)
        if self._denial.begun:
            self.writer.write(self._denial.go_on(body, more=more))
        else:
            self.core.reject(response := self._denial.begin(body, more=more))
            self.writer.flush()
            log_outcome(self._scope, str(response.status))
        if not more:
            self._stage = Stage.DONE
            self.driver.finish(ConnectionClosed(None, None, None))
        elif self.writer.must_wait:
            await self._drain()

    def _refuse(self, error: HandshakeError) -> None:
        """Answer a request with the error's status, and close."""
        if self.core.state is State.CONNECTING:
            self.core.reject(with_headers(answer_to(error), self._default_headers))
            self._refused(error)

    def _refused(self, error: HandshakeError) -> None:
        if error.status and self._scope:  # no status: the client left before an answer
            log_outcome(self._scope, str(error.status))
        self._server.refused[error.reason] += 1
        self.driver.finish(ConnectionClosed(None, None, None))
