"""A verdict as text, and the error that carries it into a notebook without a traceback."""

from collections.abc import Iterable

from refimpl.classroom.checking.cases import Answer, Exercise, Row
from refimpl.classroom.checking.rendering import quantity
from refimpl.classroom.checking.verdicts import State, Verdict

LABEL = 10  # columns
HINTS = 3

ORDER = (
    "call",
    "expected",
    "got",
    "differs",
    "raised",
    "at",
    "waited",
    "but",
    "bytes",
    "printed",
    "why",
    "note",
)


class CheckFailed(AssertionError):
    """An exercise is not solved yet. Its message is the report, which is all a notebook shows."""

    def __init__(self, report: str, state: State = State.WRONG) -> None:
        super().__init__(report)
        self.state = state

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython shows in place of a traceback."""
        return str(self).splitlines()


def lay_out(rows: Iterable[Row]) -> str:
    """Entries below each other, their labels in a column; a text may have several lines."""
    lines = []
    for label, text in rows:
        first, *more = text.splitlines() or [""]
        lines.append(f"  {label:<{LABEL}}{first}".rstrip())
        lines += [f"  {'':<{LABEL}}{line}".rstrip() for line in more]
    return "\n".join(lines)


def report(exercise: Exercise | Answer, verdict: Verdict, *, hints_left: int = HINTS) -> str:
    """The report of a check: one line if it passed, else the failing case and what to do next."""
    if isinstance(exercise, Answer):
        target, passed = f'"{exercise.name}"', "passed"
    else:
        target, passed = exercise.name, f"passed ({quantity(len(exercise.cases), 'case')})"
    if verdict.state is State.PASSED:
        return f"{exercise.name} - {passed}"
    rows = sorted(
        verdict.rows, key=lambda row: ORDER.index(row[0]) if row[0] in ORDER else len(ORDER)
    )
    title = f"{exercise.name} - {verdict.state.value}"
    if verdict.state is State.NOT_ATTEMPTED:
        rows = [
            (
                "next",
                "write your answer in the cell above, in place of the `...`, and run both again",
            )
        ]
    else:
        if verdict.number and not isinstance(exercise, Answer):
            title += f" (case {verdict.number} of {len(exercise.cases)}: {verdict.case})"
        rows.append(("rule", exercise.rule))
    rows.append(("try", f"hint({target})  ".ljust(25) + f"{quantity(hints_left, 'hint')} left"))
    return f"{title}\n{lay_out(rows)}"
