"""HTTP in front of the engine: uvicorn's own, with a time limit on every wait for a client.

Run it with `uvicorn --http refimpl.middleware.engine.http:HTTP`, beside `--ws` for the engine.

**Every wait for a client has a deadline.** uvicorn waits for ever for the rest of a head or a body,
and for a client that does not read its answer. A byte now and then keeps a socket open, and some
hundred sockets block a server ("slowloris", CVE-2007-6750). Here no byte extends a deadline.

**Nothing after a request is lost.** uvicorn hands the head of a WebSocket request to the engine and
drops the bytes that came after it in the same segment; here the engine gets them too. A client that
sends before it has seen the 101 breaks RFC 6455 section 4.1, but some do.

It parses with h11, which uvicorn depends on. Left out: the TLS handshake, which asyncio limits to
60 s itself.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["HTTP"]

LAST_ANSWER_TIMEOUT = 1.0  # seconds to send a last short answer before TCP is reset


class Timer:
    """One call in the future, or none."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def start(self, delay: float, callback: Callable[[], None]) -> None:
        """Call callback after delay seconds, in place of any call before."""
        self.stop()
        self._handle = self._loop.call_later(delay, callback)

    def stop(self) -> None:
        """Call nothing."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class HTTP(H11Protocol):
    """uvicorn's HTTP/1.1 with deadlines.

    uvicorn has no options for them; a subclass may change them.
    """

    head_timeout = 10.0
    """Seconds for a whole head: from accept, or from the first byte of a later one."""
    body_timeout = 60.0
    """Seconds for the whole body of a request, while the application reads it."""
    write_timeout = 30.0
    """Seconds in which a client has to read some of the answer that waits for it."""

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._owing = Timer(self.loop)
        self._unread = Timer(self.loop)
        self._awaited: object = None  # what the client has to send, and for which request

    # --- the transport's callbacks ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, and wait for its first head."""
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop_timers()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Pause the application, and start the client's time to read."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Let the application go on: the client has read."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._unread.stop()

    # --- what uvicorn calls ---

    def handle_events(self) -> None:
        """Handle what has come, then set the deadline of what must come next."""
        super().handle_events()
        self._set_deadline()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to the engine, with all bytes that came after the request."""
        rest, _ = self.conn.trailing_data
        super().handle_websocket_upgrade(event)
        self._stop_timers()
        if rest:
            engine: Any = self.transport.get_protocol()
            engine.data_received(rest)

    def on_response_complete(self) -> None:
        """Go on; after the last answer, give the client its time to read it."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()

    def timeout_keep_alive_handler(self) -> None:
        """Close an unused connection, even if its last answer was never read."""
        super().timeout_keep_alive_handler()
        self._await_reader()

    # --- clients that do not read ---

    def _await_reader(self, before: float = inf) -> None:
        """Reset the connection unless fewer than `before` bytes wait after write_timeout."""

        def look() -> None:
            waiting = self.transport.get_write_buffer_size()
            if waiting < before:
                self._await_reader(waiting)
            else:
                self.transport.abort()

        self._unread.start(self.write_timeout, look)

    # --- clients that do not send ---

    def _set_deadline(self) -> None:
        """Set the deadline of what the client has to send, unless it runs already."""
        if self.transport.is_closing():
            return
        timeout, awaited = self._owed(), (self.conn.their_state, self.cycle)
        if timeout is None:
            self._owing.stop()
            self._awaited = None
        elif awaited != self._awaited:
            self._owing.start(timeout, self._be_late)
            self._awaited = awaited

    def _owed(self) -> float | None:
        """Return how long the client may take to send what it has to, None if that is nothing."""
        if self not in self.connections:  # the engine has it
            return None
        if self.conn.their_state is h11.SEND_BODY:
            return self.body_timeout
        # Between two requests uvicorn's own timer runs, until the next begins.
        awaits_head = self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None
        return self.head_timeout if awaits_head else None

    def _be_late(self) -> None:
        """Give up on a client that missed its deadline."""
        if self.flow.read_paused:  # we do not read: the application is slow
            self._owing.start(self.body_timeout, self._be_late)
            return
        has_begun = self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]
        if has_begun and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._answer_408()
        if self.cycle is not None:
            self.cycle.disconnected = True  # what the application sends now goes nowhere
            self.cycle.message_event.set()
        self.transport.close()
        self._unread.start(LAST_ANSWER_TIMEOUT, self.transport.abort)

    def _answer_408(self) -> None:
        """Say that the request took too long (RFC 9110 section 15.5.9)."""
        body = b"got no whole request in time\n"
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        head = h11.Response(status_code=408, reason=b"Request Timeout", headers=headers)
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")

    def _stop_timers(self) -> None:
        self._owing.stop()
        self._unread.stop()
        if self.timeout_keep_alive_task is not None:  # some versions do not stop it
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
