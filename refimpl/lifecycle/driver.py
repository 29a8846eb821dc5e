"""The driver of a connection: bytes from an asyncio transport, through the core, to the inbox.

What a handshake event means is the owner's to say: a `WebSocket`, or the engine that uvicorn runs.
Three rules live here.

**Limits hold for each message.** The inbox takes at most max_queue messages, and about max_size
bytes of them. What has no room stays unparsed in the core, and reading pauses when more comes.
**Turns are fair.** One connection parses at most TURN events in one turn of the event loop, so one
peer cannot stop the others. **Nothing received is lost.** What came before the end of the stream is
delivered before that end.
"""

import asyncio
import threading
import typing
from collections import deque
from collections.abc import Callable
from typing import cast

from refimpl.errors import ConcurrencyError, ConnectionClosed
from refimpl.framing import CloseCode
from refimpl.lifecycle.closer import Closer
from refimpl.lifecycle.heartbeat import Heartbeat, Pings, stop_heartbeat
from refimpl.lifecycle.memory_limit import memory_of
from refimpl.lifecycle.settings import Settings
from refimpl.lifecycle.writer import Writer
from refimpl.messages import Closed, Event, Ping, Pong, Protocol, State

__all__ = ["Driver", "Owner"]

READ = 256 * 1024  # bytes taken from the kernel at once; asyncio's own protocols take as many
LARGE = 16 * 1024  # bytes of a read that are worth parsing where they lie
TURN = 128  # events that one connection parses in one turn of the loop

# The inbox of a connection that waits for messages: an empty deque of its own has 760 bytes, and a
# list would make taking the first of many small messages cost in proportion to their number.
NOTHING: deque[str | bytes] = deque(maxlen=0)

OPEN = State.OPEN  # an enum member costs two look-ups, and every read asks


