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

How to sample decides what is seen. One echo server, looked at in three ways: with a function that
took 57 % of its processor time (found by taking it away), and with a loop that was busy for 10 %:

============================================  =========  =========  =============================
the sampler                                   57 % is    10 % is    the server's cost a message
============================================  =========  =========  =============================
the processor time's own timer (what we use)  52-55 %    9.5 %      as without, within the noise
pyinstrument                                  62 %       0.3 %      1.7 to 2.3 times as much
a thread that reads `_current_frames()`       0 %        -          as without
============================================  =========  =========  =============================

- pyinstrument counts the time since its last sample for the call at hand, and in a loop with little
  to do that is nearly always the wait; it looks at its clock in calls, which makes those dearer.
- A thread of our own gets the interpreter lock when the loop lets go of it, which it does in system
  calls: the server then seems to do nothing but send and wait.
- py-spy reads the process from outside, well and at no cost, but needs the right to trace it, which
  containers and hardened systems withhold.
- cProfile counts every call; a small function called often looks dearer than it is.

The timer is what Go's profiler uses too. Its signal reaches the main thread only, and Windows has
none: there pyinstrument steps in, good for a loop that is busy. Time in a function written in C
counts for its caller, and a wait, for data or for the processor, for none.
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

        Raises BusyProfiler where another profiler is at work in it, MissingProfiler where it needs
        pyinstrument and that is not installed.
        """
        kind = SignalSampler if can_interrupt() else CallSampler
        sampler = kind(self._interval)
        sampler.start()
        self._sampler, self._began = sampler, perf_counter()

    def stop(self) -> None:
        """End it; quick, since the profiled thread must do it. From then on `profile` is there."""
        if self._sampler is not None and self._took is None:
            self._sampler.stop()
            self._took = perf_counter() - self._began

    @property
    def profile(self) -> Profile:
        """What was sampled, made from the raw samples by whoever asks first, in any thread."""
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
    """Sample this thread during the block, awaits and other tasks included; see `.profile` then."""
    sampler = CPUSampler(interval)
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.stop()


def _is_idle(stack: tuple[Call, ...]) -> bool:
    """Tell whether the loop waits for something to do: it selects, or a loop in C runs nothing."""
    if not stack or stack[-1].file == "asyncio/runners.py":
        return True
    return any(call.file in SELECTS and call.function.endswith(IDLE) for call in stack[-2:])


def above_the_loop(stack: Sequence[Call]) -> tuple[Call, ...]:
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
