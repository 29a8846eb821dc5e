"""What a widget leaves in a notebook: one HTML output that needs nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refimpl.lab import widgets
from refimpl.lab.widgets import Widget, cluster

WIDGETS = [cluster]


@pytest.mark.parametrize("make", WIDGETS)
def test_it_is_whole_and_the_same_each_time(make) -> None:  # type: ignore[no-untyped-def]
    page = make()._repr_html_()
    assert page == make()._repr_html_()
    assert page.count("<svg") == page.count("<script") == 1
    assert not re.search(r"https?://|import |src=", page), "it would ask another host"
    assert repr(make()) == f"[widget] {make().words}"


@pytest.mark.parametrize("make", WIDGETS)
def test_its_element_is_defined_once(make) -> None:  # type: ignore[no-untyped-def]
    """A cell that runs twice defines it twice, and the second time would be an error."""
    element = f"refimpl-{make().name}"
    assert f'if (!customElements.get("{element}"))' in make()._repr_html_()


def test_every_widget_is_tested() -> None:
    found = {path.stem for path in Path(widgets.__file__).parent.glob("*.js")}
    assert found == {make().name for make in WIDGETS}


def test_its_words_are_escaped() -> None:
    page = Widget("cluster", 'cut "B" & see')._repr_html_()
    assert 'aria-label="cut &quot;B&quot; &amp; see"' in page
