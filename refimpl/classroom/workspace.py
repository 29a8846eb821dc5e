"""The learner's own copies of the exercises in workspace/; none is ever overwritten.

exercises/ stays as it is. The commands `refimpl start` and `refimpl reset` call these functions.
"""

import shutil
from pathlib import Path

from refimpl.classroom.chapters import chapter, project_root


def workspace_folder(directory: Path | None = None) -> Path:
    """Where learners work: the folder given, or workspace/ in the project's folder."""
    return directory or project_root() / "workspace"


def start(directory: Path | None = None) -> list[Path]:
    """Copy the exercises that are missing into the workspace; return the copies.

    Raises FileNotFoundError outside of a checkout (`chapters.project_root`).
    """
    folder = workspace_folder(directory)
    folder.mkdir(parents=True, exist_ok=True)
    return [copy for path in _pristine() if (copy := _copy(path, folder / path.name))]


def reset(name: str | int, directory: Path | None = None) -> tuple[Path, Path | None]:
    """Put a fresh copy of a chapter's exercises into the workspace; return it and the old one.

    The old one stays beside it, numbered: 02_framing.1.ipynb. Raises LookupError for an unknown
    chapter, or one without exercises.
    """
    label = chapter(name).label
    source = project_root() / "exercises" / f"{label}.ipynb"
    if not source.is_file():
        raise LookupError(f"chapter {label} has no exercises")
    folder = workspace_folder(directory)
    folder.mkdir(parents=True, exist_ok=True)
    target, kept = folder / source.name, None
    if target.exists():
        kept = _free_name(target)
        target.rename(kept)
    _copy(source, target)
    return target, kept


def _pristine() -> list[Path]:
    return sorted((project_root() / "exercises").glob("*.ipynb"))


def _copy(source: Path, target: Path) -> Path | None:
    """Copy a file, unless the target exists: then return None."""
    try:
        with source.open("rb") as old, target.open("xb") as new:  # "x": even if it appears just now
            shutil.copyfileobj(old, new)
    except FileExistsError:
        return None
    return target


def _free_name(path: Path) -> Path:
    number = 1
    while (numbered := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return numbered
