"""The charts of the series: bars, lines, histograms, time lines, in the style of `figures`.

>>> picture = bars({"polling": 812, "WebSocket": 6}, "Fewer bytes", unit="bytes a message")
>>> print(picture.alt)
Bar chart, bytes a message: polling, WebSocket; longest: polling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refimpl.lab.draw.figures import (
    BLACK,
    COLOURS,
    DASHES,
    GREY,
    HATCHES,
    MARKERS,
    PALE,
    WIDTH,
    Canvas,
    Picture,
    canvas,
    readable,
    text_colour,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


def bars(
    values: Mapping[str, float],
    claim: str,
    *,
    unit: str,
    alt: str = "",
    labels: Callable[[float], str] | None = None,
    log: bool = False,
    highlight: Sequence[str] = (),
) -> Picture:
    """Return horizontal bars, one for each name, each with its number at its end.

    unit: the title of the axis. labels: prints a number. log: logarithmic axis. highlight: the
    names that the claim is about; the others are grey.
    """
    names, numbers = list(values), list(values.values())
    longest = max(values, key=lambda name: values[name])
    alt = alt or f"Bar chart, {unit}: {', '.join(names)}; longest: {longest}."
    with canvas(claim, alt=alt, size=(WIDTH, 0.9 + 0.5 * len(names))) as drawn:
        axes = drawn.axes
        for row, (name, number) in enumerate(values.items()):
            index = list(highlight).index(name) if name in highlight else row
            _bar(axes, row, number, None if highlight and name not in highlight else index)
            words = (labels or readable)(number)
            axes.annotate(words, (number, row), (6, 0), textcoords="offset points", va="center")
        name_rows(axes, names, unit)
        axes.invert_yaxis()
        if log:
            axes.set_xscale("log")
            axes.set_xlim(min(numbers) / 3, max(numbers) * 6)
        else:
            axes.set_xlim(0, max(numbers) * 1.15)
        plain_numbers(axes.xaxis)
    return drawn.picture


def _bar(axes: Axes, row: int, number: float, index: int | None) -> None:
    """Draw one bar in the colour and hatch of that index, grey for None."""
    grey = index is None
    axes.barh(
        row,
        number,
        height=0.62,
        color=PALE if index is None else COLOURS[index % 7],
        hatch="" if index is None else HATCHES[index % 7],
        edgecolor=GREY if grey else "white",
        linewidth=0.8 if grey else 0,
    )


def name_rows(axes: Axes, names: Iterable[str], unit: str) -> None:
    """Write a name beside each row, and the unit below."""
    names = list(names)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(unit)


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    claim: str,
    *,
    x: str,
    y: str,
    alt: str = "",
    log: str = "",
) -> Picture:
    """Return lines with markers, each with its name at its right end.

    series: name to points. x, y: axis titles with the unit. log: "x", "y" or "xy".
    """
    alt = alt or f"Line chart, {y} over {x}: {', '.join(series)}."
    with canvas(claim, alt=alt, size=(WIDTH, 4.0)) as drawn:
        axes = drawn.axes
        for index, points in enumerate(series.values()):
            axes.plot(
                [point[0] for point in points],
                [point[1] for point in points],
                color=COLOURS[index % 7],
                marker=MARKERS[index % 7],
                linestyle=DASHES[index % 7],
                markersize=6,
            )
        if "x" in log:
            axes.set_xscale("log")
        if "y" in log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        plain_numbers(axes.xaxis)
        plain_numbers(axes.yaxis)
        axes.grid(axis="y", color=PALE, linewidth=0.7)
        axes.set_axisbelow(True)
        _name_line_ends(drawn, series)
    return drawn.picture


def plain_numbers(axis: Axis) -> None:
    """Print few ticks, as plain numbers (10,000), not as powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if axis.get_scale() == "log":
        low, high = axis.get_view_interval()
        # On a short axis powers of ten alone would leave too few ticks with a number.
        steps = (1.0, 2.0, 5.0) if high < 60 * low else (1.0,)
        axis.set_major_locator(LogLocator(subs=steps, numticks=7))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: readable(float(value))))


