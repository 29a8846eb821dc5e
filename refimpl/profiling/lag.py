"""How late the event loop is: a callback that is due at fixed times, and how late each comes.

A callback that computes for 200 ms holds up every connection of the process for 200 ms. A profile
of CPU time does not show that: it knows how much was spent, not who had to wait. The monitor does.
It notes every beat that was due during a pause, not only the first one after it. So a share of its
samples is a share of *time*: what a message meets that arrives at any moment.

>>> import time
>>> async def main():
...     async with LagMonitor(interval=0.01) as lag:
...         time.sleep(0.1)
...     return lag.worst >= 0.08, len(lag.samples) >= 8
>>> asyncio.run(main())
(True, True)
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

__all__ = ["LagMonitor"]


class LagMonitor:
    """Beats every `interval` seconds while entered; `samples` holds (when due, seconds late).

    keep: how many samples are kept, the newest; a monitor that runs for years must not grow.
    """

    def __init__(self, interval: float = 0.01, *, keep: int = 10_000) -> None:
        if not interval > 0:
            raise ValueError(f"got interval={interval!r}, expected more than 0 seconds")
        self.interval = interval
        self.samples: deque[tuple[float, float]] = deque(maxlen=keep)
        self._keep = keep
        self._loop: asyncio.AbstractEventLoop
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def worst(self) -> float:
        """The longest that a beat was late, in seconds; 0 before the first."""
        return max((late for _, late in self.samples), default=0.0)

    def _beat(self) -> None:
        """Note how late each beat is that should have come by now, and ask for the next."""
        now = self._loop.time()
        # A laptop that slept all night must not make a beat for each hundredth of a second.
        self._due = max(self._due, now - self._keep * self.interval)
        while self._due <= now:
            self.samples.append((self._due, now - self._due))
            self._due += self.interval
        self._timer = self._loop.call_at(self._due, self._beat)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + self.interval
        self._timer = self._loop.call_at(self._due, self._beat)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._timer is not None
        self._timer.cancel()
        self._beat()  # a pause that lasts to the end of the block counts too
        self._timer.cancel()
