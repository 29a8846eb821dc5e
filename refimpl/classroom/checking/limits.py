"""Runs a learner's code safe from endless loops, floods of output and exits.

The code runs in a daemon thread of its own. When its time is up, `TimeLimitReached` is raised
inside that thread (`PyThreadState_SetAsyncExc`: every platform, no signals), which ends any loop of
Python code. A call that blocks in C, such as `time.sleep(999)`, cannot be ended from outside: its
thread is left running and ends with its next line of Python. Left out: stopping malicious code. A
learner's own machine needs no sandbox.

    >>> def endless():
    ...     while True:
    ...         pass
    >>> run_limited(endless, 0.1).timed_out
    True
"""

import asyncio
import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Generic, TextIO, TypeVar, cast

T = TypeVar("T")

MAX_PRINTED = (
    64 * 1024
)  # characters kept; a loop that prints would fill memory before its time is up
# Seconds between attempts to end a thread; after the first, an event loop cleans up.
GRACE = (0.1, 0.1, 0.2, 0.3)
WAKE = 0.05  # seconds between the turns of a loop that is late


class TimeLimitReached(SystemExit):
    """The time limit, raised inside the code that reached it.

    A SystemExit, so that `except Exception` lets it pass and a thread that it ends prints nothing.
    """


class Printed:
    """The output of code: its first 64 Ki characters, and its whole length."""

    def __init__(self) -> None:
        self.text = ""
        self.length = 0

    def add(self, text: str) -> None:
        """Take one write."""
        self.length += len(text)
        if len(self.text) < MAX_PRINTED:
            self.text = (self.text + text)[:MAX_PRINTED]


@dataclass(slots=True)
class Outcome(Generic[T]):
    """How a limited run ended: a value, an error (of any kind), or the time limit."""

    value: T | None = None
    error: BaseException | None = None
    timed_out: bool = False
    still_running: bool = False  # the thread could not be ended
    printed: Printed = field(default_factory=Printed)


def run_limited(work: Callable[[], T], limit: float) -> Outcome[T]:
    """Call `work` in a thread of its own and wait for it, at most `limit` seconds.

    What `work` raises is in the outcome; the stop button's KeyboardInterrupt ends both.
    """
    outcome: Outcome[T] = Outcome()
    done = threading.Event()

    def body() -> None:
        if _is_traced():
            sys.settrace(_tracer(time.monotonic() + limit))
        try:
            with capture(outcome.printed):
                outcome.value = work()
        except TimeLimitReached:
            outcome.timed_out = True
        except BaseException as error:  # SystemExit and KeyboardInterrupt count as mistakes too
            outcome.error = error
        finally:
            done.set()

    thread = threading.Thread(target=body, daemon=True, name="refimpl-check")
    try:
        thread.start()
        finished = done.wait(limit)
    except KeyboardInterrupt:  # the notebook's stop button
        end_thread(thread)
        raise
    if finished:
        return outcome
    late: Outcome[T] = Outcome(timed_out=True, printed=outcome.printed)
    late.still_running = not end_thread(thread)
    return late


def _is_traced() -> bool:
    """Whether a debugger or a coverage tool traces, in a Python where interrupts then hang.

    In 3.11 a traced thread hangs at a call while another thread has a pending interrupt, which
    lasts as long as that thread blocks.
    """
    return sys.version_info < (3, 12) and (threading.gettrace() or sys.gettrace()) is not None


def _tracer(deadline: float) -> Callable[[FrameType, str, Any], Any]:
    """The second best way to end a thread: a trace function that raises after the deadline."""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if time.monotonic() > deadline:
            raise TimeLimitReached
        return trace

    return trace


