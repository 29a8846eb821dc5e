"""The samplers by themselves: they see what is there, and leave nothing behind."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import threading
import time
import tracemalloc

import pytest

from refimpl.profiling import samplers
from refimpl.profiling.allocs import AllocationRecorder
from refimpl.profiling.cpu import (
    BusyProfiler,
    CPUSampler,
    MissingProfiler,
    above_the_loop,
    sample_cpu,
)
from refimpl.profiling.heap import HeapWatch, census, rss
from refimpl.profiling.samplers import CallSampler, SignalSampler, can_interrupt
from refimpl.profiling.stacks import Call
from refimpl.profiling.taskdump import History, dump_tasks, grouped

signals = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no timer")


def light() -> int:
    return sum(number * number for number in range(1000))


def heavy() -> int:
    return sum(number * number for number in range(3000))


def work(seconds: float) -> None:
    """Do as many light pieces of work as heavy ones, in an order that no timer keeps step with."""
    pieces = random.Random(1)
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pieces.choice([light, heavy])()


class TestSignals:
    @signals
    def test_shares_are_right(self) -> None:
        with sample_cpu() as sampled:
            work(1.0)  # 250 samples
        profile = sampled.profile
        assert 1.5 < profile.share("heavy") / profile.share("light") < 6  # 3, give or take
        assert profile.total == pytest.approx(1.0, rel=0.25)

    @signals
    async def test_a_loop_that_sleeps_between_is_seen_for_what_it_does(self) -> None:
        before = time.thread_time()
        with sample_cpu() as sampled:
            while time.thread_time() - before < 0.4:  # a hundred samples
                for _ in range(5):
                    heavy()
                    light()
                await asyncio.sleep(0.001)
            used = time.thread_time() - before  # without the making of the profile
        assert sampled.profile.total == pytest.approx(used, rel=0.25)
        assert sampled.profile.share("heavy") > sampled.profile.share("light")

    @signals
    def test_two_at_once_are_refused_and_the_first_goes_on(self) -> None:
        with sample_cpu() as first:
            with pytest.raises(BusyProfiler, match="stop that one first"):
                CPUSampler().start()
            work(0.1)
        assert first.profile.samples
        assert signal.getsignal(signal.SIGPROF) is signal.SIG_IGN
        assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)

    def test_a_tick_within_a_tick_is_not_noted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Noted, the one within would make the sample of the one around weigh less than nothing."""
        sampler = SignalSampler(0.001)
        frame, clock = sys._getframe(), iter(range(1, 100))

        def now() -> float:
            moment = float(next(clock))
            if moment == 1:
                sampler._note(0, frame)
            return moment

        monkeypatch.setattr(samplers, "thread_time", now)
        sampler._note(0, frame)
        sampler._note(0, frame)
        assert [seconds for _, seconds in sampler.samples()] == [1.0, 1.0]

    def test_an_error_in_the_block_stops_it(self) -> None:
        with pytest.raises(ZeroDivisionError), sample_cpu():
            raise ZeroDivisionError
        with sample_cpu():
            pass

    def test_there_is_no_profile_before_the_end(self) -> None:
        with sample_cpu() as sampled, pytest.raises(BusyProfiler, match="not been stopped"):
            _ = sampled.profile
        assert sampled.profile is sampled.profile

    def test_a_sampler_that_never_began_may_be_stopped(self) -> None:
        CPUSampler().stop()


class TestInAnotherThread:
    def test_calls_are_sampled_there(self) -> None:
        profiles = []

        async def main() -> None:
            assert not can_interrupt()
            with sample_cpu() as sampled:
                work(0.2)
                await asyncio.sleep(0.2)
            profiles.append(sampled.profile)

        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        thread.join()
        [profile] = profiles
        assert profile.share("heavy") > 0  # how much, a busy machine decides: this one counts waits
        assert profile.share("work") > 0.5
        assert profile.idle > 0.1
        assert sys.getprofile() is None

    def test_without_pyinstrument_it_says_how_to_get_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(samplers, "find_spec", lambda name: None)
        with pytest.raises(MissingProfiler, match="pip install pyinstrument"):
            CallSampler(0.001).start()

    def test_beside_another_profiler_it_does_not_start(self) -> None:
        sys.setprofile(lambda *_: None)
        try:
            with pytest.raises(BusyProfiler):
                CallSampler(0.001).start()
        finally:
            sys.setprofile(None)


