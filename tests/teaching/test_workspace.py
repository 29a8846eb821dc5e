"""A learner's copies are never overwritten, and progress is what the checks say now."""

from __future__ import annotations

import pytest

from refimpl.classroom import chapters
from refimpl.classroom.progress import Row, progress, read_results, run_checks
from refimpl.classroom.workspace import reset, start
from tests.teaching.books import book, code, save, stream

STUB = "def parse_frame(buffer, position=0):\n    return ..."
SOLVED = "from refimpl.framing import parse_frame"
CRASHES = "def parse_frame(buffer, position=0):\n    return [][0]"
LOOPS = "def parse_frame(buffer, position=0):\n    while True:\n        pass"
CHECK = "check(parse_frame)"
IMPORT = "from refimpl.classroom import check"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with exercises for chapters 01 and 02."""
    monkeypatch.setenv("REFIMPL_ROOT", str(tmp_path))
    save(tmp_path / "exercises" / "01_handshake.ipynb", code("check(accept_key)"))
    save(tmp_path / "exercises" / "02_framing.ipynb", *map(code, (IMPORT, STUB, CHECK)))
    return tmp_path


def test_start_copies_what_is_missing_and_nothing_else(root):
    assert [path.name for path in start()] == ["01_handshake.ipynb", "02_framing.ipynb"]
    mine = root / "workspace" / "02_framing.ipynb"
    mine.write_text("mine", encoding="utf-8")
    (root / "workspace" / "01_handshake.ipynb").unlink()
    assert [path.name for path in start()] == ["01_handshake.ipynb"]
    assert start() == []
    assert mine.read_text(encoding="utf-8") == "mine"


def test_start_takes_a_folder(root):
    assert len(start(root / "deep" / "mine")) == 2
    assert not (root / "workspace").exists()


@pytest.mark.parametrize("name", [2, "2", "02", "framing", "02_framing.ipynb"])
def test_reset_restores_one_and_keeps_the_old_beside_it(root, name):
    start()
    mine = root / "workspace" / "02_framing.ipynb"
    pristine = (root / "exercises" / "02_framing.ipynb").read_bytes()
    for number in (1, 2):
        mine.write_text(f"try {number}", encoding="utf-8")
        restored, kept = reset(name)
        assert (restored, restored.read_bytes()) == (mine, pristine)
        assert kept == root / "workspace" / f"02_framing.{number}.ipynb"
        assert kept.read_text(encoding="utf-8") == f"try {number}"


def test_reset_of_what_is_not_there(root):
    restored, kept = reset("02")
    assert restored.is_file()
    assert kept is None
    with pytest.raises(LookupError, match="no chapter '99'"):
        reset("99")
    with pytest.raises(LookupError, match="03_messages has no exercises"):
        reset("03")


def test_without_a_project_the_error_says_where_to_go(tmp_path, monkeypatch):
    monkeypatch.delenv("REFIMPL_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="start in the project's folder"):
        start()
    (tmp_path / "notebooks").mkdir()
    assert chapters.project_root() == tmp_path


def work_on(root, *sources):
    save(root / "workspace" / "02_framing.ipynb", *map(code, sources))
    (row,) = [row for row in progress() if row.chapter.number == 2]
    return row


def test_progress_of_what_is_not_started_or_not_touched_runs_nothing(root):
    rows = list(progress())
    assert [(row.chapter.label, row.passed, row.total, row.remark) for row in rows] == [
        ("01_handshake", 0, 1, "not started"),
        ("02_framing", 0, 1, "not started"),
    ]
    start()
    assert {row.remark for row in progress()} == {"not attempted"}
    assert [row.chapter.number for row in progress(names=["02"])] == [2]
    with pytest.raises(LookupError):
        list(progress(names=["nothing"]))


def test_progress_is_what_the_last_check_says_whatever_came_before(root):
    row = work_on(root, IMPORT, "raise SystemExit", LOOPS, "1 +", CRASHES, CHECK, SOLVED, CHECK)
    assert (row.results, row.passed, row.total) == ({"parse_frame": "passed"}, 1, 1)
    assert row.remark == "done"


def test_an_endless_loop_in_an_answer_costs_one_check(root):
    row = work_on(root, IMPORT, LOOPS, CHECK)
    assert (row.results, row.passed) == ({"parse_frame": "too slow"}, 0)


def test_a_notebook_that_never_ends_is_stopped(root):
    path = save(root / "workspace" / "02_framing.ipynb", code("while True: pass"))
    with pytest.raises(RuntimeError, match="stopped after 2 s"):
        run_checks(path, limit=2)


def test_a_kernel_that_dies_and_a_file_that_is_torn_are_remarks(root):
    row = work_on(root, IMPORT, SOLVED, "import os; os._exit(3)", CHECK)
    assert (row.passed, row.results) == (0, {"parse_frame": "not reached"})
    (root / "workspace" / "02_framing.ipynb").write_text("{", encoding="utf-8")
    (row,) = progress(names=[2])
    assert "02_framing.ipynb is not a notebook" in row.remark


def test_progress_writes_nothing(root):
    start()
    save(root / "workspace" / "02_framing.ipynb", *map(code, (IMPORT, SOLVED, CHECK)))
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert [row.passed for row in progress()] == [0, 1]
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("passed", "total", "bar"),
    [(0, 6, "------"), (6, 6, "######"), (3, 6, "###---"), (0, 0, "------")],
)
def test_the_bar_shows_the_share(passed, total, bar):
    assert Row(chapters.CHAPTERS[2], passed, total).bar(6) == bar


def test_results_are_read_off_outputs():
    def error(name, text="f - wrong (case 1 of 2: x)"):
        return {"output_type": "error", "ename": name, "evalue": text, "traceback": []}

    cells = [
        code("check(f)", outputs=[stream("f - passed (2 cases)\n")]),
        code("check(f)", outputs=[error("CheckFailed")]),
        code("await check(g)", outputs=[error("NameError")]),
        code('check("h", h)', outputs=[error("CheckFailed", "h - not attempted\n  next")]),
        code("check(i)", outputs=[stream("i - passed (1 case)\n")]),
        code("check(j)"),
        code("check(k), 1", outputs=[stream("k - passed (1 case)\n")]),
        code("check(:"),
    ]
    assert read_results(book(*cells)) == {
        "f": "wrong",
        "g": "crashed",
        "h": "not attempted",
        "i": "passed",
        "j": "not reached",
    }
