"""Text that a notebook shows as it is, and short forms of bytes.

>>> Text("two\\nlines")
two
lines
>>> preview(b"Hello"), preview(bytes([0, 255, 16]))
("'Hello'", '00 ff 10')
"""

from __future__ import annotations

HEX_COLUMNS = 16


class Text(str):
    """A string whose repr is the string itself, so that a notebook shows its lines as lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def spaced_hex(data: bytes) -> str:
    """Return the bytes as pairs of hex digits with a space between."""
    return bytes(data).hex(" ")


def is_readable(data: bytes) -> bool:
    """Tell whether the bytes are UTF-8 text that a person can read on one line."""
    try:
        text = bytes(data).decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\n" for character in text)


def quoted(data: bytes, limit: int = 40) -> str:
    """Return the bytes as quoted text of at most `limit` characters; invalid UTF-8 as \\xNN."""
    text = bytes(data).decode(errors="backslashreplace")
    if len(text) <= limit:
        return repr(text)
    return f"{text[:limit]!r}..."


def preview(data: bytes, limit: int = 40) -> str:
    """Return quoted text where the bytes are readable, else hex; cut at about `limit`."""
    if is_readable(data):
        return quoted(data, limit)
    shown = bytes(data[: max(1, limit // 3)])
    return spaced_hex(shown) + (" ..." if len(shown) < len(data) else "")


def characters(data: bytes) -> str:
    """Return the bytes' ASCII characters between bars, a dot for every other byte."""
    return f"|{''.join(chr(byte) if 32 <= byte < 127 else '.' for byte in data)}|"


def plural(count: int, noun: str) -> str:
    """Return the count with its noun: '1 byte', '2 bytes'."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def hexdump(data: bytes, *, limit: int | None = 512) -> Text:
    """Return the bytes sixteen a line: offset, hex, and the characters that can be printed.

    >>> hexdump(b"GET / HTTP/1.1\\r\\n")
    0000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|
    """
    data = bytes(data)
    shown = data if limit is None else data[:limit]
    lines = []
    for start in range(0, len(shown), HEX_COLUMNS):
        row = shown[start : start + HEX_COLUMNS]
        columns = f"{spaced_hex(row[:8]):<23}  {spaced_hex(row[8:]):<23}"
        lines.append(f"{start:04x}  {columns}  {characters(row)}")
    if len(shown) < len(data):
        lines.append(f"...   {plural(len(data) - len(shown), 'more byte')}")
    return Text("\n".join(lines))
