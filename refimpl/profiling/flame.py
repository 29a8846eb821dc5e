"""Flame graphs: a profile as a picture in which the widest boxes lead up the hot path.

Each box is a function, on top of the one that called it, as wide as its share of the profile. Left
to right is no time line: the boxes on one caller are sorted, the widest first. The SVG holds no
script and loads nothing; a pointer on a box shows its whole name and its figures.

>>> profile = Profile.folded({"serve;handle;encode": 6, "serve;handle;send": 3, "serve": 1})
>>> for box in boxes(profile):
...     print(box.depth, f"{box.start:.1f}-{box.start + box.width:.1f}", box.call)
0 0.0-1.0 serve
1 0.0-0.9 handle
2 0.0-0.6 encode
2 0.6-0.9 send
>>> flame_graph(profile)[:5]
'<svg '
"""

from collections import defaultdict
from dataclasses import dataclass, field
from html import escape as escape_markup

from refimpl.profiling.stacks import ORIGINS, Call, Profile, measured

__all__ = ["COLOURS", "Box", "boxes", "flame_graph", "hot_path"]

COLOURS = dict(zip(ORIGINS, ("#F2B84B", "#86C5EE", "#7FD1B4", "#D9D9D9", "#F3EA8A"), strict=True))
"""The boxes' colours: Okabe and Ito's, pale enough for black text on them."""

WIDTH, MARGIN = 1200, 10
ROW, FONT, LETTER = 20, 12, 7.3  # pixels; LETTER: the width of one in a monospaced font
HEAD, FOOT = 74, 14
NARROW = 0.4  # pixels; narrower boxes cannot be seen, and would make the file large
DEEPEST = 200  # boxes on top of one another; above that a picture says nothing


@dataclass(slots=True)
class Box:
    """One function in the graph. start, width, own: shares of the whole profile, 0 to 1."""

    call: Call
    depth: int
    start: float
    width: float
    own: float


@dataclass(slots=True)
class _Node:
    weight: float = 0.0
    own: float = 0.0
    callees: "defaultdict[Call, _Node]" = field(default_factory=lambda: defaultdict(_Node))


def boxes(profile: Profile) -> list[Box]:
    """Return a box for every function of every stack; a caller stands before its callees."""
    root = _Node()
    for stack, weight in profile.samples:
        node = root
        node.weight += weight
        for call in stack[:DEEPEST]:
            node = node.callees[call]
            node.weight += weight
        node.own += weight
    found: list[Box] = []
    waiting = [(root, 0, 0.0)]
    while waiting and root.weight:
        node, depth, start = waiting.pop()
        callees = sorted(node.callees.items(), key=lambda item: (-item[1].weight, item[0]))
        deeper = []
        for call, callee in callees:
            width = callee.weight / root.weight
            found.append(Box(call, depth, start, width, callee.own / root.weight))
            deeper.append((callee, depth + 1, start))
            start += width
        waiting += reversed(deeper)
    return found


def hot_path(profile: Profile) -> list[Call]:
    """Return the widest way up: the widest box, the widest on top of it, and so on.

    It ends where no callee has half of what its caller has: there the time is spread.
    """
    path: list[Call] = []
    above, end, width = 0.0, 1.0, 0.0
    for box in sorted(boxes(profile), key=lambda box: (box.depth, -box.width)):
        inside = above <= box.start < end
        if box.depth == len(path) and inside and box.width >= width / 2:
            path.append(box.call)
            above, end, width = box.start, box.start + box.width, box.width
    return path


def escape(text: str) -> str:
    """Return text that XML can hold: marked up, and without control characters."""
    return escape_markup("".join(c if c.isprintable() or c == "\n" else "?" for c in text))


