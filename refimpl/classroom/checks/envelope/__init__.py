"""The exercises of chapter 04, in the order of its notebook."""

from refimpl.classroom.checks.envelope.beats import BEAT_REPORT, SEQ_AHEAD
from refimpl.classroom.checks.envelope.checksums import IS_INTACT, TAMPER
from refimpl.classroom.checks.envelope.layout import CUT_STREAM, PACK_ENVELOPE, PARSE_ENVELOPE

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
