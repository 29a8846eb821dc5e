"""Load on any WebSocket server that answers each message: how long do the answers take?

`closed_loop`: every connection sends again as soon as it was answered. The server sets the pace, so
while it stands still, nobody asks. `open_loop`: messages are due at times fixed in advance, like
those of users, whatever the server does. Each takes a free connection. If there is none, it waits,
and that wait counts: the latency runs from the time at which the message was due. The latency from
the time at which it was sent is kept too. That is what a tool reports which does not know of the
wait; it looks far better than what a user meets (coordinated omission).

    outcome = await open_loop("ws://127.0.0.1:8765/", rate=1000, seconds=10, connections=100)
    outcome.latency.quantile(0.99), outcome.uncorrected.quantile(0.99)

>>> [round(due, 3) for due in arrivals(rate=1000, seconds=0.003)]
[0.0, 0.001, 0.002]
"""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from refimpl.bench.echo_client import EchoClient, Tell, all_or_first_error, echo_clients
from refimpl.bench.report import Report, Row
from refimpl.profiling.histogram import Histogram

__all__ = ["Outcome", "arrivals", "closed_loop", "open_loop"]

PATIENCE = 10.0  # seconds to wait for the last answers
ONE_IN = "one message in N takes longer"
ALMOST = 0.002  # seconds before a message is due: a timer may fire a millisecond late


@dataclass(slots=True)
class Outcome:
    """The results of a load. latency: from when a message was due. uncorrected: from when it left.

    late: how far behind its plan this program was. If that is not far below the latency, the
    machine was too slow for the load. unanswered: messages that were due and had no answer at the
    end.
    """

    title: str
    latency: Histogram = field(default_factory=Histogram)
    uncorrected: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)
    seconds: float = 0.0
    unanswered: int = 0
    is_open: bool = True

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.latency.count / self.seconds if self.seconds else 0.0

    def report(self) -> Report:
        """Return the figures as rows, and the latencies as curves to draw."""
        report = Report(self.title, series_unit="milliseconds", series_axis=ONE_IN)
        report.rows = [
            Row("answers", self.latency.count),
            Row("answers a second", self.rate),
            Row("messages never answered", self.unanswered, at_most=0),
            *(Row(name, s * 1000, "ms") for name, s in self.latency.quantiles().items()),
        ]
        report.series = {"latency": in_ms(self.latency.curve())}
        if self.is_open:
            report.rows += [
                Row(f"{name}, from when it left", seconds * 1000, "ms")
                for name, seconds in self.uncorrected.quantiles().items()
            ]
            late = self.late.quantile(0.99) * 1000
            report.rows.append(Row("this program behind its plan, p99", late, "ms"))
            report.series = {
                "from when it was due": in_ms(self.latency.curve()),
                "from when it left": in_ms(self.uncorrected.curve()),
            }
        return report


