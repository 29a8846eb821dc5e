"""A notebook as a file: read it, normalise it, write it, and list its faults.

The normal form keeps what a reader needs (cells, ids, tags, nbgrader's metadata, outputs) and drops
what an editor, a clock or a machine adds, so that a second run changes only outputs. It is plain
JSON: a notebook package is needed only to execute (`refimpl.classroom.authoring.notebooks`), not to
read or check.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]
Cell = dict[str, Any]

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
KEPT_METADATA = ("deletable", "editable", "nbgrader", "slideshow", "tags")
MAX_SIZE = 1_000_000  # bytes; a larger notebook opens slowly and is hard to review

# Traces of a machine in an output: they differ on another one, so nbval would fail there.
MACHINE_MARKS = (
    (re.compile(r"\bat 0x[0-9a-fA-F]{6,}"), "a memory address"),
    (
        re.compile(r"(?:/home/|/root/|/Users/|/tmp/|[A-Z]:\\Users)\w*|site-packages"),
        "a path of this machine",
    ),
)


def read(path: Path) -> Notebook:
    """The notebook in a file. Raises ValueError, naming the file, if it is not one."""
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is not a notebook: {error}") from error
    if (
        not isinstance(book, dict)
        or book.get("nbformat") != 4
        or not isinstance(book.get("cells"), list)
    ):
        raise ValueError(f"{path.name} is not a notebook of format 4")
    return book


def dump(book: Notebook) -> str:
    """The text of a notebook's file: sorted keys, indented by one space, a newline at the end."""
    return json.dumps(book, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(path: Path, book: Notebook) -> bool:
    """Write a notebook in its normal form; False if the file is already like that."""
    text = dump(normalise(book))
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8", newline="\n")
    return True


def source(cell: Cell) -> str:
    """A cell's text, whether the file has it as a string or as a list of lines."""
    held = cell.get("source", "")
    return held if isinstance(held, str) else "".join(held)


def tags(cell: Cell) -> list[str]:
    """A cell's tags."""
    return list(cell.get("metadata", {}).get("tags", []))


def code_cells(book: Notebook) -> Iterator[tuple[int, Cell]]:
    """The code cells that are not empty, with their index in the notebook."""
    for index, cell in enumerate(book["cells"]):
        if cell["cell_type"] == "code" and source(cell).strip():
            yield index, cell


def name_of(index: int, cell: Cell) -> str:
    """The name of a cell in messages."""
    return f"cell {index} ({cell.get('id', 'no id')})"


def normalise(book: Notebook) -> Notebook:
    """A copy of a notebook in the normal form."""
    return {
        "cells": [_normal_cell(cell) for cell in book["cells"]],
        "metadata": {"kernelspec": dict(KERNELSPEC), "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _normal_cell(cell: Cell) -> Cell:
    metadata = {
        key: cell["metadata"][key]
        for key in KEPT_METADATA
        if cell.get("metadata", {}).get(key) not in (None, [])
    }
    normal: Cell = {
        "cell_type": cell["cell_type"],
        "metadata": metadata,
        "source": _lines(source(cell).rstrip("\n")),
    }
    if "id" in cell:
        normal["id"] = cell["id"]
    if cell.get("attachments"):
        normal["attachments"] = cell["attachments"]
    if cell["cell_type"] == "code":
        normal["execution_count"] = cell.get("execution_count")
        normal["outputs"] = _normal_outputs(cell.get("outputs", []), cell.get("execution_count"))
    return normal


def _lines(text: str | list[str]) -> list[str]:
    """Multi-line text as the format stores it: a list of lines with their ends."""
    return (text if isinstance(text, str) else "".join(text)).splitlines(keepends=True)


def _normal_outputs(outputs: list[Cell], count: int | None) -> list[Cell]:
    """Outputs with adjacent pieces of one stream joined: where they were cut is chance."""
    normal: list[Cell] = []
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            text = "".join(output["text"])
            if normal and normal[-1].get("name") == output["name"]:
                text = "".join(normal.pop()["text"]) + text
            normal.append({"name": output["name"], "output_type": kind, "text": _lines(text)})
        elif kind == "error":
            normal.append(
                {key: output[key] for key in ("ename", "evalue", "output_type", "traceback")}
            )
        else:
            data = {mime: _data(mime, value) for mime, value in output["data"].items()}
            shown: Cell = {
                "data": data,
                "metadata": output.get("metadata", {}),
                "output_type": kind,
            }
            if kind == "execute_result":
                shown["execution_count"] = count
            normal.append(shown)
    return normal


def _data(mime: str, value: Any) -> Any:
    """The data of one media type: text as lines, base64 as one string, JSON as it is."""
    if mime.startswith("image/") and mime != "image/svg+xml":
        return value if isinstance(value, str) else "".join(value)
    is_text = isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(line, str) for line in value)
    )
    return _lines(value) if is_text and not mime.endswith("json") else value


def faults(book: Notebook, text: str, *, executed: bool = True) -> list[str]:
    """The faults of a committed notebook, a sentence each.

    executed: it must have outputs; otherwise (exercises) it must have none.
    """
    found = [] if dump(normalise(book)) == text else ["not in normal form (make notebooks)"]
    if len(text.encode()) > MAX_SIZE:
        found.append(f"{len(text.encode()):,} bytes; at most {MAX_SIZE:,}")
    ids = [cell.get("id") for cell in book["cells"]]
    if None in ids or len(set(ids)) < len(ids):
        found.append("cells without an id of their own")
    expected = 1
    for index, cell in enumerate(book["cells"]):
        if cell["cell_type"] != "code":
            continue
        if not source(cell).strip():
            found.append(f"{name_of(index, cell)} is empty")
        count = cell.get("execution_count")
        if not executed:
            if count is not None or cell.get("outputs"):
                found.append(f"{name_of(index, cell)} has an output; exercises have none")
        elif count is None:
            found.append(f"{name_of(index, cell)} was not executed: nbval would compare nothing")
        elif count != expected:
            found.append(f"{name_of(index, cell)} has execution count {count}, expected {expected}")
        expected += 1
        found += _output_faults(index, cell)
    if executed and not any(cell.get("outputs") for _, cell in code_cells(book)):
        found.append("no cell has an output")
    return found


def _output_faults(index: int, cell: Cell) -> Iterator[str]:
    name = name_of(index, cell)
    for output in cell.get("outputs", []):
        if output["output_type"] == "error" and "raises-exception" not in tags(cell):
            yield f"{name} ends in an error: {output.get('ename')}"
        if output.get("name") == "stderr":
            yield f"{name} writes to stderr: {''.join(output['text'])[:80]!r}"
        data = output.get("data", {})
        for shown in [
            "".join(output.get("text", "")),
            "".join(data.get("text/plain", "")),
            "".join(data.get("text/html", "")),
        ]:
            for pattern, what in MACHINE_MARKS:
                if match := pattern.search(shown):
                    yield f"{name} shows {what}: {match.group()!r}"