class Scratch(threading.local):
    """The memory that every connection of a thread reads into, one read at a time.

    asyncio makes 256 KiB of new memory for each read and gives most of it back. Whether malloc asks
    the kernel for it each time depends on the heap (`refimpl bench`).
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ))


SCRATCH = Scratch()


class Owner(typing.Protocol):
    """Whom a driver works for."""

    def connected(self) -> None:
        """Take note that the transport is there; called once, first."""

    def handle(self, event: Event) -> None:
        """Deal with an event of the opening handshake."""

    def disconnected(self) -> None:
        """Take note that the transport is gone; called once."""


class Driver(asyncio.BufferedProtocol):
    """Feeds a protocol core from a transport.

    inbox: messages that wait to be taken, oldest first. unparsed: whether a limit left frames in
    the core. reader: the future of the one task that waits. heard: reads that brought something.
    """

    __slots__ = (
        "__weakref__", "_discarding", "_ended", "_loop", "_most", "_owner", "_parse_scheduled",
        "_turn", "closer", "core", "grew", "heard", "heartbeat", "inbox", "pings", "reader",
        "reader_task", "reading_paused", "settings", "unparsed", "writer",
    )  # fmt: skip

    def __init__(self, core: Protocol, settings: Settings, owner: Owner) -> None:
        self.core = core
        self.settings = settings
        self.writer = Writer(core, settings)
        self.closer = Closer(self.writer)
        self.pings = Pings()
        self.heartbeat: Heartbeat | None = None
        self.grew: Callable[[int], None] | None = None  # told what is held of what came
        self._owner: Owner | None = owner
        self._loop = asyncio.get_running_loop()
        self.inbox = NOTHING
        self.reader: asyncio.Future[None] | None = None
        self.reader_task: asyncio.Task[object] | None = None
        self.reading_paused = False
        self.heard = 0
        self.unparsed = False
        self._most = settings.high_water
        self._turn = TURN  # events that may still be parsed in this turn of the loop
        self._parse_scheduled = False
        self._ended = False  # the stream has ended; what it brought may still be unparsed
        self._discarding = False  # messages go nowhere any more

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; called once, first."""
        self.writer.transport = cast(asyncio.Transport, transport)
        self.writer.transport.set_write_buffer_limits(self.settings.write_limit)
        if self._owner is not None:
            self._owner.connected()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to; `buffer_updated` follows."""
        return SCRATCH.view

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read: a copy of it, or the memory itself where that pays."""
        data = SCRATCH.view[:nbytes]
        self.data_received(data if nbytes >= LARGE else bytes(data))

    def data_received(self, data: bytes | memoryview) -> None:
        """Parse what came, or keep it unparsed behind what waits; of a memoryview keep nothing."""
        self.heard += 1
        self._turn = TURN
        self.writer.in_a_row = 0
        if not self.unparsed and (not self.inbox or not self._is_full()):
            self.parse(data)
            if self.grew is not None:
                self.grew(self.core.pending + memory_of(self.inbox))
            return
        self.core.receive_data(data, limit=0)
        self.unparsed = True
        if self.grew is not None:
            self.grew(len(data))
        if self.core.state is OPEN:
            self.pause_reading()  # only now: who keeps up has emptied the inbox by then
        else:
            self.discard_messages()

    def eof_received(self) -> bool:
        """Take note that the peer sends no more; return whether to keep the transport open.

        It stays open for what is unparsed, maybe a Close to answer; TLS cannot stay half open.
        """
        self._ended = True
        self.closer.start_deadline()
        if self.unparsed:
            return self.writer.transport.can_write_eof()
        self._deliver_end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake everyone who waits: nothing can be sent any more; called once, last."""
        self._ended = True
        self.closer.lost(exc)
        if self._owner is not None:
            self._owner.disconnected()
        if not self.unparsed and self.core.state is not State.CLOSED:
            self._deliver_end()
        self.wake_reader()
        if self.writer.closed is not None:
            self._owner = None  # a circle would wait for the garbage collector

    def pause_writing(self) -> None:
        """Make senders wait."""
        self.writer.pause()

    def resume_writing(self) -> None:
        """Let senders go on."""
        self.writer.resume()

    # --- parsing ---

    def parse(self, data: bytes | memoryview = b"") -> None:
        """Parse as much as has room in the inbox and in this turn of the loop."""
        limit = self._room()
        while limit:
            events = self.core.receive_data(data, limit=limit)
            data = b""
            self._turn -= len(events)
            self.unparsed = len(events) == limit
            if events:
                self._deal_out(events)
            if not self.unparsed:
                if self._ended:
                    self._deliver_end()
                return
            limit = self._room() if len(self.inbox) < self._most else 0
        if data:
            self.core.receive_data(data, limit=0)
            self.unparsed = True
        if self._turn <= 0 and not self._is_full():
            self._parse_later()

    def _room(self) -> int:
        """Return how many events may be parsed now; 0 where the inbox or this turn is full."""
        turn = self._turn
        if turn <= 0 or (self.inbox and self._is_full()):
            return 0
        if self.core.agreement.extension is not None:
            return 1  # it may inflate to max_size
        free = self._most - len(self.inbox)
        return turn if turn < free or self._discarding else int(free)

    def _is_full(self) -> bool:
        """Return whether no more should be parsed: too many messages wait, or too large ones."""
        inbox = self.inbox
        if self._discarding:
            return False
        return len(inbox) >= self._most or memory_of(inbox) >= self.settings.high_bytes

    def _parse_later(self) -> None:
        """Go on in the loop's next turn with what this one leaves unparsed."""
        if self.unparsed and not self._parse_scheduled:
            self._parse_scheduled = True
            self._loop.call_soon(self._parse_on)

    def _parse_on(self) -> None:
        self._parse_scheduled = False
        self._turn = TURN
        self.catch_up()

    def _deal_out(self, events: list[Event]) -> None:
        """Put messages into the inbox, deal with the rest, and send the core's answers."""
        inbox = self.inbox
        answered = False
        for event in events:
            if type(event) is str or type(event) is bytes:
                if inbox is NOTHING:
                    inbox = self.inbox = deque()
                inbox.append(event)
            else:
                answered = True
                self._handle(event)
        if inbox:
            self.wake_reader()
            if self.core.agreement.extension is not None:
                self._turn -= len(inbox[-1]) >> 13  # inflating 1 MiB costs as much as 128 messages
        # A peer that does not read gets one pong, the latest; answers go before a Close.
        if answered and not (self.writer.is_paused or (inbox and self.core.can_answer)):
            self.writer.flush()

    def _handle(self, event: Event) -> None:
        if type(event) is Pong:
            self.pings.answer(event.payload, self._loop.time())
        elif type(event) is Ping:
            if self.pings.is_flood(unread=self.writer.is_paused):
                self.start_close(CloseCode.POLICY_VIOLATION, "got pings without end, read no pong")
        elif type(event) is Closed:
            self._close_behind_answers(event.error)
        elif self._owner is not None:
            self._owner.handle(event)

    # --- taking messages ---

    def take(self) -> str | bytes:
        """Return the oldest message of an inbox that has one, and go on where that was the last."""
        message = self.inbox.popleft()
        if not self.inbox and (self.unparsed or self.reading_paused):
            self.catch_up()
        return message

    def catch_up(self) -> None:
        """Go on where the inbox is empty again: parse what waited for room, or read on."""
        if self._turn > 0:
            self.parse()
        else:
            self._parse_later()
        if not self.unparsed:
            self.resume_reading()

    def expect_message(self) -> asyncio.Future[None]:
        """Return a future for the next message, or for the end, and note who awaits it."""
        self.inbox = NOTHING
        self.reader = self._loop.create_future()
        self.reader_task = asyncio.current_task()
        return self.reader

    def two_readers(self) -> ConcurrencyError:
        """Return the error for a second task that wants to receive."""
        one, two = (t.get_name() if t else "" for t in (self.reader_task, asyncio.current_task()))
        return ConcurrencyError(f"got recv() in task {two!r}, but task {one!r} waits in it")

    def wake_reader(self) -> None:
        """Let the task that waits for a message look again."""
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

    # --- pausing ---

    def pause_reading(self) -> None:
        """Take nothing more from the kernel, whose buffer then fills and slows the peer."""
        if not (self.reading_paused or self.writer.lost):
            self.reading_paused = True
            self.writer.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take the peer's bytes again."""
        if self.reading_paused:
            self.reading_paused = False
            if not self.writer.lost:
                self.writer.transport.resume_reading()

    # --- the end ---

    def start_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send Close without waiting and read on for the peer's; raises what `Closer.start` does.

        The deadline of closing replaces the heartbeat.
        """
        if self.closer.start(code, reason):
            stop_heartbeat(self)
            self.resume_reading()
            self.wake_reader()  # an engine's application is told of our Close too

    def discard_messages(self) -> None:
        """Skip every message that is not in the inbox yet, and hear only control frames.

        Called when nobody will take them, and we read on for the peer's Close (RFC 6455 7.1.1).
        """
        self._discarding = True
        self.core.skip_messages()
        self.parse()
        self.resume_reading()

    def _close_behind_answers(self, error: ConnectionClosed) -> None:
        """End the WebSocket; a program that waits in `recv` has the loop's next turn to answer."""
        if self.inbox and self.core.can_answer:
            self.wake_reader()
            self._loop.call_soon(self.finish, error)
        else:
            self.finish(error)

    def finish(self, error: ConnectionClosed) -> None:
        """End the WebSocket for everyone who waits on it, and let TCP go."""
        self.closer.finish(error)
        self.pings.fail(self.writer.closed_error)
        stop_heartbeat(self)
        self.wake_reader()
        self.resume_reading()
        if self.writer.lost:
            self._owner = None

    def _deliver_end(self) -> None:
        """Tell the core that the stream has ended, now that all it brought is parsed."""
        self._deal_out(self.core.receive_eof())
        self.writer.flush()
        if not self.writer.lost:
            self.writer.transport.close()