def flame_graph(profile: Profile, title: str = "") -> str:
    """Return the profile as an SVG document that stands alone."""
    drawn = [box for box in boxes(profile) if box.width * (WIDTH - 2 * MARGIN) >= NARROW]
    rows = max((box.depth for box in drawn), default=0) + 1
    height, whole = HEAD + rows * ROW + FOOT, profile.total
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'width="{WIDTH}" font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', '
        f'monospace" font-size="{FONT}">',
        f"<title>{escape(title or 'Flame graph')}</title>",
        f"<desc>{escape(_in_words(profile))}</desc>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *_head(profile, title),
        *(_draw(box, whole, profile.unit, height) for box in drawn),
    ]
    if not drawn:
        middle = HEAD + ROW // 2
        lines.append(f'<text x="{MARGIN}" y="{middle}">No samples: nothing was running.</text>')
    return "\n".join([*lines, "</svg>\n"])


def _in_words(profile: Profile) -> str:
    """Return the picture's text alternative."""
    hottest = [hot for hot in profile.hottest(3) if hot.own]
    if not hottest:
        return "A flame graph without samples."
    share = [f"{hot.call.function} {hot.own / profile.total:.0%}" for hot in hottest]
    path = " > ".join(call.function for call in hot_path(profile))
    return f"A flame graph. The hot path: {path}. Hottest by themselves: {', '.join(share)}."


def _head(profile: Profile, title: str) -> list[str]:
    """Return the title, what was measured, and the key to the colours."""
    facts = [f"{measured(profile.total, profile.unit)} in {len(profile.samples):,} samples"]
    if profile.duration:
        facts.append(f"{profile.duration:.3g} s long")
    if profile.idle:
        facts.append(f"{profile.idle:.3g} s of it idle, not drawn")
    lines = [
        f'<text x="{MARGIN}" y="24" font-size="17" font-weight="bold">'
        f"{escape(title or 'Flame graph')}</text>",
        f'<text x="{MARGIN}" y="44" fill="#404040">{escape(", ".join(facts))}</text>',
    ]
    x = float(MARGIN)
    seen = {call.origin for stack, _ in profile.samples for call in stack}
    for origin in (each for each in ORIGINS if each in seen):
        lines.append(
            f'<rect x="{x:.0f}" y="53" width="12" height="12" fill="{COLOURS[origin]}" '
            f'stroke="#595959" stroke-width="0.5"/>'
            f'<text x="{x + 17:.0f}" y="63">{origin}</text>'
        )
        x += 17 + LETTER * len(origin) + 24
    return lines


def _draw(box: Box, whole: float, unit: str, height: int) -> str:
    """Return one box with its label and its tooltip. whole: the weight of all samples."""
    x = MARGIN + box.start * (WIDTH - 2 * MARGIN)
    y = height - FOOT - (box.depth + 1) * ROW
    width = box.width * (WIDTH - 2 * MARGIN)
    hover = (
        f"{box.call}\n{measured(box.width * whole, unit)}, {box.width:.1%} of all; "
        f"{measured(box.own * whole, unit)}, {box.own:.1%}, in itself"
    )
    rect = (
        f'<rect x="{x:.2f}" y="{y}" width="{max(width - 0.6, 0.3):.2f}" height="{ROW - 1}" '
        f'rx="2" fill="{COLOURS.get(box.call.origin, COLOURS["application"])}"/>'
    )
    words = _fitting(box.call, int((width - 6) / LETTER))
    label = f'<text x="{x + 4:.2f}" y="{y + 14}">{escape(words)}</text>' if words else ""
    return f"<g><title>{escape(hover)}</title>{rect}{label}</g>"


def _fitting(call: Call, letters: int) -> str:
    """Return the longest form of a call's name that fits in a number of letters; "" below three.

    >>> [_fitting(Call("Hub.send", "hub.py", 9), letters) for letters in (19, 18, 7, 3, 2)]
    ['Hub.send (hub.py:9)', 'Hub.send', 'send', 'se…', '']
    """
    method = call.function.rpartition(".")[2]
    for form in (str(call), call.function, method):
        if len(form) <= letters:
            return form
    return f"{method[: letters - 1]}…" if letters >= 3 else ""
