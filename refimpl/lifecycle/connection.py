"""One open WebSocket, as a program uses it: receive, send, ping, close (RFC 6455 5.4 to 7).

`serve` gives one to each handler and `connect` returns one. Below it a `Driver` moves the bytes and
keeps the limits, its `Closer` ends the connection; here are the calls, who may make them together,
and what each raises at the end.

One task at a time may receive; any number may send, ping and close. Cancelling `recv` loses no
message.
"""

import asyncio
import logging
import sys
import uuid
from collections.abc import AsyncIterable, Awaitable, Iterable
from typing import Self

from refimpl.errors import CLEAN, ConnectionClosed, LocalProtocolError
from refimpl.framing import FIN, CloseCode, Opcode, serialize_header
from refimpl.handshake import Request, Response
from refimpl.lifecycle.driver import OPEN, Driver
from refimpl.lifecycle.fragments import Waiting, send_other
from refimpl.lifecycle.heartbeat import send_ping
from refimpl.lifecycle.settings import Settings
from refimpl.messages import Event, Protocol, Role, State
from refimpl.messages.utf8 import encode_text

__all__ = ["WebSocket", "broadcast"]

BROADCAST_LIMIT = 2**20  # bytes that may wait for one member

Data = str | bytes | bytearray | memoryview
Message = Data | Iterable[Data] | AsyncIterable[Data]

logger = logging.getLogger("refimpl")


