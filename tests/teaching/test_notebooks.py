"""Committed notebooks are sound: executed, in one normal form, readable."""

from __future__ import annotations

import json
import sys

import pytest

from refimpl.classroom.authoring import notebook_file, notebooks
from refimpl.classroom.chapters import CHAPTERS, chapter, notebook_paths
from tests.teaching import reading
from tests.teaching.books import ROOT, book, chapter_of, code, found, markdown, save, stream

CHAPTER_NOTEBOOKS = found("notebooks")
EXECUTED = CHAPTER_NOTEBOOKS + found("solutions")
LABELS = {known.label for known in CHAPTERS}


def named(path):
    return f"{path.parent.name}/{path.stem}"


# --- the project's own ---


@pytest.mark.parametrize("path", EXECUTED, ids=named)
def test_a_committed_notebook_is_executed_and_in_normal_form(path):
    assert notebooks.check(path) == []


@pytest.mark.parametrize("path", CHAPTER_NOTEBOOKS, ids=named)
def test_a_chapter_reads_as_promised(path):
    assert reading.shortcomings(notebook_file.read(path)) == []


@pytest.mark.parametrize("path", EXECUTED + found("exercises"), ids=named)
def test_a_notebook_is_named_after_a_chapter_and_keeps_the_format(path):
    nbformat = pytest.importorskip("nbformat")
    assert path.stem in LABELS
    nbformat.validate(nbformat.reads(path.read_text(encoding="utf-8"), as_version=4))


@pytest.mark.parametrize("path", CHAPTER_NOTEBOOKS, ids=named)
def test_a_chapter_has_its_module_and_its_exercises(path):
    known = chapter_of(path)
    if known.number == 0:  # getting going: nothing to build yet
        return
    assert (ROOT / "refimpl" / f"{known.stem}.py").is_file() or (
        ROOT / "refimpl" / known.stem
    ).is_dir()
    for folder in ("solutions", "exercises"):
        assert (ROOT / folder / path.name).is_file()


# --- the static check ---


def sound():
    return book(markdown("# A"), code("1", count=1, outputs=[stream("1\n")]))


def faults(made, **options):
    return notebook_file.faults(made, notebook_file.dump(notebook_file.normalise(made)), **options)


def test_a_sound_notebook_has_no_faults():
    assert faults(sound()) == []


def change(made, **changes):
    made["cells"][1].update(changes)
    return made


ERROR = {"output_type": "error", "ename": "KeyError", "evalue": "1", "traceback": []}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"execution_count": None}, "was not executed"),
        ({"execution_count": 2}, "has execution count 2, expected 1"),
        ({"outputs": []}, "no cell has an output"),
        ({"outputs": [ERROR]}, "ends in an error: KeyError"),
        ({"outputs": [stream("careful\n", "stderr")]}, "writes to stderr"),
        ({"outputs": [stream("<Thing at 0x7f2a3b4c5d6e>")]}, "a memory address"),
        ({"outputs": [stream("/home/someone/x.py:3: Warning")]}, "a path of this machine"),
        ({"source": "\n"}, "is empty"),
        ({"id": "c0"}, "without an id of their own"),
        ({"outputs": [stream("x" * notebook_file.MAX_SIZE)]}, "bytes; at most 1,000,000"),
    ],
)
def test_each_fault_is_found(changes, words):
    assert any(words in fault for fault in faults(change(sound(), **changes)))


def test_an_error_is_sound_where_the_cell_is_tagged_for_it():
    made = change(sound(), outputs=[ERROR], metadata={"tags": ["raises-exception"]})
    assert faults(made) == []


