"""A prediction: a question, some answers to choose from, then what really happens, folded.

    with prediction("How many of the 20 messages reach Ben?", "all 20", "10", "none"):
        print(len(ben.messages))

What the block prints appears behind a line that has to be opened. Whoever chooses first learns
more, so the stored output of these cells is folded, in JupyterLab as in an exported page. nbval
compares all of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import io
from types import TracebackType

__all__ = ["Prediction", "prediction"]

FORM = """\
<form style="border-left: 4px solid #0072B2; padding: 0.2em 1em; margin: 0.4em 0">
<p><b>Predict.</b> {question}</p>
{choices}<details><summary>What happens</summary>
<pre style="line-height: 1.35">{outcome}</pre></details></form>"""
CHOICE = '<label style="display: block"><input type="radio" name="{name}"> {words}</label>\n'


class Prediction:
    """What a `with prediction(...)` block shows when it ends; an error in the block shows nothing.

    question: one sentence. choices: two or more answers.
    """

    def __init__(self, question: str, choices: tuple[str, ...]) -> None:
        if len(choices) < 2 or len(set(choices)) < len(choices):
            raise ValueError(f"got the choices {choices}, expected two or more different ones")
        self.question = question
        self.choices = choices
        self._printed = io.StringIO()
        self._listening = contextlib.redirect_stdout(self._printed)

    def __enter__(self) -> None:
        self._listening.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listening.__exit__(kind, error, traceback)
        if error is None:
            from IPython.display import display

            display(self)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        choices = [f"( ) {choice}" for choice in self.choices]
        asked = "\n".join([f"Predict. {self.question}", *choices, "What happens:"])
        return f"{asked}\n{self._printed.getvalue()}".rstrip("\n")

    def _repr_html_(self) -> str:
        group = hashlib.sha256(self.question.encode()).hexdigest()[:12]  # the same in each run
        choices = "".join(
            CHOICE.format(name=group, words=html.escape(choice)) for choice in self.choices
        )
        outcome = html.escape(self._printed.getvalue())
        return FORM.format(question=html.escape(self.question), choices=choices, outcome=outcome)


def prediction(question: str, *choices: str) -> Prediction:
    """Return a block to run what a question asks about; ValueError for fewer than two choices.

    >>> prediction("How much is 6 x 7?", "42", "41")
    Predict. How much is 6 x 7?
    ( ) 42
    ( ) 41
    What happens:
    """
    return Prediction(question, choices)
