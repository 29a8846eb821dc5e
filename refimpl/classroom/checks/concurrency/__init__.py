"""The exercises of chapter 06, in the order of its notebook."""

from .racing import FIRST_GOOD
from .sharing import AGES, DECIDE, STARVE
from .tasks import END_OF, LEAKING

__all__ = ["EXERCISES"]

EXERCISES = (END_OF, LEAKING, AGES, FIRST_GOOD, STARVE, DECIDE)
