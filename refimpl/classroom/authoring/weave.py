"""Fills notebook cells with source from the package, so that the two cannot differ.

A code cell tagged `refimpl:framing.mask_int` holds exactly the source of that definition
(`definitions` finds it). Several such tags in one cell give several definitions, two blank lines
apart, or without blank lines if each is one line long.

    python -m refimpl.classroom.authoring.weave           fill the cells of notebooks/, solutions/
    python -m refimpl.classroom.authoring.weave --check   change nothing; exit 1 naming each cell
                                                          that differs
    python -m refimpl.classroom.authoring.weave notebooks/02_framing.ipynb

A cell that changes loses its outputs; `notebooks` makes new ones.
"""

import argparse
import sys
from itertools import zip_longest
from pathlib import Path

from refimpl.classroom.authoring import notebook_file
from refimpl.classroom.authoring.definitions import PACKAGE, find_definition
from refimpl.classroom.chapters import notebook_paths

PREFIX = "refimpl:"


def woven_source(cell: notebook_file.Cell, *, package: Path = PACKAGE) -> str | None:
    """The source that a cell's tags name; None if it is not woven. Raises LookupError."""
    names = [tag.removeprefix(PREFIX) for tag in notebook_file.tags(cell) if tag.startswith(PREFIX)]
    if not names or cell["cell_type"] != "code":
        return None
    sources = [find_definition(name, package=package).source for name in names]
    between = "\n\n\n" if any("\n" in each for each in sources) else "\n"
    return between.join(sources)


def differences(book: notebook_file.Notebook, *, package: Path = PACKAGE) -> list[str]:
    """The cells that differ from the package: for each its tags and the first differing line."""
    found = []
    for index, cell in enumerate(book["cells"]):
        try:
            wanted = woven_source(cell, package=package)
        except LookupError as error:
            found.append(f"{notebook_file.name_of(index, cell)}: {error.args[0]}")
            continue
        held = notebook_file.source(cell)
        if wanted is None or wanted == held:
            continue
        number, here, there = _first_difference(held, wanted)
        name = ", ".join(tag for tag in notebook_file.tags(cell) if tag.startswith(PREFIX))
        found.append(
            f"{notebook_file.name_of(index, cell)}, {name}, line {number}\n"
            f"    notebook  {here}\n    package   {there}"
        )
    return found


def _first_difference(held: str, wanted: str) -> tuple[int, str, str]:
    pairs = zip_longest(held.splitlines(), wanted.splitlines(), fillvalue="(nothing)")
    for number, (here, there) in enumerate(pairs, 1):
        if here != there:
            return number, here, there
    return len(wanted.splitlines()), "(another line end)", ""


def fill(book: notebook_file.Notebook, *, package: Path = PACKAGE) -> int:
    """Fill each woven cell from the package; return how many changed. Raises LookupError."""
    changed = 0
    for cell in book["cells"]:
        wanted = woven_source(cell, package=package)
        if wanted is not None and wanted != notebook_file.source(cell):
            cell["source"], cell["outputs"], cell["execution_count"] = wanted, [], None
            changed += 1
    return changed


def main(arguments: list[str] | None = None) -> int:
    """The command line: exit status 1 where a cell differs or a name is unknown."""
    parser = argparse.ArgumentParser(
        prog="python -m refimpl.classroom.authoring.weave",
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.add_argument(
        "paths", nargs="*", help="notebooks or folders (default: notebooks and solutions)"
    )
    parser.add_argument("--check", action="store_true", help="change nothing, say what differs")
    options = parser.parse_args(arguments)
    status = 0
    for path in notebook_paths(options.paths, folders=("notebooks", "solutions")):
        book = notebook_file.read(path)
        if options.check:
            found = differences(book)
            status |= bool(found)
            print(
                "\n".join(f"{path.name}: {sentence}" for sentence in found)
                or f"{path.name}: as the package says"
            )
            continue
        try:
            changed = fill(book)
        except LookupError as error:
            print(f"{path.name}: {error.args[0]}", file=sys.stderr)
            status = 1
            continue
        if changed:
            notebook_file.write(path, book)
        print(f"{path.name}: {changed} cells filled")
    return status


if __name__ == "__main__":
    sys.exit(main())
