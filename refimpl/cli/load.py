"""`refimpl load`: put our server, or any other, under load; a table, a chart, a record."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from refimpl.bench import Report, churn, closed_loop, fleet, idle, open_loop, room, slow_reader
from refimpl.bench.client import PeerFailed
from refimpl.bench.fleet_load import PEERS as FLEET_PEERS
from refimpl.bench.machine import LAST, describe_machine, on_core
from refimpl.cli.connect import describe_refusal
from refimpl.cli.options import error_text
from refimpl.cli.output import is_terminal, say
from refimpl.errors import HandshakeError

__all__ = ["load"]

Tell = Callable[[float, str], None]


@click.group(
    epilog="""\b
Examples:
  refimpl load idle --connections 8000 --seconds 300
  refimpl load room --members 2000 --rate 10 --chart room.png
  refimpl load echo ws://127.0.0.1:8765 --rate 1000 --connections 100 --chart late.png
  refimpl load churn --rate 50 --seconds 600 --json churn.json
"""
)
def load() -> None:
    """Put a server under load, and say whether it keeps its limits.

    `echo` loads any server. The other commands start a server of this package in a process of its
    own, pinned to the first core; the load comes from the last. The exit status is 1 if a limit is
    broken.
    """


def outputs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for a load's output files."""
    chart = click.option("--chart", type=click.Path(), help="Write a PNG.")
    record = click.option("--json", "record", type=click.Path(), help="Write the numbers.")
    return chart(record(command))


@load.command("idle")
@click.option("--connections", default=8000, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=300.0, show_default=True, type=click.FloatRange(1))
@outputs
def idle_command(connections: int, seconds: float, **files: str | None) -> int:
    """Hold idle connections, with heartbeats."""
    return run(lambda tell: idle(connections, seconds, tell), **files)