def in_ms(curve: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a curve's seconds as milliseconds."""
    return [(one_in, seconds * 1000) for one_in, seconds in curve]


def silent(share: float, words: str) -> None:
    """Report no progress: the default."""


def arrivals(*, rate: float, seconds: float, seed: int | None = None) -> Iterator[float]:
    """Yield when messages are due, in seconds from the start; rate: messages a second.

    seed: None for even gaps; a number for gaps as users leave them, independent of one another (a
    Poisson process), the same for the same seed.
    """
    source = random.Random(seed)
    if seed is None:
        yield from (number / rate for number in range(round(rate * seconds)))
        return
    due = source.expovariate(rate)
    while due < seconds:
        yield due
        due += source.expovariate(rate)


async def open_loop(
    uri: str,
    *,
    rate: float,
    seconds: float,
    connections: int = 10,
    size: int = 125,
    seed: int | None = None,
    tell: Tell = silent,
) -> Outcome:
    """Send messages at a fixed rate, whatever the server does; return how late the answers were.

    uri: of a server that echoes. size: bytes of a message. seed: as for `arrivals`. Raises OSError
    or HandshakeError without a server, WrongAnswer for one that does not echo or hangs up.
    """
    pace = "a second" if seed is None else "a second on average"
    outcome = Outcome(f"{rate:g} messages {pace} on {connections:,} connections to {uri}")
    async with echo_clients(uri, connections, size, tell) as clients:
        schedule = Schedule(outcome)
        plan = arrivals(rate=rate, seconds=seconds, seed=seed)
        await schedule.run(clients, plan, seconds, tell)
    return outcome


class Schedule:
    """Messages that are due, and the connections that take them."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._due: asyncio.Queue[float | None] = asyncio.Queue()
        self._planned = 0

    async def run(
        self, clients: list[EchoClient], plan: Iterator[float], seconds: float, tell: Tell
    ) -> None:
        """Let messages become due as planned, until all are answered or PATIENCE is over."""
        start = time.perf_counter()
        try:
            async with asyncio.timeout(seconds + PATIENCE):
                planning = partial(self._plan, start, plan, seconds, len(clients), tell)
                await all_or_first_error(
                    [planning, *(partial(self._serve, one) for one in clients)]
                )
        except TimeoutError:
            pass
        self._outcome.unanswered = self._planned - self._outcome.latency.count
        self._outcome.seconds = time.perf_counter() - start

    async def _plan(
        self, start: float, plan: Iterator[float], seconds: float, clients: int, tell: Tell
    ) -> None:
        """Put each message into the queue when it is due, and at the end a None for each client."""
        told = 0.0
        for due in plan:
            await until(start + due)
            self._outcome.late.record(max(0.0, time.perf_counter() - start - due))
            self._due.put_nowait(start + due)
            self._planned += 1
            if due >= told:
                told = due + 0.5
                tell(due / seconds, f"{self._outcome.latency.count} answers")
        for _ in range(clients):
            self._due.put_nowait(None)

    async def _serve(self, client: EchoClient) -> None:
        """Send what is due, the longest waiting first, until the plan is through."""
        while (due := await self._due.get()) is not None:
            left = await client.ask()
            answered = time.perf_counter()
            self._outcome.latency.record(answered - due)
            self._outcome.uncorrected.record(answered - left)


async def until(when: float) -> None:
    """Wait until a time of `time.perf_counter`, within microseconds; others run at least once."""
    gap = when - time.perf_counter()
    await asyncio.sleep(max(0.0, gap - ALMOST))
    while time.perf_counter() < when:  # noqa: ASYNC110 - no event comes when it is time
        await asyncio.sleep(0)


async def closed_loop(
    uri: str, *, seconds: float, connections: int = 10, size: int = 125, tell: Tell = silent
) -> Outcome:
    """Send on every connection as soon as it was answered; return how long the answers took.

    Arguments and errors are those of `open_loop`.
    """
    outcome = Outcome(f"{connections:,} connections to {uri}, each sends when answered")
    outcome.is_open = False
    waiting = 0

    async def keep_asking(client: EchoClient) -> None:
        nonlocal waiting
        while time.perf_counter() < start + seconds:
            waiting += 1
            left = await client.ask()
            waiting -= 1
            outcome.latency.record(time.perf_counter() - left)

    async def tell_now_and_then() -> None:
        while (elapsed := time.perf_counter() - start) < seconds:
            tell(elapsed / seconds, f"{outcome.latency.count} answers")
            await asyncio.sleep(min(0.5, seconds - elapsed))

    async with echo_clients(uri, connections, size, tell) as clients:
        start = time.perf_counter()
        try:
            async with asyncio.timeout(seconds + PATIENCE):
                asked = [partial(keep_asking, client) for client in clients]
                await all_or_first_error([tell_now_and_then, *asked])
        except TimeoutError:
            pass
        outcome.seconds = time.perf_counter() - start
    outcome.unanswered = waiting
    return outcome
