"""`check` and `hint`: what a learner calls after writing an answer, and before giving up on one."""

import textwrap
from collections.abc import Generator
from typing import Any

from refimpl.classroom.checking.cases import Answer, Exercise
from refimpl.classroom.checking.judge import judge, judge_value
from refimpl.classroom.checking.limits import wait_in_thread
from refimpl.classroom.checking.lookup import NAME_A_VALUE, UnknownExercise, find_exercise
from refimpl.classroom.checking.rendering import quantity, render
from refimpl.classroom.checking.reports import HINTS, CheckFailed, report
from refimpl.classroom.checking.verdicts import State, Verdict

_hints_given: dict[str, int] = {}  # in this kernel; a restart resets them

KINDS = ("the idea", "the rule, on an example", "the outline")


class PendingCheck:
    """The check of an async exercise, to be awaited; its repr says so."""

    def __init__(self, exercise: Exercise, answer: object) -> None:
        self._exercise = exercise
        self._answer = answer

    def __await__(self) -> Generator[Any, None, None]:
        return self._run().__await__()

    async def _run(self) -> None:
        # In a thread, so that servers which run in the notebook's own loop go on answering.
        verdict = await wait_in_thread(lambda: judge(self._exercise, self._answer))
        _deliver(self._exercise, verdict)

    def __repr__(self) -> str:
        name = self._exercise.name
        return f"{name} - not checked yet: write  await check({name})"


def examine(exercise: Exercise | Answer, answer: object) -> Verdict:
    """The verdict on an answer, computed at once; inside an event loop await `check`."""
    if isinstance(exercise, Answer):
        return judge_value(exercise, answer)
    return judge(exercise, answer)


def check(answer: object, value: object = ...) -> PendingCheck | None:
    """Check an answer: print one line if it passes, else raise CheckFailed with the report.

    `check(parse_frame)` checks a function, found by its name; `await check(read_head)` a coroutine
    function; `check("broken_frame", broken_frame)` a value, or a function under another name. The
    report covers time limits and errors of the answer: a check neither hangs nor crashes.
    """
    name = name_of(answer)
    _, exercise = find_exercise(name)
    subject = value if isinstance(answer, str) else answer
    if isinstance(exercise, Exercise) and exercise.is_async:
        return PendingCheck(exercise, subject)
    _deliver(exercise, examine(exercise, subject))
    return None


def name_of(answer: object) -> str:
    """The name of the exercise for a learner's object: that of a function, or a str itself.

    Raises UnknownExercise for a value, which has no name of its own.
    """
    if isinstance(answer, str):
        return answer
    if not callable(answer):
        raise UnknownExercise(f"{render(answer)} is a value and has no name; {NAME_A_VALUE}")
    return str(getattr(answer, "__name__", type(answer).__name__))


def _deliver(exercise: Exercise | Answer, verdict: Verdict) -> None:
    text = report(exercise, verdict, hints_left=HINTS - _hints_given.get(exercise.name, 0))
    if verdict.state is not State.PASSED:
        raise CheckFailed(text, verdict.state)
    print(text)


def hint(answer: object) -> None:
    """Print the next of an exercise's three hints, and how many are left."""
    chapter, exercise = find_exercise(name_of(answer))
    number = min(_hints_given.get(exercise.name, 0), HINTS - 1)
    _hints_given[exercise.name] = number + 1
    left = HINTS - number - 1
    rest = (
        f"{quantity(left, 'hint')} left"
        if left
        else f"no more hints; the solution is in solutions/{chapter.label}.ipynb"
    )
    print(f"{exercise.name} - hint {number + 1} of {HINTS}: {KINDS[number]}")
    for line in exercise.hints[number].splitlines():
        print(textwrap.fill(line, 88, initial_indent="  ", subsequent_indent="  "))
    print(f"  ({rest})")


def forget_hints() -> None:
    """Start again with the first hints, as a restart of the kernel does."""
    _hints_given.clear()


__all__ = ["PendingCheck", "check", "forget_hints", "hint", "name_of"]
