"""Pings on their way, and the heartbeat that tells a dead peer from a quiet one (RFC 6455 5.5.2).

A peer is dead when it has owed a pong for `ping_timeout` seconds and nothing else shows life: no
byte came from it, and it took nothing of what waits for it. So a slow link under a big transfer, or
a peer that we ourselves have stopped reading from, is never declared dead. Timers are plain
`call_later` handles: a task a connection would cost more memory than everything else here.
"""

import asyncio
import os
from collections.abc import Callable
from typing import NamedTuple, Protocol

from refimpl.errors import ConcurrencyError

__all__ = ["Heartbeat", "Pings", "Progress", "shows_life"]


class Pings:
    """The pings that wait for their pong, oldest first, and the latency last seen."""

    __slots__ = ("_sent", "latency")

    def __init__(self) -> None:
        self._sent: dict[bytes, tuple[float, asyncio.Future[float] | None]] = {}
        self.latency = 0.0

    def choose(self, payload: bytes | None) -> bytes:
        """Return the payload to send: the caller's, or 4 random bytes.

        Raises ConcurrencyError where a ping of the same payload is still on its way.
        """
        if payload is None:
            return os.urandom(4)  # unguessable: a peer cannot answer a ping it has not read
        if payload in self._sent:
            raise ConcurrencyError("got a ping payload that waits for its pong, expected another")
        return payload

    def add(self, payload: bytes, now: float, waiter: asyncio.Future[float] | None) -> None:
        """Note a ping sent now, and who waits for its pong."""
        self._sent[payload] = now, waiter

    def pending(self, payload: bytes) -> bool:
        """Return whether the ping of this payload still waits for its pong."""
        return payload in self._sent

    def answer(self, payload: bytes, now: float) -> None:
        """Settle the ping that a pong answers and every older one; ignore a pong nobody asked for.

        A peer may answer only the latest of several pings (RFC 6455 5.5.3), hence the older ones.
        """
        if payload not in self._sent:
            return
        for sent in list(self._sent):
            sent_at, waiter = self._sent.pop(sent)
            if waiter is not None and not waiter.done():
                waiter.set_result(now - sent_at)
            if sent == payload:
                self.latency = now - sent_at
                break
        if not self._sent:
            self._sent.clear()  # an emptied dict keeps its table, an idle connection need not

    def fail(self, error: Callable[[], Exception]) -> None:
        """Wake whoever waits for a pong with an error: the connection is over."""
        for _, waiter in self._sent.values():
            if waiter is not None and not waiter.done():
                waiter.set_exception(error())
                waiter.exception()  # most pings are sent and forgotten: nobody need look
        self._sent.clear()


class Progress(NamedTuple):
    """What shows that a peer lives: reads from it, bytes it took, whether any wait for it."""

    heard: int
    taken: int
    waiting: bool
    reading: bool


NOTHING = Progress(0, 0, False, True)


def shows_life(before: Progress, now: Progress) -> bool:
    """Return whether a peer that owes a pong has shown life, or could not have, since before."""
    # Bytes given to the kernel prove nothing while it has room; once it was full, they prove that
    # the peer's side acknowledged some.
    took = before.waiting and now.taken > before.taken
    unread = not (before.reading and now.reading)  # its pong may wait where we do not look
    return now.heard > before.heard or took or unread


class Beating(Protocol):
    """What a heartbeat needs of a connection."""

    def progress(self) -> Progress:
        """Return the marks by which life is judged."""

    def beat(self) -> Callable[[], bool]:
        """Send a ping and return a function that tells whether its pong has come."""

    def declare_dead(self) -> None:
        """Give the connection up."""


class Heartbeat:
    """Pings every interval seconds; gives up on a peer that owes a pong for timeout seconds."""

    __slots__ = ("_answered", "_connection", "_interval", "_loop", "_seen", "_timeout", "_timer")

    def __init__(self, connection: Beating, interval: float, timeout: float | None) -> None:
        self._connection = connection
        self._interval, self._timeout = interval, timeout
        self._loop = asyncio.get_running_loop()
        self._answered: Callable[[], bool] = bool
        self._seen = NOTHING
        self._timer = self._loop.call_later(interval, self._beat)

    def stop(self) -> None:
        """Beat no more; the connection calls it when it closes."""
        self._timer.cancel()

    def _beat(self) -> None:
        self._seen = self._connection.progress()  # before the ping: it would count as waiting
        self._answered = self._connection.beat()
        if self._timeout is None:
            self._timer = self._loop.call_later(self._interval, self._beat)
        else:
            self._timer = self._loop.call_later(self._timeout, self._judge)

    def _judge(self) -> None:
        """Go on with a peer that answered or shows life; declare any other dead."""
        assert self._timeout is not None
        if self._answered():
            self._answered, self._seen = bool, NOTHING  # keep nothing of what is settled
            self._timer = self._loop.call_later(
                max(0.0, self._interval - self._timeout), self._beat
            )
            return
        now = self._connection.progress()
        if shows_life(self._seen, now):
            self._seen = now
            self._timer = self._loop.call_later(self._timeout, self._judge)
        else:
            self._connection.declare_dead()