async def wait_in_thread(work: Callable[[], T]) -> T:
    """What `work` returns, computed in a daemon thread while the caller's event loop runs on."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def deliver(value: T | None, error: BaseException | None) -> None:
        if answer.done():  # the caller was cancelled
            return
        if error is None:
            answer.set_result(value)  # type: ignore[arg-type]
        else:
            answer.set_exception(error)

    def body() -> None:
        value, error = None, None
        try:
            value = work()
        except Exception as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            loop.call_soon_threadsafe(deliver, value, error)

    threading.Thread(target=body, daemon=True, name="refimpl-check").start()
    return await answer


def run_coroutine(start: Callable[[], Coroutine[Any, Any, T]], limit: float) -> T:
    """What a coroutine returns, run in a new event loop. Raises TimeLimitReached after `limit` s.

    For use inside `run_limited`, with a shorter limit here. A coroutine that waits is cancelled and
    cleans up; one that blocks the loop, or swallows the cancellation, is ended by the thread's
    limit.
    """

    async def limited() -> T:
        loop = asyncio.get_running_loop()

        def wake() -> None:  # a sleeping loop would not notice the interrupt of its thread
            loop.call_later(WAKE, wake)

        loop.call_later(limit, wake)
        # A loop's messages about tasks ended by force would appear in the notebook.
        loop.set_exception_handler(lambda loop, context: None)
        timer = asyncio.timeout(limit)
        try:
            async with timer:
                return await start()
        except TimeoutError:
            if timer.expired():
                raise TimeLimitReached from None
            raise

    return asyncio.run(limited())


def interrupt(thread_id: int) -> bool:
    """Raise TimeLimitReached in a thread at its next line; False if the interpreter cannot."""
    return _set_async_exception(thread_id, ctypes.py_object(TimeLimitReached))


def withdraw_interrupt(thread_id: int) -> None:
    """Take back an interrupt that has not been raised yet."""
    _set_async_exception(thread_id, None)
    settle_interrupts()


def _set_async_exception(thread_id: int, exception: Any) -> bool:
    api = getattr(ctypes, "pythonapi", None)  # CPython only; elsewhere threads are left running
    if api is None:
        return False
    return bool(api.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), exception) == 1)


def end_thread(thread: threading.Thread) -> bool:
    """Interrupt a thread until it ends; False if it does not within about a second.

    Repeatedly, because a bare `except:` inside the learner's loop swallows one.
    """
    if _is_traced():
        thread.join(sum(GRACE))
        return not thread.is_alive()
    for wait in GRACE:
        if thread.ident is None or not interrupt(thread.ident):
            break
        thread.join(wait)
        if not thread.is_alive():
            break
    settle_interrupts()
    return not thread.is_alive()


class Settled(Exception):
    """Raised by `settle_interrupts` for itself."""


def settle_interrupts() -> None:
    """Raise an interrupt in this thread, so that none counts as pending.

    In 3.11 an interrupt that reached a thread at its end stays pending for all others, and a thread
    under a profiler or debugger then hangs at its next call.
    """
    with contextlib.suppress(Settled):
        while _set_async_exception(threading.get_ident(), ctypes.py_object(Settled)):
            pass  # it is raised in one of the next turns


class _Router:
    """Replaces a standard stream: captured threads write to their buffer, others to the stream."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.captured: dict[int, Printed] = {}

    def write(self, text: str) -> int:
        printed = self.captured.get(threading.get_ident())
        if printed is None:
            return self.stream.write(text)
        printed.add(text)
        return len(text)

    def flush(self) -> None:
        if threading.get_ident() not in self.captured:
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


_routing = threading.Lock()


@contextlib.contextmanager
def capture(printed: Printed) -> Iterator[None]:
    """Collect what the current thread prints; other threads print as before."""
    here = threading.get_ident()
    with _routing:
        if not isinstance(sys.stdout, _Router):
            sys.stdout = cast(TextIO, _Router(sys.stdout))
        if not isinstance(sys.stderr, _Router):
            sys.stderr = cast(TextIO, _Router(sys.stderr))
        routers = (cast(_Router, sys.stdout), cast(_Router, sys.stderr))
        for router in routers:
            router.captured[here] = printed
    try:
        yield
    finally:
        with _routing:
            for router in routers:
                router.captured.pop(here, None)
            if sys.stdout is routers[0] and not routers[0].captured:
                sys.stdout = routers[0].stream
            if sys.stderr is routers[1] and not routers[1].captured:
                sys.stderr = routers[1].stream
