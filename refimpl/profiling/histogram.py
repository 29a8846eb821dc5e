"""A histogram of latencies: little memory, and equally precise at a microsecond and at an hour.

After HdrHistogram: buckets are linear within each power of two, so that the error of a value is a
fixed share of it, not a fixed number of microseconds. With 7 bits it is at most 0.4 %, and a
million samples between 10 us and 10 s take at most 2,600 numbers.

>>> histogram = Histogram()
>>> for milliseconds in range(1, 1001):
...     histogram.record(milliseconds / 1000)
>>> round(histogram.quantile(0.99), 2), round(histogram.mean, 2), histogram.count
(0.99, 0.5, 1000)
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["QUANTILES", "Histogram"]

NANO = 1_000_000_000
QUANTILES: Mapping[str, float] = {
    "p50": 0.5,
    "p75": 0.75,
    "p90": 0.9,
    "p95": 0.95,
    "p99": 0.99,
    "p99.9": 0.999,
    "max": 1.0,
}
"""The quantiles in a table of latencies, by name."""


class Histogram:
    """Counts of durations, in seconds, in buckets as wide as a fixed share of their value.

    bits: each power of two is cut into 2**bits buckets. A nanosecond is the finest there is.
    """

    def __init__(self, samples: Iterable[float] = (), *, bits: int = 7) -> None:
        if not 1 <= bits <= 20:
            raise ValueError(f"got bits={bits}, expected 1 to 20")
        self.bits = bits
        self.count = 0
        self.total = 0.0
        self.lowest = math.inf
        self.highest = 0.0
        self._counts: Counter[int] = Counter()
        for sample in samples:
            self.record(sample)

    @property
    def error(self) -> float:
        """The most that a quantile is off by, as a share of it: half a bucket."""
        return 2.0 ** -(self.bits + 1)

    @property
    def mean(self) -> float:
        """The exact mean in seconds; 0 where nothing was recorded."""
        return self.total / self.count if self.count else 0.0

    # --- recording ---

    def record(self, seconds: float, count: int = 1) -> None:
        """Count a duration, count times. Raises ValueError for one below 0 or not finite."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"got a duration of {seconds} s, expected 0 or more")
        self._counts[self._index(round(seconds * NANO))] += count
        self.count += count
        self.total += seconds * count
        self.lowest = min(self.lowest, seconds)
        self.highest = max(self.highest, seconds)

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another one. Raises ValueError if its buckets differ."""
        if other.bits != self.bits:
            raise ValueError(f"got a histogram of {other.bits} bits, expected {self.bits}")
        self._counts.update(other._counts)
        self.count += other.count
        self.total += other.total
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)

    def _index(self, nanoseconds: int) -> int:
        """Return the bucket of a value: exact below 2**(bits + 1), then 2**bits an octave."""
        shift = max(0, nanoseconds.bit_length() - self.bits - 1)
        return (shift << self.bits) + (nanoseconds >> shift)

    def _edges(self, index: int) -> tuple[int, int]:
        """Return the first value of a bucket and the first behind it, in nanoseconds."""
        shift = max(0, (index >> self.bits) - 1)
        low = (index - (shift << self.bits)) << shift
        return low, low + (1 << shift)

    # --- reading ---

    def quantile(self, share: float) -> float:
        """Return the seconds that a share of the samples does not exceed; 0 where there are none.

        Off by at most `error` of itself; 0 and 1 give the lowest and the highest exactly. Raises
        ValueError for a share outside 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"got a share of {share}, expected 0 to 1")
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(self.count * share - 1e-9))  # 0.07 * 100 is a little over 7
        seen = 0
        for index in sorted(self._counts):
            seen += self._counts[index]
            if seen >= rank:
                break
        if share == 0 or rank == self.count:
            return self.lowest if share == 0 else self.highest
        low, behind = self._edges(index)
        return min(max((low + behind - 1) / 2 / NANO, self.lowest), self.highest)

    def quantiles(self) -> dict[str, float]:
        """Return the usual quantiles in seconds, by name: p50 to p99.9, and the highest."""
        return {name: self.quantile(share) for name, share in QUANTILES.items()}

    def buckets(self) -> Iterator[tuple[float, float, int]]:
        """Yield each bucket that holds something: from, to (in seconds) and how many."""
        for index, count in sorted(self._counts.items()):
            low, behind = self._edges(index)
            yield low / NANO, behind / NANO, count

    def curve(self) -> list[tuple[float, float]]:
        """Return (N, seconds) points for a chart: one sample in N takes longer than that.

        N goes from 1 to the count in steps of a quarter of a decade, so that the tail, which users
        meet, gets as much room as the rest.
        """
        if not self.count:
            return []
        steps = int(4 * math.log10(self.count)) + 1
        shares = [1 - 10 ** -(step / 4) for step in range(steps)]
        return [(1 / (1 - share), self.quantile(share)) for share in shares]

    def table(self) -> str:
        """Return the usual quantiles as text, in milliseconds.

        >>> print(Histogram([0.001, 0.002, 0.010]).table())
        p50    2.003 ms
        p75   10.000 ms
        p90   10.000 ms
        p95   10.000 ms
        p99   10.000 ms
        p99.9 10.000 ms
        max   10.000 ms
        """
        rows = {name: f"{seconds * 1000:,.3f}" for name, seconds in self.quantiles().items()}
        width = max(map(len, rows.values()))
        return "\n".join(f"{name:<5} {number:>{width}} ms" for name, number in rows.items())

    def __repr__(self) -> str:
        middle, tail = self.quantile(0.5) * 1000, self.quantile(0.99) * 1000
        return f"Histogram({self.count} samples, p50 {middle:.3g} ms, p99 {tail:.3g} ms)"
