"""CPU profiles of a running event loop: samples of where its thread spends its time.

>>> import asyncio
>>> async def main():
...     with sample_cpu() as sampled:
...         for _ in range(50):
...             sum(range(20_000))
...             await asyncio.sleep(0)
...     return sampled.profile.share("main") > 0.5
>>> asyncio.run(main())
True

What is seen depends on how it is sampled. One echo server, sampled in three ways: once with a
function that took 57 % of its processor time (measured by removing it), once with a loop that was
busy for 10 % of the time:

============================================  =========  =========  =============================
the sampler                                   57 % is    10 % is    the server's cost a message
============================================  =========  =========  =============================
the processor time's own timer (what we use)  52-55 %    9.5 %      as without, within the noise
pyinstrument                                  62 %       0.3 %      1.7 to 2.3 times as much
a thread that reads `_current_frames()`       0 %        -          as without
============================================  =========  =========  =============================

- pyinstrument counts the time since its last sample for the current call, and in a loop with little
  to do that is nearly always the wait. It reads its clock in calls, which makes those dearer.
- A thread of our own gets the interpreter lock when the loop releases it, which happens in system
  calls: the server then seems to do nothing but send and wait.
- py-spy reads the process from outside, well and at no cost, but needs the right to trace it, which
  containers and hardened systems deny.
- cProfile counts every call; a small function called often looks dearer than it is.

Go's profiler uses the timer too. Its signal reaches the main thread only, and Windows has none:
there pyinstrument takes over, which is good enough for a busy loop. Time in a function written in C
counts for its caller; waiting, for data or for the processor, counts for nobody.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from refimpl.profiling.samplers import (
    BusyProfiler,
    CallSampler,
    MissingProfiler,
    SignalSampler,
    can_interrupt,
)
from refimpl.profiling.stacks import Call, Profile, Sample

__all__ = [
    "INTERVAL",
    "BusyProfiler",
    "CPUSampler",
    "MissingProfiler",
    "above_the_loop",
    "sample_cpu",
]

INTERVAL = 0.001  # seconds between samples; a kernel may have a coarser tick
SELECTS = ("selectors.py", "asyncio/windows_events.py")
IDLE = (".select", "._poll", ".poll")
KERNEL = ("IPython/", "ipykernel/")


class CPUSampler:
    """Samples the thread that starts it, until that thread stops it."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._sampler: SignalSampler | CallSampler | None = None
        self._began = 0.0
        self._took: float | None = None
        self._profile: Profile | None = None

    def start(self) -> None:
        """Begin to sample this thread.

        Raises BusyProfiler if another profiler is at work in it, MissingProfiler if this takes
        pyinstrument and it is not installed.
        """
        kind = SignalSampler if can_interrupt() else CallSampler
        sampler = kind(self._interval)
        sampler.start()
        self._sampler, self._began = sampler, perf_counter()

    def stop(self) -> None:
        """End it, quickly, since the profiled thread must do it. Then `profile` can be read."""
        if self._sampler is not None and self._took is None:
            self._sampler.stop()
            self._took = perf_counter() - self._began

    @property
    def profile(self) -> Profile:
        """The profile, made from the raw samples on first use, in any thread."""
        if self._profile is None:
            if self._sampler is None or self._took is None:
                raise BusyProfiler("the sampler has not been stopped: there is no profile yet")
            samples: list[Sample] = []
            wall = isinstance(self._sampler, CallSampler)
            for calls, seconds in self._sampler.samples():
                stack = above_the_loop(calls)
                if not (wall and _is_idle(stack)):
                    samples.append((stack, seconds))
            busy = sum(seconds for _, seconds in samples)
            self._profile = Profile(samples, "seconds", self._took, max(0.0, self._took - busy))
        return self._profile


@contextmanager
def sample_cpu(interval: float = INTERVAL) -> Iterator[CPUSampler]:
    """Sample this thread during the block, with its awaits and other tasks; `.profile` has it."""
    sampler = CPUSampler(interval)
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.stop()


def _is_idle(stack: tuple[Call, ...]) -> bool:
    """Tell whether the loop is waiting: it is in select(), or a loop in C runs no callback."""
    if not stack or stack[-1].file == "asyncio/runners.py":
        return True
    return any(call.file in SELECTS and call.function.endswith(IDLE) for call in stack[-2:])


def above_the_loop(stack: Sequence[Call]) -> tuple[Call, ...]:
    """Return a stack from the loop's callback or task on: the calls below are always the same.

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