def test_exercises_must_not_have_outputs():
    assert any("exercises have none" in fault for fault in faults(sound(), executed=False))
    cleared = change(sound(), outputs=[], execution_count=None)
    assert faults(cleared, executed=False) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made["cells"][1]["metadata"].update(collapsed=True),
        lambda made: made["cells"][1]["metadata"].update(execution={"iopub.execute_input": "2024"}),
        lambda made: made["metadata"].update(widgets={}),
        lambda made: made["metadata"]["language_info"].update(version="3.11.7"),
        lambda made: made["metadata"]["kernelspec"].update(name="mine"),
    ],
)
def test_what_an_editor_or_a_clock_leaves_is_a_fault_and_is_normalised_away(spoil):
    clean = notebook_file.normalise(sound())
    spoiled = notebook_file.normalise(sound())
    spoil(spoiled)
    assert notebook_file.faults(spoiled, notebook_file.dump(spoiled)) == [
        "not in normal form (make notebooks)"
    ]
    assert notebook_file.normalise(spoiled) == clean


def test_normalising_twice_changes_nothing():
    pieces = [stream("a"), stream("b\n"), stream("c", "stderr"), stream("d")]
    made = book(code("1\n", count=1, outputs=pieces, tags=["keep"], scrolled=True))
    once = notebook_file.normalise(made)
    assert notebook_file.normalise(once) == once
    assert [output["text"] for output in once["cells"][0]["outputs"]] == [["ab\n"], ["c"], ["d"]]
    assert once["cells"][0]["metadata"] == {"tags": ["keep"]}


def test_the_normal_form_is_the_one_jupyter_writes(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    made = sound()
    made["cells"][0]["source"] = "é\n\nb"
    path = save(tmp_path / "a.ipynb", *made["cells"])
    text = path.read_text(encoding="utf-8")
    assert nbformat.writes(nbformat.reads(text, as_version=4)) + "\n" == text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nbformat": 3, "worksheets": []}'])
def test_what_is_no_notebook_is_refused_by_name(tmp_path, text):
    path = tmp_path / "torn.ipynb"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"torn\.ipynb is not a notebook"):
        notebook_file.read(path)


# --- the reading ---


def test_the_numbers_of_a_small_notebook():
    alone = {"output_type": "display_data", "data": {"image/png": "", "text/plain": "<Figure>"}}
    told = alone | {"metadata": {"image/png": {"alt": "Two bars."}}}
    made = book(
        markdown("It's two-fold.\n\n```mermaid\ngraph LR\n```\n![](x.png) ![a bar](y.png)"),
        code("# why\nx = 1\n\ny = 2", count=1, outputs=[alone, told]),
        code("# NBVAL_IGNORE_OUTPUT\nx", count=2),
    )
    numbers = reading.read(made)
    assert (numbers.sizes, numbers.after_prose, numbers.ignored) == ([2, 1], 1, 1)
    assert (numbers.pictures, len(numbers.without_words)) == (3, 2)
    assert numbers.words == 8


def chapter_like(words=2500, lines=3, ignored=1, pictures=4):
    prose = [markdown("word " * (words // 25)) for _ in range(25)]
    figure = {"output_type": "display_data", "data": {"image/png": "", "text/plain": "A claim."}}
    cells = [code("x = 1\n" * lines) for _ in range(10)]
    for cell in cells[:ignored]:
        cell["source"] = "# NBVAL_IGNORE_OUTPUT\n" + cell["source"]
    for cell in cells[:pictures]:
        cell["outputs"] = [figure]
    return book(*[cell for pair in zip(prose, cells, strict=False) for cell in pair], *prose[10:])


def test_a_chapter_that_keeps_the_promises_has_no_shortcomings():
    assert reading.shortcomings(chapter_like()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"words": 500}, "words of prose"),
        ({"words": 6000}, "words of prose"),
        ({"lines": 6}, "code cells of 6"),
        ({"ignored": 3}, "3 of 10 outputs"),
        ({"pictures": 3}, "3 pictures"),
    ],
)
def test_each_shortcoming_is_found(change, words):
    assert any(words in found for found in reading.shortcomings(chapter_like(**change)))


def test_code_upon_code_and_long_prose_are_found():
    made = book(markdown("word " * 2100), *[code("x") for _ in range(4)])
    found = " ".join(reading.shortcomings(made))
    assert "1 of 4 code cells follow prose" in found
    assert "2100 words, at most 150" in found


