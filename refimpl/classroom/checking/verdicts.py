"""Verdicts: the results of a check as plain data, and how to derive one from code or an error."""

import dis
import functools
import inspect
import linecache
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any

from refimpl.classroom.checking.cases import Row
from refimpl.classroom.checking.rendering import show_error

# Instructions around an empty body, in the various versions of Python.
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


class State(Enum):
    """The possible results of a check."""

    PASSED = "passed"
    NOT_ATTEMPTED = "not attempted"
    WRONG = "wrong"
    CRASHED = "crashed"
    TOO_SLOW = "too slow"


@dataclass(slots=True)
class Verdict:
    """The result of a check, with the failing case's number (from 1), name and report entries."""

    state: State
    number: int = 0
    case: str = ""
    rows: list[Row] = field(default_factory=list)


class NotAttempted(BaseException):
    """An answer returned the placeholder inside a case's `drive`."""


def with_placeholder_check(answer: Any) -> Any:
    """A function that raises NotAttempted instead of returning `...`; a class unchanged."""
    if inspect.iscoroutinefunction(answer):

        @functools.wraps(answer)
        async def checked_coroutine(*args: Any, **kwargs: Any) -> Any:
            return _attempted(await answer(*args, **kwargs))

        return checked_coroutine
    if not inspect.isfunction(answer):
        return answer

    @functools.wraps(answer)
    def checked_function(*args: Any, **kwargs: Any) -> Any:
        return _attempted(answer(*args, **kwargs))

    return checked_function


def _attempted(result: Any) -> Any:
    if result is ...:
        raise NotAttempted
    return result


def crash(error: BaseException, answer: object) -> Verdict:
    """The verdict on an answer that raised an unexpected error, with the place in its code."""
    rows = [("raised", show_error(error))]
    place = _place(error.__traceback__, answer)
    return Verdict(State.CRASHED, rows=[*rows, ("at", place)] if place else rows)


def _place(traceback: TracebackType | None, answer: object) -> str:
    """The last line of the learner's own file that an error passed through."""
    found, home = "", _file_of(answer)
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == home:
            number = traceback.tb_lineno - code.co_firstlineno + 1
            line = linecache.getline(home, traceback.tb_lineno).strip()
            found = f"line {number} of {code.co_name}: {line}"
        traceback = traceback.tb_next
    return found


def _file_of(answer: object) -> str:
    """The file or notebook cell in which a function or class is defined."""
    if isinstance(answer, type):
        functions = [value for value in vars(answer).values() if inspect.isfunction(value)]
        return functions[0].__code__.co_filename if functions else ""
    written = inspect.unwrap(answer) if callable(answer) else answer
    return str(getattr(getattr(written, "__code__", None), "co_filename", ""))


def shorten_output(text: str, length: int) -> str:
    """What an answer printed, as one line. length: of all of it; only the beginning is kept."""
    return repr(text) if length <= 200 else f"{text[:200]!r}... ({length:,} characters in all)"


def is_empty(answer: object) -> bool:
    """Whether a function does nothing: its whole body is `pass`, `...` or a docstring."""
    if not inspect.isfunction(answer):
        return False
    steps = [step for step in dis.get_instructions(answer) if step.opname not in FRAMEWORK]
    return all(
        step.opname in ("LOAD_CONST", "RETURN_CONST") and step.argval is None for step in steps
    )
