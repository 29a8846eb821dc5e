"""Pings on their way, and the heartbeat that tells a dead peer from a quiet one (RFC 6455 5.5.2).

A peer is dead when it has owed a pong for `ping_timeout` seconds and nothing else shows life: no
byte came from it, and it took nothing of what waits for it. So a slow link under a big transfer is
never declared dead. Where we have stopped reading, a pong may lie in front of us unread; then a new
ping goes out, so that a peer whose TCP is gone answers with a reset. All connections share one
timer: a task for each would cost more memory than everything else here.
"""

import asyncio
import os
import typing
from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple
from weakref import WeakValueDictionary

from refimpl.errors import ConcurrencyError
from refimpl.framing import CloseCode
from refimpl.lifecycle.closer import Closer
from refimpl.lifecycle.settings import Settings
from refimpl.lifecycle.writer import Writer
from refimpl.messages import Protocol, State

__all__ = [
    "TIMED_OUT",
    "Heartbeat",
    "Line",
    "Pings",
    "Progress",
    "send_ping",
    "shared_heartbeat",
    "shows_life",
    "start_heartbeat",
    "stop_heartbeat",
]

TIMED_OUT = "keepalive ping timeout"
MAX_UNREAD = 128  # pings that we answer while the peer reads no answer


class Pings:
    """The pings that wait for their pong, oldest first, and the latency last seen."""

    __slots__ = ("_sent", "_unread", "latency")

    def __init__(self) -> None:
        self._sent: dict[bytes, tuple[float, asyncio.Future[float] | None]] | None = None
        self._unread = 0
        self.latency = 0.0

    def choose(self, payload: bytes | None) -> bytes:
        """Return the payload to send: the caller's, or 4 random bytes.

        Raises ConcurrencyError where a ping of the same payload is still on its way.
        """
        if payload is None:
            return os.urandom(4)  # unguessable: a peer cannot answer a ping it has not read
        if self.pending(payload):
            raise ConcurrencyError("got a ping payload that waits for its pong, expected another")
        return payload

    def add(self, payload: bytes, now: float, waiter: asyncio.Future[float] | None) -> None:
        """Note a ping sent now, and who waits for its pong."""
        self._sent = self._sent or {}
        self._sent[payload] = now, waiter

    def pending(self, payload: bytes) -> bool:
        """Return whether the ping of this payload still waits for its pong."""
        return self._sent is not None and payload in self._sent

    def answer(self, payload: bytes, now: float) -> None:
        """Settle the ping that a pong answers and every older one; ignore a pong nobody asked for.

        A peer may answer only the latest of several pings (RFC 6455 5.5.3), hence the older ones.
        """
        if self._sent is None or payload not in self._sent:
            return
        for sent in list(self._sent):
            sent_at, waiter = self._sent.pop(sent)
            if waiter is not None and not waiter.done():
                waiter.set_result(now - sent_at)
            if sent == payload:
                self.latency = now - sent_at
                break
        self._sent = self._sent or None  # an idle connection keeps no empty table

    def forget(self, payload: bytes) -> None:
        """Wait no more for the pong of a ping that nobody awaits."""
        if self._sent is not None:
            self._sent.pop(payload, None)

    def is_flood(self, *, unread: bool) -> bool:
        """Count a ping of the peer; return whether it pings without end and reads no pong.

        unread: whether the peer reads nothing of what we send.
        """
        self._unread = self._unread + 1 if unread else 0
        return self._unread > MAX_UNREAD

    def fail(self, error: Callable[[], Exception]) -> None:
        """Wake whoever waits for a pong with an error: the connection is over."""
        sent, self._sent = self._sent or {}, None
        for _, waiter in sent.values():
            if waiter is not None and not waiter.done():
                waiter.set_exception(error())
                waiter.exception()  # most pings are sent and forgotten: nobody need look


class Progress(NamedTuple):
    """What shows that a peer lives: reads from it, bytes it took, whether any wait for it."""

    heard: int
    taken: int
    waiting: bool
    reading: bool


def shows_life(before: Progress, now: Progress) -> bool:
    """Return whether a peer that owes a pong has shown life, or could not have, since before."""
    # Bytes given to the kernel prove nothing while it has room; once it was full, they prove that
    # the peer's side acknowledged some.
    if before.waiting:
        return now.heard > before.heard or now.taken > before.taken
    unread = not (before.reading and now.reading)  # its pong may wait where we do not look
    return now.heard > before.heard or unread


class Line(typing.Protocol):
    """What a heartbeat needs of a connection."""

    core: Protocol
    writer: Writer
    closer: Closer
    pings: Pings
    settings: Settings
    heartbeat: "Heartbeat | None"
    heard: int
    reading_paused: bool

    def start_close(self, code: int, reason: str) -> None:
        """Send Close without waiting."""


def send_ping(
    line: Line, payload: bytes | None = None, waiter: asyncio.Future[float] | None = None
) -> bytes:
    """Send a ping, note who waits for its pong, and return its payload: 4 random bytes for None."""
    payload = line.pings.choose(payload)
    line.core.send_ping(payload)  # raises for one too long, which is then not waited for
    line.pings.add(payload, asyncio.get_running_loop().time(), waiter)
    line.writer.flush()
    return payload


