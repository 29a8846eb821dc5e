"""Profiles of a running loop, taken from another thread: CPU, heap, allocations, tasks.

A profiler must not run in the loop that it profiles. It has a thread of its own, so that it works,
and answers, while that loop is busy or blocked. Only a sampler has to be started and stopped in the
profiled thread; the loop does that, in a callback of well under a millisecond. Both threads share
the interpreter lock: while this one draws or counts, a turn of the loop may wait 5 ms for it.
"""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable
from importlib import import_module
from time import monotonic

from refimpl.profiling.allocs import MAX_RECORD, AllocationRecorder
from refimpl.profiling.cpu import BusyProfiler, CPUSampler, MissingProfiler
from refimpl.profiling.debug_request import Query, Refused
from refimpl.profiling.heap import HeapWatch
from refimpl.profiling.render import Finding
from refimpl.profiling.stacks import Profile, hottest_table
from refimpl.profiling.taskdump import History, dump_tasks, tasks_finding

__all__ = ["Profiles"]

USUAL_SECONDS = 5.0  # if a request names none
BASE_LIMIT = 600.0  # seconds after which a base snapshot of the heap is dropped, and tracing ends
START_LIMIT = 5.0  # seconds for the loop to run a callback; a loop that is this late is blocked
STOP_LIMIT = 30.0
LAG_LIMIT = 0.25
COUNT_EVERY = 5.0
POLL = 0.1


class Profiles:
    """Takes profiles of a loop that runs in another thread. thread: that thread's identity."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        self._loop = loop
        self._thread = thread
        self._busy: tuple[str, float] | None = None
        self._watch = HeapWatch()
        self._ending: asyncio.TimerHandle | None = None
        self.history = History()

    @property
    def busy(self) -> str:
        """The profile under way, for whom, and the seconds left; "" where there is none."""
        if self._busy is None:
            return ""
        what, end = self._busy
        return f"{what}, {max(0.0, end - monotonic()):.0f} s left"

    async def take(self, query: Query, who: str) -> Finding:
        """Return a profile; Refused if it cannot be taken, or not now."""
        if query.profile == "tasks":
            lag = await self.lag()
            return tasks_finding(dump_tasks(self._loop, self._thread), self.history, lag)
        if self._busy is not None:
            wait = {"Retry-After": f"{max(1.0, self._busy[1] - monotonic()):.0f}"}
            raise Refused(429, f"one at a time: {self.busy}", wait)
        seconds = query.seconds or USUAL_SECONDS
        self._busy = f"/{query.profile} for {who}", monotonic() + seconds
        try:
            return await self._take_alone(query, seconds)
        except MissingProfiler as error:
            raise Refused(501, str(error)) from error
        except BusyProfiler as error:
            raise Refused(409, str(error)) from error
        finally:
            self._busy = None

    def _take_alone(self, query: Query, seconds: float) -> Awaitable[Finding]:
        if query.profile == "profile":
            return self._cpu(seconds)
        if query.profile == "allocs":
            return self._allocations(seconds)
        return self._heap(query)

    async def _cpu(self, seconds: float) -> Finding:
        sampler = CPUSampler()
        try:
            await self._on_loop(sampler.start, START_LIMIT)
            await asyncio.sleep(seconds)
        finally:  # cancelled too: a sampler must not stay behind
            await self._on_loop(sampler.stop, STOP_LIMIT)
        profile = sampler.profile
        text = (
            f"{profile.duration:.3g} s, of which the loop was busy {profile.total:.3g} s\n"
            f"{hottest_table(profile, 15)}"
        )
        return Finding("cpu", f"CPU profile of {profile.duration:.3g} s", profile, text)

    async def _allocations(self, seconds: float) -> Finding:
        recorder = AllocationRecorder()
        _load("memray")
        try:
            try:
                await self._on_loop(recorder.start, START_LIMIT)
                end = monotonic() + seconds
                while monotonic() < end and recorder.size < MAX_RECORD:  # noqa: ASYNC110 - a file
                    await asyncio.sleep(min(POLL, max(0.0, end - monotonic())))
            finally:
                await self._on_loop(recorder.stop, STOP_LIMIT)
            return await asyncio.to_thread(recorder.finding)
        except TimeoutError as error:
            raise Refused(503, str(error)) from error
        finally:
            recorder.discard()

    async def _heap(self, query: Query) -> Finding:
        if query.seconds is not None:
            watch = HeapWatch()
            watch.start()
            try:
                await asyncio.sleep(query.seconds)
                return watch.difference()
            finally:
                watch.stop()
        if query.base is None:
            kept = self._watch.base_age is not None
            return self._watch.difference() if kept else self._watch.snapshot()
        self.end_base()
        if not query.base:
            return Finding("heap", "Heap", Profile([], "bytes"), "The tracing has ended.")
        self._watch.start()
        self._ending = asyncio.get_running_loop().call_later(BASE_LIMIT, self.end_base)
        words = (
            "The base snapshot is taken, and each allocation is traced from now on. Ask for heap\n"
            f"again to see what came since, with base=0 to end it; it ends in {BASE_LIMIT:.0f} s."
        )
        return Finding("heap", "Heap", Profile([], "bytes"), words)

    def end_base(self) -> None:
        """Drop the base snapshot of the heap, if there is one, and end its tracing."""
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        self._watch.stop()

    async def count_tasks(self) -> None:
        """Count the tasks now and every COUNT_EVERY seconds, until cancelled."""
        while True:
            self.history.record(self._loop)
            await asyncio.sleep(COUNT_EVERY)

    async def lag(self) -> float | None:
        """Return how many seconds the loop takes to answer, None if more than LAG_LIMIT."""
        asked = monotonic()
        try:
            await self._on_loop(lambda: None, LAG_LIMIT)
        except Refused:
            return None
        return monotonic() - asked

    async def _on_loop(self, function: Callable[[], None], limit: float) -> None:
        """Have the loop call a function; Refused if it does not do so in time.

        The function is called in any case, if need be later, and in order: a stop comes after its
        start.
        """
        done: concurrent.futures.Future[None] = concurrent.futures.Future()

        def call() -> None:
            try:
                function()
            except BaseException as error:
                _settle(done, error)
            else:
                _settle(done, None)

        try:
            self._loop.call_soon_threadsafe(call)
            async with asyncio.timeout(limit):
                await asyncio.wrap_future(done)
        except TimeoutError:
            message = f"the loop did not answer in {limit:g} s: it is blocked; tasks shows where"
            raise Refused(503, message) from None
        except RuntimeError as error:
            if self._loop.is_closed():
                raise Refused(503, "the loop is closed") from error
            raise


def _settle(done: "concurrent.futures.Future[None]", error: BaseException | None) -> None:
    """Set the result or the error of a future, unless its waiter has given up."""
    if done.set_running_or_notify_cancel():
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


def _load(module: str) -> None:
    """Import a profiler in this thread, so that the loop does not wait for it."""
    try:
        import_module(module)
    except ImportError:
        pass  # starting it says how to install it
