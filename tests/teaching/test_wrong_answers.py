"""Every exercise tells its likely mistakes apart: each wrong answer gets a message of its own."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util

import pytest

from refimpl.classroom.checking.cases import Answer, Exercise
from refimpl.classroom.checking.check import examine
from refimpl.classroom.checking.lookup import all_exercises, chapters_with_exercises, exercises_of
from refimpl.classroom.checking.reports import report
from refimpl.classroom.checking.verdicts import State

FEWEST = 3


def wrong_answers(stem):
    name = f"{__package__}.wrong.{stem}"
    return importlib.import_module(name).WRONG if importlib.util.find_spec(name) else {}


def loadable():
    """The exercises of each chapter whose module can be imported; the others fail in their test."""
    for chapter in chapters_with_exercises():
        with contextlib.suppress(Exception):
            yield from [(chapter, exercise) for exercise in exercises_of(chapter)]


EXERCISES = [pytest.param(*pair, id=pair[1].name) for pair in loadable()]
ALL = [
    pytest.param(exercise, answer, words, id=f"{exercise.name}-{number}")
    for chapter, exercise in loadable()
    for number, (answer, words) in enumerate(wrong_answers(chapter.stem).get(exercise.name, []))
]


@pytest.mark.parametrize("chapter", chapters_with_exercises(), ids=lambda chapter: chapter.label)
def test_a_chapters_exercises_can_be_loaded(chapter):
    assert exercises_of(chapter)


@pytest.mark.parametrize(("exercise", "answer", "words"), ALL)
def test_a_wrong_answer_is_told_what_is_wrong_with_it(exercise, answer, words):
    verdict = examine(exercise, answer)
    assert verdict.state in (State.WRONG, State.CRASHED, State.TOO_SLOW)
    assert words in report(exercise, verdict)


@pytest.mark.parametrize(("chapter", "exercise"), EXERCISES)
def test_wrong_answers_are_many_and_their_reports_differ(chapter, exercise):
    known = wrong_answers(chapter.stem).get(exercise.name, [])
    assert len(known) >= FEWEST, f"{exercise.name}: add to tests/teaching/wrong/{chapter.stem}.py"
    reports = [report(exercise, examine(exercise, answer)) for answer, _ in known]
    assert len(set(reports)) == len(reports)


@pytest.mark.parametrize(("chapter", "exercise"), EXERCISES)
def test_an_exercise_is_described_in_full(chapter, exercise):
    assert exercise.name.isidentifier()
    assert exercise.points > 0
    assert exercise.rule
    assert len(exercise.hints) == 3
    assert all(len(hint.split()) >= 5 for hint in exercise.hints)
    if isinstance(exercise, Exercise):
        assert len(exercise.cases) >= 3
        assert len({case.name for case in exercise.cases}) == len(exercise.cases)
    else:
        assert isinstance(exercise, Answer)
        assert exercise.otherwise


def test_names_are_unique_in_the_series():
    names = [exercise.name for _, exercise in all_exercises()]
    assert sorted(set(names)) == sorted(names)


def test_no_wrong_answer_is_for_an_exercise_that_does_not_exist():
    for chapter in chapters_with_exercises():
        known = {exercise.name for exercise in exercises_of(chapter)}
        assert set(wrong_answers(chapter.stem)) <= known
