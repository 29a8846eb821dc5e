"""The package's progress: rules kept and conformance cases passed, chapter by chapter.

Both numbers are read from `records`. Its rules.json says which test checks which of the 86 rules of
the checklist; a test keeps it up to date. Its autobahn.json is the result of the last full run of
the Autobahn suite (`make conformance-full`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from refimpl.lab.draw.figures import BLUE, GREY, HATCHES, ORANGE, PALE, WIDTH, Picture, canvas

__all__ = ["odometer"]

RECORDS = Path(__file__).parents[1] / "records"
AUTOBAHN_CHAPTER = {
    "1": 2,  # frames of every length
    "2": 2,  # ping and pong
    "3": 2,  # reserved bits
    "4": 2,  # opcodes
    "5": 3,  # fragmentation
    "6": 3,  # UTF-8
    "7": 3,  # close
    "9": 3,  # limits
    "10": 3,  # many fragments of one byte
    "12": 3,  # permessage-deflate
    "13": 3,  # its parameters
}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def rules_kept(chapter: int) -> tuple[int, int]:
    """Return how many tested rules chapters 1 to this one keep, and the number of all rules."""
    rules = _read(RECORDS / "rules.json")["rules"]
    return sum(rule["chapter"] <= chapter and bool(rule["tests"]) for rule in rules), len(rules)


def cases_passed(chapter: int) -> tuple[int, int]:
    """Return how many Autobahn cases of the chapters up to this one a server passes, and of all."""
    [run] = [run for run in _read(RECORDS / "autobahn.json") if _is_ours(run)]
    passed = sum(
        number for group, number in run["passed"].items() if AUTOBAHN_CHAPTER[group] <= chapter
    )
    return passed, run["cases"]


def _is_ours(run: dict[str, Any]) -> bool:
    return bool(run["testee"] == "refimpl" and run["role"] == "server")


def odometer(chapter: int) -> Picture:
    """Return two gauges: how much of the checklist and of the Autobahn suite is done by now."""
    gauges = {
        "rules of the checklist,\neach with its test": rules_kept(chapter),
        "Autobahn cases\npassed as a server": cases_passed(chapter),
    }
    (rules, all_rules), (cases, all_cases) = gauges.values()
    claim = (
        f"Kept by chapter {chapter:02d}: {rules} of {all_rules} rules, {cases} of {all_cases} cases"
    )
    alt = "Two gauges, filled from the left, one for the rules and one for the conformance cases."
    with canvas(claim, alt=alt, size=(WIDTH, 2.0)) as drawn:
        axes = drawn.axes
        for row, ((done, total), colour) in enumerate(
            zip(gauges.values(), (BLUE, ORANGE), strict=True)
        ):
            axes.barh(row, 1, height=0.5, color=PALE)
            axes.barh(row, done / total, height=0.5, color=colour, hatch=HATCHES[row])
            axes.text(1.01, row, f"{done} of {total}", va="center")
        axes.set_yticks(range(len(gauges)), list(gauges))
        axes.set_xlim(0, 1.12)
        axes.set_xticks([])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0, labelcolor=GREY)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
    return drawn.picture
