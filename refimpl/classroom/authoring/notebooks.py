"""Weaves notebooks, executes them from top to bottom in fresh kernels, and normalises them.

    python -m refimpl.classroom.authoring.notebooks               notebooks/ and solutions/
    python -m refimpl.classroom.authoring.notebooks notebooks/02_framing.ipynb
    python -m refimpl.classroom.authoring.notebooks --check       execute nothing; exit 1 and
                                                                  say what is wrong

A notebook in which a cell fails is left as it was, and the cell's error is shown. Needs nbformat,
nbclient and ipykernel, which come with JupyterLab.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from refimpl.classroom.authoring import notebook_file, weave
from refimpl.classroom.chapters import notebook_paths

CELL_LIMIT = 120  # seconds; a whole notebook should take less than 60
# Variables of a user's terminal, and a debugger's warning: they must not change an output.
NOT_INHERITED = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "MPLBACKEND", "PYTHONWARNINGS")
ADDED = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

Step = Callable[[int, int], None]


class ExecutionError(Exception):
    """A cell of a notebook failed; the message names it and shows its error."""


def execute(
    path: Path,
    *,
    step: Step | None = None,
    keep_going: bool = False,
    cell_limit: float = CELL_LIMIT,
) -> notebook_file.Notebook:
    """The notebook in a file, woven and executed in a fresh kernel, in the notebook's folder.

    step: called with the number of each code cell that starts, and how many there are. keep_going:
    cells may fail and are not woven; their errors stay in their outputs. Raises ExecutionError for
    a cell that fails otherwise, and for a kernel that dies.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    book = _prepared(path, fill=not keep_going)
    total = sum(cell.cell_type == "code" for cell in book.cells)
    started = 0

    def on_start(cell: object, cell_index: int) -> None:
        nonlocal started
        if book.cells[cell_index].cell_type == "code":
            started += 1
            if step:
                step(started, total)

    client = NotebookClient(
        book,
        timeout=int(cell_limit),
        interrupt_on_timeout=keep_going,
        kernel_name="python3",
        allow_errors=keep_going,
        record_timing=False,
        extra_arguments=[
            "--IPKernelApp.log_level=40"
        ],  # without its warnings on TCP and encryption
        resources={"metadata": {"path": str(path.parent.resolve())}},
        on_cell_start=on_start,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="refimpl-", ignore_cleanup_errors=True) as home:
            client.execute(env=_environment(home))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        text = COLOUR.sub("", str(error)).strip()
        if not keep_going:
            raise ExecutionError(f"{path.name}, code cell {started} of {total}:\n{text}") from error
    return dict(book)


def _environment(home: str) -> dict[str, str]:
    """A kernel's environment, without the user's start-up files and history."""
    kept = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    return kept | ADDED | {"IPYTHONDIR": home}


def _prepared(path: Path, *, fill: bool) -> Any:
    """A notebook for nbclient, without outputs; fill: with its woven cells filled.

    The old outputs go, because a kernel that dies would leave them in place. Raises ExecutionError
    if a woven cell names what the package does not have.
    """
    import nbformat

    book = notebook_file.normalise(notebook_file.read(path))
    try:
        if fill:
            weave.fill(book)
    except LookupError as error:
        raise ExecutionError(f"{path.name}: {error.args[0]}") from error
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    text = notebook_file.dump(notebook_file.normalise(book))
    node = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(node)
    return node


def refresh(path: Path, *, step: Step | None = None) -> bool:
    """Weave, execute and write a notebook; tell whether its file changed. Raises ExecutionError."""
    book = execute(path, step=step)
    return notebook_file.write(path, book)


def check(path: Path) -> list[str]:
    """The faults of a committed notebook, found without executing it."""
    text = path.read_text(encoding="utf-8")
    return notebook_file.faults(notebook_file.read(path), text)


def _progress(path: Path, place: str) -> Step | None:
    """A function that shows the progress in one line of a terminal; None otherwise."""
    if not sys.stderr.isatty():
        return None
    start = time.monotonic()

    def step(number: int, total: int) -> None:
        seconds = time.monotonic() - start
        print(
            f"\r{place} {path.name}  cell {number} of {total}  {seconds:.0f} s ",
            end="",
            file=sys.stderr,
            flush=True,
        )

    return step


def main(arguments: list[str] | None = None) -> int:
    """The command line: exit status 1 where a notebook fails or is unsound."""
    parser = argparse.ArgumentParser(
        prog="python -m refimpl.classroom.authoring.notebooks",
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.add_argument(
        "paths", nargs="*", help="notebooks or folders (default: notebooks and solutions)"
    )
    parser.add_argument("--check", action="store_true", help="execute nothing, say what is wrong")
    options = parser.parse_args(arguments)
    status = 0
    paths = notebook_paths(options.paths, folders=("notebooks", "solutions"))
    for number, path in enumerate(paths, 1):
        if options.check:
            found = check(path)
            status |= bool(found)
            print(
                "\n".join(f"{path.name}: {sentence}" for sentence in found) or f"{path.name}: sound"
            )
            continue
        start = time.monotonic()
        place = f"{number} of {len(paths)}:"
        try:
            changed = refresh(path, step=_progress(path, place))
        except ExecutionError as error:
            print(f"\r{place} {error}", file=sys.stderr)
            status = 1
            continue
        result = "written" if changed else "unchanged"
        seconds = time.monotonic() - start
        print(f"\r{place} {path.parent.name}/{path.name} took {seconds:.0f} s, {result}")
    return status


if __name__ == "__main__":
    sys.exit(main())
