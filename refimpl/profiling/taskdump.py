"""A dump of every task of a loop: its stack, its age, where it was made, what it waits for.

It can be taken in any thread, so that a blocked loop can be examined too; the loop itself does no
work for it. Tasks that stand at the same place form one group: ten thousand that wait for a message
are one line, and one that waits for something that never comes is another.

>>> import asyncio
>>> async def main():
...     tasks = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
...     await asyncio.sleep(0)
...     dump = dump_tasks(asyncio.get_running_loop())
...     for task in tasks:
...         task.cancel()
...     return [(group.count, group.waits_for) for group in grouped(dump)]
>>> asyncio.run(main())
[(3, 'Event.wait'), (1, 'nothing: it runs')]
"""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any

from refimpl.concurrency.tasks import birth
from refimpl.profiling.render import Finding
from refimpl.profiling.stacks import Call, Profile, place

__all__ = ["Group", "History", "TaskState", "dump_tasks", "grouped", "tasks_finding"]

Loop = asyncio.AbstractEventLoop
NAMES = 3  # tasks of a group that are named
GROUPS = 50  # groups in a text
KINDS = 20  # coroutines with a count of their own


@dataclass(frozen=True, slots=True)
class TaskState:
    """One unfinished task. stack: outermost first; age: seconds, None where it was not traced."""

    name: str
    coroutine: str
    stack: tuple[Call, ...]
    waits_for: str
    made_at: str
    age: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Tasks with the same stack that wait for the same thing. names: of a few; oldest: seconds."""

    stack: tuple[Call, ...]
    waits_for: str
    count: int
    names: tuple[str, ...]
    made_at: tuple[str, ...]
    oldest: float | None


def dump_tasks(loop: Loop, thread: int | None = None) -> list[TaskState]:
    """Return the state of every unfinished task of a loop.

    thread: the identity of the thread that runs the loop, if it is not this one: the running task's
    stack is read from it. The tasks go on meanwhile, so the states are not all of one moment.
    """
    running = asyncio.current_task(loop)
    frame = sys._current_frames().get(thread) if thread is not None else sys._getframe()
    return [
        _state(task, frame if task is running else None, loop.time())
        for task in asyncio.all_tasks(loop)
    ]


def _state(task: asyncio.Task[Any], running: FrameType | None, now: float) -> TaskState:
    coroutine = task.get_coro()
    made_at, born = birth(task) or ("before tasks were traced", None)
    if running is not None:
        stack, waits_for = _running_stack(running), "nothing: it runs"
    else:
        stack = tuple(_awaits(coroutine))
        waits_for = _waits_for(task, stack)
    return TaskState(
        task.get_name(),
        getattr(coroutine, "__qualname__", type(coroutine).__name__),
        stack,
        waits_for,
        made_at,
        None if born is None else now - born,
    )


def _waits_for(task: asyncio.Task[Any], stack: tuple[Call, ...]) -> str:
    """Return what a suspended task waits for: the innermost coroutine, or the task it awaits."""
    waiter = getattr(task, "_fut_waiter", None)  # asyncio has no public name for it
    if isinstance(waiter, asyncio.Task):
        return f"the task {waiter.get_name()!r}"
    if type(waiter).__name__ == "_GatheringFuture":
        return f"a gather of {len(getattr(waiter, '_children', ()))}"
    if waiter is None:
        return "its turn: it is ready to run"
    return stack[-1].function if stack else type(waiter).__name__


def _awaits(awaited: object) -> Iterator[Call]:
    """Yield the coroutines of a chain of awaits, outermost first, each with its current line."""
    while True:
        frame: FrameType | None
        if isinstance(awaited, CoroutineType):
            frame, code, awaited = awaited.cr_frame, awaited.cr_code, awaited.cr_await
        elif isinstance(awaited, GeneratorType):
            frame, code, awaited = awaited.gi_frame, awaited.gi_code, awaited.gi_yieldfrom
        elif isinstance(awaited, AsyncGeneratorType):
            frame, code, awaited = awaited.ag_frame, awaited.ag_code, awaited.ag_await
        else:
            return
        if frame is not None:
            yield _call(code, frame.f_lineno)


def _running_stack(frame: FrameType | None) -> tuple[Call, ...]:
    """Return the calls of a thread above its loop, outermost first."""

    def frames() -> Iterator[FrameType]:
        here = frame
        while here is not None:
            yield here
            here = here.f_back

    above = takewhile(lambda each: each.f_globals.get("__name__") != "asyncio.events", frames())
    return tuple(_call(each.f_code, each.f_lineno) for each in above)[::-1]


def _call(code: CodeType, line: int) -> Call:
    return Call(code.co_qualname, *_placed(code, line))


def _placed(code: CodeType, line: int) -> tuple[str, int, str]:
    file, origin = place(code.co_filename)
    return file, line, origin


def grouped(states: Iterable[TaskState]) -> list[Group]:
    """Return groups of tasks with the same stack, the largest first."""
    members: dict[tuple[tuple[Call, ...], str], list[TaskState]] = {}
    for state in states:
        members.setdefault((state.stack, state.waits_for), []).append(state)
    groups = []
    for (stack, waits_for), same in members.items():
        ages = [state.age for state in same if state.age is not None]
        names = tuple(sorted(state.name for state in same)[:NAMES])
        made_at = tuple(place for place, _ in Counter(s.made_at for s in same).most_common(NAMES))
        oldest = max(ages, default=None)
        groups.append(Group(stack, waits_for, len(same), names, made_at, oldest))
    return sorted(groups, key=lambda group: (-group.count, group.waits_for, group.stack))


class History:
    """Samples of how many tasks each coroutine had; the last hour at a sample every 5 s."""

    def __init__(self, samples: int = 720) -> None:
        self.samples: deque[tuple[float, Counter[str]]] = deque(maxlen=samples)
        """(the loop's time, tasks by coroutine), the oldest first."""

    def record(self, loop: Loop) -> None:
        """Count the unfinished tasks now; 10,000 take some milliseconds of the calling thread."""
        names = Counter(
            getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks(loop)
        )
        self.samples.append((loop.time(), Counter(dict(names.most_common(KINDS)))))

    def lines(self, columns: int = 6) -> list[str]:
        """Return the counts as a table: a row a coroutine, the oldest column first."""
        if not self.samples:
            return []
        step = max(1, -(-len(self.samples) // columns))
        chosen = list(self.samples)[::-1][::step][::-1]
        latest = chosen[-1][0]
        head = "".join(f"{f'-{latest - when:.0f} s':>9}" for when, _ in chosen[:-1])
        lines = ["tasks over time:", f"{head}{'now':>9}  coroutine"]
        for name, _ in (chosen[0][1] | chosen[-1][1]).most_common(KINDS):
            lines.append("".join(f"{counts[name]:>9,}" for _, counts in chosen) + f"  {name}")
        return lines


def tasks_finding(states: list[TaskState], history: History, lag: float | None) -> Finding:
    """Return a dump as a finding. lag: seconds the loop took to answer, None if it did not."""
    groups = grouped(states)
    answer = "the loop has not answered: it is blocked" if lag is None else (
        f"the loop answered in {lag * 1000:.3g} ms"
    )  # fmt: skip
    lines = [f"{len(states):,} tasks at {len(groups):,} places; {answer}"]
    for group in groups[:GROUPS]:
        lines += ["", *_group_lines(group)]
    if len(groups) > GROUPS:
        lines += ["", f"... and {len(groups) - GROUPS:,} more places"]
    profile = Profile([(group.stack, float(group.count)) for group in groups], "tasks")
    return Finding("tasks", "Tasks", profile, "\n".join([*lines, "", *history.lines()]))


def _group_lines(group: Group) -> list[str]:
    """Return a group as text: how many, what they wait for, their names, the stack."""
    names = ", ".join(group.names) + (", ..." if group.count > len(group.names) else "")
    oldest = "" if group.oldest is None else f"; the oldest is {group.oldest:.3g} s old"
    noun = "task waits" if group.count == 1 else "tasks wait"
    return [
        f"{group.count:,} {noun} for {group.waits_for}{oldest}",
        f"    named {names}",
        f"    made at {'; '.join(group.made_at)}",
        *(f"      {call}" for call in group.stack),
    ]
