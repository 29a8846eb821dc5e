"""The chart of a bench: each peer's cost as a multiple of ours, by workload.

>>> from refimpl.bench import Record, Sample
>>> record = Record(rounds=1, seconds=1)
>>> for peer, cost in {"refimpl": 2, "websockets": 15, "aiohttp": 1}.items():
...     record.add("pipe", peer, Sample(cost))
>>> print(ratio_chart(record).alt)
Grid of 1 row: websockets, aiohttp. Bad: pipe, aiohttp.
"""

from __future__ import annotations

from refimpl.bench.goals import verdict
from refimpl.bench.peers import SUBJECT, is_ours
from refimpl.bench.record import RECORDS, Record
from refimpl.lab.draw.figures import Picture
from refimpl.lab.draw.grids import grid

__all__ = ["ratio_chart", "recorded_bench"]

KINDS = {"ahead": "good", "tie": "", "behind": "bad"}
FLOOR = "raw"  # not a peer: no server can be ahead of it
CLAIM = f"Times the cost of {SUBJECT}: green is ahead, red is behind"


def recorded_bench() -> Record:
    """Return the committed record of the whole bench; OSError if there is none."""
    return Record.from_json((RECORDS / "peers.json").read_text(encoding="utf-8"))


def ratio_chart(record: Record, claim: str = CLAIM) -> Picture:
    """Return the ratios of a record as a grid; green: ours is ahead by more than a tie.

    Our own variants and `raw` are left out, unless there is nothing else. Raises LookupError for a
    record without peers.
    """
    others = [peer for peer in record.peers if peer != SUBJECT]
    peers = [peer for peer in others if peer != FLOOR and not is_ours(peer)] or others
    rows = {
        metric: words
        for metric in record.found
        if any(words := [_word(record, metric, peer) for peer in peers])
    }
    if not rows:
        raise LookupError(f"got a record with {SUBJECT} alone, expected peers beside it")
    return grid(rows, peers, claim, kind=lambda word: KINDS[verdict(float(word))] if word else "")


def _word(record: Record, metric: str, peer: str) -> str:
    """Return a ratio as text, "" if it was not measured."""
    if not record.costs(metric, peer) or not record.costs(metric, SUBJECT):
        return ""
    return f"{record.ratio(metric, peer).median:.3g}"
