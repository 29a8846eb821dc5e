"""Runs uvicorn's own tests against our engine: `python -m tests.conformance.uvicorn_suite`.

The tests are those of the uvicorn that `requirements.lock` names, from its source distribution,
which pip puts under .tools/. They run twice, with uvicorn's HTTP in front of our engine and with
ours. Exits 1 where a test fails that `tests/test_engine_peers.py` does not list with its reason,
or passes that it lists; 2 where the tests cannot be had or run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.test_engine_peers import RESTS

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".tools" / "uvicorn"
RUNNER = Path(__file__).with_name("uvicorn_ours.py")
OURS = {"websockets-sansio", "h11"}  # as uvicorn's tests call what we put in their place
RUNS = {"uvicorn's HTTP in front": [], "ours in front": ["--http"]}
LIMIT = 600  # seconds for one run


class SuiteError(Exception):
    """The tests could not be had or run: what was tried and what it said."""


@dataclass
class Outcome:
    """What one run of the tests came to: the names of those that passed, failed, were skipped."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def locked_version() -> str:
    """Return the version of uvicorn in requirements.lock."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = re.search(r"^uvicorn==(\S+)", lock, re.MULTILINE)
    if found is None:
        raise SuiteError("requirements.lock names no uvicorn: run 'make lock'")
    return found[1]


def fetch(version: str) -> Path:
    """Return the folder with the tests of a version of uvicorn; download them the first time."""
    folder = HOME / f"uvicorn-{version}"
    if folder.exists():
        return folder
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", HOME]
    command += ["--no-binary=:all:", "--no-build-isolation", f"uvicorn=={version}"]
    done = subprocess.run(command, capture_output=True, text=True)
    archive = HOME / f"uvicorn-{version}.tar.gz"
    if done.returncode or not archive.exists():
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise SuiteError(f"pip cannot download the source of uvicorn {version}:\n{last}")
    with tarfile.open(archive) as source:
        wanted = ("tests/", "pyproject.toml")
        members = [each for each in source if each.name.partition("/")[2].startswith(wanted)]
        source.extractall(HOME, members=members, filter="data")
    return folder


def run(folder: Path, options: list[str]) -> Outcome:
    """Run the tests in a folder. Raises SuiteError where pytest did not come to its end."""
    junit = folder / "junit.xml"
    junit.unlink(missing_ok=True)
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(RUNNER), *options, str(junit)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    (folder / "pytest.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode not in (0, 1) or not junit.exists():
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
        raise SuiteError(f"uvicorn's tests did not run (pytest exited {done.returncode}):\n{last}")
    return read(junit)


def read(junit: Path) -> Outcome:
    """Return what a JUnit file says."""
    outcome = Outcome()
    for case in ElementTree.parse(junit).iter("testcase"):
        kinds = {child.tag for child in case}
        group = (
            outcome.failed
            if kinds & {"failure", "error"}
            else outcome.skipped
            if "skipped" in kinds
            else outcome.passed
        )
        group.append(short_name(case.attrib["name"]))
    return outcome


def short_name(name: str) -> str:
    """Return the name of a test without the parameters that stand for ours.

    >>> short_name("test_a[websockets-sansio-h11-None-proto1]"), short_name("test_b[h11]")
    ('test_a[None-proto1]', 'test_b')
    """
    test, _, parameters = name.removesuffix("]").partition("[")
    for ours in OURS:
        parameters = re.sub(rf"(^|-){ours}(?=-|$)", "", parameters)
    parameters = parameters.removeprefix("-")
    return f"{test}[{parameters}]" if parameters else test


def complaints(outcome: Outcome, rests: Mapping[str, str]) -> list[str]:
    """Return what is wrong with an outcome, beside the rests that have their reason."""
    said = [f"{name} failed" for name in outcome.failed if name not in rests]
    said += [f"{name} passed, but is listed as a rest" for name in outcome.passed if name in rests]
    ran = {*outcome.passed, *outcome.failed}
    said += [f"{name} is listed as a rest, but did not run" for name in rests if name not in ran]
    return said


def main() -> int:
    bad: list[str] = []
    try:
        version = locked_version()
        folder = fetch(version)
        for title, options in RUNS.items():
            outcome = run(folder, options)
            total = len(outcome.passed) + len(outcome.failed)
            print(f"uvicorn {version}, our engine, {title}: {len(outcome.passed)} of {total} pass")
            bad += [f"{title}: {line}" for line in complaints(outcome, RESTS)]
    except (SuiteError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 2
    for name, reason in RESTS.items():
        print(f"  {name}: {reason}")
    for line in bad:
        print(line, file=sys.stderr)
    if bad:
        print(f"what pytest said is in {folder / 'pytest.log'}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
