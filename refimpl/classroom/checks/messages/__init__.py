"""The exercises of chapter 03, in the order of its notebook."""

from refimpl.classroom.checks.messages.closing import FIT_REASON, LAST_WORDS
from refimpl.classroom.checks.messages.compression import DEFLATE_MESSAGE, INFLATE_CAPPED
from refimpl.classroom.checks.messages.fragments import DEFLATE_COST, INSIDE_AFTER
from refimpl.classroom.checks.messages.text import FIRST_BAD_BYTE, SMUGGLE

__all__ = ["EXERCISES"]

EXERCISES = (
    INSIDE_AFTER,
    DEFLATE_COST,
    FIT_REASON,
    LAST_WORDS,
    SMUGGLE,
    FIRST_BAD_BYTE,
    DEFLATE_MESSAGE,
    INFLATE_CAPPED,
)
