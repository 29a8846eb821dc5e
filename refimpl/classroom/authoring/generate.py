"""Generates exercises/ from solutions/, and stamps nbgrader's metadata on both.

An exercise is a cell with a solution in it (see `stubs`) and, below it, a cell with its check
alone: `check(parse_frame)`, `await check(read_head)` or `check("broken_frame", broken_frame)`. Its
points come from `lookup`. A cell tagged `solution` is left out of the exercises.

    python -m refimpl.classroom.authoring.generate           write exercises/, stamp solutions/
    python -m refimpl.classroom.authoring.generate --check   change nothing; exit 1 and say what
                                                             differs
    python -m refimpl.classroom.authoring.generate solutions/02_framing.ipynb
    python -m refimpl.classroom.authoring.generate --nbgrader course/source

The last form is for a teacher: it writes each chapter as an assignment in nbgrader's source format.
The stamps are nbgrader's own (schema 3), so solutions/ itself can serve too; but the last form
leaves out the cells tagged `solution`, which nbgrader would hand out.
"""

import argparse
import ast
import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from refimpl.classroom.authoring import notebook_file
from refimpl.classroom.authoring.notebook_file import Cell, Notebook
from refimpl.classroom.authoring.stubs import StubError, has_solution, stub
from refimpl.classroom.chapters import chapter, notebook_paths
from refimpl.classroom.checking.cases import Exercise
from refimpl.classroom.checking.lookup import exercises_of

SOLUTION_ONLY = "solution"


class Check(NamedTuple):
    """The call in a check cell."""

    name: str
    awaited: bool
    reads: frozenset[str]  # names that the cell uses


def find_check(source: str) -> Check | None:
    """The check in a cell, or None. Raises StubError if the cell holds anything else."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a cell with a magic command
        return None
    calls = [node for statement in body for node in ast.walk(statement) if _is_check(node)]
    if not calls:
        return None
    statement = body[0]
    value = statement.value if isinstance(statement, ast.Expr) else None
    called = value.value if isinstance(value, ast.Await) else value
    if (
        len(body) > 1
        or called is not calls[0]
        or not isinstance(called, ast.Call)
        or not called.args
    ):
        raise StubError("a check stands alone in its cell, as one call with an argument")
    first = called.args[0]
    name = first.id if isinstance(first, ast.Name) else getattr(first, "value", None)
    if not isinstance(name, str):
        raise StubError("check() takes a function's name, or the name of an answer and its value")
    reads = frozenset(node.id for node in ast.walk(called) if isinstance(node, ast.Name))
    return Check(name, isinstance(value, ast.Await), reads)


def _is_check(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check"
    )


def checks_in(book: Notebook) -> Iterator[tuple[int, Cell, Check]]:
    """The check cells of a notebook, solved or not."""
    for index, cell in notebook_file.code_cells(book):
        try:
            found = find_check(notebook_file.source(cell))
        except StubError as error:
            raise StubError(f"{notebook_file.name_of(index, cell)}: {error}") from None
        if found is not None:
            yield index, cell, found


def _stamp(grade_id: str, *, points: int | None = None) -> Cell:
    """nbgrader's metadata: with points for a check cell, without points for a solution cell."""
    stamp: Cell = {
        "grade": points is not None,
        "grade_id": grade_id,
        "locked": points is not None,
        "schema_version": 3,
        "solution": points is None,
        "task": False,
    }
    return stamp if points is None else stamp | {"points": points}


def stamped(book: Notebook, stem: str) -> Notebook:
    """A copy of a solutions notebook with the right metadata on each solution and check cell.

    Raises StubError if the cells and checks do not fit the exercises of the chapter.
    """
    result = notebook_file.normalise(copy.deepcopy(book))
    for cell in result["cells"]:
        cell["metadata"].pop("nbgrader", None)
    known = {exercise.name: exercise for exercise in exercises_of(chapter(stem))}
    cells, start, seen = result["cells"], 0, set()
    for index, cell, found in checks_in(result):
        where = notebook_file.name_of(index, cell)
        if found.name not in known:
            raise StubError(
                f"{where}: refimpl/classroom/checks has no {found.name!r} for this chapter"
            )
        if found.name in seen:
            raise StubError(f"{where}: {found.name!r} is checked twice")
        exercise = known[found.name]
        if found.awaited != (isinstance(exercise, Exercise) and exercise.is_async):
            raise StubError(
                f"{where}: {'no ' if found.awaited else ''}await belongs before this check"
            )
        answers = [
            other for other in cells[start:index] if has_solution(notebook_file.source(other))
        ]
        if not answers:
            raise StubError(
                f"{where}: no cell with ### BEGIN SOLUTION between the check before and this one"
            )
        for number, answer in enumerate(answers):
            answer["metadata"]["nbgrader"] = _stamp(
                f"{found.name}_{number + 1}" if number else found.name
            )
        cell["metadata"]["nbgrader"] = _stamp(f"check_{found.name}", points=exercise.points)
        seen.add(found.name)
        start = index + 1
    if any(has_solution(notebook_file.source(cell)) for cell in cells[start:]):
        raise StubError("a cell with a solution has no check below it")
    if missing := [name for name in known if name not in seen]:
        raise StubError(f"no check cell for {', '.join(missing)}")
    return result


