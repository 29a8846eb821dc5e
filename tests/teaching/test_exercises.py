"""exercises/ is what the generator makes of solutions/, and both are as they should be."""

from __future__ import annotations

import json

import pytest

from refimpl.classroom import progress
from refimpl.classroom.authoring import generate, notebook_file
from refimpl.classroom.authoring.stubs import StubError, has_solution, stub
from refimpl.classroom.checking import lookup
from refimpl.classroom.checking.cases import Answer, Case, Exercise, call
from refimpl.classroom.checking.check import examine
from refimpl.classroom.checking.reports import report
from refimpl.classroom.checking.verdicts import State, Verdict
from tests.teaching.books import book, chapter_of, code, found, markdown, save

SOLUTIONS, EXERCISES = found("solutions"), found("exercises")
BACKBONE, FEWEST_IN_BACKBONE, FEWEST = (1, 2, 5, 7, 9), 6, 4


def named(path):
    return path.stem


# --- the project's own ---


@pytest.mark.parametrize("path", SOLUTIONS, ids=named)
def test_exercises_are_as_generated_and_solutions_as_stamped(path):
    assert generate.generate(path, check_only=True) == []


def test_each_side_has_the_other():
    assert [path.name for path in SOLUTIONS] == [path.name for path in EXERCISES]


@pytest.mark.parametrize("path", EXERCISES, ids=named)
def test_exercises_have_no_outputs_and_no_solution(path):
    made = notebook_file.read(path)
    text = path.read_text(encoding="utf-8")
    assert notebook_file.faults(made, text, executed=False) == []
    assert "SOLUTION" not in text


@pytest.mark.parametrize("path", SOLUTIONS, ids=named)
def test_a_chapter_has_exercises_enough(path):
    known = chapter_of(path)
    count = len(lookup.exercises_of(known))
    assert count >= (FEWEST_IN_BACKBONE if known.number in BACKBONE else FEWEST)


def test_every_chapter_with_checks_has_solutions():
    with_checks = {known.label for known in lookup.chapters_with_exercises()}
    assert with_checks == {path.stem for path in SOLUTIONS}


@pytest.mark.parametrize("path", EXERCISES, ids=named)
def test_every_untouched_exercise_is_not_attempted(path):
    said = progress.run_checks(path)
    assert said == {task.name: "not attempted" for task in lookup.exercises_of(chapter_of(path))}


@pytest.mark.parametrize("path", SOLUTIONS, ids=named)
def test_every_solution_passes_every_case_there_is_now(path):
    tasks = {task.name: task for task in lookup.exercises_of(chapter_of(path))}
    for _, cell, check in generate.checks_in(notebook_file.read(path)):
        printed = "".join("".join(output.get("text", "")) for output in cell["outputs"])
        assert printed == report(tasks[check.name], Verdict(State.PASSED)) + "\n"


# --- stubs ---

STUBS = [
    (
        "def f(x):\n    '''Doc.'''\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION",
        "def f(x):\n    '''Doc.'''\n    return ...  # your code here",
    ),
    (
        "async def f(x):\n    ### BEGIN SOLUTION\n    await x\n\n    ### END SOLUTION\n",
        "async def f(x):\n    return ...  # your code here",
    ),
    (
        "### BEGIN SOLUTION\nhelper = 2\nanswer: int = helper + 1\n### END SOLUTION",
        "answer = ...  # your answer here",
    ),
    (
        "a = 1\n### BEGIN SOLUTION\nb, c = a, 2\n### END SOLUTION\nd = b",
        "a = 1\nb = ...  # your answer here\nc = ...  # your answer here\nd = b",
    ),
    (
        "### BEGIN SOLUTION\nprint(1)\n### END SOLUTION",
        "...  # your code here",
    ),
    (
        "class C:\n    def __init__(self):\n        ### BEGIN SOLUTION\n        self.x = 1\n"
        "        ### END SOLUTION\n\n    def get(self):\n        ### BEGIN SOLUTION\n"
        "        return self.x\n        ### END SOLUTION",
        "class C:\n    def __init__(self):\n        ...  # your code here\n\n"
        "    def get(self):\n        return ...  # your code here",
    ),
    (
        "class C:\n    ### BEGIN SOLUTION\n    x = 1\n    ### END SOLUTION",
        "class C:\n    ...  # your code here",
    ),
    (
        "def f(x):\n    ### BEGIN SOLUTION\n    return x + 1\n    ### END SOLUTION\n"
        "    ### BEGIN BROKEN\n    # for y in x:\n    #     return y\n    #\n    ### END BROKEN",
        "def f(x):\n    return ...  # broken below: mend it, then delete this line\n"
        "    for y in x:\n        return y\n",
    ),
    (
        "def f(x):\n    for y in x:\n        ### BEGIN SOLUTION\n        yield y\n"
        "        ### END SOLUTION\n\n\ndef g():\n    return 1",
        "def f(x):\n    for y in x:\n        return ...  # your code here\n\n\n"
        "def g():\n    return 1",
    ),
]


