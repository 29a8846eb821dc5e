"""The exercises of chapter 07, in the order of its notebook."""

from refimpl.classroom.checks.profiling.reading import HONEST, HOTTEST, SAVING
from refimpl.classroom.checks.profiling.waiting import BOUND, CORRECTED
from refimpl.classroom.checks.profiling.working import SAY, VISIT

__all__ = ["EXERCISES"]

EXERCISES = (HOTTEST, SAVING, BOUND, VISIT, HONEST, CORRECTED, SAY)
