"""The engine: our WebSockets under any ASGI application, as uvicorn's `ws` protocol class.

Run it with `uvicorn --ws refimpl.middleware.engine:Engine app:app`. It is `ServerConnection` in
another suit: the same core, wire, closing and heartbeat, with an application where the handler was.
What an application may say is a table in `engine_stages`; what a peer may send is the core's.

uvicorn reads the head of the request and writes it out again for us. What came in the same segment
behind it is lost, unless `engine_http` reads in front; a client has to wait for the 101 anyway (RFC
6455 section 4.1).
"""

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any

from refimpl.errors import Close, ConnectionClosed, HandshakeError
from refimpl.framing import CloseCode
from refimpl.handshake import Acceptance, Request, Response, check_request, parse_subprotocols
from refimpl.messages import State
from refimpl.middleware.asgi import Message, Scope
from refimpl.middleware.engine_answers import Denial, HeaderLines, accept_with, with_headers
from refimpl.middleware.engine_host import Host, host_of
from refimpl.middleware.engine_log import log_outcome, logger, trace
from refimpl.middleware.engine_scope import describe_request, describe_transport
from refimpl.middleware.engine_stages import (
    Disconnected,
    Stage,
    body_of,
    check_order,
    close_of,
    content_of,
    is_disconnect,
)
from refimpl.middleware.engine_watching import Watched

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["Disconnected", "Engine"]

OPEN = State.OPEN  # an enum member costs two look-ups, and every message asks

FAILED = HandshakeError(
    "the application failed", status=500, reason="application", body=b"Internal Server Error"
)


