"""The exercises of chapter 05, in the order of its notebook."""

from refimpl.classroom.checks.lifecycle.ends import CLOSE_ALL, FAREWELL, HANGS_UP
from refimpl.classroom.checks.lifecycle.life import DECLARED_DEAD, SHOWS_LIFE
from refimpl.classroom.checks.lifecycle.opening import HOLD_ON, naive_hold
from refimpl.classroom.checks.lifecycle.returning import IS_FATAL, RESUME_AFTER, WAIT_BEFORE

__all__ = ["EXERCISES", "naive_hold"]

EXERCISES = (
    HANGS_UP,
    FAREWELL,
    DECLARED_DEAD,
    IS_FATAL,
    WAIT_BEFORE,
    RESUME_AFTER,
    HOLD_ON,
    SHOWS_LIFE,
    CLOSE_ALL,
)