def progress(line: Line) -> Progress:
    """Return the marks by which a heartbeat judges whether the peer lives."""
    waiting = line.writer.transport.get_write_buffer_size()
    return Progress(line.heard, line.writer.written - waiting, waiting > 0, not line.reading_paused)


def declare_dead(line: Line) -> None:
    """Give up on a peer that owes a pong: say so with 1011, in case it hears, and hang up."""
    line.start_close(CloseCode.INTERNAL_ERROR, TIMED_OUT)
    line.closer.give_up("no pong came within ping_timeout")


def due(waiting: dict[Line, float], moment: float) -> list[Line]:
    """Return those who are due by a moment, of a queue in the order in which they are."""
    return list(takewhile(lambda each: waiting[each] <= moment, waiting))


class Heartbeat:
    """Pings every interval seconds; gives up on a peer that owes a pong for timeout seconds.

    One heart beats for all connections of a loop that have the same settings: a timer and an object
    of its own for each were 350 bytes, of 10,000 connections 3.5 MB. There are three reasons to
    wait, each with one length, so whoever begins to wait last is due last, and a dict that keeps
    its order is all the queue it takes.
    """

    __slots__ = ("__weakref__", "_owing", "_queues", "_timer", "loop", "timeout")

    def __init__(self, interval: float, timeout: float | None) -> None:
        self.timeout = timeout
        self.loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._owing: dict[Line, tuple[bytes, Progress]] = {}  # the ping, and the marks before it
        # How long, what comes then, and for whom at which time.
        self._queues: dict[str, tuple[float, Callable[[Line], None], dict[Line, float]]] = {
            "opened": (interval, self._beat, {}),
            "owes": (timeout or 0.0, self._judge, {}),
            "answered": (max(0.0, interval - (timeout or 0.0)), self._beat, {}),
        }

    def start(self, connection: Line) -> None:
        """Ping a connection from now on; it calls this when it opens."""
        self._wait(connection, "opened")
        self._set_timer()

    def stop(self, connection: Line) -> None:
        """Ping a connection no more; it calls this when it closes."""
        self._owing.pop(connection, None)
        for _, _, waiting in self._queues.values():
            waiting.pop(connection, None)
        if self._timer is not None and not any(each for _, _, each in self._queues.values()):
            self._timer.cancel()
            self._timer = None

    def _wait(self, connection: Line, why: str) -> None:
        delay, _, waiting = self._queues[why]
        waiting[connection] = self.loop.time() + delay

    def _set_timer(self) -> None:
        """Be called when the first is due."""
        first = [next(iter(each.values())) for _, _, each in self._queues.values() if each]
        if first and (self._timer is None or self._timer.when() > min(first)):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(min(first), self._run)

    def _run(self) -> None:
        """Deal with all that are due, or nearly: together they cost one turn of the loop."""
        self._timer = None
        now = self.loop.time()
        try:
            for delay, act, waiting in self._queues.values():
                for connection in due(waiting, now + delay / 1000):
                    if waiting.pop(connection, None) is not None:
                        act(connection)
        finally:
            self._set_timer()

    def _beat(self, connection: Line) -> None:
        if connection.core.state is not State.OPEN:
            return
        before = progress(connection)  # before the ping: it would count as waiting
        payload = send_ping(connection)
        if self.timeout is None:
            self._wait(connection, "opened")
        else:
            self._owing[connection] = payload, before
            self._wait(connection, "owes")

    def _judge(self, connection: Line) -> None:
        """Go on with a peer that answered or shows life; declare any other dead."""
        payload, before = self._owing.pop(connection)
        if not connection.pings.pending(payload):
            self._wait(connection, "answered")
        elif shows_life(before, progress(connection)):
            connection.pings.forget(payload)
            self._beat(connection)  # asked again, a TCP that is gone answers with a reset
        else:
            declare_dead(connection)


_HEARTS: WeakValueDictionary[tuple[int, float, float | None], Heartbeat] = WeakValueDictionary()


def shared_heartbeat(interval: float, timeout: float | None) -> Heartbeat:
    """Return the heartbeat of the running loop with these settings; its connections keep it."""
    loop = asyncio.get_running_loop()
    key = id(loop), interval, timeout
    heart = _HEARTS.get(key)
    if heart is None or heart.loop is not loop:  # the number of a loop that is gone may come again
        heart = _HEARTS[key] = Heartbeat(interval, timeout)
    return heart


def start_heartbeat(line: Line) -> None:
    """Begin to send pings as the settings say; whoever opened the connection calls it."""
    interval, timeout = line.settings.ping_interval, line.settings.ping_timeout
    if interval is not None and line.core.state is State.OPEN:
        line.heartbeat = shared_heartbeat(interval, timeout)
        line.heartbeat.start(line)


def stop_heartbeat(line: Line) -> None:
    """Send no more pings: the connection is closing."""
    if line.heartbeat is not None:
        line.heartbeat.stop(line)
        line.heartbeat = None
