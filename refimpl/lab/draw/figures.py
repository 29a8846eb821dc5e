"""The common style of all figures, and their text alternatives.

The colours are Okabe and Ito's eight, which colour-blind people can tell apart. Every series has a
second cue (hatch, marker, dash), so that a figure can be printed in black and white. The title is
the claim. No pyplot: it would show figures by itself and keep them open.

>>> with canvas("Half of it is head", alt="One bar, half of it dark.") as drawn:
...     bar = drawn.axes.barh(["frame"], [11])
>>> drawn.picture
[figure] Half of it is head. One bar, half of it dark.
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW)
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))
GREY, PALE = "#595959", "#D9D9D9"

WIDTH, DPI = 9.0, 100
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "hatch.linewidth": 0.8,
    "lines.linewidth": 2.2,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "refimpl",
}


class Picture:
    """A finished figure with its claim and its text alternative; the last line of a cell shows it.

    The notebook keeps a PNG with the alternative as its alt text, and the claim and the alternative
    as plain text, which nbval compares. Below the figure the alternative is repeated, folded,
    because JupyterLab does not give images their alt text.
    """

    def __init__(self, figure: Figure, claim: str, alt: str) -> None:
        self.figure = figure
        self.claim = claim
        self.alt = alt

    def png(self) -> bytes:
        """Return the figure as PNG."""
        import matplotlib as mpl

        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            self.figure.savefig(
                buffer,
                format="png",
                dpi=DPI,
                bbox_inches="tight",
                pad_inches=0.12,
                metadata={"Software": None},
            )
        return _fewer_colours(buffer.getvalue())

    def save(self, path: str) -> None:
        """Write the figure as a PNG file."""
        with open(path, "wb") as file:
            file.write(self.png())

    def mimebundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the PNG and the plain text, and the metadata with the alt text."""
        import base64

        data = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": repr(self)}
        return data, {"image/png": {"alt": self.words}}

    @property
    def words(self) -> str:
        """The claim and the text alternative together."""
        return f"{self.claim}. {self.alt}" if self.claim else self.alt

    def __repr__(self) -> str:
        return f"[figure] {self.words}"

    def show(self) -> None:
        """Display the figure now, if it is not the last line of its cell."""
        from IPython.display import display

        data, metadata = self.mimebundle()
        display(data, raw=True, metadata=metadata)  # type: ignore[no-untyped-call]
        words = f"<details><summary>The figure in words</summary>{html.escape(self.alt)}</details>"
        folded = {"text/html": words, "text/plain": self.alt}
        display(folded, raw=True)  # type: ignore[no-untyped-call]

    def _ipython_display_(self) -> None:
        self.show()


def _fewer_colours(png: bytes) -> bytes:
    """Return the PNG with a palette of 128 colours: a third of the size, no visible difference."""
    try:
        from PIL import Image
    except ImportError:
        return png
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(128).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


@contextmanager
def canvas(
    claim: str, *, alt: str = "", size: tuple[float, float] = (WIDTH, 3.6), bare: bool = False
) -> Iterator[Canvas]:
    """Open a figure in the house style: draw on `.axes` in the block, show `.picture` after.

    size: inches; a notebook is nine wide. bare: without axes, the drawing fills the figure.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        if bare:
            axes.set_axis_off()
            figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=1 - 0.4 / size[1])
        if claim:
            axes.set_title(claim)
        yield Canvas(Picture(figure, claim, alt), axes)


class Canvas:
    """A figure being drawn: `axes` to draw on, `picture` to show."""

    def __init__(self, picture: Picture, axes: Axes) -> None:
        self.picture = picture
        self.axes = axes


def figure_with_alt(figure: Figure, alt: str, claim: str = "") -> Picture:
    """Return any matplotlib figure as a picture with a text alternative."""
    return Picture(figure, claim, alt)


def readable(number: float) -> str:
    """Return a number for people: three significant digits, thousands with a comma.

    >>> readable(1234567.0), readable(0.01234), readable(42)
    ('1,230,000', '0.0123', '42')
    """
    if isinstance(number, int) or (number == int(number) and abs(number) < 1e15):
        return f"{int(number):,}" if abs(number) < 10_000 else f"{float(f'{number:.3g}'):,.0f}"
    if abs(number) >= 1000:
        return f"{float(f'{number:.3g}'):,.0f}"
    return f"{number:.3g}"


def text_colour(colour: str) -> str:
    """Return a darker shade of a colour that is too pale for text on white."""
    return {YELLOW: "#7A7000", ORANGE: "#9A6A00", SKY: "#1F6FA5", PINK: "#96466F"}.get(
        colour, colour
    )
