"""Ends calls that take too long, for code that must run in the caller's own thread.

A learner's code normally runs in `limits.run_limited`. But a server in the notebook's event loop
calls a grafted function directly. There a watchdog watches from a thread of its own, and raises
`TimeLimitReached` inside the call.

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
        """What the function returns. Raises TimeLimitReached if that takes too long."""
        here = threading.get_ident()
        with self._lock:
            outer = self._deadlines.get(here)
            self._deadlines[here] = outer or time.monotonic() + self.limit
        try:
            try:
                return function(*args, **kwargs)
            finally:
                self._leave(here, outer)
        except TimeLimitReached:  # it may have been raised while leaving, so leave again
            self._leave(here, outer)
            raise

    def _leave(self, thread: int, outer: float | None) -> None:
        """Stop watching a thread's call; under the lock, so that no interrupt can come later."""
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
