"""Arguments with several values: one str in place of a list is refused at the call.

A str is a sequence of its letters, so the mistake raises no error by itself:
`"*" in "https://*.example"` is true, and the list of "chat" is c, h, a, t.

>>> as_tuple("subprotocols", ["v2.chat", "v1.chat"])
('v2.chat', 'v1.chat')
>>> as_tuple("subprotocols", "chat")
Traceback (most recent call last):
    ...
TypeError: got subprotocols as one str, expected a list: put the value into [ ]
"""

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["as_tuple"]

T = TypeVar("T")


def as_tuple(name: str, values: Iterable[T]) -> tuple[T, ...]:
    """Return the values of the argument of that name; TypeError for text and for no iterable."""
    if type(values) is tuple or type(values) is list:  # nearly always, and cheap to tell
        return tuple(values)
    if isinstance(values, (str, bytes, bytearray)) or not isinstance(values, Iterable):
        kind = type(values).__name__
        raise TypeError(f"got {name} as one {kind}, expected a list: put the value into [ ]")
    return tuple(values)
