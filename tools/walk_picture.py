"""Draws routes through the package as one SVG, side by side: a row a file, with what it does.

The files stand in the order of the first call into each. Arrows at the left show the frame that
came in, and what the answer was, beside the file that wrote it. The drawing brings its own
background, so that it reads on a light page and on a dark one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from refimpl.framing import Opcode, parse_frame
from refimpl.messages import parse_close
from tools.walk import Walk

__all__ = ["ROLES", "picture"]

ROLES = {
    "errors.py": "the error that later calls will raise",
    "framing.py": "parses the frame: header, length, masking",
    "lifecycle/closer.py": "ends the connection, within one deadline",
    "lifecycle/connection.py": "your handler's calls: receive, send, close",
    "lifecycle/driver.py": "takes the bytes, hands on the events",
    "lifecycle/heartbeat.py": "gives up the pings on their way",
    "lifecycle/server_connection.py": "tells the server that it is gone",
    "lifecycle/writer.py": "writes to the transport, keeps to its pace",
    "messages/close_frame.py": "reads the code and the reason",
    "messages/protocol.py": "applies the rules of RFC 6455",
    "messages/receiving.py": "holds the bytes, takes small messages out",
    "messages/sending.py": "makes the frames that go out",
    "messages/state.py": "says which phase comes next",
}

WIDTH, MARGIN = 930, 14  # pixels, of the whole picture and around each route
LANE, BOX, HEIGHT, GAP, LINE = 148, 289, 42, 9, 15
HEAD, FOOT = 62, 44
PAPER, INK, SOFT, EDGE = "#ffffff", "#1f2328", "#59636e", "#d0d7de"
CORE, AROUND = ("#dcecf8", "#0072b2"), ("#fdf0d5", "#b87a00")  # a box and its edge
MONO = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SANS = "system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
ROW_OF_BYTES = 7


def picture(walks: Iterable[Walk]) -> str:
    """Return the routes as an SVG document, side by side; KeyError for a file without a role."""
    walks = list(walks)
    rows = max(len(walk.files) for walk in walks)
    height = HEAD + rows * (HEIGHT + GAP) + FOOT
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{INK}"/></marker></defs>'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{SANS}" '
        'font-size="12.5">',
        "<title>The files of the package that a frame passes through</title>",
        arrow,
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" '
        f'fill="{PAPER}" stroke="{EDGE}"/>',
    ]
    for number, walk in enumerate(walks):
        parts += _route(walk, MARGIN + number * (LANE + BOX + 2 * MARGIN))
    parts += _legend(height - FOOT + 12)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _route(walk: Walk, left: float) -> Iterator[str]:
    """Yield the parts of one route, whose left edge is given."""
    yield "<g>"
    yield _text(walk.title, left, 27, size=16, bold=True)
    yield _text(f"{len(walk.files)} files, in the order of the first call", left, 46, fill=SOFT)
    for row, file in enumerate(walk.files):
        top = HEAD + row * (HEIGHT + GAP)
        yield from _box(file, left + LANE, top)
        if row:
            middle = left + LANE + BOX / 2
            yield _line(f"M{middle} {top - GAP}V{top - 1}")
        if row == 0:
            yield from _frame("came in", walk.received, left, top, inward=True)
        if file == walk.writer:
            yield from _frame("went out", walk.sent, left, top, inward=False)
    yield "</g>"


def _box(file: str, left: float, top: float) -> Iterator[str]:
    """Yield one file: its path, and below it what it does."""
    fill, edge = AROUND if file.startswith("lifecycle/") else CORE
    yield (
        f'<rect x="{left}" y="{top}" width="{BOX}" height="{HEIGHT}" rx="5" '
        f'fill="{fill}" stroke="{edge}"/>'
    )
    yield _text(file, left + 10, top + 17, bold=True, family=MONO)
    yield _text(ROLES[file], left + 10, top + 34)


def _frame(word: str, frame: bytes, left: float, top: float, *, inward: bool) -> Iterator[str]:
    """Yield an arrow into a file or out of it, and the frame that it stands for."""
    start, end = (left, left + LANE - 1) if inward else (left + LANE, left)
    height = top + HEIGHT / 2
    yield _line(f"M{start} {height}H{end}")
    yield _text(word, left, height - 6, bold=True)
    yield _text(describe(frame), left, height + LINE + 2)
    for row, at in enumerate(range(0, len(frame), ROW_OF_BYTES), 2):
        shown = frame[at : at + ROW_OF_BYTES].hex(" ")
        yield _text(shown, left, height + row * LINE + 2, size=11, fill=SOFT, family=MONO)


def describe(frame: bytes) -> str:
    """Return what a frame is: its opcode, its text or close code, and whether it is masked."""
    parsed = parse_frame(frame)
    assert parsed is not None and parsed[1] == len(frame), "one whole frame"
    opcode, payload = parsed[0].opcode, parsed[0].payload
    says = parse_close(payload).code if opcode is Opcode.CLOSE else f"“{payload.decode()}”"
    return f"{opcode.name} {says}" + (", masked" if parsed[0].masking_key else "")


def _legend(top: float) -> Iterator[str]:
    left = float(MARGIN)
    for (fill, edge), words in (
        (AROUND, "on asyncio: the transport, time, your handler"),
        (CORE, "the protocol core: no I/O, no clock"),
    ):
        yield (
            f'<rect x="{left}" y="{top}" width="22" height="14" rx="3" '
            f'fill="{fill}" stroke="{edge}"/>'
        )
        yield _text(words, left + 30, top + 12)
        left += 330


def _text(
    words: str,
    left: float,
    base: float,
    *,
    size: float = 12.5,
    bold: bool = False,
    fill: str = INK,
    family: str = SANS,
) -> str:
    """Return a line of text."""
    weight = ' font-weight="bold"' if bold else ""
    face = f' font-family="{family}"' if family != SANS else ""
    return (
        f'<text x="{left}" y="{base}" font-size="{size}"{weight}{face} fill="{fill}">'
        f"{escape(words)}</text>"
    )


def _line(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{INK}" marker-end="url(#arrow)"/>'
