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

_hints_given: dict[str, int] = {}  # in this kernel; a restart forgives

KINDS = ("the idea", "the rule, on an example", "the outline")


class PendingCheck:
    """The check of an async exercise: to be awaited, and it says so where it was not."""

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
    """The verdict on an answer, reached here and now; inside an event loop await `check`."""
    if isinstance(exercise, Answer):
        return judge_value(exercise, answer)
    return judge(exercise, answer)


def check(answer: object, value: object = ...) -> PendingCheck | None:
    """Check an answer and print one line when it passes; raise CheckFailed, the report, otherwise.

    `check(parse_frame)` checks a function, found by its name; `await check(read_head)` a coroutine
    function; `check("broken_frame", broken_frame)` a value, or a function under another name. Time
    limits and errors of the answer are the report's business: a check neither hangs nor crashes.
    """
    name = name_of(answer)
    _, exercise = find_exercise(name)
    subject = value if isinstance(answer, str) else answer
    if isinstance(exercise, Exercise) and exercise.is_async:
        return PendingCheck(exercise, subject)
    _deliver(exercise, examine(exercise, subject))
    return None


def name_of(answer: object) -> str:
    """The exercise that a learner's object is the answer to: by its name, or the name itself.

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
    """Begin again with the first hints, as a restart of the kernel does."""
    _hints_given.clear()


__all__ = ["PendingCheck", "check", "forget_hints", "hint", "name_of"]
