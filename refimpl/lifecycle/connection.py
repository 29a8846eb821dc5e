"""One open WebSocket, as a program uses it: receive, send, ping, close.

`serve` gives one to each handler and `connect` returns one. `wire` moves the bytes below, `closing`
ends it; here are the calls, who may make them together, and what each raises at the end.

One task at a time may receive; any number may send, ping and close. Cancelling `recv` loses no
message. RFC 6455 sections 5.4 to 7.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterable, Awaitable, Iterable
from typing import Self

from refimpl.errors import ConcurrencyError, ConnectionClosed
from refimpl.framing import CloseCode
from refimpl.handshake import Request, Response
from refimpl.lifecycle.closer import Closing
from refimpl.lifecycle.fragments import Waiting, send_other
from refimpl.lifecycle.heartbeat import Heartbeat, Pings, Progress, shared_heartbeat
from refimpl.lifecycle.settings import Settings
from refimpl.lifecycle.driver import NOTHING, OPEN
from refimpl.messages import Closed, Event, Ping, Pong, Protocol, Role, State

__all__ = ["WebSocket"]

MAX_UNREAD_PINGS = 128

Data = str | bytes | bytearray | memoryview
Message = Data | Iterable[Data] | AsyncIterable[Data]


class WebSocket(Closing):
    """A WebSocket connection on asyncio; made by `serve`, `connect` and `memory_pipe`."""

    __slots__ = (
        "_heartbeat",
        "_id",
        "_pings",
        "_reader_task",
        "_unread_pings",
        "_waiting",
        "fragmenting",
        "request",
        "response",
    )

    def __init__(self, core: Protocol, settings: Settings) -> None:
        super().__init__(core, settings)
        self.request: Request | None = None
        self.response: Response | None = None
        self.fragmenting: asyncio.Future[None] | None = None  # the fragmented message on its way
        self._waiting: Waiting | None = None  # what was pushed meanwhile
        self._reader_task: asyncio.Task[object] | None = None
        self._pings: Pings | None = None  # made for the first ping
        self._unread_pings = 0  # answered while the peer read none of our answers
        self._heartbeat: Heartbeat | None = None
        self._id: uuid.UUID | None = None

    # --- what is known about it ---

    @property
    def id(self) -> uuid.UUID:
        """A random name for this connection, for logs; made when first asked for."""
        if self._id is None:
            self._id = uuid.uuid4()
        return self._id

    @property
    def state(self) -> State:
        """Where the connection stands: CONNECTING, OPEN, CLOSING or CLOSED."""
        return self.core.state

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol both sides agreed on, or None."""
        return self.core.agreement.subprotocol

    @property
    def latency(self) -> float:
        """Seconds from the last answered ping to its pong; 0.0 before the first."""
        return 0.0 if self._pings is None else self._pings.latency

    @property
    def close_code(self) -> int | None:
        """The code the connection closed with (RFC 6455 section 7.1.5); None while it is open."""
        return None if self._closed is None else self._closed.code

    @property
    def close_reason(self) -> str | None:
        """The reason the peer gave for closing (RFC 6455 section 7.1.6); None while open."""
        return None if self._closed is None else self._closed.reason

    @property
    def buffered_amount(self) -> int:
        """Bytes that were sent and have not left for the network yet."""
        waiting = 0 if self._waiting is None else self._waiting.size
        return self._held + waiting + self.transport.get_write_buffer_size()

    @property
    def local_address(self) -> tuple[str, int] | tuple[str, int, int, int] | str | None:
        """Our end: (host, port) on IPv4, two more numbers on IPv6, a path or name elsewhere."""
        address: tuple[str, int] | None = self.transport.get_extra_info("sockname")
        return address

    @property
    def remote_address(self) -> tuple[str, int] | tuple[str, int, int, int] | str | None:
        """The peer's end, in the same forms; behind a proxy, the proxy's."""
        address: tuple[str, int] | None = self.transport.get_extra_info("peername")
        return address

    # --- receiving ---

    async def recv(self) -> str | bytes:
        """Return the next message: text as str, binary as bytes.

        Messages that came before the connection ended are still returned. Raises ConnectionClosed
        after the last, ConcurrencyError where another task is receiving already. Cancelling it is
        safe.
        """
        if self._reader is not None:
            raise self._two_readers()
        while not self._inbox:
            if self._closed is not None:
                raise self._closed_error()
            reader = self._expect_message()
            try:
                await reader
            finally:
                self._reader = self._reader_task = None
        return self._next_message()  # behind the last await: cancelled, it has taken nothing

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        """Return the next message; the loop ends quietly when the connection closed cleanly.

        It does not call `recv`: a second coroutine is 224 bytes for every connection that waits.
        """
        if self._reader is not None:
            raise self._two_readers()
        while not self._inbox:
            if self._closed is not None:
                if self._closed.clean:
                    raise StopAsyncIteration
                raise self._closed_error()
            reader = self._expect_message()
            try:
                await reader
            finally:
                self._reader = self._reader_task = None
        if self._reading_paused:
            return self._next_message()
        return self._inbox.popleft()

    def _expect_message(self) -> asyncio.Future[None]:
        """Return a future for the next message, or for the end, and note who awaits it."""
        self._inbox = NOTHING
        self._reader = self._loop.create_future()
        self._reader_task = asyncio.current_task()
        return self._reader

    def _two_readers(self) -> ConcurrencyError:
        first, second = self._reader_task, asyncio.current_task()
        names = [repr(task.get_name()) if task else "a callback" for task in (first, second)]
        return ConcurrencyError(
            f"got recv() in task {names[1]} while task {names[0]} waits in recv()"
        )

    def _handle(self, event: Event) -> None:
        if type(event) is Pong:
            if self._pings is not None:
                self._pings.answer(event.payload, self._loop.time())
        elif type(event) is Ping:
            self._count_ping()
        elif type(event) is Closed:
            self._close_behind_answers(event.error)

    def _count_ping(self) -> None:
        """Close on a flood of pings from a peer that reads no pong: only the latest waits."""
        self._unread_pings = self._unread_pings + 1 if self._writing_paused else 0
        if self._unread_pings > MAX_UNREAD_PINGS:
            self.start_close(
                CloseCode.POLICY_VIOLATION, "got pings without end, and no pong was read"
            )

    # --- sending ---

    async def send(self, message: Message) -> None:
        """Send a message, str as text and bytes-like as binary; wait where much waits already.

        An iterable of either, sync or async, is sent as it comes, a fragment an item (RFC 6455
        section 5.4); other messages wait for its end. Raises ConnectionClosed, TypeError for
        anything else.
        """
        while self.fragmenting is not None:
            await asyncio.shield(self.fragmenting)
        if self.core.state is not OPEN and not self.core.can_answer:
            raise await self.why_closed()
        if type(message) is str:
            self.core.send_text(message)
        elif type(message) is bytes:
            self.core.send_binary(message)
        else:
            await send_other(self, message)
            return
        self._leave(len(message))
        if self._writing_paused:
            await self._drain()

    async def sent(self, size: int) -> None:
        """Let what is queued leave, and wait where much waits already."""
        self._leave(size)
        if self._writing_paused:
            await self._drain()

    def push(self, message: str | bytes, frame: bytes, *, limit: int) -> None:
        """Send a message that is serialised already, without waiting; `broadcast` calls it.

        frame: message as an unmasked, uncompressed frame, for a connection that can use it.
        """
        if self.core.state is not OPEN:
            return
        fragmenting = self.fragmenting is not None
        if (fragmenting or self._writing_paused) and self.buffered_amount > limit:
            self.start_close(CloseCode.TRY_AGAIN_LATER, "too slow a reader")
        elif fragmenting:
            self._waiting = self._waiting or Waiting()
            self._waiting.add(message, frame)
        elif self.core.role is Role.SERVER and self.core.agreement.extension is None:
            self._flush()
            self._written += len(frame)
            self.transport.write(frame)
        else:
            self.core.send_text(message) if isinstance(message, str) else self.core.send_binary(
                message
            )
            self._flush()

    def push_waiting(self) -> None:
        """Send what was pushed while a fragmented message was on its way (RFC 6455 section 5.4)."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            for message, frame in waiting.pushed:  # held to their limit when they came
                self.push(message, frame, limit=sys.maxsize)

    async def why_closed(self) -> ConnectionClosed:
        """Return the error for a call on a connection no longer open, once its end is known."""
        if self._closed is None:
            await self.wait_closed()
        return self._closed_error()

    async def ping(self, data: str | bytes | None = None) -> Awaitable[float]:
        """Send a ping and return an awaitable of its latency in seconds; it need not be awaited.

        data: at most 125 bytes, 4 random ones by default. Raises ConnectionClosed, and
        ConcurrencyError where a ping with the same data waits for its pong.
        """
        if self.core.state is not OPEN:
            raise await self.why_closed()
        waiter: asyncio.Future[float] = self._loop.create_future()
        payload = data.encode() if isinstance(data, str) else data
        self._send_ping(payload, waiter)
        if self._writing_paused:
            await self._drain()
        return waiter

    def _send_ping(self, payload: bytes | None, waiter: asyncio.Future[float] | None) -> bytes:
        pings = self._pings = self._pings or Pings()
        payload = pings.choose(payload)
        self.core.send_ping(payload)  # raises for one too long, which is then not waited for
        pings.add(payload, self._loop.time(), waiter)
        self._flush()
        return payload

    async def pong(self, data: str | bytes = b"") -> None:
        """Send a pong nobody asked for: a heartbeat in one direction (RFC 6455 section 5.5.3)."""
        if self.core.state is not OPEN:
            raise await self.why_closed()
        self.core.send_pong(data.encode() if isinstance(data, str) else data)
        await self.sent(len(data))

    # --- the heartbeat's view ---

    def start_heartbeat(self) -> None:
        """Begin to send pings as the settings say; whoever opened the connection calls it."""
        interval, timeout = self.settings.ping_interval, self.settings.ping_timeout
        if interval is not None and self.core.state is OPEN:
            self._heartbeat = shared_heartbeat(interval, timeout)
            self._heartbeat.start(self)

    def beat(self) -> bytes:
        """Send a ping and return its payload."""
        return self._send_ping(None, None)

    def answered(self, payload: bytes) -> bool:
        """Return whether the pong to a ping of this payload has come."""
        return self._pings is None or not self._pings.pending(payload)

    def progress(self) -> Progress:
        """Return the marks by which the heartbeat judges whether the peer lives."""
        waiting = self.transport.get_write_buffer_size()
        return Progress(self._heard, self._written - waiting, waiting > 0, not self._reading_paused)

    def declare_dead(self) -> None:
        """Give up on a peer that owes a pong: say so with 1011, in case it hears, and hang up."""
        self.start_close(CloseCode.INTERNAL_ERROR, "no pong came in time")
        self._give_up("no pong came within ping_timeout")

    # --- closing ---

    def start_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send Close without waiting; from here the deadline of closing replaces the heartbeat."""
        super().start_close(code, reason)
        self._stop_heartbeat()

    def _finish(self, error: ConnectionClosed) -> None:
        super()._finish(error)
        if self._pings is not None:
            self._pings.fail(self._closed_error)
        self._stop_heartbeat()

    def _stop_heartbeat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop(self)
            self._heartbeat = None

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send Close and wait until the connection is over, at most close_timeout seconds.

        Messages already on their way stay receivable. On a closed connection it does nothing.
        Raises LocalProtocolError for a code that may not be sent or a reason of more than 123
        bytes.
        """
        self.start_close(code, reason)
        await self.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        await self.close(CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR)
