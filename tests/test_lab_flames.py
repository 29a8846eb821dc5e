"""Flame graphs for notebooks: a figure with its words, the same text on each run."""

from __future__ import annotations

from refimpl.lab import draw_flame
from refimpl.profiling import Profile

PROFILE = Profile.folded({"serve;handle;encode": 6, "serve;handle;Hub.send": 3, "loop": 1})


def test_the_text_holds_no_measured_number() -> None:
    one = draw_flame(PROFILE, "Encoding is hot", highlight=["encode"])
    other = draw_flame(Profile.folded({"serve;encode": 5}), "Encoding is hot", highlight=["encode"])
    assert repr(one) == repr(other)
    assert "marked: encode" in repr(one)


def test_every_box_wide_enough_has_its_name() -> None:
    axes = draw_flame(PROFILE, "A claim").figure.axes[0]
    assert {text.get_text() for text in axes.texts} == {
        "serve", "handle", "encode", "Hub.send", "loop",
    }  # fmt: skip
    widths = sorted(round(patch.get_width(), 3) for patch in axes.patches)
    assert widths == [0.1, 0.3, 0.6, 0.9, 0.9]


def test_a_method_is_marked_with_or_without_its_class() -> None:
    for name in ("send", "Hub.send"):
        axes = draw_flame(PROFILE, "A claim", highlight=[name]).figure.axes[0]
        assert [patch.get_hatch() for patch in axes.patches].count("////") == 1


def test_deep_stacks_are_cut_and_say_so() -> None:
    deep = Profile.folded({";".join(f"f{n}" for n in range(40)): 1})
    axes = draw_flame(deep, "A claim", deepest=10).figure.axes[0]
    assert len(axes.patches) == 10
    assert "30 more rows above" in {text.get_text() for text in axes.texts}


def test_no_samples_can_be_drawn() -> None:
    assert draw_flame(Profile([]), "Nothing ran").png().startswith(b"\x89PNG")
