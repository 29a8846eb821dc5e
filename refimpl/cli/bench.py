"""`refimpl bench`: compare the cost of our server with its peers', and check the goals."""

import asyncio
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from refimpl.bench.allocator import REFERENCE, REGIMES
from refimpl.bench.goals import goals_report
from refimpl.bench.peers import PEERS, SUBJECT, is_ours
from refimpl.bench.record import MEMORY, UNITS, Middle, Record
from refimpl.bench.run import bench as measure
from refimpl.bench.workloads import WORKLOADS
from refimpl.cli.load import progress, table
from refimpl.cli.output import is_terminal, say

__all__ = ["bench"]

BUSY = 0.05  # share of the time that other processes may take
WORDS = {REFERENCE: "heap kept", "default": "default allocator"}
USUAL = "websockets,aiohttp,wsproto,uvicorn,picows,gorilla,ws,raw"


class Names(click.ParamType[list[str]]):
    """A list of known names, separated by commas. also: tells whether another name is valid too."""

    name = "names"

    def __init__(
        self, known: Iterable[str], also: Callable[[str], bool] = lambda name: False
    ) -> None:
        self.known = list(known)
        self.also = also

    def convert(
        self, value: str | list[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Return the names, or refuse."""
        if isinstance(value, list):
            return value
        names = [name.strip() for name in value.split(",") if name.strip()]
        for name in names:
            if name not in self.known and not self.also(name):
                self.fail(f"got {name!r}, expected one of {', '.join(self.known)}.", param, ctx)
        if not names:
            self.fail(f"got no name, expected one of {', '.join(self.known)}.", param, ctx)
        return list(dict.fromkeys(names))


class Numbers(click.ParamType[tuple[int, ...]]):
    """A list of whole numbers above 0, separated by commas."""

    name = "numbers"

    def convert(
        self, value: str | tuple[int, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers, or refuse."""
        if isinstance(value, tuple):
            return value
        words = value.split(",")
        if not all(word.strip().isdecimal() and int(word) for word in words):
            self.fail(f"got {value!r}, expected numbers above 0 as in 1000,10000.", param, ctx)
        return tuple(int(word) for word in words)


@click.command(
    epilog="""\b
Examples:
  refimpl bench --peers websockets,aiohttp --workloads pp1,pipe
  refimpl bench --peers websockets,refimpl-pure --workloads 64k,1m --goals
  refimpl bench --peers refimpl@../before --workloads pp100 --regimes kept
  refimpl bench --rounds 9 --seconds 1 --chart peers.png --json peers.json"""
)
@click.option(
    "--peers", type=Names(PEERS, is_ours), default=USUAL, show_default=True,
    help="Servers to compare with; refimpl@FOLDER is this package in another checkout.",
)  # fmt: skip
@click.option(
    "--workloads", type=Names(WORKLOADS), default=",".join(WORKLOADS), show_default=True,
    help="The workloads to run.",
)  # fmt: skip
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option(
    "--seconds", default=0.5, show_default=True, type=click.FloatRange(0.05),
    help="Length of each measurement.",
)  # fmt: skip
@click.option(
    "--crowds", type=Numbers(), default="1000,10000", show_default=True,
    help="Numbers of idle connections, for the workload mem.",
)  # fmt: skip
@click.option(
    "--regimes", type=Names(REGIMES), default=",".join(REGIMES), show_default=True,
    help="Settings of the allocator: the heap kept, or glibc's default.",
)  # fmt: skip
@click.option("--goals", is_flag=True, help="Exit with status 1 if a goal is missed.")
@click.option("--chart", type=click.Path(), help="Write the ratios as a PNG.")
@click.option("--json", "record_path", type=click.Path(), help="Write the record.")
def bench(
    peers: list[str],
    workloads: list[str],
    rounds: int,
    seconds: float,
    crowds: tuple[int, ...],
    regimes: list[str],
    goals: bool,
    chart: str | None,
    record_path: str | None,
) -> int:
    """Compare this package's server with its peers and with the goals.

    Every server runs in a process of its own on the first core, the client on the last. Servers
    take turns, and ratios are taken within a round. The figure that counts is the server's CPU
    time. The goals are for the first regime, in which no server has to map memory at each read.
    """
    tell = progress if is_terminal(sys.stderr) else lambda share, words: None
    for path in (chart, record_path):  # now, not after half an hour of measuring
        if path and not Path(path).absolute().parent.is_dir():
            raise click.UsageError(f"{path}: no such folder.")
    measuring = measure(
        peers, workloads, rounds=rounds, seconds=seconds, sizes=crowds, regimes=regimes, tell=tell
    )
    record = asyncio.run(measuring)
    record.command = command_line(peers, workloads, rounds, seconds, crowds, regimes)
    say("\n\n".join(describe(record)))
    if record_path:
        Path(record_path).write_text(record.to_json(), encoding="utf-8")
    if chart:
        draw(record, chart)
    return int(goals and not goals_report(record).kept)


def command_line(
    peers: list[str],
    workloads: list[str],
    rounds: int,
    seconds: float,
    crowds: tuple[int, ...],
    regimes: list[str],
) -> str:
    """Return the command that repeats this run."""
    return (
        f"refimpl bench --peers {','.join(peers)} --workloads {','.join(workloads)} "
        f"--rounds {rounds} --seconds {seconds:g} --crowds {','.join(map(str, crowds))} "
        f"--regimes {','.join(regimes)}"
    )


def describe(record: Record) -> Iterable[str]:
    """Yield a record as text for people, a paragraph at a time."""
    machine = record.machine
    cores = f"{machine['cores']} cores of {machine['processor']}"
    about = f"{machine['python']}, {machine['system']}, {cores}"
    versions = [f"  {name}: {version}" for name, version in record.versions.items()]
    yield "\n".join([f"{about}; {record.rounds} rounds of {record.seconds:g} s", *versions])
    for regime in record.regimes:
        yield from describe_regime(record.under(regime), WORDS[regime])
    report = goals_report(record)
    if report.rows:
        yield table(report, "met", "MISSED")
    yield "\n".join(remarks(record))


def describe_regime(record: Record, words: str) -> Iterable[str]:
    """Yield the tables of one regime of the allocator."""
    yield f"{words}: CPU of the server, us a message unless another unit is named\n" + grid(
        record, cost_cell
    )
    if len(record.peers) > 1:
        yield f"{words}: times the cost of {SUBJECT}; above 1, {SUBJECT} is ahead\n" + grid(
            record, ratio_cell
        )
    if any(record.rate(metric, SUBJECT) for metric in record.found):
        yield f"{words}: messages a second, by the wall clock\n" + grid(record, rate_cell)
    yield f"{words}: page faults of the server, a message or handshake\n" + grid(
        record, faults_cell
    )


def cost_cell(record: Record, metric: str, peer: str) -> str:
    """Return a cost and its spread."""
    cost = record.cost(metric, peer)
    return f"{cost.median:,.4g}{spread(cost)}" if cost else ""


def ratio_cell(record: Record, metric: str, peer: str) -> str:
    """Return a ratio and its spread."""
    if peer == SUBJECT or not record.costs(metric, peer) or not record.costs(metric, SUBJECT):
        return ""
    ratio = record.ratio(metric, peer)
    return f"{ratio.median:.2f}{spread(ratio)}"


def spread(measured: Middle) -> str:
    """Return the spread of the rounds; empty where there is none, as for a single round."""
    return f" ±{measured.spread:.0%}" if measured.spread else ""


def rate_cell(record: Record, metric: str, peer: str) -> str:
    """Return the messages a second; empty where they were not counted."""
    rate = record.rate(metric, peer)
    return f"{rate:,.0f}" if rate else ""


def faults_cell(record: Record, metric: str, peer: str) -> str:
    """Return the server's page faults a message; empty for memory."""
    if not record.costs(metric, peer) or metric.startswith(MEMORY):
        return ""
    return f"{record.faults(metric, peer):,.2f}"


def grid(record: Record, cell: Callable[[Record, str, str], str]) -> str:
    """Return a row for each metric and a column for each server; empty ones are left out."""
    rows = {
        metric: [cell(record, metric, peer) for peer in record.peers] for metric in record.found
    }
    rows = {metric: cells for metric, cells in rows.items() if any(cells)}
    kept = [at for at in range(len(record.peers)) if any(cells[at] for cells in rows.values())]
    lines = [["", *(record.peers[at] for at in kept)]]
    for metric, cells in rows.items():
        unit = UNITS.get(metric.split()[0])
        lines.append([f"{metric}, {unit}" if unit else metric, *(cells[at] for at in kept)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(kept) + 1)]
    return "\n".join(
        f"  {line[0]:<{widths[0]}}"
        + "".join(f"  {word:>{width}}" for word, width in zip(line[1:], widths[1:], strict=True))
        for line in lines
    )


def remarks(record: Record) -> Iterable[str]:
    """Yield remarks on how far the figures can be trusted."""
    for name, remedy in record.missing.items():
        yield f"missing: {name} ({remedy})"
    yield from record.notes
    for regime in record.regimes:
        part, words = record.under(regime), WORDS[regime]
        yield from (f"{words}, {sentence}" for sentence in part.slow_clients())
        noise, worst = part.noise()
        yield (
            f"{words}, noise: the middle half of the rounds is within ±{noise:.1%} of the median "
            f"(worst: {worst:.1%}); other processes took {part.disturbed():.1%} of the time"
        )
    yield f"load of the machine before: {record.machine['load']}"
    if max(record.under(regime).disturbed() for regime in record.regimes) > BUSY:
        yield "the machine was busy: differences below 15 % mean nothing, and larger ones little"


def draw(record: Record, path: str) -> None:
    """Write the ratios as a chart; needs matplotlib, from the lab's packages."""
    try:
        from refimpl.lab.draw.ratios import ratio_chart
    except ImportError as error:
        raise click.ClickException("a chart needs matplotlib: pip install matplotlib") from error
    ratio_chart(record).save(path)
