"""Text of a peer as it may reach a terminal or a log: nothing in it can steer or deceive.

A message, a close reason or a header value may hold an escape sequence that clears the screen or
sets the clipboard, a line feed that forges a line of a log, a bidirectional override that turns a
file name round, or characters that have no width. `printable` writes all of them as Python does in
a string literal; it is the one function for this, on every floor.

>>> printable("hello \\x1b[2J\\nroot logged in")
'hello \\\\x1b[2J\\\\nroot logged in'
>>> print(printable("cod.\\u202egpj"))
cod.\\u202egpj
"""

__all__ = ["printable"]


def printable(text: str, *, keep: str = "") -> str:
    """Return text in which each character is one that can be seen, or an escape in ASCII.

    Escaped are the control characters C0 and C1, the format characters (bidirectional controls,
    zero-width characters), lone surrogates, unassigned and private characters, and every space but
    the plain one: what `str.isprintable` says no to. keep: characters to leave as they are, such as
    the line feed in a text of several lines.
    """
    if text.isprintable():  # nearly always, and it costs next to nothing
        return text
    return "".join(
        letter if letter.isprintable() or letter in keep else ascii(letter)[1:-1] for letter in text
    )
