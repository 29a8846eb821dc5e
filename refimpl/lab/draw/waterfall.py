"""A waterfall chart: what is left of a cost after each step, and the factor of each step.

>>> waterfall([("as written", 900), ("one write", 300)], "A third is left", unit="us")
[figure] A third is left. Falling steps, us: as written; one write.
"""

from __future__ import annotations

from collections.abc import Sequence

from refimpl.lab.draw.figures import BLUE, GREY, ORANGE, PALE, WIDTH, Picture, canvas, readable

__all__ = ["waterfall"]


def waterfall(
    steps: Sequence[tuple[str, float]], claim: str, *, unit: str, alt: str = ""
) -> Picture:
    """Return a bar for what is left after each step, and in grey what the step removed.

    steps: (name, amount); the first is the start, each later one shows its factor.
    """
    names = [name for name, _ in steps]
    alt = alt or f"Falling steps, {unit}: {'; '.join(names)}."
    longest = max(amount for _, amount in steps)
    with canvas(claim, alt=alt, size=(WIDTH, 1.0 + 0.52 * len(steps))) as made:
        axes = made.axes
        before = steps[0][1]
        for row, (_, amount) in enumerate(steps):
            axes.barh(row, amount, height=0.62, color=BLUE if row else ORANGE)
            gone = max(0.0, before - amount)
            axes.barh(row, gone, left=amount, height=0.62, color=PALE, hatch="///", edgecolor=GREY)
            words = readable(float(f"{amount:.3g}"))
            words += f"   ÷ {before / amount:.2g}" if row else ""
            end = max(amount, before)
            axes.annotate(words, (end, row), (6, 0), textcoords="offset points", va="center")
            before = amount
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.invert_yaxis()
        axes.set_xlim(0, longest * 1.18)
        axes.set_xlabel(unit)
    return made.picture
