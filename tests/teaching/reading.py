"""How a chapter's notebook reads, in numbers, and where it falls short of what the series promises.

Words are those of the prose; a code cell's lines are counted without blank ones and comments.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field

from refimpl.classroom.authoring import notebook_file

WORDS = (2000, 5500)
LINES_IN_HALF, LINES_IN_NINE_OF_TEN, LINES_AT_MOST = 5, 15, 30
FOLLOW_PROSE, IGNORED = 0.7, 0.2  # shares of the code cells
PICTURES = 4
PROSE_AT_MOST = 150  # words in one cell of prose, folded answers left out

FENCED = re.compile(r"```.*?```", re.DOTALL)
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
MERMAID = re.compile(r"```mermaid")
WORD = re.compile(r"\w+(?:['’-]\w+)*")
IMAGE = re.compile(r"!\[([^\]]*)\]\(")


@dataclass
class Reading:
    words: int = 0
    sizes: list[int] = field(default_factory=list)
    after_prose: int = 0
    ignored: int = 0
    pictures: int = 0
    without_words: list[str] = field(default_factory=list)  # pictures that have no alternative
    long_prose: list[str] = field(default_factory=list)


def read(book):
    reading, before = Reading(), ""
    for index, cell in enumerate(book["cells"]):
        name, text = notebook_file.name_of(index, cell), notebook_file.source(cell)
        if cell["cell_type"] == "markdown":
            read_prose(reading, name, text)
        elif cell["cell_type"] == "code" and text.strip():
            reading.sizes.append(code_lines(text))
            reading.after_prose += before == "markdown"
            reading.ignored += is_ignored(cell)
            read_outputs(reading, name, cell)
        before = cell["cell_type"]
    return reading


def read_prose(reading, name, text):
    words = len(WORD.findall(FENCED.sub(" ", text)))
    reading.words += words
    reading.pictures += len(MERMAID.findall(text))
    reading.without_words += [
        name for alternative in IMAGE.findall(text) if not alternative.strip()
    ]
    unfolded = len(WORD.findall(FOLDED.sub(" ", FENCED.sub(" ", text))))
    if unfolded > PROSE_AT_MOST:
        reading.long_prose.append(f"{name}: {unfolded} words")


def read_outputs(reading, name, cell):
    for output in cell.get("outputs", []):
        kinds = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
        reading.pictures += bool(kinds)
        alternatives = [output.get("metadata", {}).get(kind, {}).get("alt") for kind in kinds]
        plain = "".join(output.get("data", {}).get("text/plain", ""))
        if kinds and not any(alternatives) and re.fullmatch(r"\s*(<.*>)?\s*", plain):
            reading.without_words.append(name)


def code_lines(text):
    lines = [line.strip() for line in text.splitlines()]
    return sum(1 for line in lines if line and not line.startswith("#"))


def is_ignored(cell):
    return (
        "NBVAL_IGNORE_OUTPUT" in notebook_file.source(cell)
        or "nbval-ignore-output" in notebook_file.tags(cell)
        or "nbval-skip" in notebook_file.tags(cell)
    )


def shortcomings(book):
    """What to mend in a chapter, one sentence each."""
    reading = read(book)
    sizes = sorted(reading.sizes) or [0]
    median, ninth, longest = statistics.median(sizes), sizes[9 * (len(sizes) - 1) // 10], sizes[-1]
    share = 1 / len(sizes)
    found = []
    if not WORDS[0] <= reading.words <= WORDS[1]:
        found.append(f"{reading.words} words of prose, not {WORDS[0]} to {WORDS[1]}")
    if median > LINES_IN_HALF or ninth > LINES_IN_NINE_OF_TEN or longest > LINES_AT_MOST:
        found.append(f"code cells of {median:g}, {ninth}, {longest} lines: half, nine in ten, all")
    if reading.after_prose * share < FOLLOW_PROSE:
        found.append(f"{reading.after_prose} of {len(sizes)} code cells follow prose")
    if reading.ignored * share > IGNORED:
        found.append(f"{reading.ignored} of {len(sizes)} outputs are compared with nothing")
    if reading.pictures < PICTURES:
        found.append(f"{reading.pictures} pictures, not {PICTURES}")
    found += [f"{name}: a picture without words" for name in reading.without_words]
    return found + [f"{cell}, at most {PROSE_AT_MOST}" for cell in reading.long_prose]
