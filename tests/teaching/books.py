"""Notebooks for the tests: those of the project, found on the disk, and small ones made up."""

from __future__ import annotations

from pathlib import Path

from refimpl.classroom.authoring import notebook_file
from refimpl.classroom.chapters import CHAPTERS

ROOT = Path(__file__).resolve().parents[2]


def found(folder):
    """The notebooks of a folder that is there now, be they none or fourteen."""
    return sorted((ROOT / folder).glob("*.ipynb"))


def chapter_of(path):
    return next(known for known in CHAPTERS if known.label == path.stem)


def markdown(text, **metadata):
    return {"cell_type": "markdown", "metadata": metadata, "source": text}


def code(text, *, tags=(), count=None, outputs=(), **metadata):
    if tags:
        metadata["tags"] = list(tags)
    return {
        "cell_type": "code",
        "metadata": metadata,
        "source": text,
        "execution_count": count,
        "outputs": list(outputs),
    }


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def book(*cells):
    for number, cell in enumerate(cells):
        cell.setdefault("id", f"c{number}")
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def save(path, *cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook_file.write(path, book(*cells))
    return path
