"""The goals: how many times our cost each peer's should be, by workload.

>>> GOALS["refimpl"]["pipe"]["websockets"]
8
"""

from collections.abc import Iterator
from typing import NamedTuple

from refimpl.bench.record import Middle, Record
from refimpl.bench.report import Report, Row

__all__ = ["GOALS", "TIE", "Goal", "goals", "goals_report", "verdict"]

TIE = 0.15
"""A smaller difference, as a share, is a tie."""

PEERS = ("websockets", "aiohttp", "gorilla", "picows")
GOALS: dict[str, dict[str, dict[str, float]]] = {
    "refimpl": {
        metric: dict(zip(PEERS, ratios, strict=True))
        for metric, ratios in {
            "pp1": (1.3, 1.05, 1.0, 0.85),
            "pp100": (1.8, 1.15, 0.8, 0.65),
            "pipe": (8, 4.5, 3.5, 3),
            "64k": (1.3, 1.05, 1.7, 0.75),
            "1m": (1.1, 1.6, 1.5, 0.7),
            "bcast": (1.4, 1.2, 1.2, 0.9),
            "memory 10,000": (3, 2.5, 3, 5),
            "handshake 10,000": (2, 1.5, 0.6, 1.2),
        }.items()
    },
    "refimpl-pure": {
        "64k": dict(zip(PEERS, (0.45, 0.35, 0.6, 0.25), strict=True)),
        "1m": dict(zip(PEERS, (0.35, 0.55, 0.5, 0.22), strict=True)),
    },
    "uvicorn+refimpl": {
        "pp100": {"uvicorn": 1.3},
        "pipe": {"uvicorn": 4},
        "64k": {"uvicorn": 1.2},
    },
}
"""Subject, then metric, then peer: the least ratio. A ratio above 1 is ahead."""


class Goal(NamedTuple):
    """One goal beside what was measured."""

    subject: str
    metric: str
    peer: str
    wanted: float
    found: Middle


def goals(record: Record) -> Iterator[Goal]:
    """Yield every goal for which both servers were measured."""
    for subject, metrics in GOALS.items():
        for metric, peers in metrics.items():
            for peer, wanted in peers.items():
                if record.costs(metric, peer) and record.costs(metric, subject):
                    found = record.ratio(metric, peer, subject)
                    yield Goal(subject, metric, peer, wanted, found)


def goals_report(record: Record) -> Report:
    """Return the goals as rows, each kept or not."""
    report = Report("goals: the peer's cost by ours, the median of the rounds")
    for goal in goals(record):
        name = f"{goal.metric}: {goal.peer} / {goal.subject}"
        spread = f"x, ±{goal.found.spread:.0%}"
        report.rows.append(Row(name, round(goal.found.median, 2), spread, at_least=goal.wanted))
    return report


def verdict(ratio: float) -> str:
    """Return "ahead", "tie" or "behind".

    >>> verdict(1.2), verdict(0.9), verdict(0.8)
    ('ahead', 'tie', 'behind')
    """
    if ratio > 1 + TIE:
        return "ahead"
    return "behind" if ratio < 1 / (1 + TIE) else "tie"
