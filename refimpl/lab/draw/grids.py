"""Three more figures in the style of `figures`: stacked bars, a grid of verdicts, a chain of steps.

>>> picture = stacked({"wscat": {"head": 223, "frame": 11}}, "Half is head", unit="bytes")
>>> print(picture.alt)
Stacked bars, bytes: wscat (head 223, frame 11).
>>> picture = grid({"evil.example": ["403"]}, ["exact"], "One stays out", kind=lambda word: "good")
>>> print(picture.alt)
Grid of 1 row: exact. Bad: none.
>>> print(chain([("a key", "00"), ("its hash", "5b")], "Two steps").alt)
Boxes below one another: a key; its hash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from refimpl.lab.draw.figures import (
    BLACK,
    COLOURS,
    GREY,
    HATCHES,
    PALE,
    RED,
    WIDTH,
    Picture,
    canvas,
    readable,
)
from refimpl.lab.text import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["chain", "grid", "stacked"]

LEGEND_BELOW = 0.42  # inches, from the axis: below its numbers and its title
NARROW = 0.035  # of the axis: too narrow for a number inside
TINTS = {"good": "#CDEBE1", "bad": RED, "": "#EFEFEF"}


def stacked(
    rows: Mapping[str, Mapping[str, float]],
    claim: str,
    *,
    unit: str,
    alt: str = "",
    bad: Sequence[str] = (),
) -> Picture:
    """Return one bar a row, stacked from the same named parts, with the sum at its end.

    rows: name of a bar to {name of a part: number}, the parts in the same order in each. bad: the
    parts that are drawn in red.
    """
    parts = list(dict.fromkeys(part for row in rows.values() for part in row))
    in_words = "; ".join(
        f"{name} ({', '.join(f'{part} {readable(number)}' for part, number in row.items())})"
        for name, row in rows.items()
    )
    longest = max(sum(row.values()) for row in rows.values())
    alt = alt or f"Stacked bars, {unit}: {in_words}."
    height = 1.0 + 0.5 * len(rows)
    with canvas(claim, alt=alt, size=(WIDTH, height)) as drawn:
        axes = drawn.axes
        for number, part in enumerate(parts):
            lengths = [row.get(part, 0) for row in rows.values()]
            starts = [sum(row.get(each, 0) for each in parts[:number]) for row in rows.values()]
            colour = RED if part in bad else COLOURS[number % 7]
            _part(axes, part, starts, lengths, colour, HATCHES[number % 7], NARROW * longest)
        _sums(axes, [sum(row.values()) for row in rows.values()])
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlim(0, longest * 1.1)
        axes.set_xlabel(unit)
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(-0.01, -LEGEND_BELOW / (0.77 * height)),
            ncols=len(parts),
            frameon=False,
            handlelength=1.6,
            columnspacing=1.4,
        )
    return drawn.picture


def _part(
    axes: Axes,
    name: str,
    starts: Sequence[float],
    lengths: Sequence[float],
    colour: str,
    hatch: str,
    narrow: float,
) -> None:
    """Draw one part of every bar, with its number inside if it fits."""
    looks = {"height": 0.62, "color": colour, "hatch": hatch, "edgecolor": "white"}
    axes.barh(range(len(lengths)), lengths, left=starts, linewidth=0.8, label=name, **looks)  # type: ignore[arg-type]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
    for place, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        if length > narrow:
            middle = start + length / 2
            axes.text(middle, place, readable(length), ha="center", va="center", bbox=box)


def _sums(axes: Axes, sums: Sequence[float]) -> None:
    """Write each bar's sum after its end."""
    for place, number in enumerate(sums):
        axes.annotate(
            readable(number),
            (number, place),
            (6, 0),
            textcoords="offset points",
            va="center",
            weight="bold",
        )


def grid(
    rows: Mapping[str, Sequence[str]],
    columns: Sequence[str],
    claim: str,
    *,
    kind: Callable[[str], str],
    alt: str = "",
) -> Picture:
    """Return a table of short words in coloured cells: a row for each name, a word for each column.

    kind: returns for a word "good", "bad" (white on red, bold) or "" for neither.
    """
    bad = [
        f"{name}, {column}"
        for name, words in rows.items()
        for column, word in zip(columns, words, strict=True)
        if kind(word) == "bad"
    ]
    rows_in_words = f"Grid of {plural(len(rows), 'row')}: {', '.join(columns)}"
    alt = alt or f"{rows_in_words}. Bad: {'; '.join(bad) or 'none'}."
    with canvas(claim, alt=alt, size=(WIDTH, 1.3 + 0.36 * len(rows))) as drawn:
        axes = drawn.axes
        for place, words in enumerate(rows.values()):
            for across, word in enumerate(words):
                is_bad = kind(word) == "bad"
                axes.barh(
                    place,
                    0.96,
                    left=across + 0.02,
                    height=0.9,
                    color=TINTS[kind(word)],
                    edgecolor=PALE,
                )
                axes.text(
                    across + 0.5,
                    place,
                    word,
                    ha="center",
                    va="center",
                    color="white" if is_bad else BLACK,
                    weight="bold" if is_bad else "normal",
                )
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_xticks([number + 0.5 for number in range(len(columns))], columns)
        axes.xaxis.tick_top()
        axes.set_xlim(0, len(columns))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="both", length=0, labelcolor=GREY)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
    return drawn.picture


def chain(steps: Sequence[tuple[str, str]], claim: str, *, alt: str = "") -> Picture:
    """Return boxes below one another, each with the result of a step.

    steps: (what the step does, its result); the first is the start.
    """
    alt = alt or f"Boxes below one another: {'; '.join(label for label, _ in steps)}."
    with canvas(claim, alt=alt, size=(WIDTH, 0.4 + 0.85 * len(steps)), bare=True) as drawn:
        axes = drawn.axes
        for row, (label, text) in enumerate(steps):
            axes.text(0.0, row, label, va="center", weight="bold")
            box = {"boxstyle": "square,pad=0.45", "facecolor": "#EFEFEF", "edgecolor": GREY}
            axes.text(
                3.1, row, text, va="center", family="monospace", fontsize=11, bbox=box, zorder=2
            )
            if row:
                style = {"arrowstyle": "-|>,head_width=0.3,head_length=0.5", "color": GREY}
                axes.annotate("", (3.6, row - 0.27), (3.6, row - 0.73), arrowprops=style)
        axes.set_xlim(0, 11)
        axes.set_ylim(len(steps) - 0.5, -0.5)
    return drawn.picture
