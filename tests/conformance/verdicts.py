"""Reads the suite's index.json and says whether a run is good enough.

The suite gives each case two verdicts: one on what was said, one on how the connection ended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

FUNCTIONAL = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
SETS = {"functional": (FUNCTIONAL, 247), "limits": (("9.*",), 54), "all": (("*",), 517)}
# The suite has no opinion on these three: after Close they send more, or an unassigned close code.
ALWAYS_INFORMATIONAL = ("7.1.6", "7.13.1", "7.13.2")


@dataclass
class Tally:
    """The verdicts on one testee in one role. seconds: wall time of the whole run."""

    testee: str
    role: str
    seconds: float = 0.0
    verdicts: dict[str, str] = field(default_factory=dict)

    def cases(self, verdict: str) -> list[str]:
        """Return the numbers of the cases with a verdict, in order."""
        found = (case for case, given in self.verdicts.items() if given == verdict)
        return sorted(found, key=lambda case: [int(part) for part in case.split(".")])

    def count(self, verdict: str) -> int:
        """Return how many cases have a verdict."""
        return len(self.cases(verdict))

    def passed_by_group(self) -> dict[str, int]:
        """Return how many cases of each group ("1", "2", ...) are OK or informational."""
        groups: dict[str, int] = {}
        for case in self.cases("OK") + self.cases("INFORMATIONAL"):
            group = case.partition(".")[0]
            groups[group] = groups.get(group, 0) + 1
        return dict(sorted(groups.items(), key=lambda item: int(item[0])))


def verdict(behavior: str, behavior_close: str) -> str:
    """Join the suite's two verdicts on a case: the worse one counts, an unknown word is a failure.

    >>> verdict("NON-STRICT", "OK"), verdict("OK", "WRONG CODE")
    ('NON-STRICT', 'FAILED')
    """
    order = ("OK", "INFORMATIONAL", "NON-STRICT", "FAILED")
    known = (word if word in order else "FAILED" for word in (behavior, behavior_close))
    return max(known, key=order.index)


def read_index(path: Path, testee: str, role: str) -> Tally:
    """Return the tally of one testee from an index.json; a testee that is missing has no cases."""
    index = json.loads(path.read_text(encoding="utf-8"))
    cases = index.get(testee, {})
    verdicts = {
        case: verdict(said["behavior"], said["behaviorClose"]) for case, said in cases.items()
    }
    return Tally(testee, role, verdicts=verdicts)


def complaints(tally: Tally, expected: int) -> list[str]:
    """Return what keeps a run from being good: one line each, none for a good run."""
    found = []
    if len(tally.verdicts) != expected:
        found.append(f"ran {len(tally.verdicts)} cases, expected {expected}")
    for bad in ("FAILED", "NON-STRICT"):
        if tally.count(bad):
            found.append(f"{bad}: {', '.join(tally.cases(bad))}")
    strangers = set(tally.cases("INFORMATIONAL")) - set(ALWAYS_INFORMATIONAL)
    if strangers:
        found.append(f"INFORMATIONAL beside the usual three: {', '.join(sorted(strangers))}")
    return found


def table(tallies: list[Tally]) -> str:
    """Return the tallies as a table of plain text."""
    head = f"{'testee':<24} {'role':<7} {'cases':>5} {'OK':>5} {'non-strict':>10}"
    lines = [f"{head} {'informational':>13} {'failed':>6} {'wall':>8}"]
    for tally in tallies:
        lines.append(
            f"{tally.testee:<24} {tally.role:<7} {len(tally.verdicts):>5} {tally.count('OK'):>5} "
            f"{tally.count('NON-STRICT'):>10} {tally.count('INFORMATIONAL'):>13} "
            f"{tally.count('FAILED'):>6} {tally.seconds:>6.0f} s"
        )
    return "\n".join(lines)
