"""The exercises of chapter 04, in the order of its notebook."""

from .beats import BEAT_REPORT, SEQ_AHEAD
from .checksums import IS_INTACT, TAMPER
from .layout import CUT_STREAM, PACK_ENVELOPE, PARSE_ENVELOPE

__all__ = ["EXERCISES"]

EXERCISES = (
    PACK_ENVELOPE,
    CUT_STREAM,
    IS_INTACT,
    SEQ_AHEAD,
    TAMPER,
    BEAT_REPORT,
    PARSE_ENVELOPE,
)
