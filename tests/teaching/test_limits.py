"""Code that loops, blocks, floods or exits stays within its limits, on every platform."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time

import pytest

from refimpl.classroom.checking import limits
from refimpl.classroom.checking.limits import (
    MAX_PRINTED,
    TimeLimitReached,
    run_coroutine,
    run_limited,
    wait_in_thread,
)
from refimpl.classroom.grafting.watchdog import Watchdog

LIMIT = 0.2


def endless():
    while True:
        pass


def stubborn():
    while True:
        try:
            pass
        except:  # noqa: E722
            pass


def swallowing():
    while True:
        try:
            endless()
        except Exception:
            pass


def deep():
    return deep()


@pytest.mark.parametrize("work", [endless, stubborn, swallowing])
def test_an_endless_loop_is_ended(work):
    threads = []

    def begin():
        threads.append(threading.current_thread())
        work()

    outcome = run_limited(begin, LIMIT)
    assert outcome.timed_out
    assert not outcome.still_running
    assert not threads[0].is_alive()


def test_a_call_that_blocks_is_left_behind_and_dies_when_it_returns():
    release, reached = threading.Event(), []

    def block():
        release.wait(60)
        reached.append("the line after")

    outcome = run_limited(block, LIMIT)
    assert outcome.timed_out
    assert outcome.still_running
    release.set()
    for thread in threading.enumerate():
        if thread.name == "refimpl-check":
            thread.join(5)
    assert reached == []


def test_a_sleep_does_not_keep_the_answer_waiting():
    outcome = run_limited(lambda: time.sleep(3), LIMIT)
    assert (outcome.timed_out, outcome.still_running) == (True, True)


@pytest.fixture
def traced():
    """A debugger, as it seems to threads."""
    before = threading.gettrace(), sys.gettrace()

    def trace(frame, event, argument):
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    yield
    threading.settrace(before[0])
    sys.settrace(before[1])


def test_under_a_debugger_a_loop_is_ended_and_a_call_that_blocks_hangs_nothing(traced):
    assert run_limited(lambda: "value", 30).value == "value"
    assert run_limited(endless, LIMIT).timed_out
    release, reached = threading.Event(), []

    def block():
        release.wait(60)
        reached.append("the line after")

    start = time.monotonic()
    assert run_limited(block, LIMIT).timed_out
    assert time.monotonic() - start < 30
    release.set()


def test_without_a_way_to_interrupt_the_thread_is_left_behind(monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(limits, "_set_async_exception", lambda *_: False)
    outcome = run_limited(lambda: stop.wait(60), LIMIT)
    assert (outcome.timed_out, outcome.still_running) == (True, True)
    stop.set()


@pytest.mark.parametrize(
    "error", [ValueError(), SystemExit(1), KeyboardInterrupt(), GeneratorExit(), MemoryError()]
)
def test_whatever_is_raised_is_an_outcome(error):
    def fail():
        raise error

    assert run_limited(fail, 10).error is error


def test_endless_recursion_is_an_outcome():
    assert isinstance(run_limited(deep, 30).error, RecursionError)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as the stop button does")
def test_the_stop_button_ends_the_code_and_the_wait():
    threads = []

    def press():
        threads.append(threading.current_thread())
        os.kill(os.getpid(), signal.SIGINT)
        endless()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            run_limited(press, 60)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not threads[0].is_alive()


def test_what_is_printed_is_kept_up_to_a_limit_and_counted(capsys):
    def flood():
        print("begin")
        print("x" * 3_000_000)
        print("oops", file=sys.stderr)

    outcome = run_limited(flood, 10)
    assert outcome.printed.text.startswith("begin\nxxx")
    assert len(outcome.printed.text) == MAX_PRINTED
    assert outcome.printed.length == len("begin\n") + 3_000_001 + len("oops\n")
    assert capsys.readouterr() == ("", "")


def test_other_threads_print_as_ever_and_the_streams_come_back(capsys):
    stream = sys.stdout
    entered, leave = threading.Event(), threading.Event()

    def quiet():
        print("captured")
        entered.set()
        assert leave.wait(10)

    worker = threading.Thread(target=run_limited, args=(quiet, 20))
    worker.start()
    assert entered.wait(10)
    print("aloud", flush=True)
    assert sys.stdout.encoding
    leave.set()
    worker.join()
    assert sys.stdout is stream
    assert capsys.readouterr().out == "aloud\n"


def test_a_coroutine_that_waits_forever_is_cancelled_and_cleans_up():
    cleaned = []

    async def wait():
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    outcome = run_limited(lambda: run_coroutine(wait, LIMIT), 10)
    assert (outcome.timed_out, cleaned) == (True, [True])


@pytest.mark.parametrize("seconds", [0.01, 3600])
def test_a_coroutine_that_will_not_be_cancelled_is_ended(seconds):
    async def stay():
        while True:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                pass

    outcome = run_limited(lambda: run_coroutine(stay, LIMIT), 2 * LIMIT)
    assert outcome.timed_out
    assert not outcome.still_running


def test_a_time_out_of_the_coroutines_own_is_its_error():
    async def give_up():
        raise TimeoutError("mine")

    assert str(run_limited(lambda: run_coroutine(give_up, 10), 20).error) == "mine"


async def test_the_callers_loop_runs_on_while_a_thread_works():
    turns = 0
    finished = threading.Event()

    async def tick():
        nonlocal turns
        while turns < 10:
            turns += 1
            await asyncio.sleep(0)
        finished.set()

    def work():
        assert finished.wait(10)
        return "done"

    task = asyncio.create_task(tick())
    assert await wait_in_thread(work) == "done"
    await task


async def test_an_error_in_the_thread_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        await wait_in_thread(lambda: 1 / 0)


def test_a_watchdog_ends_a_call_in_its_own_thread_and_only_that():
    with Watchdog(LIMIT) as watchdog:
        assert watchdog.call(lambda a, *, b: a + b, 1, b=2) == 3
        with pytest.raises(TimeLimitReached):
            watchdog.call(endless)
        with pytest.raises(KeyError):
            watchdog.call({}.__getitem__, 1)
        assert watchdog.call(lambda: watchdog.call(lambda: "nested")) == "nested"
    assert [name for thread in threading.enumerate() if "dog" in (name := thread.name)] == []


def test_a_watchdogs_interrupt_that_comes_late_is_taken_back():
    """A call that blocks longer than its limit returns; nothing may be raised afterwards."""
    with Watchdog(0.05) as watchdog:
        for _ in range(5):
            with pytest.raises(TimeLimitReached):
                watchdog.call(time.sleep, 0.2)
        for number in range(100_000):
            assert number >= 0


def test_nothing_hangs_under_a_profiler_once_a_call_was_interrupted():
    """In 3.11 an interrupt that nobody takes any more would hang every profiled thread."""

    def endless():
        while True:
            pass

    def profiled():
        sys.setprofile(lambda *event: None)
        for _ in range(1000):
            settled()
        sys.setprofile(None)

    def settled():
        return True

    run_limited(endless, 0.05)
    with pytest.raises(TimeLimitReached), Watchdog(0.05) as watchdog:
        watchdog.call(endless)  # last: an interrupt that is taken clears what one withdrawn left
    thread = threading.Thread(target=profiled, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