def without_explanations(book: Notebook) -> Notebook:
    """A copy of a solutions notebook without the cells tagged `solution`."""
    kept = [cell for cell in book["cells"] if SOLUTION_ONLY not in notebook_file.tags(cell)]
    return copy.deepcopy(book | {"cells": kept})


def exercise_of(solutions: Notebook) -> Notebook:
    """The exercises notebook that belongs to a stamped solutions notebook. Raises StubError."""
    book = copy.deepcopy(solutions)
    book["cells"] = [
        cell for cell in book["cells"] if SOLUTION_ONLY not in notebook_file.tags(cell)
    ]
    reads: frozenset[str] = frozenset()
    for cell in reversed(
        book["cells"]
    ):  # backwards: a check cell names what its answer cell must assign
        if cell["cell_type"] != "code":
            continue
        cell["execution_count"], cell["outputs"] = None, []
        text = notebook_file.source(cell)
        grading = cell["metadata"].get("nbgrader", {})
        if grading.get("grade"):
            found = find_check(text)
            reads = found.reads if found else frozenset()
            cell["metadata"] |= {"deletable": False, "editable": False}
        if has_solution(text):
            try:
                cell["source"] = stub(text, answers=reads)
            except StubError as error:
                raise StubError(f"cell {cell['id']}: {error}") from None
    return notebook_file.normalise(book)


def generate(path: Path, *, check_only: bool = False) -> list[str]:
    """Stamp one solutions notebook, write its exercises, return the names of changed files.

    check_only: change nothing, and return what would change.
    """
    book = notebook_file.read(path)
    solutions = stamped(book, path.stem)
    target = path.parent.parent / "exercises" / path.name
    changed = []
    for place, wanted in ((path, solutions), (target, exercise_of(solutions))):
        text = notebook_file.dump(wanted)
        if place.is_file() and place.read_text(encoding="utf-8") == text:
            continue
        changed.append(f"{place.parent.name}/{place.name}")
        if not check_only:
            place.parent.mkdir(exist_ok=True)
            place.write_text(text, encoding="utf-8", newline="\n")
    return changed


def hand_over(path: Path, source: Path) -> Path:
    """Write one solutions notebook as an nbgrader assignment below a course's source folder."""
    book = without_explanations(stamped(notebook_file.read(path), path.stem))
    target = source / path.stem / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    notebook_file.write(target, book)
    return target


def main(arguments: list[str] | None = None) -> int:
    """The command line: exit status 1 where a notebook is unsound or, with --check, out of date."""
    parser = argparse.ArgumentParser(
        prog="python -m refimpl.classroom.authoring.generate",
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.add_argument("paths", nargs="*", help="solutions notebooks (default: all)")
    parser.add_argument("--check", action="store_true", help="change nothing, say what differs")
    parser.add_argument("--nbgrader", metavar="SOURCE", type=Path, help="write assignments there")
    options = parser.parse_args(arguments)
    status = 0
    for path in notebook_paths(options.paths, folders=("solutions",)):
        try:
            if options.nbgrader:
                print(f"{path.name}: written to {hand_over(path, options.nbgrader)}")
                continue
            changed = generate(path, check_only=options.check)
        except (StubError, LookupError) as error:
            print(f"{path.name}: {error.args[0]}", file=sys.stderr)
            status = 1
            continue
        status |= bool(changed and options.check)
        verb = "out of date" if options.check else "written"
        print(f"{path.name}: {f'{verb}: ' + ', '.join(changed) if changed else 'up to date'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
