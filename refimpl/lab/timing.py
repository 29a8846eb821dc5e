"""Compare how long functions take: they run in turns, so that a busy moment hits all alike.

>>> result = compare({"sum": lambda: sum(range(1000)), "nothing": lambda: None}, rounds=5)
>>> result.fastest, result.ratio("sum", "nothing") > 1
('nothing', True)
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from refimpl.lab.draw.charts import bars
from refimpl.lab.draw.figures import Picture, readable
from refimpl.lab.text import Text

SYMBOLS = {"nanoseconds": "ns", "microseconds": "us", "milliseconds": "ms", "seconds": "s"}
SLICE = 0.002
"""The least seconds for one turn of one function: far above the clock's resolution."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds a call for each function: `medians` over the turns, and `best`, the quickest turn."""

    medians: dict[str, float]
    best: dict[str, float]

    @property
    def fastest(self) -> str:
        """The name of the quickest function."""
        return min(self.best, key=lambda name: self.best[name])

    @property
    def slowest(self) -> str:
        """The name of the slowest function."""
        return max(self.best, key=lambda name: self.best[name])

    def ratio(self, slow: str, quick: str) -> float:
        """Return how many times as long as `quick` the function `slow` takes, by their best turns.

        The best turn is the one that other work disturbed least, so this number is the steadiest.
        """
        return self.best[slow] / self.best[quick]

    def at_least(self, factor: float, slow: str, quick: str) -> bool:
        """Tell whether `slow` takes at least `factor` times as long as `quick`."""
        return self.ratio(slow, quick) >= factor

    def bars(self, claim: str, *, log: bool = False, alt: str = "") -> Picture:
        """Return the medians as a bar chart in a unit of time that fits."""
        scale, unit = unit_of(max(self.medians.values()))
        values = {name: value * scale for name, value in self.medians.items()}
        return bars(values, claim, unit=f"{unit} a call", log=log, alt=alt)

    def __repr__(self) -> str:
        width = max(map(len, self.best))
        rows = [
            f"{name:<{width}}  {duration(value):>10}  {self.ratio(name, self.fastest):6.1f} x"
            for name, value in sorted(self.best.items(), key=lambda item: item[1])
        ]
        return "\n".join(rows)


def compare(
    functions: Mapping[str, Callable[..., object]] | Sequence[Callable[..., object]],
    *arguments: Any,
    rounds: int = 9,
) -> Comparison:
    """Return how long each function takes with the arguments, measured in turns.

    functions: name to function, or functions with their own names. A turn repeats a call until it
    lasts about two milliseconds; a slower call is made once a turn.
    """
    named = (
        dict(functions)
        if isinstance(functions, Mapping)
        else {each.__name__: each for each in functions}
    )
    repeats = {name: _repeats(function, arguments) for name, function in named.items()}
    samples: dict[str, list[float]] = {name: [] for name in named}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, function in named.items():
                samples[name].append(_time(function, arguments, repeats[name]))
    finally:
        if collecting:
            gc.enable()
    return Comparison(
        {name: median(values) for name, values in samples.items()},
        {name: min(values) for name, values in samples.items()},
    )


def _time(function: Callable[..., object], arguments: tuple[Any, ...], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        function(*arguments)
    return (time.perf_counter() - started) / repeats


def _repeats(function: Callable[..., object], arguments: tuple[Any, ...]) -> int:
    """Return how many calls of a function fill one turn; warms it up as well."""
    once = max(_time(function, arguments, 1), 1e-9)
    return max(1, min(100_000, round(SLICE / once)))


def unit_of(seconds: float) -> tuple[float, str]:
    """Return factor and name of the unit in which these seconds are a number of 1 to 999."""
    for limit, scale, unit in (
        (1e-6, 1e9, "nanoseconds"),
        (1e-3, 1e6, "microseconds"),
        (1, 1e3, "milliseconds"),
    ):
        if seconds < limit:
            return scale, unit
    return 1, "seconds"


def duration(seconds: float) -> Text:
    """Return a time in a unit that fits.

    >>> duration(0.0000123)
    12.3 us
    """
    scale, unit = unit_of(seconds)
    return Text(f"{readable(seconds * scale)} {SYMBOLS[unit]}")