# --- execution ---

kernel = pytest.mark.filterwarnings("ignore")  # of the notebook machinery of other projects


@kernel
def test_executing_keeps_ids_counts_in_order_and_says_how_far_it_is(tmp_path):
    path = save(
        tmp_path / "02_framing.ipynb",
        markdown("# Two"),
        code("import os; print(os.getcwd().split(os.sep)[-1])", count=7),
        code("await __import__('asyncio').sleep(0)\n1 + 1"),
    )
    steps = []
    assert notebooks.refresh(path, step=lambda *step: steps.append(step))
    assert notebooks.check(path) == []
    written = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert [cell["id"] for cell in written] == ["c0", "c1", "c2"]
    assert written[1]["outputs"][0]["text"] == [f"{tmp_path.name}\n"]
    assert written[2]["outputs"][0]["data"] == {"text/plain": ["2"]}
    assert steps == [(1, 2), (2, 2)]
    assert not notebooks.refresh(path)


@kernel
def test_a_cell_that_fails_leaves_the_file_alone_and_is_named(tmp_path, capsys):
    path = save(tmp_path / "02_framing.ipynb", code("1"), code("1 / 0"), code("2"))
    before = path.read_bytes()
    assert notebooks.main([str(path)]) == 1
    said = capsys.readouterr().err
    assert "02_framing.ipynb, code cell 2 of 3" in said
    assert "ZeroDivisionError" in said
    assert path.read_bytes() == before


@kernel
def test_a_kernel_that_dies_leaves_no_old_output_standing(tmp_path):
    old = stream("from last week\n")
    cells = code("import os; os._exit(1)"), code("print('now')", count=2, outputs=[old])
    path = save(tmp_path / "02_framing.ipynb", *cells)
    made = notebooks.execute(path, keep_going=True)
    assert made["cells"][1]["outputs"] == []
    with pytest.raises(notebooks.ExecutionError, match="code cell 1 of 2"):
        notebooks.execute(path)


@kernel
def test_woven_cells_are_filled_before_the_kernel_starts(tmp_path, capsys):
    cells = code("stale", tags=["refimpl:framing.FIN"]), code("print(FIN)")
    path = save(tmp_path / "02_framing.ipynb", *cells)
    assert notebooks.refresh(path)
    assert notebook_file.read(path)["cells"][1]["outputs"][0]["text"] == ["128\n"]
    unknown = save(tmp_path / "b.ipynb", code("", tags=["refimpl:framing.FINN"]))
    assert notebooks.main([str(unknown)]) == 1
    assert "no 'FINN'" in capsys.readouterr().err


@kernel
def test_the_command_executes_and_checks(tmp_path, capsys):
    path = save(tmp_path / "02_framing.ipynb", code("print('x')"))
    assert notebooks.main(["--check", str(path)]) == 1
    assert "was not executed" in capsys.readouterr().out
    assert notebooks.main([str(tmp_path)]) == 0
    assert notebooks.main(["--check", str(path)]) == 0


# --- chapters and paths ---


@pytest.mark.parametrize("name", [2, "2", "02", "framing", "02_framing", "x/02_framing.ipynb"])
def test_a_chapter_has_many_names(name):
    assert chapter(name) == CHAPTERS[2]


@pytest.mark.parametrize("name", ["14", "frame", "", "-1", "02_handshake"])
def test_an_unknown_chapter_is_an_error_with_the_choices(name):
    with pytest.raises(LookupError, match="02_framing"):
        chapter(name)


def test_a_path_that_is_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        notebook_paths([str(tmp_path / "nowhere.ipynb")], folders=())
    assert notebook_paths([], folders=("notebooks",), root=tmp_path) == []


def test_reading_and_checking_need_no_notebook_package():
    assert "nbformat" not in vars(notebook_file)
    assert "nbclient" not in vars(notebooks)
    assert "refimpl.classroom.authoring.notebooks" in sys.modules