@pytest.mark.parametrize(("solution", "wanted"), STUBS)
def test_a_stub_says_where_to_write(solution, wanted):
    assert has_solution(solution)
    assert stub(solution, answers={"answer"}) == wanted
    assert not has_solution(wanted)


@pytest.mark.parametrize(
    ("solution", "words"),
    [
        ("### BEGIN SOLUTION\nx = 1", "has no end"),
        ("### END SOLUTION", "does not pair"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "does not pair"),
        ("### BEGIN SOLUTION\n### END BROKEN", "does not pair"),
        ("### BEGIN BROKEN\nx = 1\n### END BROKEN", "every line is a comment"),
        ("### BEGIN SOLUTION\ndef f():\n    pass\n### END SOLUTION", "f's def and docstring"),
        ("def f(:\n### BEGIN SOLUTION\n### END SOLUTION", "not Python"),
        ("### BEGIN BROKEN\n# x = (\n### END BROKEN", "not Python"),
    ],
)
def test_what_makes_no_stub_says_why(solution, words):
    with pytest.raises(StubError, match=words):
        stub(solution)


FUNCTION_STUBS = [wanted for _, wanted in STUBS if "def f" in wanted]


@pytest.mark.parametrize("text", FUNCTION_STUBS)
def test_an_untouched_function_is_not_attempted(text):
    made = {}
    exec(text, made)
    cases = (Case("one", call([1]), expect=7), Case("none", call([]), expect=None))
    task = Exercise(
        "f", points=1, rule="", hints=("", "", ""), cases=cases, is_async="async" in text
    )
    assert examine(task, made["f"]).state is State.NOT_ATTEMPTED


@pytest.mark.parametrize("text", ["...", "NotImplemented"])
def test_an_untouched_value_is_not_attempted(text):
    task = Answer("a", points=1, rule="", hints=("", "", ""), accepts=3, otherwise="count")
    assert examine(task, eval(text)).state is State.NOT_ATTEMPTED


@pytest.mark.parametrize("body", ["pass", "...", "'''Doc.'''", "raise NotImplementedError()"])
@pytest.mark.parametrize("head", ["def f(x):", "async def f(x):"])
def test_an_empty_function_and_nbgraders_own_stub_are_not_attempted(head, body):
    made = {}
    exec(f"{head}\n    {body}", made)
    cases = (Case("one", call(1), expect=None), Case("two", call(2), expect=2))
    task = Exercise(
        "f", points=1, rule="", hints=("", "", ""), cases=cases, is_async="async" in head
    )
    assert examine(task, made["f"]).state is State.NOT_ATTEMPTED


# --- the generator ---

ANSWER = "def parse_frame(buffer, position=0):\n    ### BEGIN SOLUTION\n    x\n    ### END SOLUTION"
TASK = Exercise("parse_frame", points=4, rule="", hints=("", "", ""), cases=())
VALUE = Answer("count", points=2, rule="", hints=("", "", ""), accepts=3, otherwise="")
WAITING = Exercise("wait", points=1, rule="", hints=("", "", ""), cases=(), is_async=True)


@pytest.fixture
def known(monkeypatch):
    """Sets the exercises of chapter 02."""

    def set_exercises(*tasks):
        monkeypatch.setattr(generate, "exercises_of", lambda chapter: tasks)

    set_exercises(TASK)
    return set_exercises


def test_both_sides_are_stamped_for_nbgrader(known):
    known(TASK, VALUE)
    solved = book(
        markdown("# Two"),
        code(ANSWER, count=1, tags=["keep"], nbgrader={"grade_id": "stale"}),
        code("check(parse_frame)", count=2),
        markdown("Because.", tags=["solution"]),
        code("### BEGIN SOLUTION\nparts = 1\ncount = 3\n### END SOLUTION", count=3),
        code('check("count", count)', count=4),
        code("1", count=5, nbgrader={"grade_id": "stale"}),
    )
    stamped = generate.stamped(solved, "02_framing")
    for made in (stamped, generate.exercise_of(stamped)):
        cells = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
        stamps = [cell["metadata"].get("nbgrader") for cell in cells]
        assert stamps[0] == {
            "grade": False,
            "grade_id": "parse_frame",
            "locked": False,
            "schema_version": 3,
            "solution": True,
            "task": False,
        }
        assert stamps[1] == {
            "grade": True,
            "grade_id": "check_parse_frame",
            "locked": True,
            "points": 4,
            "schema_version": 3,
            "solution": False,
            "task": False,
        }
        assert (stamps[3]["points"], stamps[4]) == (2, None)
        assert cells[0]["metadata"]["tags"] == ["keep"]


