"""What an ASGI echo costs on our engine, beside uvicorn's own: server CPU a message.

Run as `python -m tests.bench.engine`; `--rounds 31` for steadier figures, `--workloads mem` for the
memory of idle connections and the CPU of a handshake. Each engine runs in a process of its own on
the first core and the client on the last; the engines take turns within a round, ratios are taken
within a round, medians over the rounds. The method is that of `refimpl bench`, the figure that
counts is CPU time, and the echo is compared byte for byte before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from refimpl.bench import bench
from refimpl.bench.peers import PEERS, Peer
from refimpl.bench.record import Record
from refimpl.bench.workloads import WORKLOADS

OURS, THEIRS = "uvicorn+refimpl", "uvicorn"
GOALS = {"pp100": 1.3, "pipe": 4.0, "64k": 1.2}


def run_wsproto(mode: str, folder: Path) -> list[str]:
    """Return the command of uvicorn with its engine on wsproto."""
    place = "refimpl.bench.peers.echo_uvicorn"
    return [sys.executable, "-c", f"from {place} import main; main({mode!r}, 'wsproto')"]


ENGINES = [PEERS[OURS], PEERS[THEIRS], Peer("uvicorn+wsproto", run_wsproto)]


def lines(record: Record, metric: str) -> list[str]:
    """Return a metric's costs and ratios, the ratio with its middle half."""
    cells = []
    for engine in ENGINES:
        ratio = record.ratio(metric, engine.name, OURS)
        spread = "" if engine.name == OURS else f" ({ratio.low:.2f}-{ratio.high:.2f})"
        cost = record.cost(metric, engine.name).median
        cells.append(f"  {metric:<16} {engine.name:<16} {cost:9.2f}  {ratio.median:5.2f}x{spread}")
    if metric in GOALS:
        reached = record.ratio(metric, THEIRS, OURS).median
        word = "reached" if reached >= GOALS[metric] else "missed"
        cells.append(f"  {metric:<16} goal over websockets-sansio {GOALS[metric]:g}x: {word}")
    return cells


def show(share: float, words: str) -> None:
    """Say on a terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\r\033[K{share:4.0%} {words}", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what each engine costs, and whether the goals are reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.25, help="of each measurement")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(GOALS))
    options = parser.parse_args(arguments)
    record = asyncio.run(
        bench(
            ENGINES,
            options.workloads,
            rounds=options.rounds,
            seconds=options.seconds,
            sizes=(1000,),
            tell=show,
        )
    )
    print(f"server CPU, us a message (memory: KiB each); {options.rounds} rounds, {record.machine}")
    for metric in record.found:
        print("\n".join(lines(record, metric)))


if __name__ == "__main__":
    main()
