"""CPU profiles of a running event loop: where the time of its thread goes, sampled.

>>> import asyncio
>>> async def main():
...     with sample_cpu() as sampled:
...         for _ in range(50):
...             sum(range(20_000))
...             await asyncio.sleep(0)
...     return sampled.profile.share("main") > 0.5
>>> asyncio.run(main())
True

The sampler is pyinstrument: it sits in the profiled thread, looks at the clock at each call and
return, and about every millisecond notes the stack. What else there is, and why not:

- a thread of our own that reads `sys._current_frames()` gets the interpreter lock when the loop
  lets go of it, which is in system calls: an echo server then seems to do nothing but send;
- py-spy reads the process from outside, without that bias and at no cost, but needs the right to
  trace it, which containers and hardened systems withhold;
- cProfile counts every call, and a small function called often looks dearer than it is;
- signals (`setitimer`) reach the main thread only, and no thread on Windows.

The loop pays for the look at the clock at each call. pyinstrument follows one task through its
awaits where it is asked to (`async_mode`); here that is off, since a server is all of its tasks.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from refimpl.profiling.stacks import Call, Profile, Sample, place

if TYPE_CHECKING:
    from pyinstrument import Profiler
    from pyinstrument.session import Session

__all__ = [
    "INTERVAL",
    "BusyProfiler",
    "CPUSampler",
    "MissingProfiler",
    "above_the_loop",
    "sample_cpu",
]

INTERVAL = 0.001  # seconds between samples


SELECTS = ("selectors.py", "asyncio/windows_events.py")
IDLE = (".select", "._poll", ".poll")
KERNEL = ("IPython/", "ipykernel/")


class MissingProfiler(LookupError):
    """A profiler is not installed here; the message says how to get it."""


class BusyProfiler(RuntimeError):
    """A profiler is at work already, or still: two would measure each other."""


class CPUSampler:
    """Samples the thread that starts it, until that thread stops it."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._profiler: Profiler | None = None
        self._session: Session | None = None
        self._profile: Profile | None = None

    def start(self) -> None:
        """Begin to sample this thread.

        Raises MissingProfiler where pyinstrument is not installed, BusyProfiler where another
        profiler, a tracing debugger's for example, sits in the thread.
        """
        if find_spec("pyinstrument") is None:
            raise MissingProfiler("CPU profiles need pyinstrument: pip install pyinstrument")
        from pyinstrument import Profiler  # tens of milliseconds, for those who profile only

        if sys.getprofile() is not None:
            raise BusyProfiler("another profiler is at work in this thread: stop that one first")
        self._profiler = Profiler(interval=self._interval, async_mode="disabled")
        self._profiler.start()

    def stop(self) -> None:
        """End it; quick, since the profiled thread must do it. From then on `profile` is there."""
        if self._profiler is not None:
            self._session = self._profiler.stop()
            self._profiler = None

    @property
    def profile(self) -> Profile:
        """What was sampled, made from the raw records by whoever asks first, in any thread."""
        if self._profile is None:
            if self._session is None:
                raise BusyProfiler("the sampler has not been stopped: there is no profile yet")
            self._profile = _profile(self._session)
        return self._profile


@contextmanager
def sample_cpu(interval: float = INTERVAL) -> Iterator[CPUSampler]:
    """Sample this thread during the block, awaits and other tasks included; see `.profile` then."""
    sampler = CPUSampler(interval)
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.stop()


def _profile(session: "Session") -> Profile:
    """Return a session's records without the frames below the loop, and without its idle time."""
    samples: list[Sample] = []
    idle = 0.0
    for records, seconds in session.frame_records:
        stack = [_call(record) for record in records if "\0<thread>\0" not in record]
        if _is_idle(stack):
            idle += seconds
        else:
            samples.append((above_the_loop(stack), seconds))
    return Profile(samples, "seconds", session.duration, idle)


@lru_cache(16384)
def _call(record: str) -> Call:
    """Return the function that a record of pyinstrument names.

    A record is name NUL file NUL first line, then attributes behind \\x01: c is the class of self.
    """
    identifier, *attributes = record.split("\x01")
    name, file, line = identifier.split("\0")
    owner = next((each[1:] + "." for each in attributes if each.startswith("c")), "")
    short, origin = place(file)
    return Call(owner + name, short, int(line), origin)


def _is_idle(stack: list[Call]) -> bool:
    """Tell whether the loop waits for something to do: it selects, or a loop in C runs nothing.

    A select that returns at once is counted too; it cannot be told from one that waits.
    """
    if not stack or stack[-1].file == "asyncio/runners.py":
        return True
    return any(call.file in SELECTS and call.function.endswith(IDLE) for call in stack[-2:])


def above_the_loop(stack: list[Call]) -> tuple[Call, ...]:
    """Return a stack from the callback or task on that the loop runs: what is below is the same.

    In a notebook the kernel's own calls below those of a cell go too.
    """
    first = 0
    for index, call in enumerate(stack):
        method = call.function.rpartition(".")[2]
        if call.file == "asyncio/base_events.py" and method == "_run_once":
            first = index
        elif call.file == "asyncio/events.py" and method == "_run":
            first = min(index + 1, len(stack) - 1)
        elif call.file.startswith(KERNEL) and first and index + 1 < len(stack):
            first = index + 1
    return tuple(stack[first:])
