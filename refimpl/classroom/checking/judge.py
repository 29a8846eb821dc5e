"""Runs an exercise's cases against an answer, and reports the first one that fails.

Every case has a time limit (`limits`). The limited thread also judges the result, because comparing
and showing an object runs code of its class. Verdicts are plain data; `reports` turns them into
text.
"""

import copy
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from refimpl.classroom.checking.cases import UNSET, Answer, Case, Exercise, Raises, Row, Wrong
from refimpl.classroom.checking.difference import differences, same
from refimpl.classroom.checking.limits import Outcome, TimeLimitReached, run_coroutine, run_limited
from refimpl.classroom.checking.rendering import render, show_error
from refimpl.classroom.checking.verdicts import (
    NotAttempted,
    State,
    Verdict,
    crash,
    is_empty,
    shorten_output,
    with_placeholder_check,
)
from refimpl.errors import WebSocketError

# Seconds for a coroutine to clean up after its own limit, before its thread is ended.
THREAD_GRACE = 0.5


def judge(exercise: Exercise, answer: object) -> Verdict:
    """The verdict on a function or class: that of the first case that fails, or PASSED."""
    if answer is ... or answer is NotImplemented or is_empty(answer):
        return Verdict(State.NOT_ATTEMPTED)
    if complaint := _misfit(exercise, answer):
        return wrong(complaint)
    for number, case in enumerate(exercise.cases, 1):
        verdict = _judge_case(exercise, case, answer)
        if verdict.state is State.NOT_ATTEMPTED and number > 1:
            verdict = wrong("..., the placeholder: one path still ends in `return ...`")
        if verdict.state is not State.PASSED:
            verdict.number, verdict.case = number, case.name
            before = "await " if exercise.is_async else ""
            shown = case.shown or before + case.call.text(exercise.name)
            verdict.rows.insert(0, ("call", shown))
            if case.why and not any(label == "why" for label, _ in verdict.rows):
                verdict.rows.append(("why", case.why))
            return verdict
    return Verdict(State.PASSED)


def wrong(got: str, *rows: Row) -> Verdict:
    """The verdict on a wrong answer: the rows, then what was got."""
    return Verdict(State.WRONG, rows=[*rows, ("got", got)])


def _misfit(exercise: Exercise, answer: Any) -> str:
    """Why an answer cannot even be called; "" if it can."""
    if not callable(answer):
        outcome = run_limited(lambda: render(answer), exercise.limit)
        shown = outcome.value or f"a value of type {type(answer).__name__}"
        return f"{shown}, which cannot be called"
    is_plain = inspect.isfunction(answer) and not inspect.iscoroutinefunction(answer)
    if exercise.is_async and is_plain and not inspect.isasyncgenfunction(answer):
        return "a plain function; this one needs `async def`"
    return ""


def _judge_case(exercise: Exercise, case: Case, answer: Any) -> Verdict:
    """The verdict on one case, reached in a thread with a time limit."""

    def attempt() -> Verdict:
        return _attempt(exercise, case, answer)

    limit = exercise.limit + (THREAD_GRACE if exercise.is_async else 0)
    outcome: Outcome[Verdict] = run_limited(attempt, limit)
    if outcome.timed_out:
        waited = f"{exercise.limit:g} s for an answer; a loop or wait without end looks like this"
        verdict = Verdict(State.TOO_SLOW, rows=[("waited", waited)])
        if outcome.still_running:
            verdict.rows.append(("note", "it is still running; restarting the kernel ends it"))
    elif outcome.value is not None:
        verdict = outcome.value
    else:
        assert outcome.error is not None
        verdict = crash(outcome.error, answer)
    printed = outcome.printed
    if printed.length and verdict.state is not State.PASSED:
        verdict.rows.append(("printed", shorten_output(printed.text, printed.length)))
    return verdict


def _attempt(exercise: Exercise, case: Case, answer: Any) -> Verdict:
    """Make the call and judge what comes back. Runs in the limited thread."""
    args, kwargs = _copies(case)

    def act() -> Any:
        return case.drive(with_placeholder_check(answer)) if case.drive else answer(*args, **kwargs)

    try:
        result = run_coroutine(act, exercise.limit) if exercise.is_async else act()
    except NotAttempted:
        return Verdict(State.NOT_ATTEMPTED)
    except Wrong as complaint:
        verdict = wrong(str(complaint), *_expected(exercise, case))
        verdict.rows += [("why", complaint.why)] if complaint.why else []
        return verdict
    except TimeLimitReached:
        raise
    except BaseException as error:  # SystemExit and KeyboardInterrupt count as mistakes too
        return _judge_error(exercise, case, error, answer)
    if result is ... or result is NotImplemented:
        return Verdict(State.NOT_ATTEMPTED)
    if inspect.iscoroutine(result):
        result.close()
        return wrong(
            "a coroutine: await what you return"
            if exercise.is_async
            else "a coroutine: this one is a plain function, without `async`"
        )
    verdict = _judge_result(exercise, case, result)
    may_change = case.drive or case.mutates
    if verdict.state is State.PASSED and not may_change and not _unchanged(case, args, kwargs):
        verdict = wrong("the right result, but the call changed its arguments")
        verdict.rows.append(("why", "they are the caller's, who still needs them as they were"))
    return verdict


