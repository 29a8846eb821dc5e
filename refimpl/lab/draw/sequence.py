"""A recorded conversation as a sequence diagram: two lifelines, an arrow for each head or frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from refimpl.framing import Frame, Opcode
from refimpl.handshake import Request, Response
from refimpl.lab.draw.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PINK,
    RED,
    WIDTH,
    Picture,
    canvas,
    text_colour,
)
from refimpl.lab.text import plural, quoted
from refimpl.lab.wire.decode import Body, End, Large, Malformed, Step, Unfinished
from refimpl.lab.wire.heads import head_lines
from refimpl.lab.wire.transcript import carried, close_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT, RIGHT = 1.1, 9.3
ROW = 0.52


class Style(NamedTuple):
    """How one kind of step is drawn: colour, dash (the cue without colour), width."""

    colour: str
    dash: str | tuple[int, tuple[float, ...]]
    width: float


HEAD = Style(BLACK, "-", 2.6)
TEXT = Style(BLUE, "-", 1.8)
BINARY = Style(GREEN, "-", 1.8)
CONTROL = Style(RED, (0, (5, 2)), 1.8)
BROKEN = Style(PINK, (0, (1, 1)), 2.6)
STREAM = Style(GREY, (0, (1, 2)), 1.2)


def draw_sequence(
    steps: Sequence[Step],
    claim: str = "What went over the wire",
    *,
    times: bool = False,
    ends: bool = False,
    pings: bool = False,
    limit: int = 30,
    alt: str = "",
) -> Picture:
    """Return the conversation as arrows between two lifelines, downwards in time.

    Black: heads; blue: text; green: binary; dashed red: control frames; dotted pink: a broken rule.
    times: milliseconds at the left. ends: the ends of the streams too. pings: with the payloads of
    Ping and Pong. limit: characters of payload. The sizes are those of whole frames.
    """
    shown = [step for step in steps if ends or not isinstance(step.item, End)]
    height = ROW * (len(shown) + 1.2)
    with canvas(claim, alt=alt or in_words(shown), size=(WIDTH, height + 0.5), bare=True) as drawn:
        axes = drawn.axes
        axes.set_xlim(0, 10)
        axes.set_ylim(len(shown) - 0.1, -1.1)
        _lifeline(axes, LEFT, "client", len(shown))
        _lifeline(axes, RIGHT, "server", len(shown))
        for row, (step, style) in enumerate(zip(shown, styles(shown), strict=True)):
            _arrow(axes, row, step, style, label(step, limit, pings=pings))
            if times:
                _time(axes, row, step.seconds)
    return drawn.picture


def _time(axes: Axes, row: int, seconds: float) -> None:
    """Write when a step was complete, at the left of its arrow."""
    place, words = (LEFT - 0.25, row + 0.2), f"{seconds * 1000:.1f} ms"
    axes.text(*place, words, ha="right", va="center", color=GREY, fontsize=10)


def _lifeline(axes: Axes, place: float, name: str, rows: int) -> None:
    """Draw the line of one side, with its name in a box at the top."""
    axes.plot([place, place], [-0.45, rows - 0.2], color=GREY, linewidth=1.4, zorder=1)
    box = {"boxstyle": "square,pad=0.35", "facecolor": "white", "edgecolor": GREY}
    axes.text(place, -0.75, name, ha="center", va="center", weight="bold", bbox=box, fontsize=12)


def _arrow(axes: Axes, row: int, step: Step, style: Style, words: tuple[str, str]) -> None:
    """Draw one step: an arrow from its sender to its receiver, with words above."""
    start, end = (LEFT, RIGHT) if step.direction == "client" else (RIGHT, LEFT)
    inward = 0.05 if end > start else -0.05
    height = row + 0.2
    axes.plot(
        [start + inward, end - 3 * inward],
        [height, height],
        color=style.colour,
        linestyle=style.dash,
        linewidth=style.width,
        solid_capstyle="butt",
    )
    axes.plot(
        end - 2 * inward, height, ">" if end > start else "<", color=style.colour, markersize=9
    )
    axes.text(
        (LEFT + RIGHT) / 2,
        row + 0.06,
        "  ".join(words).rstrip().replace("$", r"\$"),
        ha="center",
        va="bottom",
        color=text_colour(style.colour),
        fontsize=10.5,
    )


def styles(steps: Sequence[Step]) -> list[Style]:
    """Return the style of each step; a continuation has that of the message it continues."""
    last: dict[str, Style] = {}
    found = []
    for step in steps:
        item = step.item
        style = STREAM
        if isinstance(item, Frame) and item.opcode is Opcode.CONTINUATION:
            style = last.get(step.direction, BINARY)
        elif isinstance(item, Frame):
            style = {Opcode.TEXT: TEXT, Opcode.BINARY: BINARY}.get(item.opcode, CONTROL)
            if style is not CONTROL:
                last[step.direction] = style
        elif isinstance(item, (Request, Response, Body)):
            style = HEAD
        if step.problem or isinstance(item, (Malformed, Unfinished)):
            style = BROKEN
        found.append(style)
    return found


def label(step: Step, limit: int = 30, *, pings: bool = False) -> tuple[str, str]:
    """Return the label of an arrow: the kind of the step, and a few words about it."""
    item = step.item
    if isinstance(item, (Request, Response)):
        return _shorten(head_lines(step.wire)[0], 52), plural(len(step.wire), "byte")
    if isinstance(item, Body):
        return "body", f"{quoted(item.data, limit)}  {plural(len(item.data), 'byte')}"
    if isinstance(item, Malformed):
        return "MALFORMED", _shorten(item.problem, 60)
    if isinstance(item, Unfinished):
        return "UNFINISHED", plural(len(item.data), "byte")
    if isinstance(item, Large):
        return item.opcode.name, f"{plural(item.length, 'byte')}, too large to be kept"
    if isinstance(item, Frame):
        return item.opcode.name, _frame_words(step, item, limit, pings)
    return "end of stream", ""


def _frame_words(step: Step, frame: Frame, limit: int, pings: bool) -> str:
    words = [f"{plural(len(step.wire), 'byte')}"]
    if not frame.fin:
        words.append("more follows")
    if frame.rsv1:
        words.append("compressed")
    if frame.opcode is Opcode.CLOSE:
        carries = close_words(frame.payload[:2])  # there is no room for the reason
    elif step.inflated is not None:
        carries = quoted(step.inflated, limit)
    else:
        carries = carried(step, pings=pings, limit=limit)
    if step.problem:
        carries = f"{_shorten(step.problem, 78)}"
        words = []
    return "  ".join(filter(None, [carries, f"({', '.join(words)})" if words else ""]))


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def in_words(steps: Sequence[Step]) -> str:
    """Return the diagram as a sentence: who sends what, in order; repeated steps are counted."""
    said: list[list[object]] = []
    for step in steps:
        words = f"{step.direction} {_short(step)}"
        if said and said[-1][0] == words:
            said[-1][1] = int(str(said[-1][1])) + 1
        else:
            said.append([words, 1])
    parts = [f"{words}" + (f" ({count} times)" if count != 1 else "") for words, count in said[:24]]
    if len(said) > 24:
        parts.append(f"and {len(said) - 24} more")
    return "Sequence diagram, in order: " + "; ".join(parts) + "."


def _short(step: Step) -> str:
    item = step.item
    if isinstance(item, Request):
        return f"{item.method} request"
    if isinstance(item, Response):
        return f"{item.status} response"
    if isinstance(item, Frame):
        return f"{item.opcode.name.capitalize()} frame" + (
            " that breaks a rule" if step.problem else ""
        )
    words = {Body: "body", Large: "a large frame", Malformed: "malformed bytes"}
    return {**words, Unfinished: "an unfinished frame"}.get(type(item), "end of stream")
