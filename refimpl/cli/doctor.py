"""`refimpl doctor`: check that everything the series needs is here, and say how to mend it."""

import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from refimpl.cli.output import say
from refimpl.handshake.printable import printable

__all__ = ["doctor"]

OLDEST = (3, 11)
MARKS = {True: ("ok", "green"), False: ("MISSING", "red"), None: ("optional", "yellow")}


class Diagnosis(NamedTuple):
    """One check. well: whether it passed, None where it failed and nothing needs it."""

    well: bool | None
    what: str
    remedy: str = ""


@click.command(
    epilog="""\b
Example:
  refimpl doctor       exit status 1 if something that is needed is missing, else 0"""
)
def doctor() -> int:
    """Check this environment, and say how to mend it."""
    findings = list(examine())
    for check in findings:
        word, colour = MARKS[check.well]
        click.echo(f"{click.style(f'{word:<9}', fg=colour)} {printable(check.what)}")
        if check.remedy:
            say(f"{'':<9} {check.remedy}")
    return int(any(check.well is False for check in findings))


def examine() -> Iterator[Diagnosis]:
    """Yield the checks, the most basic first."""
    yield python()
    yield from packages()
    yield mask()
    yield kernel()
    yield program("Chromium", ("chromium", "chromium-browser", "google-chrome", "chrome"))
    yield program("Node.js", ("node",))


def python() -> Diagnosis:
    """Return whether this Python is new enough."""
    found = f"Python {platform.python_version()} on {platform.system()}"
    if sys.version_info >= OLDEST:
        return Diagnosis(True, found)
    return Diagnosis(False, found, "make it 3.11 or newer: make lab PYTHON=python3.12")


def packages() -> Iterator[Diagnosis]:
    """Yield whether the locked packages are installed, in the versions of the lock."""
    lock = find_lock()
    if lock is None:
        yield Diagnosis(None, "requirements.lock not found", "run this in the project's folder")
        return
    locked = read_lock(lock)
    installed = {name: version_of(name) for name in locked}
    missing = [name for name, version in installed.items() if version is None]
    other = [
        f"{name} {version} (lock: {locked[name]})"
        for name, version in installed.items()
        if version not in (None, locked[name])
    ]
    same = len(locked) - len(missing) - len(other)
    needed = [name for name in missing if name in declared()]
    yield Diagnosis(not needed, f"{same} of {len(locked)} packages as in requirements.lock")
    if needed:
        yield Diagnosis(False, f"not installed: {', '.join(needed)}", "run: make setup")
    if rest := [name for name in missing if name not in needed]:
        remedy = (
            "lessons and `make test` do not need them; pip install -r requirements.lock has all"
        )
        yield Diagnosis(None, f"not installed: {', '.join(rest)}", remedy)
    if other:
        remedy = "usually harmless; for exactly the committed outputs: make clean setup"
        yield Diagnosis(None, f"other versions: {', '.join(other)}", remedy)


def declared() -> set[str]:
    """Return the packages that lessons and `make test` need, not those of browsers and peers."""
    beside = re.compile(r"""extra == ['"](browser|bench)['"]""")
    lines = [line for line in metadata.requires("refimpl") or () if not beside.search(line)]
    return {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in lines}


def find_lock() -> Path | None:
    """Return the requirements.lock of the working directory, or of one above it."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "requirements.lock").is_file():
            return folder / "requirements.lock"
    return None


def read_lock(path: Path) -> dict[str, str]:
    """Return the name and version of every package that the lock names for all machines.

    Lines with a marker (`; sys_platform == ...`) are for some machines only and are left out.
    """
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    pairs = (line.split("==") for line in lines if "==" in line and ";" not in line)
    return {name.strip(): version.strip() for name, version in pairs}


def version_of(name: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def mask() -> Diagnosis:
    """Return whether masking is done in C."""
    from refimpl.framing import ACCELERATED

    if ACCELERATED:
        return Diagnosis(True, "masking in C, from the websockets package")
    remedy = "run: pip install --force-reinstall websockets (a wheel with its C extension)"
    return Diagnosis(None, "masking in pure Python: large messages are slower", remedy)


def kernel() -> Diagnosis:
    """Return whether notebooks can run here."""
    missing = [name for name in ("jupyterlab", "ipykernel", "matplotlib") if not find_spec(name)]
    if missing:
        return Diagnosis(False, f"notebooks need {', '.join(missing)}", "run: make setup")
    return Diagnosis(True, "JupyterLab with the Python kernel of this environment")


def program(name: str, commands: tuple[str, ...]) -> Diagnosis:
    """Return whether a program that only some tests need is installed."""
    for command in commands:
        path = shutil.which(command)
        if path:
            return Diagnosis(True, f"{name}: {path}")
    return Diagnosis(None, f"{name} not found", "only `make browser` needs it; lessons do not")
