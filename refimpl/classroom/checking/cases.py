"""What an exercise is: cases, rule, hints. Plain data, written by chapters' authors (`checks`).

>>> double = Exercise(
...     "double",
...     points=1,
...     rule="arithmetic",
...     hints=("Twice as much.", "Two and two is four.", "Add the number to itself."),
...     cases=(
...         Case("a two", call(2), expect=4),
...         Case("no number", call(None), error=raises(TypeError)),
...     ),
... )
>>> double.cases[0].call.text("double")
'double(2)'
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final

from refimpl.classroom.checking.rendering import render

Row = tuple[str, str]
"""One entry of a report: a label such as "expected", and a text of one line or several."""


class Wrong(Exception):
    """Raised by a case's `drive` or `holds`: the result is wrong; the message says what was got.

    why: what stands in place of the case's own `why`, where that would mislead (`drive` only).
    """

    def __init__(self, got: str, *, why: str = "") -> None:
        super().__init__(got)
        self.why = why


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call. Each check passes copies, so that no answer can spoil the next."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The call as source text, with long bytes cut."""
        named = [f"{key}={render(value)}" for key, value in self.kwargs.items()]
        return f"{name}({', '.join([*map(render, self.args), *named])})"


def call(*args: Any, **kwargs: Any) -> Call:
    """The call of the learner's function with these arguments."""
    return Call(args, kwargs)


@dataclass(frozen=True, slots=True)
class Raises:
    """The error that a case expects: its class, and attributes that it must have."""

    error: type[BaseException]
    attributes: Mapping[str, object] = field(default_factory=dict)

    def text(self) -> str:
        """The expectation in words."""
        named = ", ".join(f"{key} {value!r}" for key, value in self.attributes.items())
        return f"raises {self.error.__name__}" + (f" with {named}" if named else "")


def raises(error: type[BaseException], **attributes: object) -> Raises:
    """The expectation of an error of this class, or a subclass, with these attributes."""
    return Raises(error, attributes)


class _Unset:
    """Stands for "nothing was given", because None is a value like any other."""


UNSET: Final = _Unset()


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that an answer must get right.

    name: what is special about it, read after "case 4 of 11:". The action: `call`, or `drive`,
    which gets the learner's function and returns what to judge (an `async def` for an async
    exercise), with `shown` as the text of the report's "call". The expectation, exactly one of:
    `expect` (an equal value of the same type), `error` (see `raises`), `holds` (a function of the
    result that returns whether it is right, or raises `Wrong`), with `wanted` as its words. why:
    one sentence for those who fail here. mutates: the function may change its arguments.
    """

    name: str
    call: Call = Call()
    _: KW_ONLY
    drive: Callable[[Any], Any] | None = None
    shown: str = ""
    expect: Any = UNSET
    error: Raises | None = None
    holds: Callable[[Any], object] | None = None
    wanted: str = ""
    why: str = ""
    mutates: bool = False

    def __post_init__(self) -> None:
        if (self.expect is not UNSET) + (self.error is not None) + (self.holds is not None) != 1:
            raise TypeError(f"case {self.name!r}: give exactly one of expect, error, holds")
        if self.holds and not self.wanted:
            raise TypeError(
                f"case {self.name!r}: holds needs wanted, which says in words what was expected"
            )
        if self.drive and not self.shown:
            raise TypeError(f"case {self.name!r}: drive needs shown, the text of the call")


@dataclass(frozen=True, slots=True)
class Exercise:
    """An exercise whose answer is a function, a coroutine function (`is_async`) or a class.

    name: of the function, and of the exercise in the whole series. rule: the section that decides,
    read after "rule". hints: the idea; the RFC section with worked bytes; the outline in words.
    show: a result in words, in place of its repr. explain: more entries for the report of a wrong
    result, from the case and the result ("expected" and "got" replace the usual ones); see
    `frame_report` for frames; without it `difference` is used. limit: seconds for one case.
    replaces: the definition that `graft` replaces by the learner's ("framing.parse_frame").
    """

    name: str
    _: KW_ONLY
    points: int
    rule: str
    hints: tuple[str, str, str]
    cases: Sequence[Case]
    is_async: bool = False
    show: Callable[[Any], str] = render
    explain: Callable[[Case, Any], Iterable[Row]] | None = None
    limit: float = 5.0
    replaces: str = ""
    adapt: Callable[[Any], Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An exercise whose answer is a value: `check("broken_frame", broken_frame)`.

    accepts: the right value, or a function that tells whether a value is right. The report never
    shows it. mistakes: for wrong values that come from a likely error, what that error was. kind:
    the expected type, if not that of `accepts`. otherwise: the report for any other wrong value.
    """

    name: str
    _: KW_ONLY
    points: int
    rule: str
    hints: tuple[str, str, str]
    accepts: Any
    otherwise: str
    mistakes: Mapping[Any, str] = field(default_factory=dict)
    kind: type | None = None
    limit: float = 5.0
