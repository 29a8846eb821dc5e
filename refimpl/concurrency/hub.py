"""A hub sends one message to all its members, serialises it once, and never waits for the slowest.

A member is slow when more than its write_limit bytes wait to be sent to it. Then a policy has to
decide, because the alternative is a buffer without a limit: skip the message, queue it up to a
limit, or close the connection; its client can come back and ask for what it missed.

>>> hub = Hub(slow=Slow.SKIP)
>>> hub.publish("nobody is here")
0
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from refimpl.framing import CloseCode
from refimpl.lifecycle import WebSocket, broadcast
from refimpl.messages import State

__all__ = ["Hub", "Slow"]


class Slow(Enum):
    """What a hub does about a member that reads more slowly than the hub speaks."""

    SKIP = "leave this message out for it"
    QUEUE = "let messages wait, up to the hub's limit, then close with 1013"
    CLOSE = "close with 1013 at once"


class Hub:
    """A set of connections that get the same messages.

    limit: bytes that may wait for one member under Slow.QUEUE. counts: messages `delivered`,
    `skipped`, and members `closed`, since the hub was made.
    """

    def __init__(self, *, slow: Slow = Slow.QUEUE, limit: int = 2**20) -> None:
        self.slow = slow
        self.limit = limit
        self.counts: Counter[str] = Counter()
        self._members: dict[WebSocket, None] = {}  # a set that keeps its order

    @contextmanager
    def member(self, connection: WebSocket) -> Iterator[None]:
        """Make a connection a member inside the block."""
        self._members[connection] = None
        try:
            yield
        finally:
            self._members.pop(connection, None)

    def __len__(self) -> int:
        return len(self._members)

    def publish(self, message: str | bytes) -> int:
        """Send message to every open member without waiting; return how many it was queued for."""
        hearing = [each for each in self._members if each.state is State.OPEN]
        ready = [connection for connection in hearing if self._takes(connection)]
        broadcast(ready, message, limit=self.limit)
        self.counts["delivered"] += len(ready)
        return len(ready)

    def _takes(self, connection: WebSocket) -> bool:
        """Whether a member gets the message; deal with it by the policy where it is slow."""
        waiting = connection.buffered_amount
        if waiting <= connection.settings.write_limit:
            return True
        if self.slow is Slow.SKIP:
            self.counts["skipped"] += 1
            return False
        if self.slow is Slow.QUEUE and waiting <= self.limit:
            return True
        self._part_with(connection)
        return False

    def _part_with(self, connection: WebSocket) -> None:
        """Close a member that is too slow: it can come back, a full memory cannot."""
        if connection.close_code is None and connection.core.close_sent is None:
            self.counts["closed"] += 1
            connection.start_close(CloseCode.TRY_AGAIN_LATER, "too slow a reader")
