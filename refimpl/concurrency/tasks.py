"""Which tasks still run: every live task, where it was made, and what it waits for.

A task that nobody awaits fails in silence, and one that waits for something that never comes lives
for ever. `trace_tasks` notes where tasks are made, `live_tasks` reports what each is doing, and
`leak_check` makes an error of a forgotten one. It is asyncio's counterpart to Go's goroutine dump.

>>> async def main():
...     with trace_tasks():
...         task = asyncio.create_task(asyncio.Event().wait(), name="waiting for Godot")
...         await asyncio.sleep(0)
...         [report] = live_tasks()
...         task.cancel()
...         return report.name, report.waits_for
>>> asyncio.run(main())
('waiting for Godot', 'Event.wait')
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from dataclasses import dataclass
from inspect import CORO_CREATED, getcoroutinestate
from types import AsyncGeneratorType, CoroutineType, FrameType
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["LeakedTasks", "TaskReport", "birth", "leak_check", "live_tasks", "table", "trace_tasks"]

GRACE = 10  # turns of the loop for a task to finish

_births: "WeakKeyDictionary[asyncio.Task[Any], tuple[str, float]]" = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One live task. age: seconds, None where it was made outside `trace_tasks`."""

    task: asyncio.Task[Any]
    name: str
    coroutine: str
    made_at: str
    waits_for: str
    age: float | None


class LeakedTasks(AssertionError):
    """Tasks outlived the block that made them: await them, cancel them, or use a TaskGroup."""

    def __init__(self, reports: list[TaskReport]) -> None:
        super().__init__(f"{len(reports)} task(s) outlived their block\n{table(reports)}")
        self.reports = reports


class _Tracer:
    """A task factory that notes where tasks are made while a trace runs; `before` makes them.

    All traces of a loop share one tracer, since the first to begin need not be the last to end.
    """

    def __init__(self, before: Any) -> None:
        self.before = before
        self.traces = 0

    def __call__(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Future[Any]:
        if context is not None:
            options["context"] = context
        if self.before is None:
            task: Any = asyncio.Task(coroutine, loop=loop, **options)
        else:
            task = self.before(loop, coroutine, **options)
        if self.traces:
            _births[task] = _caller(sys._getframe(1)), loop.time()
        else:  # another factory restored us after our last trace had ended
            self.remove(loop)
        return task  # type: ignore[no-any-return]

    def remove(self, loop: asyncio.AbstractEventLoop) -> None:
        """Restore `before`, unless another factory was set on top of us: it needs us."""
        if loop.get_task_factory() is self:
            loop.set_task_factory(self.before)


@contextmanager
def trace_tasks() -> Iterator[None]:
    """Note where and when each task of the running loop is made, until the block ends.

    Each task costs a stack walk, about 1 us, so it is for tests, lessons and servers in trouble.
    Blocks of several tasks may overlap.
    """
    loop = asyncio.get_running_loop()
    factory = loop.get_task_factory()
    tracer = factory if isinstance(factory, _Tracer) else _Tracer(factory)
    loop.set_task_factory(tracer)
    tracer.traces += 1
    try:
        yield
    finally:
        tracer.traces -= 1
        if not tracer.traces:
            tracer.remove(loop)


def _caller(frame: FrameType | None) -> str:
    """Return the first place outside asyncio on a stack, as `file:line in function`."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith("asyncio"):
            file = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
            return f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back
    return "?"


def birth(task: "asyncio.Task[Any]") -> tuple[str, float] | None:
    """Return where a task was made and when, by its loop's clock; None outside `trace_tasks`."""
    return _births.get(task)


def live_tasks() -> list[TaskReport]:
    """Return a report on every unfinished task of the running loop except the current one."""
    loop, current = asyncio.get_running_loop(), asyncio.current_task()
    tasks = sorted(asyncio.all_tasks(loop) - {current}, key=lambda task: task.get_name())
    return [_report(task, loop.time()) for task in tasks]


def _report(task: asyncio.Task[Any], now: float) -> TaskReport:
    made_at, born = _births.get(task, ("not traced", None))
    coroutine = task.get_coro()
    return TaskReport(
        task=task,
        name=task.get_name(),
        coroutine=getattr(coroutine, "__qualname__", type(coroutine).__name__),
        made_at=made_at,
        waits_for=_innermost(coroutine),
        age=None if born is None else now - born,
    )


def _innermost(awaited: object) -> str:
    """Return the name of the deepest coroutine in a chain of awaits: what it is stuck in."""
    if isinstance(awaited, CoroutineType) and getcoroutinestate(awaited) == CORO_CREATED:
        return "nothing: it has not begun"
    name = type(awaited).__name__
    while True:
        if isinstance(awaited, CoroutineType):
            name, awaited = awaited.__qualname__, awaited.cr_await
        elif isinstance(awaited, AsyncGeneratorType):
            name, awaited = awaited.__qualname__, awaited.ag_await
        else:
            return name


def table(reports: list[TaskReport]) -> str:
    """Return reports as lines of text: name, what it is stuck in, where it was made."""
    rows = [(r.name, f"waits for {r.waits_for}", f"made at {r.made_at}") for r in reports]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in rows)
    return "\n".join(f"  {line}".rstrip() for line in lines)


@asynccontextmanager
async def leak_check() -> AsyncIterator[None]:
    """Raise LeakedTasks if a task made inside the block outlives it.

    Tasks that are about to finish get a few turns of the loop to do so. If the block raises,
    nothing is checked.
    """
    before = asyncio.all_tasks()
    with trace_tasks():
        yield
    for _ in range(GRACE):
        if not asyncio.all_tasks() - before:
            return
        await asyncio.sleep(0)
    leaked = [report for report in live_tasks() if report.task not in before]
    if leaked:
        raise LeakedTasks(leaked)
