"""A real frame drawn to scale: 32 bits a row as in RFC 6455 5.2, with its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from refimpl.lab.draw.figures import BLACK, GREY, RED, WIDTH, Picture, canvas
from refimpl.lab.text import plural, preview
from refimpl.lab.wire.annotate import to_bytes
from refimpl.lab.wire.dissect import OPCODES, Dissection, Field, close_name, dissect, opcode_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refimpl.framing import Frame

ROW_BITS = 32
HEIGHT = 0.98  # of a row, inches
# Tints of the Okabe-Ito colours, light enough for black text; every box also says its name.
TINTS = {
    "FIN": "#BFE0F5",
    "RSV1": "#E8E8E8",
    "RSV2": "#E8E8E8",
    "RSV3": "#E8E8E8",
    "opcode": "#F7DDA6",
    "MASK": "#EBCBDD",
    "payload length": "#A9DFCC",
    "extended length": "#A9DFCC",
    "masking key": "#EBCBDD",
    "payload": "#FFFFFF",
    "masked payload": "#F6E9F0",
}


class Piece(NamedTuple):
    """The part of a field in one row: its first and last bit, and whether the field begins here."""

    field: Field
    row: int
    left: int
    right: int
    first: bool


def draw_frame(
    source: bytes | Frame,
    claim: str = "",
    *,
    rows: int = 5,
    masked: bool | None = None,
    compressed: bool = False,
    alt: str = "",
) -> Picture:
    """Return the first frame in the bytes, drawn to scale, each field with its name and value.

    rows: the most rows of four bytes; the rest of the payload is counted, not drawn. masked and
    compressed: as in `dissect`. What is wrong is written below the frame.
    """
    frame = dissect(to_bytes(source), masked=masked, compressed=compressed)
    pieces = [piece for each in frame.fields for piece in _pieces(each) if piece.row < rows]
    count = max((piece.row for piece in pieces), default=0) + 1
    notes = _notes(frame, rows)
    size = (WIDTH, count * HEIGHT + 0.75 + 0.28 * len(notes))
    claim = claim or frame.title
    with canvas(claim, alt=alt or in_words(frame), size=size, bare=True) as drawn:
        axes = drawn.axes
        axes.set_xlim(-2.1, ROW_BITS + 0.1)
        axes.set_ylim(count * HEIGHT + 0.12 + 0.28 * len(notes), -0.3)
        axes.set_title("")
        axes.text(0, -0.42, claim, ha="left", va="bottom", fontsize=14, weight="bold")
        _rulers(axes, count)
        for piece in pieces:
            _draw(axes, frame, piece)
        for number, (words, colour) in enumerate(notes):
            below = count * HEIGHT + 0.12 + 0.28 * number
            axes.text(0, below, words, ha="left", va="top", fontsize=11, color=colour)
    return drawn.picture


def _rulers(axes: Axes, rows: int) -> None:
    """Number the bits above the drawing and the bytes at its left."""
    for bit in range(ROW_BITS):
        axes.text(bit + 0.5, -0.06, str(bit), ha="center", va="bottom", fontsize=9, color=GREY)
    for row in range(rows):
        words, middle = f"byte {row * 4}", (row + 0.5) * HEIGHT
        axes.text(-0.25, middle, words, ha="right", va="center", fontsize=10, color=GREY)


def _pieces(each: Field) -> list[Piece]:
    """Return the field, cut at the ends of rows."""
    pieces = []
    start = each.start
    while start < each.end:
        row = start // ROW_BITS
        end = min(each.end, (row + 1) * ROW_BITS)
        pieces.append(
            Piece(each, row, start - row * ROW_BITS, end - row * ROW_BITS, start == each.start)
        )
        start = end
    return pieces


def _draw(axes: Axes, frame: Dissection, piece: Piece) -> None:
    from matplotlib.patches import Rectangle

    top = piece.row * HEIGHT
    tint = TINTS[piece.field.name]
    box = Rectangle(
        (piece.left, top),
        piece.right - piece.left,
        HEIGHT,
        facecolor=tint,
        edgecolor=BLACK,
        linewidth=1.1,
    )
    axes.add_patch(box)
    if piece.field.name.endswith("payload"):
        _draw_payload(axes, frame, piece)
    elif piece.field.bits == 1:
        middle = piece.left + 0.5
        axes.text(
            middle,
            top + 0.37,
            piece.field.name,
            rotation=90,
            ha="center",
            va="center",
            fontsize=10,
            weight="bold",
        )
        _mono(axes, middle, top + 0.82, str(piece.field.value))
    else:
        _draw_wide(axes, piece)


def _draw_wide(axes: Axes, piece: Piece) -> None:
    """Draw a field of several bits: name, value, and below them its bits, or its bytes in hex."""
    each, top = piece.field, piece.row * HEIGHT
    middle = (piece.left + piece.right) / 2
    name = each.name if piece.first else f"... {each.name}"
    axes.text(
        middle,
        top + 0.2,
        name,
        ha="center",
        va="center",
        fontsize=10.5 if each.bits > 4 else 10,
        weight="bold",
    )
    if each.bits >= 16:
        value = each.value if isinstance(each.value, bytes) else each.value.to_bytes(each.bits // 8)
        if isinstance(each.value, int) and piece.first:
            axes.text(middle, top + 0.5, f"{each.value:,}", ha="center", va="center", fontsize=12)
        first = (piece.row * ROW_BITS + piece.left - each.start) // 8
        for index in range((piece.right - piece.left) // 8):
            _mono(axes, piece.left + 8 * index + 4, top + 0.82, f"{value[first + index]:02x}")
        return
    assert isinstance(each.value, int)
    words = str(each.value)
    if each.name == "opcode":
        words = OPCODES.get(each.value, "reserved")
    if each.name == "payload length" and each.value > 125:
        words = f"{each.value}: in {'2' if each.value == 126 else '8'} bytes"
    size = 12 if len(words) <= 6 else 9
    axes.text(middle, top + 0.5, words, ha="center", va="center", fontsize=size)
    for index, bit in enumerate(f"{each.value:0{each.bits}b}"):
        _mono(axes, piece.left + index + 0.5, top + 0.82, bit)


def _draw_payload(axes: Axes, frame: Dissection, piece: Piece) -> None:
    """Draw a row of payload byte by byte: as sent, and unmasked."""
    top = piece.row * HEIGHT
    each = piece.field
    assert isinstance(each.value, bytes)
    first = (piece.row * ROW_BITS + piece.left - each.start) // 8
    for index in range((piece.right - piece.left) // 8):
        left = piece.left + 8 * index
        offset = first + index
        if index:
            axes.plot(
                [left, left], [top, top + HEIGHT], color=GREY, linewidth=0.7, linestyle=(0, (2, 2))
            )
        if offset == 0:
            axes.text(
                left + 4,
                top + 0.2,
                each.name,
                ha="center",
                va="center",
                fontsize=10.5,
                weight="bold",
            )
        plain = frame.payload[offset]
        character = f"  '{chr(plain)}'" if 32 < plain < 127 else "  ' '" if plain == 32 else ""
        wire = each.value[offset]
        if frame.key:
            _mono(axes, left + 4, top + 0.5, f"{wire:02x}")
            _mono(
                axes,
                left + 4,
                top + 0.8,
                f"xor {frame.key[offset % 4]:02x} = {plain:02x}{character}",
                10,
            )
        else:
            _mono(axes, left + 4, top + 0.68, f"{wire:02x}{character}")


def _mono(axes: Axes, x: float, y: float, words: str, size: float = 12) -> None:
    axes.text(
        x,
        y,
        words.replace("$", r"\$"),
        ha="center",
        va="center",
        fontsize=size,
        family="DejaVu Sans Mono",
    )


def _notes(frame: Dissection, rows: int) -> list[tuple[str, str]]:
    notes = []
    hidden = len(frame.data) - rows * 4
    if hidden > 0:
        notes.append((f"... and {plural(hidden, 'more byte')} of payload", GREY))
    if frame.value("opcode") == 8 and len(frame.payload) >= 2:
        code = int.from_bytes(frame.payload[:2])
        notes.append(
            (f"The payload's first two bytes are the close code: {code} {close_name(code)}", BLACK)
        )
    if frame.missing:
        notes.append((f"... {plural(frame.missing, 'more byte')} to come", GREY))
    notes += [(f"Wrong: {problem}", RED) for problem in frame.problems]
    return notes


def in_words(frame: Dissection) -> str:
    """Return the drawing as a sentence: every field with its value, in order."""
    parts = []
    for each in frame.fields:
        if each.name.endswith("payload"):
            continue
        value = each.value.hex(" ") if isinstance(each.value, bytes) else each.value
        parts.append(
            f"{each.name} {opcode_name(int(each.value)) if each.name == 'opcode' else value}"
        )
    words = f"A frame of {plural(len(frame.data), 'byte')}: {', '.join(parts)}"
    if frame.payload:
        words += f", payload {preview(frame.payload, 24)}"
    if frame.missing:
        words += f", {plural(frame.missing, 'byte')} still to come"
    return ". Wrong: ".join([words, *frame.problems]) + "."
