"""Woven cells hold the package's source, to the letter."""

from __future__ import annotations

import textwrap

import pytest

from refimpl.classroom.authoring import notebook_file, weave
from refimpl.classroom.authoring.definitions import find_definition
from tests.teaching.books import book, code, found, markdown, save

WOVEN = [path for folder in ("notebooks", "solutions") for path in found(folder)]

MODULE = '''\
"""A module."""

import enum

LIMIT = 3  # a few
"""How many."""

# Why this table is here.
# In two lines.
TABLE: dict[str, int] = {
    "a": 1,
}

# a heading, which belongs to nothing


@enum.unique
class Kind(enum.Enum):
    """Kinds."""

    ONE = 1

    # The reverse.
    @property
    def other(self):
        return -self.value


try:
    from quick import thing
except ImportError:
    thing = None


async def wait():
    pass
'''


@pytest.fixture
def package(tmp_path):
    root = tmp_path / "refimpl"
    (root / "deep").mkdir(parents=True)
    (root / "plain.py").write_text(MODULE, encoding="utf-8")
    (root / "deep" / "__init__.py").write_text(
        "from refimpl.plain import LIMIT\nfrom .inner import help_me\n", encoding="utf-8"
    )
    (root / "deep" / "inner.py").write_text("def help_me():\n    return 1\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("name", "first_line", "last_line"),
    [
        ("plain.LIMIT", "LIMIT = 3  # a few", '"""How many."""'),
        ("plain.TABLE", "# Why this table is here.", "}"),
        ("plain.Kind", "@enum.unique", "        return -self.value"),
        ("plain.Kind.ONE", "ONE = 1", "ONE = 1"),
        ("plain.Kind.other", "# The reverse.", "    return -self.value"),
        ("plain.thing", "try:", "    thing = None"),
        ("plain.wait", "async def wait():", "    pass"),
        ("deep.help_me", "def help_me():", "    return 1"),
        ("deep.inner.help_me", "def help_me():", "    return 1"),
        ("deep.LIMIT", "LIMIT = 3  # a few", '"""How many."""'),
    ],
)
def test_a_definition_is_found_whole(package, name, first_line, last_line):
    lines = find_definition(name, package=package).source.splitlines()
    assert (lines[0], lines[-1]) == (first_line, last_line)


@pytest.mark.parametrize("name", ["plain", "plain.nothing", "nowhere.at_all", "plain.Kind.TWO"])
def test_an_unknown_name_is_an_error_that_names_it(package, name):
    with pytest.raises(LookupError, match=name.split(".")[-1]):
        find_definition(name, package=package)


def test_fill_makes_cells_say_what_the_package_says(package):
    made = book(
        markdown("Look:", tags=["refimpl:plain.LIMIT"]),
        code("", tags=["refimpl:deep.help_me"]),
        code("", tags=["refimpl:plain.LIMIT", "refimpl:plain.wait"]),
        code("x = 1"),
    )
    assert len(weave.differences(made, package=package)) == 2
    assert weave.fill(made, package=package) == 2
    assert weave.differences(made, package=package) == []
    assert made["cells"][1]["source"] == "def help_me():\n    return 1"
    assert made["cells"][2]["source"].count("\n\n\nasync def wait") == 1
    assert [made["cells"][0]["source"], made["cells"][3]["source"]] == ["Look:", "x = 1"]


def test_a_changed_cell_loses_its_outputs_and_an_unchanged_one_keeps_them(package):
    made = book(
        code("def help_me():\n    return 1", tags=["refimpl:deep.help_me"], count=1, outputs=[{}]),
        code("def wait():", tags=["refimpl:plain.wait"], count=2, outputs=[{}]),
    )
    weave.fill(made, package=package)
    assert [cell["execution_count"] for cell in made["cells"]] == [1, None]
    assert [cell["outputs"] for cell in made["cells"]] == [[{}], []]


def test_a_difference_names_the_cell_and_the_first_line(package):
    made = book(code("def help_me():\n    return 2", tags=["refimpl:deep.help_me"]))
    assert weave.differences(made, package=package) == [
        "cell 0 (c0), refimpl:deep.help_me, line 2\n"
        "    notebook      return 2\n"
        "    package       return 1"
    ]


def test_the_command_fills_then_finds_nothing(tmp_path, capsys):
    path = save(tmp_path / "02_framing.ipynb", code("", tags=["refimpl:framing.mask_int"]))
    assert weave.main([str(path), "--check"]) == 1
    assert "refimpl:framing.mask_int, line 1" in capsys.readouterr().out
    assert weave.main([str(path)]) == 0
    assert weave.main([str(path), "--check"]) == 0
    text = notebook_file.source(notebook_file.read(path)["cells"][0])
    assert text == find_definition("framing.mask_int").source


def test_the_command_names_what_the_package_has_not(tmp_path, capsys):
    path = save(tmp_path / "02_framing.ipynb", code("", tags=["refimpl:framing.maks"]))
    assert weave.main([str(path)]) == 1
    assert weave.main([str(path), "--check"]) == 1
    assert "no 'maks' in refimpl/framing.py" in textwrap.dedent(capsys.readouterr().err)


@pytest.mark.parametrize("path", WOVEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_projects_notebooks_say_what_the_package_says(path):
    assert weave.differences(notebook_file.read(path)) == []
