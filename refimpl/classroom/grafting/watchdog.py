"""Ends calls that take too long in the thread that made them: for code that cannot move to another.

`limits.run_limited` is the way to run a learner's code; a server that runs in the notebook's event
loop, however, calls a grafted function right there. A watchdog then watches from a thread of its
own, and raises `TimeLimitReached` inside the call.

>>> def endless():
...     while True:
...         pass
>>> with Watchdog(0.1) as watchdog:
...     watchdog.call(endless)
Traceback (most recent call last):
...
refimpl.classroom.checking.limits.TimeLimitReached
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from refimpl.classroom.checking.limits import TimeLimitReached, interrupt, withdraw_interrupt

T = TypeVar("T")


class Watchdog:
    """A time limit, in seconds, for each call made through it between enter and exit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._deadlines: dict[int, float] = {}  # by thread; infinite once the call was interrupted
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="refimpl-watchdog")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """What the function returns. Raises TimeLimitReached where that takes too long."""
        here = threading.get_ident()
        with self._lock:
            outer = self._deadlines.get(here)
            self._deadlines[here] = outer or time.monotonic() + self.limit
        try:
            try:
                return function(*args, **kwargs)
            finally:
                self._leave(here, outer)
        except TimeLimitReached:  # perhaps raised on the way out, so once more
            self._leave(here, outer)
            raise

    def _leave(self, thread: int, outer: float | None) -> None:
        """Stop watching a thread's call. Under the lock, so that no interrupt can come after it."""
        with self._lock:
            if outer is not None:
                return
            if self._deadlines.pop(thread, None) == float("inf"):
                withdraw_interrupt(thread)

    def _watch(self) -> None:
        while not self._stopped.wait(self.limit / 10):
            now = time.monotonic()
            with self._lock:
                for thread, deadline in self._deadlines.items():
                    if now > deadline and interrupt(thread):
                        self._deadlines[thread] = float("inf")
