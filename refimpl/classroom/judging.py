"""Runs an exercise's cases against an answer, and says how the first that fails failed.

Every case runs under a time limit of its own (`limits`), and is judged there too, because comparing
and showing an object runs code of its class. Verdicts are plain data; `reports` turns them into
text.
"""

import copy
import dis
import inspect
import linecache
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any

from refimpl.errors import WebSocketError

from .cases import UNSET, Answer, Case, Exercise, Raises, Row, Wrong
from .difference import differences, same
from .limits import Outcome, TimeLimitReached, run_coroutine, run_limited
from .rendering import render, show_error

# What the compiler puts around an empty body, in one version of Python or another.
FRAMEWORK = (
    "RESUME",
    "RETURN_GENERATOR",
    "POP_TOP",
    "RETURN_VALUE",
    "CALL_INTRINSIC_1",
    "RERAISE",
    "NOP",
    "CACHE",
)
THREAD_GRACE = (
    0.5  # seconds that a coroutine has to clean up after its own limit, before its thread is ended
)


class State(Enum):
    """What a check can find."""

    PASSED = "passed"
    NOT_ATTEMPTED = "not attempted"
    WRONG = "wrong"
    CRASHED = "crashed"
    TOO_SLOW = "too slow"


@dataclass(slots=True)
class Verdict:
    """What a check found, with the failing case's number (from 1), name and report entries."""

    state: State
    number: int = 0
    case: str = ""
    rows: list[Row] = field(default_factory=list)


def judge(exercise: Exercise, answer: object) -> Verdict:
    """The verdict on a function or class: that of the first case that fails, or PASSED."""
    if answer is ... or answer is NotImplemented or is_empty(answer):
        return Verdict(State.NOT_ATTEMPTED)
    if not callable(answer):
        return Verdict(State.WRONG, rows=[("got", f"{render(answer)}, which cannot be called")])
    if exercise.is_async and inspect.isfunction(answer) and not inspect.iscoroutinefunction(answer):
        if not inspect.isasyncgenfunction(answer):
            return Verdict(
                State.WRONG, rows=[("got", "a plain function; this one needs `async def`")]
            )
    for number, case in enumerate(exercise.cases, 1):
        verdict = _judge_case(exercise, case, answer)
        if verdict.state is State.NOT_ATTEMPTED and number > 1:
            verdict = Verdict(
                State.WRONG,
                rows=[("got", "..., the placeholder: one path still ends in `return ...`")],
            )
        if verdict.state is not State.PASSED:
            verdict.number, verdict.case = number, case.name
            shown = case.shown or ("await " if exercise.is_async else "") + case.call.text(
                exercise.name
            )
            verdict.rows.insert(0, ("call", shown))
            if case.why:
                verdict.rows.append(("why", case.why))
            return verdict
    return Verdict(State.PASSED)


def _judge_case(exercise: Exercise, case: Case, answer: Any) -> Verdict:
    """The verdict on one case, reached in a thread with a time limit."""

    def attempt() -> Verdict:
        return _attempt(exercise, case, answer)

    limit = exercise.limit + (THREAD_GRACE if exercise.is_async else 0)
    outcome: Outcome[Verdict] = run_limited(attempt, limit)
    if outcome.timed_out:
        rows = [
            (
                "waited",
                f"{exercise.limit:g} s for an answer; a loop or a wait that never ends looks like this",
            )
        ]
        if outcome.still_running:
            rows.append(
                (
                    "note",
                    "your code is still running in the background; restarting the kernel ends it",
                )
            )
        verdict = Verdict(State.TOO_SLOW, rows=rows)
    elif outcome.value is not None:
        verdict = outcome.value
    else:
        assert outcome.error is not None
        verdict = _crash(outcome.error, answer)
    if outcome.printed.length and verdict.state is not State.PASSED:
        verdict.rows.append(("printed", _printed(outcome.printed.text, outcome.printed.length)))
    return verdict


def _attempt(exercise: Exercise, case: Case, answer: Any) -> Verdict:
    """Make the call and judge what comes back. Runs in the limited thread; may raise whatever the answer raises."""
    args, kwargs = _copies(case)
    act = case.drive or answer
    given = ([answer], {}) if case.drive else (args, kwargs)
    try:
        if exercise.is_async:
            result = run_coroutine(lambda: act(*given[0], **given[1]), exercise.limit)
        else:
            result = act(*given[0], **given[1])
    except Wrong as wrong:
        return Verdict(State.WRONG, rows=[*_expected(exercise, case), ("got", str(wrong))])
    except TimeLimitReached:
        raise
    except BaseException as error:
        return _judge_error(exercise, case, error, answer)
    if result is ... or result is NotImplemented:
        return Verdict(State.NOT_ATTEMPTED)
    if inspect.iscoroutine(result):
        result.close()
        return Verdict(
            State.WRONG,
            rows=[("got", "a coroutine: this one is a plain function, without `async`")],
        )
    verdict = _judge_result(exercise, case, result)
    if (
        verdict.state is State.PASSED
        and not case.drive
        and not case.mutates
        and not _unchanged(case, args, kwargs)
    ):
        return Verdict(
            State.WRONG, rows=[("got", "the right result, but the call changed its arguments")]
        )
    return verdict


