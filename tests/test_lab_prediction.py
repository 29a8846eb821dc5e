"""The prediction block: it shows what happens, folded, and nbval can compare it."""

from __future__ import annotations

from typing import Any

import pytest

from refimpl.lab import prediction


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What reached the notebook's display."""
    found: list[Any] = []
    monkeypatch.setattr("IPython.display.display", found.append)
    return found


def test_what_is_printed_is_shown_once_and_folded(
    shown: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with prediction("How many arrive?", "none", "all"):
        print("2 < 3")
        print("end")
    [block] = shown
    assert capsys.readouterr().out == ""
    assert repr(block).splitlines() == [
        "Predict. How many arrive?", "( ) none", "( ) all", "What happens:",
        "2 < 3", "end",
    ]  # fmt: skip
    page = block._repr_html_()
    before, _, folded = page.partition("<details>")
    assert before.count('type="radio"') == 2 and "2 &lt; 3" not in before
    assert "2 &lt; 3\nend" in folded


def test_the_same_question_gives_the_same_page(shown: list[Any]) -> None:
    """nbval compares the HTML too."""
    pages = []
    for _ in range(2):
        with prediction("Which?", "a", "b"):
            print("a")
        pages.append(shown.pop()._repr_html_())
    assert pages[0] == pages[1]
    assert pages[0] != prediction("What?", "a", "b")._repr_html_()


def test_two_questions_are_two_groups_of_buttons() -> None:
    names = {
        prediction(question, "a", "b")._repr_html_().partition('name="')[2][:12]
        for question in ("Which?", "What?")
    }
    assert len(names) == 2


def test_an_error_goes_on_and_nothing_is_shown(
    shown: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError), prediction("Which?", "a", "b"):
        raise ZeroDivisionError
    assert shown == []
    print("heard again")
    assert capsys.readouterr().out == "heard again\n"


@pytest.mark.parametrize("choices", [(), ("one",), ("a", "a")])
def test_a_question_needs_a_choice(choices: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected two or more different ones"):
        prediction("Which?", *choices)
