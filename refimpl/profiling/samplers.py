"""Two ways to sample the stack of a thread some hundred times a second.

`SignalSampler` has the system interrupt the main thread, by the processor time that it uses.
`CallSampler`, for other threads and for Windows, lets pyinstrument read a clock at each call.
Both yield raw samples: the calls, the outermost first, and the seconds that the sample stands for.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from time import thread_time
from types import CodeType, FrameType
from typing import TYPE_CHECKING

from refimpl.profiling.stacks import Call, place

if TYPE_CHECKING:
    from pyinstrument import Profiler

__all__ = [
    "BusyProfiler",
    "CallSampler",
    "MissingProfiler",
    "RawSample",
    "SignalSampler",
    "can_interrupt",
]

RawSample = tuple[Sequence[Call], float]

MOST_SAMPLES = 200_000  # minutes of full load; later samples are dropped
RELAY_EVERY = 64  # samples; the socket of a loop holds the bytes of 278 signals on Linux
PIPE_SIZE = 64 * 1024


class MissingProfiler(LookupError):
    """A profiler is not installed here; the message says how to install it."""


class BusyProfiler(RuntimeError):
    """Another profiler is at work, or this one still is: two would measure each other."""


def can_interrupt() -> bool:
    """Tell whether signals can sample this thread: the main one, on systems other than Windows."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


class SignalRelay:
    """Stands between signals and the event loop, and passes on all but the profiling timer's.

    asyncio learns of a signal by a byte in a socket of its own. While the loop is blocked nobody
    reads it, and the timer's bytes fill it: then the byte of a SIGTERM is lost, and every further
    signal prints a traceback. The relay has the bytes written to a pipe instead. The loop reads the
    pipe, and so does the sampler now and then; other signals go on to the loop's socket.
    """

    def __init__(self) -> None:
        self._from, self._to = os.pipe()
        os.set_blocking(self._from, False)
        os.set_blocking(self._to, False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._theirs = -1  # the descriptor that the loop listens to

    def take_over(self) -> None:
        """Receive the bytes in place of the running loop, if there is one.

        A signal may arrive at any moment, so the descriptor is changed in one step. May be called
        at any time, also from a signal handler: the loop may have begun to listen meanwhile, or
        stopped.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        before = signal.set_wakeup_fd(self._to, warn_on_full_buffer=False)
        if before == -1:  # no loop listens for signals
            signal.set_wakeup_fd(-1)
        elif before != self._to:
            self._theirs = before
        if before != -1 and self._loop is not loop:
            self._loop = loop
            loop.call_soon_threadsafe(self._watch, loop)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            loop.add_reader(self._from, self.hand_on)

    def hand_on(self) -> None:
        """Pass on the signals that came since the last call, except the timer's."""
        try:
            came = os.read(self._from, PIPE_SIZE)
        except BlockingIOError:
            return
        others = came.translate(None, bytes([signal.SIGPROF]))
        if others and self._loop is not None:
            self._pass_on(self._loop, others)

    def _pass_on(self, loop: asyncio.AbstractEventLoop, numbers: bytes) -> None:
        """Write to the loop's socket, or if that is full, in the loop's next turn."""
        if loop.is_closed():
            return
        try:
            os.write(self._theirs, numbers)
        except BlockingIOError:
            loop.call_soon_threadsafe(self._pass_on, loop, numbers)

    def end(self) -> None:
        """Give the loop its descriptor back, unless another one was set meanwhile."""
        loop = self._loop
        if loop is not None:
            current = signal.set_wakeup_fd(-1 if loop.is_closed() else self._theirs)
            if current != self._to:
                signal.set_wakeup_fd(current)
            loop.remove_reader(self._from)  # on a closed loop it does nothing
            self.hand_on()
            self._loop = None  # `_watch` may still be scheduled
        os.close(self._from)
        os.close(self._to)


class SignalSampler:
    """Samples the main thread as it uses the processor, by the profiling interval timer (SIGPROF).

    The timer counts the processor time of the process, so a loop that waits, or that another
    process keeps off the processor, is not sampled. Each sample weighs what the thread used since
    the last one. The kernel checks the timer at its own tick, 250 times a second on many Linux
    systems.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._raw: list[tuple[tuple[CodeType, ...], float]] = []
        self._last = 0.0
        self._ticks = 0
        self._noting = False
        self._relay: SignalRelay | None = None

    def start(self) -> None:
        """Begin; BusyProfiler if the signal has another handler."""
        if signal.getsignal(signal.SIGPROF) not in (signal.SIG_DFL, signal.SIG_IGN):
            raise BusyProfiler("another profiler has the timer signal: stop that one first")
        self._relay = SignalRelay()
        self._relay.take_over()
        signal.signal(signal.SIGPROF, self._note)
        signal.siginterrupt(signal.SIGPROF, False)  # a read in a C library goes on by itself
        self._last = thread_time()
        signal.setitimer(signal.ITIMER_PROF, self._interval, self._interval)

    def stop(self) -> None:
        """End. The signal stays ignored, since by default it ends the process."""
        if self._relay is not None:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, signal.SIG_IGN)
            self._relay.end()
            self._relay = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Note the interrupted stack: 5 us, some hundred times a second."""
        if self._noting:  # the timer may interrupt this too
            return
        self._noting = True
        now = thread_time()
        self._ticks += 1
        if self._relay is not None and self._ticks % RELAY_EVERY == 0:
            self._relay.take_over()
            self._relay.hand_on()
        codes = []
        while frame is not None:
            codes.append(frame.f_code)
            frame = frame.f_back
        if len(self._raw) < MOST_SAMPLES:
            self._raw.append((tuple(codes), now - self._last))
        self._last = now
        self._noting = False

    def samples(self) -> Iterator[RawSample]:
        """Yield the samples."""
        for codes, seconds in self._raw:
            yield [_call_of(code) for code in reversed(codes)], seconds


@lru_cache(16384)
def _call_of(code: CodeType) -> Call:
    file, origin = place(code.co_filename)
    return Call(code.co_qualname, file, code.co_firstlineno, origin)


class CallSampler:
    """Samples the thread that starts it with pyinstrument, in any thread and on any system."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._profiler: Profiler | None = None
        self._records: list[tuple[list[str], float]] = []

    def start(self) -> None:
        """Begin; MissingProfiler without pyinstrument, BusyProfiler if another one is at work."""
        if find_spec("pyinstrument") is None:
            raise MissingProfiler("CPU profiles need pyinstrument here: pip install pyinstrument")
        from pyinstrument import Profiler  # takes tens of milliseconds

        if sys.getprofile() is not None:
            raise BusyProfiler("another profiler is at work in this thread: stop that one first")
        self._profiler = Profiler(self._interval, async_mode="disabled")
        self._profiler.start()

    def stop(self) -> None:
        """End."""
        if self._profiler is not None:
            self._records = self._profiler.stop().frame_records
            self._profiler = None

    def samples(self) -> Iterator[RawSample]:
        """Yield the samples, each for the time since the one before."""
        for records, seconds in self._records:
            calls = [_call_in(record) for record in records if "\0<thread>\0" not in record]
            yield calls, seconds


@lru_cache(16384)
def _call_in(record: str) -> Call:
    """Return the function that a record of pyinstrument names.

    A record is name NUL file NUL first line, then attributes behind \\x01: c is the class of self.
    """
    identifier, *attributes = record.split("\x01")
    name, file, line = identifier.split("\0")
    owner = next((each[1:] + "." for each in attributes if each.startswith("c")), "")
    short, origin = place(file)
    return Call(owner + name, short, int(line), origin)
