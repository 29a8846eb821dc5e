"""A line in front of what is scarce, in which nobody stands before all the others.

>>> async def main():
...     line, served = FairLine(at_once=1), []
...     async def ask(key, name):
...         async with line.turn(key):
...             await asyncio.sleep(0)
...             served.append(name)
...     crowd = [ask("crowd", number) for number in range(3)]
...     await asyncio.gather(*crowd, ask("one", "one"))
...     return served
>>> asyncio.run(main())
[0, 1, 'one', 2]
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Crowded", "FairLine"]


class Crowded(RuntimeError):
    """The line is full. of_key: it is full of this key's own, others are still let in."""

    def __init__(self, *, of_key: bool) -> None:
        super().__init__(f"too many wait, {'of this key' if of_key else 'of all keys'}")
        self.of_key = of_key


class FairLine:
    """A line for something scarce, in which one key cannot stand before all the others.

    at_once: how many are served at a time; of_key: how many of them may be of one key. Keys take
    turns; within a key it is first come, first served. in_line: how many of a key may wait; total:
    of all keys.
    """

    def __init__(
        self, *, at_once: int, of_key: int = 1, in_line: int = 64, total: int = 1024
    ) -> None:
        self.at_once, self.of_key = at_once, of_key
        self.in_line, self.total = in_line, total
        self._served: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._count = 0

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Let the block run when it is key's turn. Raises Crowded."""
        await self.enter(key)
        try:
            yield
        finally:
            self.leave(key)

    async def enter(self, key: str) -> None:
        """Wait for a turn; who has it calls `leave`. Raises Crowded."""
        if self._may_go(key):
            self._served[key] += 1
            return
        line = self._waiting.get(key, deque())
        if len(line) >= self.in_line or self._count >= self.total:
            raise Crowded(of_key=len(line) >= self.in_line)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, line).append(turn)
        self._count += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(key)  # it was given to us in the very moment of our cancellation
            else:
                self._step_out(key, turn)
            raise

    def leave(self, key: str) -> None:
        """End a turn, and give it to whoever waits."""
        self._served[key] -= 1
        if not self._served[key]:
            del self._served[key]
        while self._served.total() < self.at_once:
            following = next(filter(self._may_go, self._waiting), None)
            if following is None:
                return
            turn = self._waiting[following][0]
            self._step_out(following, turn)
            if following in self._waiting:
                self._waiting.move_to_end(following)  # the others first, then this key again
            if not turn.done():  # cancelled, and about to notice
                self._served[following] += 1
                turn.set_result(None)

    def _may_go(self, key: str) -> bool:
        return self._served.total() < self.at_once and self._served[key] < self.of_key

    def _step_out(self, key: str, turn: asyncio.Future[None]) -> None:
        """Take a turn out of the line, where it still stands there."""
        line = self._waiting.get(key, deque())
        if turn in line:
            line.remove(turn)
            self._count -= 1
            if not line:
                del self._waiting[key]
