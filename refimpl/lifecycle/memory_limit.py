"""A limit on the memory that all connections of a server hold together.

Each connection has limits of its own, but 10,000 connections at their limit are 10,000 times as
much. A `MemoryLimit` is told how many bytes were received or queued. Each time that is a 32nd of
the limit it counts what the connections hold, and closes the largest with 1013 until the rest fits.

>>> limit = MemoryLimit(2**20, lambda: [])
>>> limit.grew(2**20)
>>> limit.used, limit.closed
(0, 0)
"""

import typing
from collections import deque
from collections.abc import Callable, Iterable
from sys import getsizeof

from refimpl.framing import CloseCode
from refimpl.lifecycle.closer import Closer
from refimpl.lifecycle.writer import Writer
from refimpl.messages import Protocol

__all__ = ["Holder", "MemoryLimit", "held_by", "memory_of"]

SHARE = 32
REASON = "the server is short of memory"


class Holder(typing.Protocol):
    """What the limit needs of a connection."""

    core: Protocol
    writer: Writer
    closer: Closer
    inbox: deque[str | bytes]

    def start_close(self, code: int, reason: str) -> None:
        """Send Close without waiting."""

    def discard_messages(self) -> None:
        """Skip every message that is not in the inbox yet."""


class MemoryLimit:
    """Counts what connections hold, and closes the largest where that is too much.

    most: bytes for all connections. used: bytes at the last count. closed: how many were closed.
    """

    def __init__(self, most: int, connections: Callable[[], Iterable[Holder]]) -> None:
        self.most = most
        self.used = 0
        self.closed = 0
        self._connections = connections
        self._grown = 0

    def grew(self, size: int) -> None:
        """Note that size bytes more are held, at most; count them all where it is time to."""
        self._grown += size
        if self._grown * SHARE >= self.most:
            self.count()

    def count(self) -> None:
        """Count what is held, and close the largest connections until the rest fits."""
        self._grown = 0
        held = {connection: held_by(connection) for connection in self._connections()}
        self.used = sum(held.values())
        for connection in sorted(held, key=held.__getitem__, reverse=True):
            if self.used <= self.most:
                return
            self.used -= held[connection]
            self.closed += 1
            drop(connection)


def held_by(connection: Holder) -> int:
    """Return the bytes that are held for a connection, in both directions."""
    received = memory_of(connection.inbox) + connection.core.pending
    return received + connection.writer.waiting


def drop(connection: Holder) -> None:
    """Close a connection with 1013 and give back what it holds, at the cost of what waits."""
    connection.start_close(CloseCode.TRY_AGAIN_LATER, REASON)
    connection.inbox.clear()
    connection.discard_messages()
    if connection.writer.is_paused:  # our Close would wait behind all that
        connection.closer.give_up(REASON)


def memory_of(messages: Iterable[str | bytes]) -> int:
    """Return the bytes that messages take in memory: one emoji makes a str four times as wide."""
    return sum(map(getsizeof, messages))