def _name_line_ends(drawn: Canvas, series: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Write each line's name after its last point, spaced out where ends are close."""
    axes, figure = drawn.axes, drawn.picture.figure
    figure.canvas.draw()
    right = max(points[-1][0] for points in series.values())
    ends = []
    for index, (name, points) in enumerate(series.items()):
        _, height = axes.transData.transform((right, points[-1][1]))
        ends.append((float(height), index, name))
    gap, lowest = 16 * figure.dpi / 72, float("-inf")
    edge = axes.transData.transform((right, 0 if "log" not in axes.get_yscale() else 1))[0]
    for wanted, index, name in sorted(ends):
        height = lowest = max(wanted, lowest + gap)
        place = axes.transAxes.inverted().transform((edge, height))
        axes.annotate(
            name,
            (place[0], place[1]),
            (9, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            color=text_colour(COLOURS[index % 7]),
            weight="bold",
            annotation_clip=False,
        )


def histogram(
    samples: Mapping[str, Sequence[float]],
    claim: str,
    *,
    unit: str,
    alt: str = "",
    bins: int = 40,
    log: bool = False,
    marks: Sequence[float] = (0.5, 0.99),
    one_scale: bool = False,
) -> Picture:
    """Return one histogram a name, below one another on one axis, with percentiles marked.

    marks: the quantiles to mark and name; 0.5 is the median. log: logarithmic axis. one_scale:
    equal heights mean equal counts in all of them.
    """
    alt = alt or f"Histograms on one axis, {unit}, one below the other: {', '.join(samples)}."
    low = min(min(values) for values in samples.values())
    high = max(max(values) for values in samples.values())
    with canvas("", alt=alt, size=(WIDTH, 0.9 + 1.35 * len(samples))) as drawn:
        figure = drawn.picture.figure
        figure.clear()
        grid = figure.subplots(len(samples), 1, sharex=True, sharey=one_scale, squeeze=False)[:, 0]
        for index, (axes, (name, values)) in enumerate(zip(grid, samples.items(), strict=True)):
            look: dict[str, Any] = {"color": COLOURS[index % 7], "hatch": HATCHES[index % 7]}
            axes.hist(
                values, _edges(low, high, bins, log), edgecolor="white", linewidth=0.4, **look
            )
            if log:
                axes.set_xscale("log")
            axes.set_ylabel(name, rotation=0, ha="right", va="center", weight="bold")
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.margins(y=0.35)
            _mark_quantiles(axes, sorted(values), marks)
        plain_numbers(grid[-1].xaxis)
        grid[-1].set_xlabel(unit)
        grid[0].set_title(claim, loc="left")
        drawn.picture.claim = claim
    return drawn.picture


def _edges(low: float, high: float, bins: int, log: bool) -> list[float]:
    if log:
        ratio = (high / low) ** (1 / bins)
        return [low * ratio**step for step in range(bins + 1)]
    return [low + (high - low) * step / bins for step in range(bins + 1)]


def _mark_quantiles(axes: Axes, ordered: Sequence[float], marks: Sequence[float]) -> None:
    for number, mark in enumerate(marks):
        value = ordered[min(len(ordered) - 1, int(mark * len(ordered)))]
        axes.axvline(value, color=BLACK, linewidth=1.2, linestyle=(0, (4, 2)))
        name = "median" if mark == 0.5 else f"p{mark * 100:g}"
        axes.annotate(
            f"{name} {readable(value)}",
            (value, 1.0 - 0.2 * number),
            (5, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
            fontsize=10,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )


def timeline(
    rows: Mapping[str, Sequence[tuple[float, float]]],
    claim: str,
    *,
    unit: str = "milliseconds",
    alt: str = "",
    notes: Sequence[tuple[str, float, str]] = (),
) -> Picture:
    """Return one row a name with a bar for each (from, to); equal ends are drawn as a tick.

    notes: (row, position, words) written above that place of that row.
    """
    alt = alt or f"Time line in {unit}, one row each: {', '.join(rows)}."
    with canvas(claim, alt=alt, size=(WIDTH, 1.0 + 0.62 * len(rows))) as drawn:
        axes = drawn.axes
        for index, spans in enumerate(rows.values()):
            _spans(axes, index, spans)
        for name, position, words in notes:
            row = list(rows).index(name)
            axes.annotate(
                words, (position, row - 0.3), (0, 2), textcoords="offset points", fontsize=10
            )
        name_rows(axes, rows, unit)
        plain_numbers(axes.xaxis)
        axes.set_ylim(len(rows) - 0.4, -0.8)
    return drawn.picture


def _spans(axes: Axes, row: int, spans: Sequence[tuple[float, float]]) -> None:
    """Draw the bars of one row, and a tick for a bar without length."""
    long = [(start, end - start) for start, end in spans if end > start]
    short = [start for start, end in spans if end <= start]
    colour, hatch = COLOURS[row % 7], HATCHES[row % 7]
    if long:
        axes.broken_barh(long, (row - 0.25, 0.5), color=colour, hatch=hatch, edgecolor="white")
    if short:
        look: dict[str, Any] = {"color": colour, "markersize": 16, "markeredgewidth": 2.5}
        axes.plot(short, [row] * len(short), "|", **look)
