"""Two figures of single measurements: dots in rows, and named points on two axes.

>>> picture = dots({"polling": [40, 90], "WebSocket": [1, 2]}, "Who asks waits", unit="ms")
>>> print(picture.alt)
Dots on one axis, ms, one row each: polling, WebSocket.
>>> picture = points({"polling": [(40, 900), (90, 300)], "WebSocket": [(1, 6)]}, x="ms", y="bytes")
>>> print(picture.alt)
Points, bytes over ms: polling (2), WebSocket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from refimpl.lab.draw.charts import name_rows, plain_numbers
from refimpl.lab.draw.figures import (
    BLACK,
    COLOURS,
    DASHES,
    MARKERS,
    PALE,
    WIDTH,
    Picture,
    canvas,
    readable,
    text_colour,
)

__all__ = ["dots", "points"]


def dots(
    samples: Mapping[str, Sequence[float]],
    claim: str = "",
    *,
    unit: str,
    alt: str = "",
    log: bool = False,
) -> Picture:
    """Return a row for each name, a dot for each measurement, and the median as a bar and a number.

    For dozens of measurements; `histogram` is for thousands. log: logarithmic axis.
    """
    alt = alt or f"Dots on one axis, {unit}, one row each: {', '.join(samples)}."
    with canvas(claim, alt=alt, size=(WIDTH, 0.9 + 0.5 * len(samples))) as drawn:
        axes = drawn.axes
        for row, values in enumerate(samples.values()):
            look: dict[str, Any] = {"color": COLOURS[row % 7], "alpha": 0.55, "markersize": 8}
            axes.plot(values, [row] * len(values), MARKERS[row % 7], linestyle="", **look)
            middle = median(values)
            axes.plot(middle, row, "|", color=BLACK, markersize=22, markeredgewidth=2.5)
            words, above = readable(float(f"{middle:.2g}")), (0, 13)
            axes.annotate(words, (middle, row), above, textcoords="offset points", ha="center")
        name_rows(axes, samples, f"{unit}; the bar is the median")
        axes.set_ylim(len(samples) - 0.5, -0.75)
        if log:
            axes.set_xscale("log")
        plain_numbers(axes.xaxis)
    return drawn.picture


def points(
    series: Mapping[str, Sequence[tuple[float, float]]],
    claim: str = "",
    *,
    x: str,
    y: str,
    labels: Mapping[str, Sequence[str]] | None = None,
    alt: str = "",
    log: str = "",
) -> Picture:
    """Return points with a name beside each; those of one series are joined by a line.

    labels: texts beside the points of a series, in place of its name. log: "x", "y" or "xy".
    """
    counts = [
        name if len(places) == 1 else f"{name} ({len(places)})" for name, places in series.items()
    ]
    alt = alt or f"Points, {y} over {x}: {', '.join(counts)}."
    with canvas(claim, alt=alt, size=(WIDTH, 4.0)) as drawn:
        axes = drawn.axes
        for index, (name, places) in enumerate(series.items()):
            colour = COLOURS[index % 7]
            axes.plot(
                [place[0] for place in places],
                [place[1] for place in places],
                color=colour,
                marker=MARKERS[index % 7],
                linestyle=DASHES[index % 7],
                markersize=9,
            )
            words = (labels or {}).get(name, [name] * len(places))
            for word, place in zip(words, places, strict=True):
                look: dict[str, Any] = {"color": text_colour(colour), "weight": "bold"}
                axes.annotate(word, place, (10, 6), textcoords="offset points", **look)
        axes.set_xscale("log" if "x" in log else "linear")
        axes.set_yscale("log" if "y" in log else "linear")
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.margins(x=0.2, y=0.18)
        plain_numbers(axes.xaxis)
        plain_numbers(axes.yaxis)
        axes.grid(color=PALE, linewidth=0.7)
        axes.set_axisbelow(True)
    return drawn.picture