class Engine(Watched):
    """One connection that uvicorn handed over, from the request to the end of the application."""

    __slots__ = (
        "_acceptance",
        "_app_state",
        "_connect_told",
        "_default_headers",
        "_denial",
        "_host",
        "_offered",
        "_scope",
        "_stage",
    )

    max_fragments = 1024
    """Frames of one message; uvicorn has no option for it, a subclass may say otherwise."""
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
        self._host: Host = host_of(
            config,
            server_state,
            max_fragments=self.max_fragments,
            close_timeout=self.close_timeout,
        )
        super().__init__(self._host)
        self._app_state = app_state
        self._default_headers: HeaderLines = server_state.default_headers
        self._scope: Scope = {}
        self._stage = Stage.ASKED
        self._connect_told = False
        self._acceptance: Acceptance | None = None
        self._offered: list[str] = []
        self._denial: Denial | None = None

    # --- what uvicorn calls beside the transport's callbacks ---

    def shutdown(self) -> None:
        """Tell the client that the service restarts, or refuse it with 503 where it waits still.

        Where it has been told its last already, it is waited for no more.
        """
        self._host.is_closing = True
        if self._closed is not None or self.core.close_sent is not None:
            self.transport.close()
        else:
            self.leave(CloseCode.SERVICE_RESTART)
            self._start_deadline()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; uvicorn calls it with one that has brought the request already."""
        super().connection_made(transport)
        trace(self.transport, "connection made")

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the application wherever it waits, in the middle of a denial too."""
        trace(self.transport, "connection lost")
        super().connection_lost(exc)
        if self._closed is None:
            self._finish(ConnectionClosed(None, None, None))

    # --- the request ---

    def _consider(self, request: Request) -> None:
        """Check the handshake, and ask the application what it thinks of the request."""
        host = self._host
        self._scope = describe_request(request, host.root_path)
        self._scope.update(describe_transport(self.transport))
        if host.is_closing:
            self.leave()
            return
        try:
            self._acceptance = check_request(request, host.policy)
            self._offered = parse_subprotocols(request.headers.get_all("Sec-WebSocket-Protocol"))
        except HandshakeError as error:
            self.refuse(error)
            return
        self._scope.update(
            asgi=dict(host.asgi),
            subprotocols=list(self._offered),
            state=self._app_state.copy(),
            extensions={
                "websocket.http.response": {},
                "refimpl.wire": {"observe": self.observe},
            },
        )
        self.request = None  # the scope has it all; with the 101, 8 % of an idle connection
        host.own(self._run(), Context() if host.reset_context else self.context)

    async def _run(self) -> None:
        """Run the application, and end what it left open: 1011 and 500 say that it failed."""
        code = CloseCode.INTERNAL_ERROR
        try:
            returned: object = await self._host.app(  # type: ignore[func-returns-value]
                self._scope, self._receive, self._send
            )
            if self.core.state is State.CONNECTING:
                logger.error("ASGI callable returned without completing handshake.")
            elif returned is None:
                code = CloseCode.NORMAL_CLOSURE
            else:
                kind = type(returned).__name__
                logger.error("ASGI callable should return None, but returned a %s.", kind)
        except Exception as error:
            if not is_disconnect(error):
                logger.exception("Exception in ASGI application\n")
        finally:
            self._end(code)

    def _end(self, code: CloseCode) -> None:
        """End the connection behind an application that is gone."""
        self._inbox.clear()
        self.refuse(FAILED)
        self.start_close(code)
        if self._stage is Stage.DENYING and self._closed is None:
            self.transport.abort()  # cut off in the middle: a proper end would be a lie
        self._scope = {}  # it holds `observe`, and so us

    # --- from the client to the application ---

    async def _receive(self) -> Message:
        """Return the next ASGI message; after `websocket.disconnect`, the same again."""
        if not self._connect_told:
            self._connect_told = True
            return {"type": "websocket.connect"}
        if not self._inbox:
            await self._arrival()
            if not self._inbox:
                await asyncio.sleep(0)  # whoever asks on for ever must let others run
                return self._disconnect_message()
        message = self._next_message()
        if type(message) is str:
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def _arrival(self) -> None:
        """Wait until a message is there or never will be.

        Raises ConcurrencyError where another task waits already.
        """
        while not self._inbox and self._closed is None and self.core.close_sent is None:
            if self._reader is not None:
                raise self._two_readers()
            self._reader = self._loop.create_future()
            self._reader_task = asyncio.current_task()
            try:
                await self._reader
            finally:
                self._reader = self._reader_task = None

    def _disconnect_message(self) -> Message:
        """Return how it ended: as the Close that came first says, 1006 where none ever did.

        It has a reason where somebody gave one, or could have, as the client does in its Close.
        """
        sent, received = self.core.close_sent, None
        if self._closed is not None and self._closed.order != "sent":
            sent, received = None, self._closed.received
        code, reason = received or sent or Close(CloseCode.ABNORMAL_CLOSURE)
        message: Message = {"type": "websocket.disconnect", "code": int(code)}
        return {**message, "reason": reason} if received or reason else message

    # --- from the application to the client ---

    async def _send(self, message: Message) -> None:
        """Do what an ASGI message says; wait where much waits to be sent already.

        Raises RuntimeError for a message out of order, Disconnected where the client is gone.
        """
        if self._writing_paused and message["type"] == "websocket.send":
            await self._drain_or_leave()  # others send too, and each would add to what waits
        is_open = self.core.state is OPEN or self._may_answer()
        if not is_open or message["type"] != "websocket.send":
            await self._answer_with(message)
            return
        text = message.get("text")
        if type(text) is str:
            self.core.send_text(text)
            self._leave(len(text))
        else:
            self._send_other(message)
        if self._writing_paused:
            await self._drain_or_leave()

    def _send_other(self, message: Message) -> None:
        """Send what is no plain str: bytes, most of the time."""
        content: str | bytes | None = message.get("bytes")
        if type(content) is not bytes or message.get("text") is not None:
            content = content_of(message)
        if isinstance(content, str):
            self.core.send_text(content)
        else:
            self.core.send_binary(content)
        self._leave(len(content))

    def _may_answer(self) -> bool:
        """Whether the connection has failed, but answers may still go before our Close."""
        return self.core.can_answer and self._closed is None and self._stage is Stage.ACCEPTED

    async def _drain_or_leave(self) -> None:
        try:
            await self._drain()
        except ConnectionClosed as error:
            raise Disconnected(str(error)) from error

    async def _answer_with(self, message: Message) -> None:
        """Take a step that is not the usual one: an answer, an end, or a mistake."""
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
        """Raise Disconnected where nothing that is sent could arrive."""
        if self._closed is not None:
            error = self._closed_error()
            raise Disconnected(str(error)) from error
        if self._stage is Stage.ACCEPTED:  # sending is what is not possible any more
            raise Disconnected("the connection is closing")

    def _accept_with(self, message: Message) -> None:
        assert self._acceptance is not None
        acceptance = accept_with(
            self._acceptance, message, offered=self._offered, defaults=self._default_headers
        )
        self._acceptance = None
        self._stage = Stage.ACCEPTED
        log_outcome(self._scope, "[accepted]")
        self._open(acceptance)
        self.response = None  # nobody asks an engine for it

    def _close_with(self, message: Message) -> None:
        """Send Close, or 403 before 101; on a connection that is over nothing is left to do."""
        if self._stage is Stage.ASKED:  # with a reason for nobody, and FastAPI's is not even text
            self.refuse(HandshakeError("the application said no", status=403, reason="application"))
        else:
            self.start_close(*close_of(message))
        self._stage = Stage.DONE

    def start_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send Close, whoever wants it, and let the application know that it is over."""
        super().start_close(code, reason)
        self._wake_reader()

    def declare_dead(self) -> None:
        """Give up on a client that owes a pong, in the words of uvicorn's engines."""
        trace(self.transport, "keepalive ping timeout")
        self.start_close(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
        self._give_up("no pong came within ws_ping_timeout")

    # --- no ---

    async def _deny(self, message: Message) -> None:
        """Send the next piece of the application's own answer."""
        assert self._denial is not None
        body, more = body_of(message), message.get("more_body", False)
        if self._denial.begun:
            self.transport.write(self._denial.go_on(body, more=more))
        else:
            response = self._denial.begin(body, more=more)
            self.response = response
            self.core.reject(response)
            self._stop_opening()
            self._flush()
            log_outcome(self._scope, str(response.status))
        if not more:
            self._stage = Stage.DONE
            self._finish(ConnectionClosed(None, None, None))
        elif self._writing_paused:
            await self._drain_or_leave()

    def _queue(self, response: Response) -> None:
        super()._queue(with_headers(response, self._default_headers))

    def _refused(self, error: HandshakeError) -> None:
        if error.status and self._scope:  # no status: the client left, and there was no answer
            log_outcome(self._scope, str(error.status))
        super()._refused(error)
