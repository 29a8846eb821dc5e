"""The package grows chapter by chapter: cut down to chapters 1 to N, it passes their tests.

A test file belongs to the chapter it is named after, and runs from the stage on at which all that
it imports is there: handshakes over a real socket need the server of chapter 05. Stage N runs the
files that stage N - 1 could not; what that one ran still holds, because the law of the house lets
no module see a later one (test_law.py). REFIMPL_STAGES=whole runs every file in every stage.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import refimpl
from refimpl.classroom.chapters import CHAPTERS
from tests.teaching.books import ROOT
from tests.teaching.law import FLOORS, INSTRUMENTS, Module, imports

PACKAGE = ROOT / "refimpl"
BUILT = [
    chapter
    for chapter in CHAPTERS
    if (PACKAGE / f"{chapter.stem}.py").is_file() or (PACKAGE / chapter.stem).is_dir()
]
LIMIT = 300  # seconds
NO_STAGE = max(FLOORS.values()) + 1  # for what no floor may import

IS_CUT = """
import importlib
from pathlib import Path

import pytest
import refimpl

HERE = Path(__file__).resolve().parents[1]


def test_the_package_under_test_is_the_one_cut_down():
    assert Path(refimpl.__file__).resolve().is_relative_to(HERE)


@pytest.mark.parametrize("name", {above})
def test_later_chapters_are_not_there(name):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"refimpl.{{name}}")
"""


# The properties hold in full elsewhere; here a few examples show that nothing is missing.
FEW_EXAMPLES = """

settings.register_profile("stage", max_examples=5, deadline=None, derandomize=True)
settings.load_profile("stage")
"""


def stage_of(path):
    """The highest floor that a test file needs, itself or through what the tests share."""
    highest, seen, ahead = 0, set(), [path]
    while ahead:
        here = ahead.pop()
        seen.add(here)
        text = here.read_text(encoding="utf-8")
        module = Module(here, here.stem, ast.parse(text), 0)
        for imported in imports(module, "tests"):
            top, *rest = imported.name.split(".")
            if top == "refimpl" and rest:
                name = refimpl._HOMES.get(rest[0], f"refimpl.{rest[0]}").split(".")[1]
                highest = max(highest, NO_STAGE if name in INSTRUMENTS else FLOORS.get(name, 0))
            elif top == "tests":
                ahead += [path for path in shared(rest) if path not in seen]
    return highest


def shared(names):
    """The files behind a name that tests import from each other: tests.support.wire, say."""
    places = [ROOT / "tests" / Path(*names[: count + 1]) for count in range(len(names))]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [path for path in files if path.is_file()]


def files_of_stage(number):
    """The test files of the chapters up to one that can run with those chapters."""
    names = [name for name, floor in FLOORS.items() if floor <= number]
    found = [path for name in names for path in (ROOT / "tests").glob(f"test_{name}*.py")]
    return {path for path in found if stage_of(path) <= number}


def new_files_of_stage(number):
    before = BUILT[: [chapter.number for chapter in BUILT].index(number)]
    if not before or os.environ.get("REFIMPL_STAGES") == "whole":
        return files_of_stage(number)
    return files_of_stage(number) - files_of_stage(before[-1].number)


def cut(target, number):
    """Lay out the package up to a chapter, its tests, and what those share."""
    names = [name for name, floor in FLOORS.items() if floor <= number]
    skip = shutil.ignore_patterns("__pycache__")
    (target / "refimpl").mkdir(parents=True)
    shutil.copy(PACKAGE / "__init__.py", target / "refimpl")
    for name in names:
        if (PACKAGE / name).is_dir():
            shutil.copytree(PACKAGE / name, target / "refimpl" / name, ignore=skip)
        elif (PACKAGE / f"{name}.py").is_file():
            shutil.copy(PACKAGE / f"{name}.py", target / "refimpl")
    (target / "tests").mkdir()
    for path in (ROOT / "tests").iterdir():
        if path.is_file() and not path.name.startswith("test_"):
            shutil.copy(path, target / "tests")
        elif (path / "__init__.py").is_file() and not list(path.glob("test_*.py")):
            shutil.copytree(path, target / "tests" / path.name, ignore=skip)
    for path in new_files_of_stage(number):
        shutil.copy(path, target / "tests")
    with (target / "tests" / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(FEW_EXAMPLES)
    shutil.copy(ROOT / "pyproject.toml", target)
    above = [name for name, floor in FLOORS.items() if floor > number] + list(INSTRUMENTS)
    text = IS_CUT.format(above=above)
    (target / "tests" / "test_stage.py").write_text(text, encoding="utf-8")


def test_the_stage_of_a_file_is_that_of_all_it_imports(tmp_path):
    path = tmp_path / "test_x.py"
    for text, stage in (
        ("import refimpl.framing", 2),
        ("from refimpl.handshake import Request\nfrom refimpl.messages.state import State", 3),
        ("def f():\n    from refimpl import serve", 5),
        ("from tests.support import wire", stage_of(ROOT / "tests" / "support" / "wire.py")),
        ("from refimpl.lab import bars", NO_STAGE),
    ):
        path.write_text(text, encoding="utf-8")
        assert stage_of(path) == stage


@pytest.mark.timeout(LIMIT + 30)
@pytest.mark.parametrize("chapter", BUILT, ids=lambda chapter: chapter.label)
def test_a_stage_passes_the_tests_of_its_chapters(chapter, tmp_path):
    cut(tmp_path, chapter.number)
    files = [path.name for path in sorted((tmp_path / "tests").glob("test_*.py"))]
    assert any(name.startswith(f"test_{chapter.stem}") for name in files)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += [f"tests/{name}" for name in files]
    if (tmp_path / "refimpl" / chapter.stem).exists():
        command.append(f"refimpl/{chapter.stem}")  # its doctests
    else:
        command.append(f"refimpl/{chapter.stem}.py")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def test_a_chapter_that_reaches_up_would_be_noticed(tmp_path):
    cut(tmp_path, 2)
    path = tmp_path / "refimpl" / "framing.py"
    path.write_text("from refimpl.messages import State\n", encoding="utf-8")
    command = [sys.executable, "-c", "import refimpl.framing"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "No module named 'refimpl.messages'" in done.stderr
