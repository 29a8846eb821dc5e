"""The fourteen chapters by number and stem, and where their files are.

A chapter has one stem in five places: notebooks/02_framing.ipynb, refimpl/framing.py,
exercises/02_framing.ipynb, solutions/02_framing.ipynb, tests/test_framing.py. Nothing here checks
whether a chapter is written yet.

    >>> chapter("02").stem
    'framing'
    >>> chapter("framing").label
    '02_framing'
"""

import os
from pathlib import Path
from typing import NamedTuple


class Chapter(NamedTuple):
    """One chapter: its number and the stem that its files share."""

    number: int
    stem: str

    @property
    def label(self) -> str:
        """The name of the chapter's notebooks, without the suffix."""
        return f"{self.number:02d}_{self.stem}"


STEMS = (
    "first_echo",
    "handshake",
    "framing",
    "messages",
    "envelope",
    "lifecycle",
    "concurrency",
    "profiling",
    "middleware",
    "auth",
    "sessions",
    "permissions",
    "refresh",
    "production",
)
CHAPTERS = tuple(Chapter(number, stem) for number, stem in enumerate(STEMS))


def chapter(name: str | int) -> Chapter:
    """The chapter that a name means: 2, "2", "02", "framing", "02_framing" or a notebook's path.

    Raises LookupError, with the names to choose from, for anything else.
    """
    wanted = Path(str(name)).name.removesuffix(".ipynb")
    for known in CHAPTERS:
        if wanted in (known.stem, known.label) or (
            wanted.isdecimal() and int(wanted) == known.number
        ):
            return known
    choices = ", ".join(known.label for known in CHAPTERS)
    raise LookupError(f"no chapter {str(name)!r}; the chapters are {choices}")


def project_root() -> Path:
    """The folder that holds notebooks/ and solutions/: the working directory, or one above it.

    REFIMPL_ROOT names another. Raises FileNotFoundError if there is none.
    """
    named = os.environ.get("REFIMPL_ROOT")
    if named:
        return Path(named)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "solutions").is_dir() or (folder / "notebooks").is_dir():
            return folder
    raise FileNotFoundError(
        "no folder with notebooks/ and solutions/ here or above; start in the project's folder"
    )


def notebook_paths(
    names: list[str], *, folders: tuple[str, ...], root: Path | None = None
) -> list[Path]:
    """The notebooks that a command's arguments name; without any, every notebook of `folders`.

    Raises FileNotFoundError for a name that is neither a notebook nor a folder.
    """
    places = [Path(name) for name in names] or [
        (root or project_root()) / folder for folder in folders
    ]
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(path for path in place.glob("*.ipynb"))
        elif place.is_file():
            found.append(place)
        elif names:
            raise FileNotFoundError(f"no notebook or folder {place}")
    return found
