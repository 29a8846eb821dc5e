"""Pings on their way, and the heartbeat that tells a dead peer from a quiet one (RFC 6455 5.5.2).

A peer is dead when it has owed a pong for `ping_timeout` seconds and nothing else shows life: no
byte came from it, and it took nothing of what waits for it. So a slow link under a big transfer, or
a peer that we ourselves have stopped reading from, is never declared dead. All connections share
one timer: a task for each would cost more memory than everything else here.
"""

import asyncio
import os
from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple, Protocol
from weakref import WeakValueDictionary

from refimpl.errors import ConcurrencyError

__all__ = ["Heartbeat", "Pings", "Progress", "shared_heartbeat", "shows_life"]


class Pings:
    """The pings that wait for their pong, oldest first, and the latency last seen."""

    __slots__ = ("_sent", "latency")

    def __init__(self) -> None:
        self._sent: dict[bytes, tuple[float, asyncio.Future[float] | None]] | None = None
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
    took = before.waiting and now.taken > before.taken
    unread = not (before.reading and now.reading)  # its pong may wait where we do not look
    return now.heard > before.heard or took or unread


class Beating(Protocol):
    """What a heartbeat needs of a connection."""

    def progress(self) -> Progress:
        """Return the marks by which life is judged."""

    def beat(self) -> bytes:
        """Send a ping and return its payload."""

    def answered(self, payload: bytes) -> bool:
        """Return whether the pong to a ping of this payload has come."""

    def declare_dead(self) -> None:
        """Give the connection up."""


def due(waiting: dict[Beating, float], moment: float) -> list[Beating]:
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
        self._owing: dict[Beating, tuple[bytes, Progress]] = {}  # the ping, and the marks before it
        # How long, what comes then, and for whom at which time.
        self._queues: dict[str, tuple[float, Callable[[Beating], None], dict[Beating, float]]] = {
            "opened": (interval, self._beat, {}),
            "owes": (timeout or 0.0, self._judge, {}),
            "answered": (max(0.0, interval - (timeout or 0.0)), self._beat, {}),
        }

    def start(self, connection: Beating) -> None:
        """Ping a connection from now on; it calls this when it opens."""
        self._wait(connection, "opened")
        self._set_timer()

    def stop(self, connection: Beating) -> None:
        """Ping a connection no more; it calls this when it closes."""
        self._owing.pop(connection, None)
        for _, _, waiting in self._queues.values():
            waiting.pop(connection, None)
        if self._timer is not None and not any(each for _, _, each in self._queues.values()):
            self._timer.cancel()
            self._timer = None

    def _wait(self, connection: Beating, why: str) -> None:
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

    def _beat(self, connection: Beating) -> None:
        before = connection.progress()  # before the ping: it would count as waiting
        payload = connection.beat()
        if self.timeout is None:
            self._wait(connection, "opened")
        else:
            self._owing[connection] = payload, before
            self._wait(connection, "owes")

    def _judge(self, connection: Beating) -> None:
        """Go on with a peer that answered or shows life; declare any other dead."""
        payload, before = self._owing.pop(connection)
        now = connection.progress()
        if connection.answered(payload):
            self._wait(connection, "answered")
        elif shows_life(before, now):
            self._owing[connection] = payload, now
            self._wait(connection, "owes")
        else:
            connection.declare_dead()


_HEARTS: WeakValueDictionary[tuple[int, float, float | None], Heartbeat] = WeakValueDictionary()


def shared_heartbeat(interval: float, timeout: float | None) -> Heartbeat:
    """Return the heartbeat of the running loop with these settings; its connections keep it."""
    loop = asyncio.get_running_loop()
    key = id(loop), interval, timeout
    heart = _HEARTS.get(key)
    if heart is None or heart.loop is not loop:  # the number of a loop that is gone may come again
        heart = _HEARTS[key] = Heartbeat(interval, timeout)
    return heart
