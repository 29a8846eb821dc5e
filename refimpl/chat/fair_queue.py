"""A fair queue: several keys share a scarce resource, and no key can take all of it.

Keys are served in turns (round robin). Within one key, first come is first served.

>>> async def main():
...     queue, served = FairQueue(at_once=1), []
...     async def ask(key, name):
...         async with queue.turn(key):
...             await asyncio.sleep(0)
...             served.append(name)
...     flood = [ask("flood", number) for number in range(3)]
...     await asyncio.gather(*flood, ask("ada", "ada"))
...     return served
>>> asyncio.run(main())
[0, 1, 'ada', 2]
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["FairQueue", "QueueFull"]


class QueueFull(RuntimeError):
    """Too many wait already. per_key: too many of this key; other keys may still wait."""

    def __init__(self, *, per_key: bool) -> None:
        super().__init__(f"too many wait, {'of this key' if per_key else 'of all keys'}")
        self.per_key = per_key


class FairQueue:
    """A queue in which keys take turns.

    at_once: turns that may run at a time. per_key: how many of them may belong to one key.
    waiting_per_key: how many of one key may wait. waiting: how many of all keys may wait.
    """

    def __init__(
        self, *, at_once: int, per_key: int = 1, waiting_per_key: int = 64, waiting: int = 1024
    ) -> None:
        self.at_once, self.per_key = at_once, per_key
        self.max_waiting_per_key, self.max_waiting = waiting_per_key, waiting
        self._running: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._waiting = 0

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Run the block when it is this key's turn. Raises QueueFull."""
        await self.enter(key)
        try:
            yield
        finally:
            self.leave(key)

    async def enter(self, key: str) -> None:
        """Wait for a turn. The caller must call `leave` at its end. Raises QueueFull."""
        if self._may_run(key):
            self._running[key] += 1
            return
        queue = self._queues.get(key, deque())
        if len(queue) >= self.max_waiting_per_key or self._waiting >= self.max_waiting:
            raise QueueFull(per_key=len(queue) >= self.max_waiting_per_key)
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(key, queue).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(key)  # the turn was given to us before the cancellation arrived
            else:
                self._remove(key, turn)
            raise

    def leave(self, key: str) -> None:
        """End a turn, and start the next ones."""
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        while self._running.total() < self.at_once:
            following = next(filter(self._may_run, self._queues), None)
            if following is None:
                return
            turn = self._queues[following][0]
            self._remove(following, turn)
            if following in self._queues:
                self._queues.move_to_end(following)  # the other keys come first
            if not turn.done():  # a cancelled one has not left the queue yet
                self._running[following] += 1
                turn.set_result(None)

    def _may_run(self, key: str) -> bool:
        return self._running.total() < self.at_once and self._running[key] < self.per_key

    def _remove(self, key: str, turn: asyncio.Future[None]) -> None:
        """Remove a turn from its queue, if it is still there."""
        queue = self._queues.get(key, deque())
        if turn in queue:
            queue.remove(turn)
            self._waiting -= 1
            if not queue:
                del self._queues[key]