@load.command("room")
@click.option("--members", default=2000, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=10.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--seconds", default=30.0, show_default=True, type=click.FloatRange(1))
@outputs
def room_command(members: int, rate: float, seconds: float, **files: str | None) -> int:
    """Send messages to a room; every member must get all of them, in order."""
    return run(lambda tell: room(members, rate, seconds, tell), **files)


@load.command("churn")
@click.option("--rate", default=50.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--seconds", default=600.0, show_default=True, type=click.FloatRange(1))
@outputs
def churn_command(rate: float, seconds: float, **files: str | None) -> int:
    """Connect and disconnect; nothing may be left behind."""
    return run(lambda tell: churn(rate, seconds, tell), **files)


@load.command("slow")
@click.option("--members", default=200, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=50.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(1))
@outputs
def slow_command(members: int, rate: float, seconds: float, **files: str | None) -> int:
    """Add a slow reader to a busy room: the others must not notice."""
    return run(lambda tell: slow_reader(members, rate, seconds, tell), **files)


@load.command("fleet")
@click.option("--members", default=200, show_default=True, type=click.IntRange(1), help="A node.")
@click.option("--rate", default=10.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--pairs", default=100, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(0.5))
@click.option("--peer", default="refimpl", show_default=True, type=click.Choice(list(FLEET_PEERS)))
@outputs
def fleet_command(
    members: int, rate: float, pairs: int, seconds: float, peer: str, **files: str | None
) -> int:
    """Let people on two nodes talk: in one room, and in pairs.

    The nodes share a Valkey that is started for it, or the one that REDIS_URL names. For comparison
    there are nodes of broadcaster: pip install broadcaster starlette uvicorn.
    """
    with store_server() as url:
        try:
            return run(lambda tell: fleet(url, members, rate, pairs, seconds, peer, tell), **files)
        except PeerFailed as error:
            raise click.ClickException(str(error)) from error


@contextmanager
def store_server() -> Iterator[str]:
    """Run a store on the last core for the block; yield its URL."""
    try:
        from refimpl.lab.valkey import valkey
    except ImportError as error:
        raise click.ClickException(
            f"the load needs {error.name}: pip install 'refimpl[lab]'"
        ) from error
    with ExitStack() as stack:
        try:
            with on_core(LAST):
                url = stack.enter_context(valkey())
        except RuntimeError as error:
            raise click.ClickException(str(error)) from error
        yield url


@load.command("echo")
@click.argument("uri")
@click.option("--connections", default=10, show_default=True, type=click.IntRange(1))
@click.option(
    "--rate", type=click.FloatRange(0.1), help="Messages a second, however late the answers are."
)
@click.option("--closed", is_flag=True, help="Each connection sends as soon as it was answered.")
@click.option(
    "--poisson", is_flag=True, help="Random gaps, as users leave them, instead of even ones."
)
@click.option("--seed", default=1, show_default=True, help="Seed of the random gaps.")
@click.option("--size", default=125, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=10.0, show_default=True, type=click.FloatRange(0.1))
@outputs
def echo_command(
    uri: str,
    connections: int,
    rate: float | None,
    closed: bool,
    poisson: bool,
    seed: int,
    size: int,
    seconds: float,
    **files: str | None,
) -> int:
    """Load any server that echoes, and show how late its answers are.

    With --rate, latency runs from when a message was due: when the server stands still, all that
    were due meanwhile wait. --closed sends nothing meanwhile, so its figures are too good.
    """
    if (rate is None) is not closed or (closed and poisson):
        raise click.UsageError("expected either --rate, with or without --poisson, or --closed.")

    async def measure(tell: Tell) -> Report:
        if rate is None:
            how = closed_loop(uri, seconds=seconds, connections=connections, size=size, tell=tell)
            return (await how).report()
        outcome = await open_loop(
            uri,
            rate=rate,
            seconds=seconds,
            connections=connections,
            size=size,
            seed=seed if poisson else None,
            tell=tell,
        )
        return outcome.report()

    try:
        return run(measure, **files)
    except HandshakeError as error:
        raise click.ClickException(describe_refusal(error)) from error
    except OSError as error:
        if error.filename:  # not the network: a file that cannot be written
            raise
        raise click.ClickException(f"cannot connect to {uri}: {error_text(error)}") from error


def run(
    measure: Callable[[Tell], Coroutine[Any, Any, Report]], chart: str | None, record: str | None
) -> int:
    """Measure, print the table, write what is asked for; return the exit status."""
    tell = progress if is_terminal(sys.stderr) else lambda share, words: None
    report = asyncio.run(measure(tell))
    say(table(report))
    if chart:
        draw(report, chart)
    if record:
        rows = {row.name: {"value": row.value, "unit": row.unit} for row in report.rows}
        found: dict[str, object] = {"title": report.title, "machine": describe_machine()}
        found |= {"rows": rows, "series": report.series}
        text = json.dumps(found)
        Path(record).write_text(text + "\n", encoding="utf-8")
    return 0 if report.kept else 1


def progress(share: float, words: str) -> None:
    """Show the progress on a terminal, in one line that is overwritten."""
    click.echo(f"\r\x1b[K{share:4.0%}  {words}", nl=False, err=True)
    if share >= 1:
        click.echo("\r\x1b[K", nl=False, err=True)


def table(report: Report, kept: str = "kept", broken: str = "BROKEN") -> str:
    """Return the rows as text, with a verdict where there is a limit."""
    verdicts = {True: kept, False: broken, None: ""}
    cells = [
        (row.name, f"{row.value:,.4g}", row.unit, row.limits, verdicts[row.kept])
        for row in report.rows
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    lines = []
    for name, value, *rest in cells:
        columns = [name.ljust(widths[0]), value.rjust(widths[1])]
        columns += [text.ljust(width) for text, width in zip(rest, widths[2:], strict=True)]
        lines.append("  " + "  ".join(columns).rstrip())
    return "\n".join([report.title, *lines])


def draw(report: Report, path: str) -> None:
    """Write the report's series as a chart; needs matplotlib, from the lab's packages."""
    try:
        from refimpl.lab import lines
    except ImportError as error:
        raise click.ClickException("a chart needs matplotlib: pip install matplotlib") from error
    x, log = "share of deliveries, %", ""
    if report.series_unit in ("KiB", "MiB"):
        x = "seconds"
    elif report.series_axis:
        x, log = report.series_axis, "xy"
    lines(report.series, report.title, x=x, y=report.series_unit, log=log).save(path)
