"""The exercises of chapter 10, in the order of its notebook."""

from refimpl.classroom.checks.sessions.gaps import FIND_GAPS
from refimpl.classroom.checks.sessions.ghosts import GHOST
from refimpl.classroom.checks.sessions.leases import PRESENT_AT
from refimpl.classroom.checks.sessions.lists import ADD_TAB
from refimpl.classroom.checks.sessions.pages import PAGE
from refimpl.classroom.checks.sessions.tabs import SEND_TO_TABS

__all__ = ["EXERCISES"]

EXERCISES = (
    PRESENT_AT,
    GHOST,
    ADD_TAB,
    SEND_TO_TABS,
    FIND_GAPS,
    PAGE,
)
