"""Finds exercises by name: the tuples `EXERCISES` of the modules in `checks`, one a chapter.

A chapter's module is imported when its exercises are first asked for, in the order of the chapters,
so that chapter 02 never needs what chapter 10 imports.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterator

from refimpl.classroom import checks
from refimpl.classroom.chapters import CHAPTERS, Chapter
from refimpl.classroom.checking.cases import Answer, Exercise

Task = Exercise | Answer


NAME_A_VALUE = 'for an answer that is a value write check("the_name", the_name), hint("the_name")'


class UnknownExercise(LookupError):
    """No exercise has this name: the learner's function was renamed, or the name mistyped."""

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython shows in place of a traceback."""
        return [str(self)]


def chapters_with_exercises() -> list[Chapter]:
    """The chapters that have a module in `checks`, in order."""
    there = {module.name for module in pkgutil.iter_modules(checks.__path__)}
    return [chapter for chapter in CHAPTERS if chapter.stem in there]


def exercises_of(chapter: Chapter) -> tuple[Task, ...]:
    """The exercises of one chapter, in the order of its notebook; empty if it has no module."""
    if chapter not in chapters_with_exercises():
        return ()
    return tuple(importlib.import_module(f"{checks.__name__}.{chapter.stem}").EXERCISES)


def all_exercises() -> Iterator[tuple[Chapter, Task]]:
    """Every exercise with its chapter."""
    for chapter in chapters_with_exercises():
        for exercise in exercises_of(chapter):
            yield chapter, exercise


def find_exercise(name: str) -> tuple[Chapter, Task]:
    """The exercise of this name and its chapter. Raises UnknownExercise, with the nearest names."""
    names = []
    for chapter, exercise in all_exercises():
        if exercise.name == name:
            return chapter, exercise
        names.append(exercise.name)
    near = difflib.get_close_matches(name, names, n=3)
    advice = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"keep the name that the exercise gives its function; {NAME_A_VALUE}"
    )
    raise UnknownExercise(f"no exercise is called {name!r}; {advice}")
