"""The results of a bench: costs by allocator regime, workload and server, and their ratios.

A ratio is taken within a round, in which both servers had the same conditions; the median over the
rounds counts. Above 1, ours is ahead. Spread: half of the rounds lie within it. Figures are read
from one regime, the reference if it was measured; `under` gives another.

>>> record = Record(rounds=3, seconds=1)
>>> for ours, theirs in [(10, 13), (20, 28), (10, 14)]:
...     record.add("pipe", "refimpl", Sample(ours))
...     record.add("pipe", "websockets", Sample(theirs))
>>> record.ratio("pipe", "websockets").median
1.4
"""

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from refimpl.bench.allocator import REFERENCE
from refimpl.bench.peers import SUBJECT

__all__ = ["RECORDS", "UNITS", "Middle", "Record", "Sample", "middle"]

RECORDS = Path(__file__).with_name("records")
"""The folder of the committed results."""

NUMBERS = re.compile(r"\[\s+([^][{}\"]+?)\s+\]")
HANDSHAKE, MEMORY = "handshake", "memory"
UNITS = {HANDSHAKE: "us a handshake", MEMORY: "KiB a connection"}
"""Units of the metrics that are not workloads; those are microseconds of CPU a message."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. cost: in the metric's unit. The other fields are 0 if not measured.

    rate: messages a second. client: its CPU divided by the server's. disturbed: the share of the
    time that other processes took from either side. faults: the server's page faults a message or
    handshake.
    """

    cost: float
    rate: float = 0
    client: float = 0
    disturbed: float = 0
    faults: float = 0


Samples = dict[str, dict[str, list[Sample]]]
"""Samples by metric, then by server: one for each round."""


@dataclass(frozen=True, slots=True)
class Middle:
    """A median, and the quartiles around it."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """Half the width of the middle half, as a share of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0


def middle(values: Sequence[float]) -> Middle:
    """Return the median and the quartiles.

    >>> middle([3, 1, 2])
    Middle(median=2, low=1.5, high=2.5)
    """
    if len(values) < 2:
        return Middle(values[0], values[0], values[0])
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Middle(statistics.median(values), low, high)


@dataclass(slots=True)
class Record:
    """All results of one run of the bench. samples: by regime of the allocator.

    Metrics are the names of workloads, and "memory 10,000" or "handshake 1,000" for `mem`.
    """

    rounds: int
    seconds: float
    date: str = ""
    command: str = ""
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    samples: dict[str, Samples] = field(default_factory=dict)

    def add(self, metric: str, peer: str, sample: Sample, regime: str = REFERENCE) -> None:
        """Add the result of one round."""
        found = self.samples.setdefault(regime, {})
        found.setdefault(metric, {}).setdefault(peer, []).append(sample)

    # --- reading it ---

    @property
    def regimes(self) -> list[str]:
        """The regimes that were measured; figures are read from the first."""
        return sorted(self.samples, key=lambda regime: regime != REFERENCE)

    def under(self, regime: str) -> Self:
        """Return the record of one regime alone. Raises LookupError if it was not measured."""
        if regime not in self.samples:
            raise LookupError(f"got regime {regime!r}, measured: {', '.join(self.samples)}")
        return replace(self, samples={regime: self.samples[regime]})

    @property
    def found(self) -> Samples:
        """The samples of the regime that is read."""
        return self.samples[self.regimes[0]] if self.samples else {}

    @property
    def peers(self) -> list[str]:
        """The servers that were measured, in the order in which they ran."""
        return list(dict.fromkeys(name for found in self.found.values() for name in found))

    def costs(self, metric: str, peer: str) -> list[float]:
        """Return the cost in each round; empty if this was not measured."""
        return [sample.cost for sample in self.found.get(metric, {}).get(peer, [])]

    def cost(self, metric: str, peer: str) -> Middle | None:
        """Return the median cost, None if it was not measured."""
        costs = self.costs(metric, peer)
        return middle(costs) if costs else None

    def rate(self, metric: str, peer: str) -> float:
        """Return the median of the messages a second; 0 if they were not counted."""
        rates = [sample.rate for sample in self.found.get(metric, {}).get(peer, [])]
        return statistics.median(rates) if rates else 0

    def faults(self, metric: str, peer: str) -> float:
        """Return the median of the page faults a message or handshake; 0 if not counted."""
        faults = [sample.faults for sample in self.found.get(metric, {}).get(peer, [])]
        return statistics.median(faults) if faults else 0

    def ratio(self, metric: str, peer: str, subject: str = SUBJECT) -> Middle:
        """Return how many times the subject's cost is the peer's, paired round by round.

        Raises LookupError if one of them was not measured.
        """
        theirs, ours = self.costs(metric, peer), self.costs(metric, subject)
        if not theirs or not ours:
            raise LookupError(f"got no figures for {metric} of {peer} and {subject}")
        return middle([one / other for one, other in zip(theirs, ours, strict=True)])

    def noise(self) -> tuple[float, float]:
        """Return the spread of the costs: the median of all servers and metrics, and the worst."""
        spreads = [
            middle([sample.cost for sample in samples]).spread
            for found in self.found.values()
            for samples in found.values()
        ]
        return (statistics.median(spreads), max(spreads)) if spreads else (0.0, 0.0)

    def disturbed(self) -> float:
        """Return the share of the time that other processes took: the median of all samples."""
        shares = [
            sample.disturbed
            for found in self.found.values()
            for samples in found.values()
            for sample in samples
            if sample.rate
        ]
        return statistics.median(shares) if shares else 0.0

    def slow_clients(self) -> list[str]:
        """Return the cases in which the client needed more CPU than the server, a sentence each."""
        return [
            f"{metric}, {peer}: the client needed {ratio:.2f}x the server's CPU"
            for metric, found in self.found.items()
            for peer, samples in found.items()
            if (ratio := statistics.median(sample.client for sample in samples)) > 1
        ]

    # --- keeping it ---

    def to_json(self) -> str:
        """Return the record as JSON."""
        content = asdict(self)
        content["samples"] = {
            regime: {
                metric: {peer: columns(samples) for peer, samples in peers.items()}
                for metric, peers in found.items()
            }
            for regime, found in self.samples.items()
        }
        text = json.dumps(content, indent=1)
        return NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the record that `to_json` wrote. Raises ValueError for anything else."""
        try:
            content = json.loads(text)
            content["samples"] = {
                regime: {
                    metric: {peer: rows(columns) for peer, columns in peers.items()}
                    for metric, peers in found.items()
                }
                for regime, found in content["samples"].items()
            }
            return cls(**content)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("got JSON that is no record of refimpl bench") from error


def columns(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Return the samples as one list for each of their fields, to six digits."""
    return {
        each.name: [float(f"{getattr(sample, each.name):.6g}") for sample in samples]
        for each in fields(Sample)
    }


def rows(columns: dict[str, list[float]]) -> list[Sample]:
    """Return the samples that `columns` was made from; a missing field was not measured then."""
    names = [each.name for each in fields(Sample) if each.name in columns]
    found = zip(*(columns[name] for name in names), strict=True)
    return [Sample(**dict(zip(names, row, strict=True))) for row in found]
