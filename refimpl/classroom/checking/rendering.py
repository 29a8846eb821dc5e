"""Values as text for a report: short, on one line, and safe for objects whose repr fails.

>>> render(bytes.fromhex("81fe012c37fa213d7f9f"))
"b'\\\\x81\\\\xfe\\\\x01\\\\x2c\\\\x37\\\\xfa\\\\x21\\\\x3d...'"
>>> render(b"GET / HTTP/1.1")
"b'GET / HTTP/1.1'"
"""

import re
import reprlib

MAX_BYTES = 8  # of binary data in a call or a result: a head and the start of a masking key
MAX_TEXT = 60  # characters
LARGEST = 200  # characters of any other object's repr
ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")  # differs each time, and is of no use to a reader


class _Short(reprlib.Repr):
    """The repr of containers with each bytes object cut as `render` does."""

    def __init__(self) -> None:
        super().__init__()
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = 6
        self.maxstring = MAX_TEXT
        self.maxother = LARGEST
        self.maxlevel = 4

    def repr_bytes(self, value: bytes, level: int) -> str:
        return show_bytes(value)

    def repr_bytearray(self, value: bytearray, level: int) -> str:
        return f"bytearray({show_bytes(bytes(value))})"

    def repr_instance(self, value: object, level: int) -> str:
        text = ADDRESS.sub("", repr(value)[: 2 * self.maxother])
        return text if len(text) <= self.maxother else text[: self.maxother] + "..."


def render(value: object) -> str:
    """A value's repr on one line, cut; if its repr fails, its type."""
    try:
        text = _Short().repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return ADDRESS.sub("", " ".join(text.splitlines()))[: 4 * LARGEST]


def show_bytes(data: bytes, *, most: int = MAX_BYTES) -> str:
    """Bytes as a literal: as text if they begin with text, otherwise all in hex."""
    if all(32 <= byte < 127 or byte in b"\r\n\t" for byte in data[: MAX_TEXT + 1]):
        return repr(data) if len(data) <= MAX_TEXT else repr(data[:MAX_TEXT])[:-1] + "...'"
    shown = "".join(f"\\x{byte:02x}" for byte in data[:most])
    return f"b'{shown}...'" if len(data) > most else f"b'{shown}'"


def show_error(error: BaseException) -> str:
    """An error's class and message on one line, cut, even if its __str__ fails."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "(an error whose message cannot be shown)"
    return f"{type(error).__name__}: {text[:LARGEST]}" if text else type(error).__name__


def quantity(count: int, noun: str) -> str:
    """A count with its noun: "1 case", "2 cases", "no cases"."""
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
