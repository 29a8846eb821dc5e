"""Draws routes through the package as one SVG: a column a file, time runs down.

A box is a run of calls into one file, with the functions' names and its place in the order. An
arrow leads to the next box. Boxes bring their own background and lines are mid-grey, so that the
picture reads on a light page and on a dark one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from tools.walk import Walk

__all__ = ["picture"]

LETTER, LINE = 6.7, 15  # pixels of a monospaced letter at 11 px, and of a line
MARGIN, GAP, PAD = 16, 12, 8
TITLE, HEAD = 40, 26
PAPER, INK, LINES, MARK = "#f6f8fa", "#1f2328", "#7d848c", "#0b57a4"
FONT = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


class Box(NamedTuple):
    """One visit in its place: the middle and the width of its column, its top, its functions."""

    number: int
    middle: float
    width: float
    top: float
    functions: Sequence[str]

    @property
    def height(self) -> float:
        """The height, a line a function."""
        return LINE * len(self.functions) + PAD

    @property
    def last_line(self) -> float:
        """The height at which the arrow to the next box begins."""
        return self.top + self.height - PAD / 2 - LINE / 2


def picture(walks: Iterable[Walk]) -> str:
    """Return the routes as an SVG document, one below the other."""
    parts: list[str] = []
    width = top = float(MARGIN)
    for walk in walks:
        drawn, right, top = _route(walk, top)
        parts += drawn
        width = max(width, right)
    size = f'width="{width:.0f}" height="{top:.0f}" viewBox="0 0 {width:.0f} {top:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONT}"'
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{LINES}"/></marker></defs>'
    )
    title = "<title>The files of the package that a frame passes through</title>"
    return "\n".join([f'{head} font-size="11">', title, arrow, *parts, "</svg>"]) + "\n"


def _route(walk: Walk, top: float) -> tuple[list[str], float, float]:
    """Return the drawing of one route, its right edge, and where the next one may begin."""
    columns = _columns(walk)
    first = top + TITLE + HEAD + 2 * GAP
    boxes = list(_boxes(walk, columns, first))
    bottom = boxes[-1].top + boxes[-1].height
    words = f"{walk.title}. {len(walk.files)} files, {walk.changes} changes of file."
    drawn = [
        f"<g><title>{escape(words)}</title>",
        f'<text x="{MARGIN}" y="{top + 22:.0f}" font-size="15" font-weight="bold" '
        f'fill="{LINES}">{escape(words)}</text>',
    ]
    for file, (middle, width) in columns.items():
        drawn.append(
            f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{top + TITLE + HEAD:.1f}" '
            f'y2="{bottom:.1f}" stroke="{LINES}" stroke-width="0.7" stroke-dasharray="2 4"/>'
        )
        drawn += _label(file, middle, top + TITLE, width)
    drawn += [_arrow(before, after) for before, after in pairwise(boxes)]
    for box in boxes:
        drawn += _box(box)
    right = max(middle + width / 2 for middle, width in columns.values()) + MARGIN
    return [*drawn, "</g>"], right, bottom + 2 * MARGIN


def _columns(walk: Walk) -> dict[str, tuple[float, float]]:
    """Return the middle and the width of each file's column, in the order of the first call."""
    columns: dict[str, tuple[float, float]] = {}
    left = float(MARGIN)
    for file in walk.files:
        names = [name for where, functions in walk.visits if where == file for name in functions]
        letters = max(len(file), *(len(name) + 3 for name in names))
        width = letters * LETTER + 2 * PAD
        columns[file] = (left + width / 2, width)
        left += width + GAP
    return columns


def _boxes(walk: Walk, columns: dict[str, tuple[float, float]], top: float) -> Iterator[Box]:
    for number, (file, functions) in enumerate(walk.visits, 1):
        box = Box(number, *columns[file], top, functions)
        yield box
        top += box.height + GAP


def _label(text: str, middle: float, top: float, width: float) -> list[str]:
    """Return the head of a column: the file's path."""
    return [
        f'<rect x="{middle - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{HEAD}" '
        f'rx="5" fill="{INK}" stroke="{LINES}"/>',
        f'<text x="{middle:.1f}" y="{top + 17:.1f}" text-anchor="middle" font-weight="bold" '
        f'fill="{PAPER}">{escape(text)}</text>',
    ]


def _box(box: Box) -> list[str]:
    left = box.middle - box.width / 2
    drawn = [
        f'<rect x="{left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="4" fill="{PAPER}" stroke="{LINES}"/>',
        f'<text x="{left + 5:.1f}" y="{box.top + LINE:.1f}" font-weight="bold" '
        f'fill="{MARK}">{box.number}</text>',
    ]
    for line, name in enumerate(box.functions, 1):
        drawn.append(
            f'<text x="{left + 3 * LETTER + 5:.1f}" y="{box.top + line * LINE:.1f}" '
            f'fill="{INK}">{escape(name)}</text>'
        )
    return drawn


def _arrow(before: Box, after: Box) -> str:
    """Return the way from the last call of one box to the first of the next: across, then down."""
    side = 1 if after.middle > before.middle else -1
    start = before.middle + side * before.width / 2
    return (
        f'<path d="M{start:.1f} {before.last_line:.1f}H{after.middle:.1f}V{after.top - 1:.1f}" '
        f'fill="none" stroke="{LINES}" stroke-width="1.6" marker-end="url(#arrow)"/>'
    )