def _copies(case: Case) -> tuple[list[Any], dict[str, Any]]:
    try:
        return copy.deepcopy(list(case.call.args)), copy.deepcopy(dict(case.call.kwargs))
    except (TypeError, copy.Error):  # a stream, a lock: nothing that a copy could be made of
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
        try:
            right = bool(case.holds(result))
            rows["got"] = render(result) if not right else ""
        except Wrong as wrong:
            right, rows["got"] = False, str(wrong)
    else:
        right = case.error is None and same(case.expect, result)
        rows["got"] = "" if right else _shown(exercise, result)
    if right:
        return Verdict(State.PASSED)
    if exercise.explain is not None:
        rows.update(exercise.explain(case, result))
    elif case.expect is not UNSET:
        rows.update(differences(case.expect, result))
    return Verdict(State.WRONG, rows=list(rows.items()))


def _shown(exercise: Exercise, result: object) -> str:
    """A result in the exercise's words; as its repr where it is not the kind of thing those words are for."""
    try:
        return exercise.show(result)
    except (AttributeError, TypeError, ValueError, LookupError):
        return render(result)


def _judge_error(exercise: Exercise, case: Case, error: BaseException, answer: object) -> Verdict:
    """The verdict on a call that raised: the expected error, another one of ours on purpose, or a crash."""
    if isinstance(error, NotImplementedError):
        return Verdict(State.NOT_ATTEMPTED)
    if case.error is not None and _is_kind(error, case.error):
        wrong = {name: getattr(error, name, None) for name in case.error.attributes}
        if all(same(value, wrong[name]) for name, value in case.error.attributes.items()):
            return Verdict(State.PASSED)
        got = Raises(type(error), wrong).text()
        return Verdict(State.WRONG, rows=[*_expected(exercise, case), ("got", got)])
    if isinstance(error, WebSocketError):
        rows = dict([*_expected(exercise, case), ("got", f"raises {show_error(error)}")])
        return Verdict(State.WRONG, rows=list(rows.items()))
    verdict = _crash(error, answer)
    verdict.rows = [*_expected(exercise, case), *verdict.rows]
    return verdict


def _is_kind(error: BaseException, wanted: Raises) -> bool:
    """Whether an error is of the wanted class, or of one of the same name that the notebook defined."""
    return any(
        base is wanted.error or base.__name__ == wanted.error.__name__
        for base in type(error).__mro__
    )


def _crash(error: BaseException, answer: object) -> Verdict:
    rows = [("raised", show_error(error))]
    place = _place(error.__traceback__, answer)
    return Verdict(State.CRASHED, rows=[*rows, ("at", place)] if place else rows)


def _place(traceback: TracebackType | None, answer: object) -> str:
    """The last line of the learner's own file that an error passed through."""
    home = getattr(
        getattr(inspect.unwrap(answer) if callable(answer) else answer, "__code__", None),
        "co_filename",
        "",
    )
    found = ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == home:
            number = traceback.tb_lineno - code.co_firstlineno + 1
            found = f"line {number} of {code.co_name}: {linecache.getline(home, traceback.tb_lineno).strip()}"
        traceback = traceback.tb_next
    return found


def _printed(text: str, length: int) -> str:
    return repr(text) if length <= 200 else f"{text[:200]!r}... ({length:,} characters in all)"


def is_empty(answer: object) -> bool:
    """Whether a function does nothing at all: `pass`, `...` or a docstring is its whole body."""
    if not inspect.isfunction(answer):
        return False
    steps = [step for step in dis.get_instructions(answer) if step.opname not in FRAMEWORK]
    return all(
        step.opname in ("LOAD_CONST", "RETURN_CONST") and step.argval is None for step in steps
    )


def judge_value(exercise: Answer, value: object) -> Verdict:
    """The verdict on a value. What was expected is never shown: reading the trace is the exercise."""
    if value is ... or value is NotImplemented:
        return Verdict(State.NOT_ATTEMPTED)
    rows = [("got", render(value))]
    outcome = run_limited(lambda: _accepts(exercise, value), exercise.limit)
    if outcome.timed_out:
        return Verdict(State.TOO_SLOW, rows=rows)
    if outcome.error is not None:
        return Verdict(State.CRASHED, rows=[*rows, ("raised", show_error(outcome.error))])
    if outcome.value == "":
        return Verdict(State.PASSED)
    return Verdict(State.WRONG, rows=[*rows, ("but", outcome.value or "")])


def _accepts(exercise: Answer, value: object) -> str:
    """What to say about a value; nothing where it is right."""
    right = exercise.accepts(value) if callable(exercise.accepts) else same(exercise.accepts, value)
    if right:
        return ""
    for mistake, text in exercise.mistakes.items():
        if same(mistake, value):
            return text
    kind = exercise.kind or (object if callable(exercise.accepts) else type(exercise.accepts))
    if not isinstance(value, kind):
        return f"this is a {type(value).__name__}, and the answer is a {kind.__name__}"
    return exercise.otherwise
