"""The results of a load: rows with their limits, and a series to draw.

>>> row = Row("p99", 38.4, "ms", at_most=250)
>>> row.kept, str(row)
(True, 'p99  38.4 ms  (at most 250)')
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Report", "Row", "quantile"]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number, and the limits it must keep, if any."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def kept(self) -> bool | None:
        """Whether the limits are kept; None if there are none."""
        if self.at_most is None and self.at_least is None:
            return None
        above = self.at_most is not None and self.value > self.at_most
        return not above and not (self.at_least is not None and self.value < self.at_least)

    @property
    def limits(self) -> str:
        """The limits in words; empty if there are none."""
        words = [("at least", self.at_least), ("at most", self.at_most)]
        return ", ".join(f"{word} {limit:g}" for word, limit in words if limit is not None)

    def __str__(self) -> str:
        number = f"{self.value:,.0f}" if self.value == int(self.value) else f"{self.value:,.3g}"
        text = f"{self.name}  {number} {self.unit}".rstrip()
        return f"{text}  ({self.limits})" if self.limits else text


@dataclass(slots=True)
class Report:
    """The outcome of one load.

    series: points by name, their values in `series_unit`. series_axis: the title of the other axis,
    for a logarithmic chart; empty for seconds, or shares of the deliveries.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    series_unit: str = ""
    series_axis: str = ""

    @property
    def kept(self) -> bool:
        """Whether every limit is kept."""
        return all(row.kept is not False for row in self.rows)


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the value that a share of the samples does not exceed; 0 without samples.

    >>> quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.99)
    (2, 4)
    """
    if not samples:
        return 0
    ordered = sorted(samples)
    rank = math.ceil(len(ordered) * share - 1e-9)  # 0.07 * 100 is a little over 7
    return ordered[max(0, rank - 1)]
