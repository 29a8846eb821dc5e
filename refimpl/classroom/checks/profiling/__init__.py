"""The exercises of chapter 07, in the order of its notebook."""

from .reading import HONEST, HOTTEST, SAVING
from .waiting import BOUND, CORRECTED
from .working import SAY, VISIT

__all__ = ["EXERCISES"]

EXERCISES = (HOTTEST, SAVING, BOUND, VISIT, HONEST, CORRECTED, SAY)
