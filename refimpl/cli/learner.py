"""`refimpl start`, `reset` and `progress`: a learner's exercises, and how far they have come."""

from pathlib import Path

import click

from refimpl.cli.output import say

__all__ = ["progress", "reset", "start"]


def shown(path: Path) -> str:
    """Return a path relative to the working directory, if it lies in there."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


@click.command(
    epilog="""\b
Examples:
  refimpl start        copy the exercises that are missing; nothing is overwritten
  make lab             the same, and JupyterLab on chapter 00"""
)
def start() -> None:
    """Copy the exercises to workspace/, where they are missing."""
    from refimpl.classroom.workspace import start as start_workspace
    from refimpl.classroom.workspace import workspace_folder

    copies = start_workspace()
    for copy in copies:
        say(f"copied {shown(copy)}")
    if not copies:
        say(f"{shown(workspace_folder())} has every exercise already")


@click.command(
    epilog="""\b
Examples:
  refimpl reset 02           a fresh workspace/02_framing.ipynb; the old one stays beside it
  refimpl reset framing      the same"""
)
@click.argument("chapter")
def reset(chapter: str) -> None:
    """Begin a CHAPTER's exercises again; the old file is kept."""
    from refimpl.classroom.workspace import reset as reset_chapter

    fresh, kept = reset_chapter(chapter)
    say(f"fresh copy: {shown(fresh)}")
    if kept is not None:
        say(f"yours kept: {shown(kept)}")


@click.command(
    epilog="""\b
Examples:
  refimpl progress           a bar for each chapter
  refimpl progress 02 03     these chapters, exercise by exercise"""
)
@click.argument("chapters", nargs=-1)
def progress(chapters: tuple[str, ...]) -> None:
    """Run the checks of your exercises and show how many pass."""
    from rich.console import Console

    from refimpl.classroom.progress import progress as rows

    # Checks take seconds: a spinner says that work is under way, on a terminal only.
    with Console(stderr=True).status("running the checks ..."):
        for row in rows(names=chapters):
            line = f"{row.chapter.label:<20} [{row.bar()}] {row.passed:>2} of {row.total:<2}"
            say(f"{line}  {row.remark}".rstrip())
            if chapters:
                for exercise, state in row.results.items():
                    say(f"    {exercise:<32} {state}")