class WebSocket:
    """A WebSocket connection on asyncio; made by `serve`, `connect` and `memory_pipe`."""

    __slots__ = (
        "__dict__", "__weakref__", "_id", "_waiting", "core", "driver", "fragmenting", "request",
        "response", "settings", "writer",
    )  # fmt: skip

    def __init__(self, core: Protocol, settings: Settings) -> None:
        self.core = core
        self.settings = settings
        self.driver = Driver(core, settings, self)
        self.writer = self.driver.writer
        self.request: Request | None = None
        self.response: Response | None = None
        self.fragmenting: asyncio.Future[None] | None = None  # the fragmented message on its way
        self._waiting: Waiting | None = None  # what was pushed meanwhile
        self._id: uuid.UUID | None = None

    # --- what its driver tells it ---

    def connected(self) -> None:
        """Take note that TCP stands."""

    def handle(self, event: Event) -> None:
        """Deal with an event of the opening handshake; each side has its own."""
        raise NotImplementedError

    def disconnected(self) -> None:
        """Take note that TCP is gone."""

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
        return State.CLOSED if self.writer.lost else self.core.state

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol both sides agreed on, or None."""
        return self.core.agreement.subprotocol

    @property
    def latency(self) -> float:
        """Seconds from the last answered ping to its pong; 0.0 before the first."""
        return self.driver.pings.latency

    @property
    def close_code(self) -> int | None:
        """The code the connection closed with (RFC 6455 section 7.1.5); None while it is open."""
        closed = self.writer.closed
        return None if closed is None else closed.code

    @property
    def close_reason(self) -> str | None:
        """The reason the peer gave for closing (RFC 6455 section 7.1.6); None while open."""
        closed = self.writer.closed
        return None if closed is None else closed.reason

    @property
    def transport(self) -> asyncio.Transport:
        """The asyncio transport below."""
        return self.writer.transport

    @property
    def buffered_amount(self) -> int:
        """Bytes that were sent and have not left for the network yet."""
        waiting = 0 if self._waiting is None else self._waiting.size
        return waiting + self.writer.waiting

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
        driver = self.driver
        if driver.reader is not None:
            raise driver.two_readers()
        while not driver.inbox:
            if self.writer.closed is not None:
                raise self.writer.closed_error()
            try:
                await driver.expect_message()
            finally:
                driver.reader = driver.reader_task = None
        return driver.take()  # behind the last await: cancelled, it has taken nothing

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        """Return the next message; the loop ends quietly when the connection closed cleanly.

        It does not call `recv`: a second coroutine is 224 bytes for every connection that waits.
        """
        driver = self.driver
        if driver.reader is not None:
            raise driver.two_readers()
        while not driver.inbox:
            if self.writer.closed is not None:
                if self.writer.closed.clean:
                    raise StopAsyncIteration
                raise self.writer.closed_error()
            try:
                await driver.expect_message()
            finally:
                driver.reader = driver.reader_task = None
        message = driver.inbox.popleft()
        if not driver.inbox and (driver.unparsed or driver.reading_paused):
            driver.catch_up()
        return message

    # --- sending ---

    async def send(self, message: Message) -> None:
        """Send a message, str as text and bytes-like as binary; wait where much waits already.

        An iterable of either, sync or async, is sent as it comes, a fragment an item (RFC 6455
        section 5.4); other messages wait for its end. Raises ConnectionClosed, LocalProtocolError
        for text that has no UTF-8, TypeError for anything else.
        """
        while self.fragmenting is not None:
            await asyncio.shield(self.fragmenting)
        try:
            if type(message) is str:
                self.core.send_text(message)
            elif type(message) is bytes:
                self.core.send_binary(message)
            else:
                await send_other(self, message)
                return
        except LocalProtocolError:
            if self.core.state is OPEN or self.core.can_answer:
                raise  # the message is what is wrong
            raise await self.why_closed() from None
        writer = self.writer
        writer.leave(len(message), self.driver.inbox)
        if writer.must_wait:
            await writer.drain()

    async def sent(self, size: int) -> None:
        """Let what is queued leave, and wait where much waits already."""
        writer = self.writer
        writer.leave(size, self.driver.inbox)
        if writer.must_wait:
            await writer.drain()

    def push(self, message: str | bytes, frame: bytes, *, limit: int) -> None:
        """Send a message that is serialised already, without waiting; `broadcast` calls it.

        frame: message as an unmasked, uncompressed frame, for a connection that can use it.
        """
        core, writer = self.core, self.writer
        if core.state is not OPEN:
            return
        fragmenting = self.fragmenting is not None
        if (fragmenting or writer.is_paused) and self.buffered_amount > limit:
            self.start_close(CloseCode.TRY_AGAIN_LATER, "too slow a reader")
        elif fragmenting:
            self._waiting = self._waiting or Waiting()
            self._waiting.add(message, frame)
        elif core.role is Role.SERVER and core.agreement.extension is None:
            if writer.held:
                writer.flush()
            writer.write(frame)
        else:
            core.send_text(message) if isinstance(message, str) else core.send_binary(message)
            writer.flush()

    def push_waiting(self) -> None:
        """Send what was pushed while a fragmented message was on its way (RFC 6455 section 5.4)."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            for message, frame in waiting.pushed:  # held to their limit when they came
                self.push(message, frame, limit=sys.maxsize)

    async def why_closed(self) -> ConnectionClosed:
        """Return the error for a call on a connection no longer open, once its end is known."""
        if self.writer.closed is None:
            await self.wait_closed()
        return self.writer.closed_error()

    async def ping(self, data: str | bytes | None = None) -> Awaitable[float]:
        """Send a ping and return an awaitable of its latency in seconds; it need not be awaited.

        data: at most 125 bytes, 4 random ones by default. Raises ConnectionClosed, and
        ConcurrencyError where a ping with the same data waits for its pong.
        """
        if self.core.state is not OPEN:
            raise await self.why_closed()
        waiter: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        send_ping(self.driver, encode_text(data) if isinstance(data, str) else data, waiter)
        if self.writer.must_wait:
            await self.writer.drain()
        return waiter

    async def pong(self, data: str | bytes = b"") -> None:
        """Send a pong nobody asked for: a heartbeat in one direction (RFC 6455 section 5.5.3)."""
        if self.core.state is not OPEN:
            raise await self.why_closed()
        self.core.send_pong(encode_text(data) if isinstance(data, str) else data)
        await self.sent(len(data))

    # --- closing ---

    def start_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send Close without waiting; the deadline of closing runs from here.

        In the middle of a fragmented message 1011 replaces a clean code, which would tell the peer
        that what it got is whole. Raises LocalProtocolError for a code that may not be sent or a
        reason of more than 123 bytes.
        """
        if self.fragmenting is not None and code in CLEAN:
            code, reason = CloseCode.INTERNAL_ERROR, "a fragmented message was abandoned"
        self.driver.start_close(code, reason)

    async def wait_closed(self) -> None:
        """Wait until the connection is over and its transport closed."""
        await self.driver.closer.wait()

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send Close and wait until the connection is over, at most close_timeout seconds.

        Messages already on their way stay receivable, as many as the inbox holds. On a closed
        connection it does nothing. Raises LocalProtocolError for a code that may not be sent or a
        reason of more than 123 bytes.
        """
        self.start_close(code, reason)
        await self.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        await self.close(CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR)


def broadcast(
    connections: Iterable[WebSocket], message: str | bytes, *, limit: int = BROADCAST_LIMIT
) -> None:
    """Send message to every open connection: serialised once, waiting for none.

    A connection for which more than limit bytes wait already is too slow: it is closed with 1013,
    because the alternative is a buffer without end. One in the middle of a fragmented message gets
    the message behind it. One whose transport fails is cut off, and the rest get the message.
    Raises LocalProtocolError for text that has no UTF-8, before anything is sent.

    >>> broadcast([], "nobody hears this")
    """
    text = isinstance(message, str)
    payload = encode_text(message) if isinstance(message, str) else message
    first = FIN | (Opcode.TEXT if text else Opcode.BINARY)
    frame = serialize_header(first, len(payload), masked=False) + payload
    for connection in list(connections):
        try:
            connection.push(message, frame, limit=limit)
        except Exception:
            logger.exception("a connection failed in a broadcast and is cut off")
            connection.transport.abort()
