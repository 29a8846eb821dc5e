"""Widgets: small things to play with in a chapter, each one file of JavaScript and one picture.

A widget is a custom element in a self-contained HTML output: no build step and no other host. It
works in JupyterLab and in an exported page. Where no script runs, its picture is seen, or in a
notebook that is not trusted its words. nbval compares all of it.

>>> cluster()
[widget] Two nodes, one room: send messages, cut node B off, kill it, and see what Ben is told.
"""

from __future__ import annotations

import html
from pathlib import Path

__all__ = ["Widget", "cluster"]

HERE = Path(__file__).parent


class Widget:
    """A custom element that the last line of a cell shows.

    name: of its files in this folder; the element is called refimpl-NAME. words: what there is to
    do, for those who do not see it.
    """

    def __init__(self, name: str, words: str) -> None:
        self.name = name
        self.words = words

    def __repr__(self) -> str:
        return f"[widget] {self.words}"

    def _repr_html_(self) -> str:
        picture = (HERE / f"{self.name}.svg").read_text(encoding="utf-8").strip()
        script = (HERE / f"{self.name}.js").read_text(encoding="utf-8").strip()
        element = f"refimpl-{self.name}"
        label = html.escape(self.words)
        return (
            f'<{element} role="group" aria-label="{label}">\n{picture}\n</{element}>\n'
            f"<script>\n{script}\n</script>"
        )


def cluster() -> Widget:
    """Return two nodes that share a store and a room, to be cut, killed and started again."""
    words = "send messages, cut node B off, kill it, and see what Ben is told"
    return Widget("cluster", f"Two nodes, one room: {words}.")