def _copies(case: Case) -> tuple[list[Any], dict[str, Any]]:
    try:
        return copy.deepcopy(list(case.call.args)), copy.deepcopy(dict(case.call.kwargs))
    except (TypeError, copy.Error):  # a stream or a lock, which cannot be copied
        return list(case.call.args), dict(case.call.kwargs)


def _unchanged(case: Case, args: list[Any], kwargs: dict[str, Any]) -> bool:
    plain = (bytes, bytearray, str, int, list, dict, tuple, set)
    before = [*case.call.args, *case.call.kwargs.values()]
    after = [*args, *(kwargs[key] for key in case.call.kwargs)]
    return all(a == b for a, b in zip(before, after, strict=True) if isinstance(a, plain))


def _expected(exercise: Exercise, case: Case) -> list[Row]:
    if case.error is not None:
        return [("expected", case.error.text())]
    return [("expected", case.wanted or exercise.show(case.expect))]


def _judge_result(exercise: Exercise, case: Case, result: object) -> Verdict:
    rows: dict[str, str] = dict(_expected(exercise, case))
    if case.holds is not None:
        complaint = _complaint(case.holds, result)
        if not complaint:
            return Verdict(State.PASSED)
        rows["got"] = complaint
    elif case.error is None and same(case.expect, result):
        return Verdict(State.PASSED)
    else:
        rows["got"] = _shown(exercise, result)
    rows.update(_explained(exercise, case, result))
    return Verdict(State.WRONG, rows=list(rows.items()))


def _complaint(holds: Callable[[Any], object], result: object) -> str:
    """What was got, if the result lacks the property that the case wants; else ""."""
    try:
        return "" if holds(result) else render(result)
    except Wrong as complaint:
        return str(complaint)
    except (AttributeError, TypeError, ValueError, LookupError):  # a result of an unexpected type
        return f"{render(result)}, of type {type(result).__name__}"


def _explained(exercise: Exercise, case: Case, result: object) -> Iterable[Row]:
    """The entries that explain a wrong result, or an error raised instead."""
    try:
        if exercise.explain is not None:
            return list(exercise.explain(case, result))
    except (AttributeError, TypeError, ValueError, LookupError):
        pass  # an explanation may fail on an unusual result
    if case.expect is UNSET or isinstance(result, BaseException):
        return []
    return differences(case.expect, result)


def _shown(exercise: Exercise, result: object) -> str:
    """A result in the exercise's words, or its repr if they do not fit it."""
    try:
        return exercise.show(result)
    except (AttributeError, TypeError, ValueError, LookupError):
        return render(result)


def _judge_error(exercise: Exercise, case: Case, error: BaseException, answer: object) -> Verdict:
    """The verdict on a call that raised: the expected error, a wrong refusal, or a crash."""
    if isinstance(error, NotImplementedError):
        return Verdict(State.NOT_ATTEMPTED)
    if case.error is not None and _is_kind(error, case.error):
        held = {name: getattr(error, name, None) for name in case.error.attributes}
        if all(same(value, held[name]) for name, value in case.error.attributes.items()):
            return Verdict(State.PASSED)
        return wrong(Raises(type(error), held).text(), *_expected(exercise, case))
    if isinstance(error, WebSocketError):
        rows = dict([*_expected(exercise, case), ("got", f"raises {show_error(error)}")])
        rows.update(_explained(exercise, case, error))
        return Verdict(State.WRONG, rows=list(rows.items()))
    verdict = crash(error, answer)
    verdict.rows = [*_expected(exercise, case), *verdict.rows]
    return verdict


def _is_kind(error: BaseException, wanted: Raises) -> bool:
    """Whether an error is of the wanted class, or of the notebook's class of the same name."""
    return any(
        base is wanted.error or base.__name__ == wanted.error.__name__
        for base in type(error).__mro__
    )


def judge_value(exercise: Answer, value: object) -> Verdict:
    """The verdict on a value; the report never says what was expected: that is the exercise."""
    if value is ... or value is NotImplemented:
        return Verdict(State.NOT_ATTEMPTED)
    shown = f"a value of type {type(value).__name__}"

    def decide() -> str:
        nonlocal shown
        complaint = _accepts(exercise, value)
        if complaint:
            shown = render(value)
        return complaint

    outcome = run_limited(decide, exercise.limit)
    rows = [("got", shown)]
    if outcome.timed_out:
        return Verdict(State.TOO_SLOW, rows=rows)
    if outcome.error is not None:
        return Verdict(State.CRASHED, rows=[*rows, ("raised", show_error(outcome.error))])
    if outcome.value == "":
        return Verdict(State.PASSED)
    return Verdict(State.WRONG, rows=[*rows, ("but", outcome.value or "")])


def _accepts(exercise: Answer, value: object) -> str:
    """What is wrong with a value; "" if it is right."""
    right = exercise.accepts(value) if callable(exercise.accepts) else same(exercise.accepts, value)
    if right:
        return ""
    for mistake, text in exercise.mistakes.items():
        if same(mistake, value):
            return text
    kind = exercise.kind or (object if callable(exercise.accepts) else type(exercise.accepts))
    if not isinstance(value, kind):
        return f"of type {type(value).__name__}, expected {kind.__name__}"
    return exercise.otherwise
