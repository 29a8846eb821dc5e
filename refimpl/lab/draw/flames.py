"""A flame graph for a notebook: the boxes of `refimpl.profiling.flame` in the style of `figures`.

>>> from refimpl.profiling import Profile
>>> profile = Profile.folded({"serve;encode": 3, "serve;send": 1})
>>> draw_flame(profile, "Encoding is the hot path", highlight=["encode"])
[figure] Encoding is the hot path. Flame graph: each box is a function, on top of its caller, as \
wide as its share of the profile; marked: encode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from refimpl.lab.draw.figures import BLACK, GREY, WIDTH, Picture, canvas
from refimpl.profiling.flame import COLOURS, Box, boxes
from refimpl.profiling.stacks import ORIGINS, Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.27  # inches
HEAD, FOOT = 0.45, 0.95  # inches for the claim above, and for the axis and the key below
LETTER = 0.0092  # of the picture's width: one in a monospaced font at 9.5 points
NARROW = 0.0015  # of the width; narrower boxes are left out


def draw_flame(
    profile: Profile,
    claim: str,
    *,
    alt: str = "",
    highlight: Sequence[str] = (),
    deepest: int = 16,
) -> Picture:
    """Return a profile as a flame graph, callers below, the widest box of each row to the left.

    highlight: functions, with or without their class, to mark with a border and stripes. deepest:
    the most rows to draw; a note counts the others.
    """
    marked = f"; marked: {', '.join(highlight)}" if highlight else ""
    alt = alt or (
        "Flame graph: each box is a function, on top of its caller, as wide as its share of the "
        f"profile{marked}."
    )
    every = [box for box in boxes(profile) if box.width >= NARROW]
    rows = max((box.depth for box in every), default=0) + 1
    drawn = [box for box in every if box.depth < deepest]
    shown = min(rows, deepest)
    with canvas(claim, alt=alt, size=(WIDTH, height := HEAD + FOOT + ROW * shown)) as sheet:
        axes = sheet.axes
        axes.figure.subplots_adjust(0.01, FOOT / height, 0.99, 1 - HEAD / height)
        for box in drawn:
            _draw(axes, box, _is_marked(box, highlight))
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.1, shown + 0.1)
        axes.set_yticks([])
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"share of the profile ({profile.unit})")
        _key(axes, drawn, shown)
        if rows > deepest:
            words = f"{rows - deepest} more rows above"
            axes.annotate(words, (1, shown), ha="right", va="bottom", color=GREY, fontsize=9.5)
    return sheet.picture


def _is_marked(box: Box, names: Sequence[str]) -> bool:
    return not {box.call.function, box.call.function.rpartition(".")[2]}.isdisjoint(names)


def _draw(axes: Axes, box: Box, marked: bool) -> None:
    """Draw one box, and as much of its name as fits in it."""
    axes.barh(
        box.depth + 0.5,
        box.width,
        left=box.start,
        height=0.92,
        color=COLOURS[box.call.origin],
        edgecolor=BLACK if marked else "white",
        linewidth=1.6 if marked else 0.8,
        hatch="////" if marked else "",
        zorder=3 if marked else 2,
    )
    letters = int((box.width - 0.006) / LETTER)
    method = box.call.function.rpartition(".")[2]
    forms = [form for form in (str(box.call), box.call.function, method) if len(form) <= letters]
    words = forms[0] if forms else f"{method[: letters - 1]}…" if letters >= 3 else ""
    if not words:
        return
    label = axes.text(
        box.start + 0.005, box.depth + 0.47, words, va="center", fontsize=9.5, clip_on=True,
        family="DejaVu Sans Mono", weight="bold" if marked else "normal", zorder=4,
    )  # fmt: skip
    if marked:  # on stripes, text needs a background
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85})


def _key(axes: Axes, drawn: Sequence[Box], rows: int) -> None:
    """Explain the colours below the picture."""
    from matplotlib.patches import Patch

    seen = {box.call.origin for box in drawn}
    patches = [
        Patch(facecolor=COLOURS[origin], edgecolor=GREY, linewidth=0.5, label=origin)
        for origin in ORIGINS
        if origin in seen
    ]
    if len(patches) > 1:
        axes.legend(
            handles=patches, loc="upper left", bbox_to_anchor=(0, -0.6 / (ROW * rows)), ncols=5,
            frameon=False, fontsize=10, borderaxespad=0, handlelength=1.1,
        )  # fmt: skip