def test_an_exercise_keeps_ids_and_loses_outputs_answers_and_explanations(known):
    known(TASK, VALUE)
    solved = book(
        code(ANSWER, count=1, outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}]),
        code("check(parse_frame)", count=2),
        markdown("Because.", tags=["solution"]),
        code("### BEGIN SOLUTION\nparts = 1\ncount = 3\n### END SOLUTION", count=3),
        code('check("count", count)', count=4),
    )
    made = generate.exercise_of(generate.stamped(solved, "02_framing"))
    assert [cell["id"] for cell in made["cells"]] == ["c0", "c1", "c3", "c4"]
    assert notebook_file.source(made["cells"][2]) == "count = ...  # your answer here"
    assert [cell["execution_count"] for cell in made["cells"]] == [None] * 4
    assert [cell["outputs"] for cell in made["cells"]] == [[]] * 4
    assert made["cells"][1]["metadata"]["editable"] is False


@pytest.mark.parametrize(
    ("tasks", "cells", "words"),
    [
        ([TASK], [ANSWER], "no check below"),
        ([TASK], ["check(parse_frame)"], "no cell with ### BEGIN SOLUTION"),
        ([TASK], [ANSWER, "check(parse_frame)", "check(parse_frame)"], "checked twice"),
        ([VALUE], [ANSWER, "check(parse_frame)"], "has no 'parse_frame'"),
        ([TASK, VALUE], [ANSWER, "check(parse_frame)"], "no check cell for count"),
        ([TASK], [ANSWER, "await check(parse_frame)"], "no await belongs"),
        ([WAITING], [ANSWER.replace("parse_frame", "wait"), "check(wait)"], "await belongs"),
        ([TASK], [ANSWER, "x = 1\ncheck(parse_frame)"], "stands alone"),
        ([TASK], [ANSWER, "assert not check(parse_frame)"], "stands alone"),
        ([TASK], [ANSWER, "check()"], "stands alone"),
        ([TASK], [ANSWER, "check(a.b)"], "takes a function's name"),
    ],
)
def test_cells_that_do_not_fit_together_are_named(known, tasks, cells, words):
    known(*tasks)
    with pytest.raises(StubError, match=words):
        generate.stamped(book(*map(code, cells)), "02_framing")


def test_the_command_writes_once_and_then_finds_nothing_to_do(tmp_path, known, capsys):
    path = save(
        tmp_path / "solutions" / "02_framing.ipynb", code(ANSWER), code("check(parse_frame)")
    )
    target = tmp_path / "exercises" / "02_framing.ipynb"
    assert generate.main(["--check", str(path)]) == 1
    assert not target.exists()
    assert generate.main([str(path)]) == 0
    assert generate.main(["--check", str(path)]) == 0
    assert "up to date" in capsys.readouterr().out
    stale = json.loads(target.read_text(encoding="utf-8"))
    stale["cells"].pop()
    target.write_text(json.dumps(stale), encoding="utf-8")
    assert generate.main(["--check", str(path)]) == 1
    assert "out of date: exercises/02_framing.ipynb" in capsys.readouterr().out


def test_the_command_names_a_notebook_that_does_not_fit(tmp_path, known, capsys):
    path = save(tmp_path / "solutions" / "02_framing.ipynb", code(ANSWER))
    assert generate.main([str(path)]) == 1
    assert "02_framing.ipynb: a cell with a solution has no check" in capsys.readouterr().err


def test_a_teacher_gets_assignments_with_answers_and_without_explanations(tmp_path, known):
    cells = code(ANSWER), code("check(parse_frame)"), markdown("Because.", tags=["solution"])
    path = save(tmp_path / "solutions" / "02_framing.ipynb", *cells)
    assert generate.main([str(path), "--nbgrader", str(tmp_path / "source")]) == 0
    made = notebook_file.read(tmp_path / "source" / "02_framing" / "02_framing.ipynb")
    assert notebook_file.source(made["cells"][0]) == ANSWER
    assert [cell["metadata"]["nbgrader"]["solution"] for cell in made["cells"]] == [True, False]
    assert not (tmp_path / "exercises").exists()
