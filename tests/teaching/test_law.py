"""The package keeps the law of the house, and the tests of the law would notice if it did not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.teaching import law
from tests.teaching.books import ROOT

PACKAGE = ROOT / "refimpl"
NOTEBOOK_PACKAGES = {
    "IPython",
    "ipykernel",
    "jupyter_client",
    "jupyter_core",
    "jupyterlab",
    "matplotlib",
    "nbclient",
    "nbformat",
    "nbval",
    "numpy",
    "tornado",
    "zmq",
}
IMPORT_LIMIT = 0.1  # seconds
RUNS = 7


def test_imports_go_down_only():
    assert law.import_faults(PACKAGE) == []


def test_imports_make_no_circle():
    assert law.cycle(PACKAGE) == []


def test_nothing_needs_posix_where_windows_must_do():
    assert law.posix_faults(PACKAGE) == []


def test_no_module_has_outgrown_a_reading():
    assert law.length_faults(PACKAGE) == []


def test_no_folder_and_no_test_has_outgrown_a_glance():
    assert law.size_faults(ROOT) == []


def test_a_class_has_one_parent_of_ours_at_most():
    assert law.parent_faults(PACKAGE) == []


def test_the_package_reads_nothing_beside_itself():
    assert law.outside_faults(PACKAGE) == []


IMPORT = """
import json, sys, time
before = time.perf_counter()
import refimpl
took = time.perf_counter() - before
lazy = [bool(getattr(refimpl, name)) for name in refimpl.__all__]
print(json.dumps([took, sorted(sys.modules)]))
"""


def fresh_import():
    """Seconds for `import refimpl`, and the modules there once every public name was used."""
    command = [sys.executable, "-c", IMPORT]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, timeout=60)
    return json.loads(done.stdout)


def test_importing_the_package_is_quick_and_brings_no_notebook_package():
    times = []
    for _ in range(RUNS):
        took, loaded = fresh_import()
        times.append(took)
        tops = {name.split(".")[0] for name in loaded}
        assert tops & NOTEBOOK_PACKAGES == set()
        assert not {"refimpl.lab", "refimpl.classroom", "refimpl.cli"} & set(loaded)
        if took < IMPORT_LIMIT:
            return
    assert min(times) < IMPORT_LIMIT


def test_the_classroom_loads_no_notebook_package_until_it_executes():
    code = "import json, sys, refimpl.classroom; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, timeout=60)
    assert {name.split(".")[0] for name in json.loads(done.stdout)} & NOTEBOOK_PACKAGES == set()


# --- the law itself ---


def package(tmp_path, **files):
    root = tmp_path / "refimpl"
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        ("framing", "from refimpl.messages import x", "imports go down only"),
        ("framing", "def f():\n    import refimpl.lifecycle", "imports go down only"),
        ("framing", "if TYPE_CHECKING:\n    from .messages import x", "imports go down only"),
        ("messages__protocol", "from ..lifecycle import x", "imports go down only"),
        ("lifecycle__server", "from refimpl.lab import show", "no floor imports the instruments"),
        ("chat", "import refimpl.classroom", "no floor imports the instruments"),
        ("lab__tap", "from refimpl.classroom import check", "no floor imports the instruments"),
        ("bench__run", "from refimpl.lab import bars", "no floor imports the instruments"),
        ("profiling", "from refimpl.bench import load", "no floor imports the instruments"),
        ("auth", "from refimpl import serve", "from the module that defines it"),
        ("auth", "from refimpl.cli import main", "above everything"),
        ("stray", "from refimpl.errors import x", "has no floor"),
        ("framing", "import time", "the core has no clock"),
        ("messages__state", "import asyncio.queues", "the core has no clock"),
        ("handshake", "import httpx", "nothing but the standard library"),
        ("lifecycle__server", "import uvicorn", "nothing but the standard library"),
        ("framing", "from websockets.speedups import apply_mask", "the standard library"),
        ("framing", "try:\n    import numpy\nexcept ImportError:\n    pass", "standard library"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, module, text, complaint):
    (fault,) = law.import_faults(package(tmp_path, **{module: text}))
    assert complaint in fault
    assert fault.startswith(f"refimpl/{module.replace('__', '/')}.py:")


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("framing", "import os\nfrom refimpl.errors import x\nfrom . import handshake"),
        (
            "framing",
            "try:\n    from websockets.speedups import x\nexcept ImportError:\n    x = None",
        ),
        ("messages__protocol", "from refimpl.messages.state import x\nfrom .. import framing"),
        ("lifecycle__server", "import asyncio, ssl, logging"),
        ("middleware", "import starlette\nfrom refimpl.lifecycle import x"),
        ("classroom__check", "from refimpl.lab import x\nfrom refimpl.chat import y"),
        (
            "cli__serve",
            "from refimpl.classroom import x\nfrom refimpl import serve\nimport click",
        ),
        ("lab__tap", "from refimpl.lifecycle import x\nimport matplotlib"),
        ("lab__ratios", "from refimpl.bench.record import x"),
        ("bench__load", "from refimpl.profiling.histogram import x\nimport psutil"),
    ],
)
def test_an_allowed_import_is_not(tmp_path, module, text):
    assert law.import_faults(package(tmp_path, **{module: text})) == []


def test_a_circle_is_found(tmp_path):
    root = package(
        tmp_path,
        messages__a="from refimpl.messages.b import x",
        messages__b="def f():\n    from .c import x",
        messages__c="from refimpl.messages import a",
    )
    assert sorted(set(law.cycle(root))) == ["messages.a", "messages.b", "messages.c"]
    (root / "messages" / "c.py").write_text("import os", encoding="utf-8")
    assert law.cycle(root) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import fcntl", 1),
        ("try:\n    import termios\nexcept ImportError:\n    termios = None", 0),
        ("import os\nos.fork()", 1),
        ("import os\nif hasattr(os, 'fork'):\n    os.fork()", 0),
        ("loop.add_signal_handler(1, f)", 1),
        ("try:\n    loop.add_signal_handler(1, f)\nexcept NotImplementedError:\n    pass", 0),
        ("if sys.platform != 'win32':\n    signal.alarm(1)", 0),
        ("if ready:\n    signal.alarm(1)", 1),
    ],
)
def test_what_windows_lacks_is_found_unless_there_is_a_fallback(tmp_path, text, found):
    assert len(law.posix_faults(package(tmp_path, lab__tap=text))) == found
    assert law.posix_faults(package(tmp_path / "b", production=text)) == []


def test_a_long_module_is_found(tmp_path):
    root = package(tmp_path, framing="\n" * 350, messages="\n" * 351)
    assert law.length_faults(root) == ["refimpl/messages.py: 351 lines"]


def test_a_long_function_is_found(tmp_path):
    body = "    pass\n"
    head = 'def f(\n    a,\n):\n    """Doc.\n\n    More.\n    """\n'
    assert law.length_faults(package(tmp_path, framing=head + 40 * body)) == []
    for text, lines in ((head + 41 * body, 41), ("def f():\n" + 50 * body, 50)):
        root = package(tmp_path, framing=text)
        assert law.length_faults(root) == [f"refimpl/framing.py:1 f: {lines} lines"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A = Path(__file__).parent", 0),
        ("A = Path(__file__).parents[1]", 0),
        ("A = Path(__file__).resolve().parents[1] / 'data'", 0),
        ("A = Path(__file__).with_name('data')", 0),
        ("A = Path(__file__).parents[2]", 1),
        ("def f():\n    return Path(__file__).resolve().parents[2] / 'tests'", 1),
        ("A = Path(__file__).parent.parent.parent", 1),
        ("A = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))", 1),
        ("A = other.parents[9]", 0),
    ],
)
def test_a_path_out_of_the_package_is_found(tmp_path, text, found):
    assert len(law.outside_faults(package(tmp_path, lab__tap=text))) == found


def test_a_full_folder_and_a_long_test_are_found(tmp_path):
    package(tmp_path, **{f"lab__m{number}": "" for number in range(15)})
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("\n" * 600, encoding="utf-8")
    assert law.size_faults(tmp_path) == []
    (tmp_path / "refimpl" / "lab" / "page.html").write_text("", encoding="utf-8")
    (tmp_path / "tests" / "test_a.py").write_text("\n" * 601, encoding="utf-8")
    assert law.size_faults(tmp_path) == ["refimpl/lab: 16 files", "tests/test_a.py: 601 lines"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("class A: ...\nclass B(A): ...", []),
        ("import enum\nclass A(enum.Enum): ...\nclass B(str, enum.Enum): ...", []),
        (
            "class A: ...\nclass B(A): ...\nclass C(B): ...",
            ["C: lab.tap.B above it, 3 levels"],
        ),
        (
            "class A: ...\nclass B: ...\nclass C(A, B): ...",
            ["C: lab.tap.A, lab.tap.B above it, 2 levels"],
        ),
        (
            "from refimpl.framing import F\nclass C(F[int]): ...",
            ["C: framing.F above it, 3 levels"],
        ),
        ("class A(ValueError): ...\nclass B(A): ...\nclass C(B): ...", []),
        ("from other import E\nclass C(E): ...", []),
    ],
)
def test_a_tower_of_classes_is_found(tmp_path, text, found):
    below = "from typing import Generic\nclass E(Generic[int]): ...\nclass F(E): ..."
    faults = law.parent_faults(package(tmp_path, framing=below, lab__tap=text))
    assert [fault.removeprefix("lab.tap.") for fault in faults] == found