class TestAboveTheLoop:
    RUN = Call("Handle._run", "asyncio/events.py", 78)
    ONCE = Call("BaseEventLoop._run_once", "asyncio/base_events.py", 1800)
    SERVE = Call("serve", "app.py", 1)

    def test_what_every_stack_begins_with_is_cut(self) -> None:
        main = Call("<module>", "app.py", 1)
        assert above_the_loop([main, self.ONCE, self.RUN, self.SERVE]) == (self.SERVE,)
        assert above_the_loop([main, self.ONCE, self.RUN]) == (self.RUN,)
        assert above_the_loop([main, self.ONCE]) == (self.ONCE,)
        assert above_the_loop([main]) == (main,)
        assert above_the_loop([]) == ()

    def test_a_notebooks_kernel_is_cut_below_a_cell(self) -> None:
        kernel = Call("run_code", "IPython/core/interactiveshell.py", 1)
        assert above_the_loop([self.ONCE, self.RUN, kernel, self.SERVE]) == (self.SERVE,)
        assert above_the_loop([self.ONCE, self.RUN, kernel]) == (kernel,)


class TestHeap:
    def test_a_trace_of_someone_else_is_left_running(self) -> None:
        tracemalloc.start()
        try:
            watch = HeapWatch()
            watch.start()
            watch.stop()
            assert tracemalloc.is_tracing()
        finally:
            tracemalloc.stop()

    def test_its_own_trace_is_not(self) -> None:
        watch = HeapWatch()
        watch.start()
        assert tracemalloc.is_tracing()
        watch.stop()
        watch.stop()
        assert not tracemalloc.is_tracing()

    def test_no_difference_without_a_base_snapshot(self) -> None:
        with pytest.raises(ValueError, match="no base snapshot"):
            HeapWatch().difference()

    def test_what_was_freed_is_not_shown_as_held(self) -> None:
        watch = HeapWatch()
        watch.start()
        gone = bytearray(3_000_000)
        del gone
        kept = bytearray(1_000_000)
        finding = watch.difference()
        watch.stop()
        assert len(kept) <= finding.profile.total < 1_500_000

    def test_census_counts_instances(self) -> None:
        class Counted:
            pass

        before = census()
        kept = [Counted() for _ in range(321)]
        name = f"{Counted.__module__}.{Counted.__qualname__}"
        assert census()[name] - before[name] == len(kept)

    def test_rss(self) -> None:
        assert rss() > 2**20


@pytest.mark.skipif("sys.platform == 'win32'")
class TestAllocations:
    def test_it_can_be_dropped_before_it_is_read(self) -> None:
        recorder = AllocationRecorder()
        recorder.start()
        assert recorder.size >= 0
        recorder.stop()
        recorder.discard()
        recorder.discard()

    def test_two_at_once_are_refused(self) -> None:
        first = AllocationRecorder()
        first.start()
        try:
            with pytest.raises(BusyProfiler, match="memray cannot start"):
                AllocationRecorder().start()
        finally:
            first.stop()
            first.discard()


class TestTasks:
    async def test_a_chain_of_awaits_is_shown_from_the_outside_in(self) -> None:
        event = asyncio.Event()

        async def inner() -> None:
            await event.wait()

        async def outer() -> None:
            await inner()

        task = asyncio.create_task(outer(), name="chained")
        await asyncio.sleep(0)
        [state] = [
            each for each in dump_tasks(asyncio.get_running_loop()) if each.name == "chained"
        ]
        event.set()
        await task
        names = [call.function.rpartition(".")[2] for call in state.stack]
        assert names == ["outer", "inner", "wait"]
        assert state.stack[1].line == inner.__code__.co_firstlineno + 1
        assert (state.age, state.made_at) == (None, "before tasks were traced")

    async def test_a_task_that_has_not_begun_is_ready(self) -> None:
        task = asyncio.create_task(asyncio.sleep(0), name="new")
        states = {each.name: each.waits_for for each in dump_tasks(asyncio.get_running_loop())}
        await task
        assert states["new"] == "its turn: it is ready to run"

    async def test_a_gather_is_named(self) -> None:
        async def both() -> None:
            await asyncio.gather(asyncio.Event().wait(), asyncio.Event().wait())

        task = asyncio.create_task(both(), name="both")
        await asyncio.sleep(0)
        states = {each.name: each.waits_for for each in dump_tasks(asyncio.get_running_loop())}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert states["both"] == "a gather of 2"

    async def test_ten_thousand_at_one_place_are_one_group(self) -> None:
        event = asyncio.Event()
        tasks = [asyncio.create_task(event.wait()) for _ in range(10_000)]
        await asyncio.sleep(0)
        groups = grouped(dump_tasks(asyncio.get_running_loop()))
        event.set()
        await asyncio.gather(*tasks)
        assert [group.count for group in groups] == [10_000, 1]

    async def test_history_keeps_the_latest_samples(self) -> None:
        history = History(samples=3)
        assert history.lines() == []
        for _ in range(5):
            history.record(asyncio.get_running_loop())
        assert len(history.samples) == 3
        assert history.lines()[1].split()[-2:] == ["now", "coroutine"]
