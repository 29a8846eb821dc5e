"""The exercises of chapter 06, in the order of its notebook."""

from refimpl.classroom.checks.concurrency.racing import FIRST_GOOD
from refimpl.classroom.checks.concurrency.sharing import AGES, DECIDE, STARVE
from refimpl.classroom.checks.concurrency.tasks import END_OF, LEAKING

__all__ = ["EXERCISES"]

EXERCISES = (END_OF, LEAKING, AGES, FIRST_GOOD, STARVE, DECIDE)
