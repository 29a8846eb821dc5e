"""The set-up files agree: pyproject.toml, environment.yml, requirements.lock, bootstrap.py."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import rattler
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec, PackageRecord

import refimpl

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = ROOT / "refimpl" / "classroom" / "bootstrap.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_EXTRAS = ("server", "lab", "test")  # the rest is not in conda
EXTRAS = tuple(PROJECT["optional-dependencies"])
SUPPORTED = ("3.11", "3.12", "3.13")
PLATFORMS = (("linux", "posix", "Linux"), ("darwin", "posix", "Darwin"), ("win32", "nt", "Windows"))


def declared(*extras: str) -> dict[str, Requirement]:
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def conda() -> dict[str, MatchSpec]:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    lines = [line for line in environment["dependencies"] if isinstance(line, str)]
    specs = [MatchSpec(line) for line in lines]
    return {spec.name.normalized: spec for spec in specs}


def beside_conda() -> dict[str, Requirement]:
    """What environment.yml takes from pip: conda has it under another name, or not at all."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
    requirements = [Requirement(line) for line in pip if line != "-e ."]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def bounds(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


def locked() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def locked_for(python: str, platform: tuple[str, str, str]) -> dict[str, Version]:
    environment = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform[0],
        "os_name": platform[1],
        "platform_system": platform[2],
    }
    chosen: dict[str, Version] = {}
    for requirement in locked():
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in chosen, (
                f"{name} is locked twice for Python {python} on {platform[0]}"
            )
            (pin,) = requirement.specifier
            chosen[name] = Version(pin.version)
    return chosen


class TestEnvironmentYml:
    def test_names_are_those_of_pyproject(self) -> None:
        named = set(conda()) - {"python", "pip"} | set(beside_conda())
        assert named == set(declared(*CONDA_EXTRAS))

    def test_bounds_are_those_of_pyproject(self) -> None:
        ours = {name: bounds(str(spec.specifier)) for name, spec in declared(*CONDA_EXTRAS).items()}
        theirs = {name: bounds(str(spec.version)) for name, spec in conda().items()}
        theirs |= {name: bounds(str(spec.specifier)) for name, spec in beside_conda().items()}
        assert {name: theirs[name] for name in ours} == ours

    def test_python_bound_is_that_of_pyproject(self) -> None:
        assert bounds(str(conda()["python"].version)) == bounds(PROJECT["requires-python"])

    def test_conda_accepts_the_locked_versions(self) -> None:
        pins = locked_for("3.12", PLATFORMS[0])
        build = getattr(rattler, "BuildString", str)("0")  # a plain str before py-rattler 0.28
        for name in set(declared(*CONDA_EXTRAS)) - set(beside_conda()):
            record = PackageRecord(name, str(pins[name]), build, 0, "noarch")
            assert conda()[name].matches(record), f"environment.yml refuses {name} {pins[name]}"

    def test_the_package_itself_comes_through_pip(self) -> None:
        environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
        assert environment["dependencies"][-1]["pip"][-1] == "-e ."


class TestLock:
    def test_lines_are_exact_versions_and_nothing_else(self) -> None:
        lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
        entry = re.compile(r"[a-z0-9][a-z0-9._-]*==[0-9][0-9a-z.]*( ; [a-z_]+ [!=<>]=? .*)?")
        bad = [line for line in lines[1:] if not entry.fullmatch(line.replace(" ; (", " ; "))]
        assert bad == []

    def test_no_address_and_no_path(self) -> None:
        text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        for sign in ("://", "--", " @ ", "file:", "\\"):
            assert sign not in text

    @pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform[0])
    @pytest.mark.parametrize("python", SUPPORTED)
    def test_declared_packages_are_locked_within_bounds(
        self, python: str, platform: tuple[str, str, str]
    ) -> None:
        pins = locked_for(python, platform)
        for name, requirement in declared(*EXTRAS).items():
            marker = requirement.marker
            if marker is not None and not marker.evaluate({"sys_platform": platform[0]}):
                continue
            assert name in pins, f"{name} is not locked: run `make lock`"
            assert pins[name] in requirement.specifier

    def test_node_packages_are_locked_without_an_address(self) -> None:
        text = (ROOT / "tests/interop/node/package-lock.json").read_text(encoding="utf-8")
        assert '"resolved"' not in text
        assert "://" not in re.sub(r'"funding": \{[^}]*\}', "", text)


# Modules whose names are not those of the declared packages that bring them.
BROUGHT_BY = {
    "IPython": "ipykernel",
    "PIL": "matplotlib",
    "argon2": "argon2-cffi",
    "jwt": "pyjwt",
    "rattler": "py-rattler",
    "websocket": "websocket-client",
    "yaml": "pyyaml",
}


