"""The waterfall says what each step left, and by how much it divided."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from refimpl.lab.draw.waterfall import waterfall

STEPS = [("as written", 900.0), ("one write", 300.0), ("nothing gained", 300.0), ("worse", 330.0)]


def drawn():
    return waterfall(STEPS, "Most is gone", unit="microseconds").figure.axes[0]


def test_each_step_says_what_is_left_and_by_how_much_it_divided():
    words = [each.get_text() for each in drawn().texts]
    assert words == ["900", "300   ÷ 3", "300   ÷ 1", "330   ÷ 0.91"]


def test_what_is_left_and_what_went_add_up_to_what_was():
    widths = [round(bar.get_width()) for bar in drawn().patches]
    assert widths == [900, 0, 300, 600, 300, 0, 330, 0]


def test_text_is_readable():
    assert all(text.get_fontsize() >= 9 for text in drawn().texts)
