"""A learner's progress: the checks of the workspace's notebooks, run each time, never stored.

Each notebook is executed in a process of its own, with a time limit, by `python -m
refimpl.classroom.progress NOTEBOOK`, which prints the results of its checks as JSON. `refimpl
progress` shows the rows.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from refimpl.classroom.authoring import notebook_file
from refimpl.classroom.authoring.generate import find_check
from refimpl.classroom.authoring.notebooks import execute
from refimpl.classroom.authoring.stubs import StubError
from refimpl.classroom.chapters import CHAPTERS, Chapter, chapter, project_root
from refimpl.classroom.checking.verdicts import State
from refimpl.classroom.workspace import workspace_folder

CELL_LIMIT = 30.0  # seconds
NOTEBOOK_LIMIT = 180.0  # seconds
JOBS = 2  # kernels at a time
NOT_REACHED = "not reached"
FAILED = re.compile(rf" - ({'|'.join(state.value for state in State)})")


@dataclass(frozen=True, slots=True)
class Row:
    """One chapter's progress. results: of each check, by exercise; empty if none ran."""

    chapter: Chapter
    passed: int
    total: int
    remark: str = ""
    results: dict[str, str] = field(default_factory=dict)

    def bar(self, width: int = 20) -> str:
        """The share of exercises that pass, as text."""
        filled = width * self.passed // self.total if self.total else 0
        return "#" * filled + "-" * (width - filled)


def progress(
    directory: Path | None = None, *, names: Sequence[str | int] = (), limit: float = NOTEBOOK_LIMIT
) -> Iterator[Row]:
    """The rows of all chapters with exercises, or of those named, each as soon as it is known.

    directory: a folder of notebooks in place of the workspace. limit: seconds for one notebook.
    Raises LookupError for an unknown chapter.
    """
    wanted = {chapter(name) for name in names} or set(CHAPTERS)
    folder, pristine = workspace_folder(directory), project_root() / "exercises"
    chapters = [known for known in CHAPTERS if known in wanted]
    there = [known for known in chapters if (pristine / f"{known.label}.ipynb").is_file()]
    with ThreadPoolExecutor(JOBS) as pool:
        yield from pool.map(lambda known: _row(known, folder, pristine, limit), there)


def _row(known: Chapter, folder: Path, pristine: Path, limit: float) -> Row:
    name = f"{known.label}.ipynb"
    handed_out = notebook_file.read(pristine / name)
    wanted = _checks(handed_out)
    if not (folder / name).is_file():
        return Row(known, 0, len(wanted), "not started")
    try:
        if _code(notebook_file.read(folder / name)) == _code(handed_out):
            return Row(known, 0, len(wanted), "not attempted")
        results = run_checks(folder / name, limit=limit)
    except (OSError, ValueError, RuntimeError) as error:
        return Row(known, 0, len(wanted), str(error))
    said = {exercise: results.get(exercise, NOT_REACHED) for exercise in wanted}
    passed = sum(state == State.PASSED.value for state in said.values())
    return Row(known, passed, len(wanted), "" if passed < len(wanted) else "done", said)


def _checks(book: notebook_file.Notebook) -> list[str]:
    """The names of the exercises that a notebook checks, each once."""
    names = []
    for _, cell in notebook_file.code_cells(book):
        try:
            found = find_check(notebook_file.source(cell))
        except StubError:
            continue
        if found is not None:
            names.append(found.name)
    return list(dict.fromkeys(names))


def _code(book: notebook_file.Notebook) -> list[str]:
    return [notebook_file.source(cell) for _, cell in notebook_file.code_cells(book)]


def run_checks(path: Path, *, limit: float = NOTEBOOK_LIMIT) -> dict[str, str]:
    """The result of each check of a notebook ("passed", "wrong", ...), run in its own process.

    Raises RuntimeError if it takes more than `limit` seconds, or the process fails.
    """
    command = [sys.executable, "-m", "refimpl.classroom.progress", str(path.resolve())]
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"stopped after {limit:g} s") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError("".join(last) or f"ended with status {done.returncode}")
    results: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return results


def read_results(book: notebook_file.Notebook) -> dict[str, str]:
    """The result of each check of an executed notebook, by exercise; of several, the last."""
    results = {}
    for _, cell in notebook_file.code_cells(book):
        try:
            found = find_check(notebook_file.source(cell))
        except StubError:
            continue
        if found is not None:
            results[found.name] = _state(cell)
    return results


def _state(cell: notebook_file.Cell) -> str:
    errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
    if errors:
        match = FAILED.search(errors[0]["evalue"]) if "Failed" in errors[0]["ename"] else None
        return match[1] if match else State.CRASHED.value
    printed = "".join("".join(output.get("text", "")) for output in cell["outputs"])
    return State.PASSED.value if f" - {State.PASSED.value}" in printed else NOT_REACHED


def main(arguments: list[str]) -> int:
    """Execute one notebook and print the results of its checks as JSON."""
    book = execute(Path(arguments[0]), keep_going=True, cell_limit=CELL_LIMIT)
    print(json.dumps(read_results(book)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