def sources() -> Iterator[tuple[str, str]]:
    """Give the name and the text of every module and of every notebook's code cell."""
    for path in [ROOT / "conftest.py", *ROOT.glob("refimpl/**/*.py"), *ROOT.glob("tests/**/*.py")]:
        if "node_modules" not in path.parts:
            yield path.name, path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("solutions/*.ipynb")]:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield path.name, "".join(cell["source"])


def imported(text: str) -> set[str]:
    """Return the top-level modules that a text imports by absolute name; magics import nothing."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [
        node.module
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
    ]
    return {name.partition(".")[0] for name in names}


class TestImports:
    def test_every_package_that_is_imported_is_declared(self) -> None:
        known = {"refimpl", "tests", "tools", *sys.stdlib_module_names}
        packages = set(declared(*EXTRAS))
        undeclared = {
            (name, module)
            for name, text in sources()
            for module in imported(text) - known
            if canonicalize_name(BROUGHT_BY.get(module, module)) not in packages
        }
        assert undeclared == set()

    def test_every_package_needed_to_run_is_imported_by_the_package(self) -> None:
        texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("refimpl/**/*.py")]
        assert set(declared()) <= set().union(*map(imported, texts))


class TestVersion:
    def test_the_version_lives_in_one_place(self) -> None:
        literal = re.compile(rf"""["']{re.escape(refimpl.__version__)}["']""")
        files = [
            *ROOT.glob("refimpl/**/*.py"),
            *ROOT.glob("tests/**/*.py"),
            ROOT / "pyproject.toml",
        ]
        holders = [path for path in files if literal.search(path.read_text(encoding="utf-8"))]
        assert holders == [ROOT / "refimpl" / "__init__.py"]


def run_as(version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run bootstrap.py on this interpreter, which claims to be another version."""
    program = (
        f"import runpy, sys; sys.version_info = ({version.replace('.', ', ')}, 0); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", program, str(BOOTSTRAP), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


class TestOldPython:
    @pytest.mark.parametrize("version", ["2.7", "3.6", "3.10"])
    def test_an_old_python_gets_one_line_and_a_failure(self, version: str) -> None:
        done = run_as(version)
        assert done.returncode == 1
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("refimpl needs Python 3.11 or newer")
        assert line.count(version) == 1

    def test_quiet_says_nothing(self) -> None:
        done = run_as("3.10", "-q")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "")

    @pytest.mark.parametrize("version", SUPPORTED)
    def test_a_supported_python_passes(self, version: str) -> None:
        assert run_as(version).returncode == 0

    def test_the_bound_is_that_of_pyproject(self) -> None:
        oldest = runpy.run_path(str(BOOTSTRAP), run_name="bootstrap")["OLDEST"]
        assert PROJECT["requires-python"] == ">={}.{}".format(*oldest)

    def test_the_check_itself_is_written_in_old_syntax(self) -> None:
        tree = ast.parse(BOOTSTRAP.read_text(encoding="utf-8"), feature_version=(3, 4))
        modern = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Match)
        for node in ast.walk(tree):
            assert not isinstance(node, modern), f"line {node.lineno} needs a newer Python"
            assert getattr(node, "annotation", None) is None
            assert getattr(node, "returns", None) is None


@pytest.mark.skipif(
    os.name == "nt" or shutil.which("make") is None, reason="make belongs to POSIX set-up"
)
class TestMake:
    def make(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        return subprocess.run(
            ["make", "--no-print-directory", f"VENV={folder / 'venv'}", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            env=inherited,
            stdin=subprocess.DEVNULL,
        )

    @pytest.mark.parametrize("target", ["lab", "test", "setup"])
    def test_a_python_that_is_too_old_stops_make(self, tmp_path: Path, target: str) -> None:
        old = tmp_path / "python3"
        pretend = (
            "import runpy, sys; sys.version_info = (3, 9, 2); sys.argv = sys.argv[1:]; "
            'runpy.run_path(sys.argv[0], run_name="__main__")'
        )
        old.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{pretend}' \"$@\"\n")
        old.chmod(0o755)
        done = self.make(tmp_path, f"PYTHON={old}", target)
        assert done.returncode != 0
        assert done.stdout.splitlines() == [
            f"refimpl needs Python 3.11 or newer, and {sys.executable} is 3.9: "
            "name a newer one, as in PYTHON=python3.12"
        ]
        assert not (tmp_path / "venv").exists()

    def test_a_python_that_is_not_there_stops_make(self, tmp_path: Path) -> None:
        done = self.make(tmp_path, f"PYTHON={tmp_path / 'nothing'}", "setup")
        assert done.returncode != 0
        assert "refimpl needs Python 3.11 or newer" in done.stdout

    def test_every_target_named_in_help_exists(self, tmp_path: Path) -> None:
        listed = re.findall(r"make ([a-z-]+)", self.make(tmp_path, "help").stdout)
        assert {"lab", "test", "conformance", "browser", "lock"} <= set(listed)
        for target in listed:
            assert self.make(tmp_path, "-n", target).returncode == 0, target
