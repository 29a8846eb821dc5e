"""A profile as data: call stacks, each with its cost.

A profile is a list of samples; a sample is a stack, outermost call first, and a weight: seconds for
CPU, bytes for memory. Everything that draws or tabulates a profile works from this.

>>> profile = Profile.folded({"serve;handle;encode": 6, "serve;handle;send": 3, "serve": 1})
>>> [(hot.call.function, hot.own, hot.total) for hot in profile.hottest(2)]
[('encode', 6.0, 6.0), ('send', 3.0, 3.0)]
>>> profile.share("handle")
0.9
"""

import sys
import sysconfig
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

__all__ = ["ORIGINS", "Call", "Hot", "Profile", "Sample", "hottest_table", "measured", "place"]

ORIGINS = ("application", "refimpl", "library", "standard library", "built-in")
"""Whose code a call belongs to; see `place`."""

NOT_IN_FILES = {
    "<built-in>": "built-in",
    "<frozen>": "standard library",  # <frozen importlib._bootstrap>
    "<string>": "built-in",  # what dataclasses and named tuples generate
}
_STDLIB = sysconfig.get_paths()["stdlib"].replace("\\", "/")


class Call(NamedTuple):
    """A function on a stack. file: as `place` shortens it; line: where the function begins."""

    function: str
    file: str = ""
    line: int = 0
    origin: str = "application"

    def __str__(self) -> str:
        if self.line:
            return f"{self.function} ({self.file}:{self.line})"
        return self.function if self.file[:1] in ("", "<") else f"{self.function} ({self.file})"


Sample = tuple[tuple[Call, ...], float]


@dataclass(frozen=True, slots=True)
class Hot:
    """One function of a profile. own: weight of the samples it is the innermost call of."""

    call: Call
    own: float
    total: float


@dataclass(frozen=True, slots=True)
class Profile:
    """The samples of one run. unit: of the weights; duration and idle: seconds.

    idle is the time in which an event loop did nothing; it is in no sample.
    """

    samples: Sequence[Sample]
    unit: str = "seconds"
    duration: float = 0.0
    idle: float = 0.0

    @classmethod
    def folded(cls, stacks: Mapping[str, float], unit: str = "samples") -> "Profile":
        """Return a profile of stacks written as `outer;inner`, with their weights."""
        samples = [
            (tuple(map(Call, stack.split(";"))), float(weight)) for stack, weight in stacks.items()
        ]
        return cls(samples, unit)

    @property
    def total(self) -> float:
        """The weight of all samples."""
        return sum(weight for _, weight in self.samples)

    def hottest(self, count: int = 10) -> list[Hot]:
        """Return the functions in which most was spent themselves, most first.

        A function that calls itself counts once in its total.
        """
        own: dict[Call, float] = defaultdict(float)
        total: dict[Call, float] = defaultdict(float)
        for stack, weight in self.samples:
            for call in set(stack):
                total[call] += weight
            if stack:
                own[stack[-1]] += weight
        found = [Hot(call, own[call], weight) for call, weight in total.items()]
        return sorted(found, key=lambda hot: (-hot.own, -hot.total, hot.call))[:count]

    def share(self, function: str) -> float:
        """Return the share of the weight in a function and all that it called, 0 to 1.

        function: its name, with its class as in "Hub.broadcast" or without.
        """

        def names(call: Call) -> bool:
            return function in (call.function, call.function.rpartition(".")[2])

        inside = sum(weight for stack, weight in self.samples if any(map(names, stack)))
        return inside / self.total if inside else 0.0


def hottest_table(profile: Profile, count: int = 10) -> str:
    """Return the hottest functions as lines of text: own, total, function, where it is.

    >>> print(hottest_table(Profile.folded({"serve;encode": 3, "serve": 1})))
         own         total        function
           3  75 %       3  75 %  encode
           1  25 %       4 100 %  serve
    """
    whole = profile.total
    if not whole:
        return "  no samples: the loop had nothing to do"
    lines = [f"{'own':>8}{'total':>14}        function"]
    for hot in profile.hottest(count):
        columns = [
            f"{measured(part, profile.unit):>8} {part / whole:>4.0%}".replace("%", " %")
            for part in (hot.own, hot.total)
        ]
        lines.append(f"{'  '.join(column for column in columns)}  {hot.call}")
    return "\n".join(lines)


def measured(amount: float, unit: str) -> str:
    """Return an amount in a unit that is easy to read.

    >>> measured(0.0123, "seconds"), measured(2.5e6, "bytes"), measured(3, "samples")
    ('12.3 ms', '2.38 MiB', '3')
    """
    if unit == "seconds":
        return f"{amount:.3g} s" if amount >= 1 else f"{amount * 1000:.3g} ms"
    if unit != "bytes":
        return f"{amount:,.0f}" if amount == int(amount) else f"{amount:,.3g}"
    size, name = amount, "B"
    for larger in ("KiB", "MiB", "GiB"):
        if abs(size) < 1000:
            break
        size, name = size / 1024, larger
    return f"{size:.3g} {name}"


@lru_cache(4096)
def place(file: str) -> tuple[str, str]:
    """Return a source file's path, shortened as far as it stays distinct, and its origin.

    The folder on the import path is cut off, so that a profile tells nothing about the machine.
    """
    path = file.replace("\\", "/")
    if path.startswith("<"):
        return path, NOT_IN_FILES.get(path.partition(" ")[0].rstrip(">") + ">", "application")
    if "/ipykernel_" in path:
        return "<notebook>", "application"
    roots = (root.replace("\\", "/").rstrip("/") for root in sys.path if root)
    inside = [root for root in roots if path.startswith(f"{root}/")]
    short = path[len(max(inside, key=len)) + 1 :] if inside else path.rpartition("/")[2]
    if short.startswith("refimpl/"):
        return short, "refimpl"
    if "site-packages/" in path or "dist-packages/" in path:
        return short, "library"
    return short, "standard library" if path.startswith(f"{_STDLIB}/") else "application"
