"""Two nodes that share a store: what a delivery across nodes costs, and how late it is.

Both nodes are processes on the first core, the store and this client are on the last. The figure
that counts is the CPU of both nodes a delivery. `room`: one room with members on both nodes, first
at a rate, then as fast as the nodes can. `pairs`: many rooms with one member on each node, who
answer each other, so that every message pays for a publication of its own.

The client counts bytes and compares nothing while the clock runs: a payload is a number of 16
digits, which the node writes, and TEXT bytes, which begin with the time of sending.
"""

import asyncio
import json
import math
import secrets
import select
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial

from refimpl.bench.client import Client, PeerFailed
from refimpl.bench.machine import (
    LAST,
    cpu_seconds,
    on_core,
    raise_file_limit,
    resident_bytes,
)
from refimpl.bench.peers.fleet_node import NUMBER
from refimpl.bench.report import Report, Row, quantile
from refimpl.framing import Frame, Opcode, serialize_frame

__all__ = ["fleet"]

Tell = Callable[[float, str], None]
NAMES = ("node-1", "node-2")
TEXT = 125  # bytes of a message, as its sender wrote it
STAMP = 20  # of them: when it was sent
SIZE = 4 + NUMBER + TEXT  # bytes of a delivery: the head of a frame, the number, the text
KEY = b"\x37\xfa\x21\x3d"
READY = serialize_frame(Frame(Opcode.TEXT, b"ready"))
IN_FLIGHT = 16  # messages of the room that are on their way at once, for full speed
PAIRS_RATE = 250.0  # messages a second
PATIENCE = 20.0  # seconds for the last deliveries
MIB = 2**20
PROGRAM = "from refimpl.bench.peers.fleet_node import main"


def silent(share: float, words: str) -> None:
    """Report no progress: the default."""


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """A node, seen from the client."""

    pid: int
    port: int


@asynccontextmanager
async def node_process(name: str, url: str, prefix: str) -> AsyncIterator[NodeProcess]:
    """Run a node for the block. Raises PeerFailed where it does not start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"{PROGRAM}; main{name, url, prefix}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        started = json.loads(await process.stdout.readline() or '{"error": "it died"}')
        if "error" in started:
            raise PeerFailed(f"{name}: {started['error']}")
        yield NodeProcess(process.pid, started["port"])
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def say(link: socket.socket) -> None:
    """Send a message that begins with the time."""
    text = f"{time.monotonic():0{STAMP}.9f}".ljust(TEXT, "x").encode()
    link.sendall(serialize_frame(Frame(Opcode.TEXT, text, masking_key=KEY)))


def join(client: Client, link: socket.socket, room: str) -> None:
    """Have a connection enter a room, and read all it is told until then."""
    link.sendall(
        serialize_frame(Frame(Opcode.TEXT, room.encode(), masking_key=b"\x01\x02\x03\x04"))
    )
    told = b""
    while not told.endswith(READY):
        told += client.receive(link)


@dataclass(slots=True)
class Trial:
    """What was counted while the clock ran. cpu: seconds, of both nodes; late: milliseconds."""

    seconds: float = 0.0
    deliveries: int = 0
    messages: int = 0
    missing: int = 0
    cpu: float = 0.0
    late: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """Microseconds of both nodes' CPU a delivery."""
        return self.cpu / self.deliveries * 1e6 if self.deliveries else 0.0

    @property
    def message_cost(self) -> float:
        """Microseconds of both nodes' CPU a message."""
        return self.cpu / self.messages * 1e6 if self.messages else 0.0


class Deliveries:
    """Reads deliveries from many connections, each whole."""

    def __init__(self, links: Sequence[socket.socket]) -> None:
        self._links = {link.fileno(): link for link in links}
        self._begun = dict.fromkeys(self._links, b"")
        self._poll = select.poll()
        for link in links:
            self._poll.register(link, select.POLLIN)
        self._buffer = bytearray(2**20)

    def wait(self, seconds: float) -> Iterator[tuple[socket.socket, memoryview]]:
        """Yield each connection that has something, with its deliveries one behind the other."""
        for number, _ in self._poll.poll(max(0.0, seconds) * 1000):
            link, begun = self._links[number], self._begun[number]
            size = len(begun)
            self._buffer[:size] = begun
            got = link.recv_into(memoryview(self._buffer)[size:])
            if not got:
                raise PeerFailed("a node closed a connection")
            whole = (size + got) // SIZE * SIZE
            self._begun[number] = bytes(self._buffer[whole : size + got])
            if whole:
                yield link, memoryview(self._buffer)[:whole]


def sent_at(delivery: memoryview) -> float:
    """Return when a delivered message was sent."""
    return float(bytes(delivery[4 + NUMBER : 4 + NUMBER + STAMP]))


def talk_at_a_rate(
    speakers: Sequence[socket.socket],
    links: Sequence[socket.socket],
    each: int,
    rate: float,
    seconds: float,
) -> Trial:
    """Have the speakers take turns at a rate, whatever the nodes do; wait for every delivery.

    each: how many deliveries a message is worth.
    """
    trial, reading, start = Trial(), Deliveries(links), time.monotonic()
    total = round(rate * seconds)
    while trial.deliveries < total * each and time.monotonic() < start + seconds + PATIENCE:
        while trial.messages < total and time.monotonic() >= start + trial.messages / rate:
            say(speakers[trial.messages % len(speakers)])
            trial.messages += 1
        due = start + trial.messages / rate if trial.messages < total else math.inf
        for _, data in reading.wait(min(due - time.monotonic(), 1.0)):
            now = time.monotonic()
            for at in range(0, len(data), SIZE):
                trial.late.append((now - sent_at(data[at:])) * 1000)
            trial.deliveries += len(data) // SIZE
    trial.seconds = time.monotonic() - start
    trial.missing = total * each - trial.deliveries
    return trial


def talk_at_full_speed(
    speakers: Sequence[socket.socket], links: Sequence[socket.socket], seconds: float
) -> Trial:
    """Keep IN_FLIGHT messages of one room on their way; then wait for every delivery."""
    trial, reading, start = Trial(), Deliveries(links), time.monotonic()
    end = start + seconds
    while time.monotonic() < end + PATIENCE:
        while (
            time.monotonic() < end and trial.messages - trial.deliveries // len(links) < IN_FLIGHT
        ):
            say(speakers[trial.messages % len(speakers)])
            trial.messages += 1
        trial.missing = trial.messages * len(links) - trial.deliveries
        if trial.missing == 0:
            break
        trial.deliveries += sum(len(data) // SIZE for _, data in reading.wait(1.0))
    trial.seconds = time.monotonic() - start
    return trial


def answer_each_other(
    pairs: Sequence[tuple[socket.socket, socket.socket]], seconds: float
) -> Trial:
    """Have both of each pair answer: who hears a message of the other says the next one.

    The first of a pair says the odd ones.
    """
    firsts = {one.fileno() for one, _ in pairs}
    reading = Deliveries([link for pair in pairs for link in pair])
    trial, start = Trial(messages=len(pairs)), time.monotonic()
    for one, _ in pairs:
        say(one)
    end = start + seconds
    while trial.deliveries < 2 * trial.messages and time.monotonic() < end + PATIENCE:
        for link, data in reading.wait(1.0):
            trial.deliveries += len(data) // SIZE
            for at in range(0, len(data), SIZE):
                odd = int(data[at + 4 : at + 4 + NUMBER].tobytes()) % 2 == 1
                if odd != (link.fileno() in firsts) and time.monotonic() < end:
                    say(link)
                    trial.messages += 1
    trial.seconds = time.monotonic() - start
    trial.missing = 2 * trial.messages - trial.deliveries
    return trial


async def fleet(
    url: str,
    members: int = 200,
    rate: float = 10,
    pairs: int = 100,
    seconds: float = 5,
    tell: Tell = silent,
) -> Report:
    """Measure two nodes on the store at url. members: of the room, on each node.

    Raises PeerFailed.
    """
    prefix = f"refimpl-load-{secrets.token_hex(4)}:"
    async with AsyncExitStack() as stack:
        starting = [node_process(name, url, prefix) for name in NAMES]
        nodes = [await stack.enter_async_context(each) for each in starting]
        raise_file_limit()
        stack.enter_context(on_core(LAST))
        load = Load(nodes, seconds, tell)
        await asyncio.to_thread(load.room, members, rate)
        await asyncio.to_thread(load.pairs, pairs)
    return load.report


class Load:
    """The load on two nodes, and what it has found."""

    def __init__(self, nodes: Sequence[NodeProcess], seconds: float, tell: Tell) -> None:
        self.report = Report("two nodes on one store", series_unit="milliseconds")
        self._nodes, self._seconds, self._tell = nodes, seconds, tell

    @contextmanager
    def _people(self, rooms: Sequence[str]) -> Iterator[list[list[socket.socket]]]:
        """Yield a list of connections for each node, one connection in each of the rooms."""
        clients = [Client(name, node.port) for name, node in zip(NAMES, self._nodes, strict=True)]
        try:
            for client in clients:
                client.open(len(rooms))
                for link, room in zip(client.links, rooms, strict=True):
                    join(client, link, room)
            yield [client.links for client in clients]
        finally:
            for client in clients:
                client.close()

    def _measure(self, share: float, words: str, run: Callable[[], Trial]) -> Trial:
        """Return a trial with the CPU that both nodes spent on it."""
        self._tell(share, words)
        before = sum(cpu_seconds(node.pid) for node in self._nodes)
        trial = run()
        trial.cpu = sum(cpu_seconds(node.pid) for node in self._nodes) - before
        return trial

    def _note(self, part: str, late: Sequence[float], rows: list[Row]) -> None:
        points = [(float(share), quantile(late, share / 100)) for share in range(1, 101)]
        self.report.series[part] = points
        self.report.rows += rows

    def room(self, members: int, rate: float) -> None:
        """Let one room talk, with members on both nodes."""
        self._tell(0.0, "people come")
        with self._people(["harbour"] * members) as people:
            links = [link for each in people for link in each]
            speakers = [each[0] for each in people]
            talk = partial(talk_at_a_rate, speakers, links, len(links), rate)
            talk(1.0)  # what a node does only once is not counted
            memory = max(resident_bytes(node.pid) for node in self._nodes) / MIB
            words = f"2 x {members:,} people talk, {rate:g} messages a second"
            calm = self._measure(0.2, words, partial(talk, self._seconds))
            full = self._measure(
                0.4, "at full speed", lambda: talk_at_full_speed(speakers, links, self._seconds)
            )
        p50, p99 = (quantile(calm.late, share) for share in (0.5, 0.99))
        speed = full.deliveries / full.seconds
        self._note("room", calm.late, [
            Row("room: deliveries missing", calm.missing + full.missing, at_most=0),
            Row(f"room at {rate:g}/s: CPU of both nodes", calm.cost, "us a delivery", at_most=13),
            Row(f"room at {rate:g}/s: p50", p50, "ms"),
            Row(f"room at {rate:g}/s: p99", p99, "ms", at_most=20),
            Row("room at full speed: CPU of both nodes", full.cost, "us a delivery", at_most=8),
            Row("room at full speed", speed, "deliveries a second", at_least=100_000),
            Row("memory of the larger node", memory, "MiB", at_most=36),
        ])  # fmt: skip

    def pairs(self, count: int) -> None:
        """Let pairs talk, one of each on either node."""
        with self._people([f"pair-{number}" for number in range(count)]) as people:
            links = [link for each in people for link in each]
            # Each pair has said an even number of messages before its turn at full speed comes.
            even = math.ceil(PAIRS_RATE * self._seconds / count / 2) * 2 * count / PAIRS_RATE
            words = f"{count:,} pairs talk, {PAIRS_RATE:g} messages a second"
            talk = partial(talk_at_a_rate, people[0], links, len(NAMES), PAIRS_RATE, even)
            calm = self._measure(0.6, words, talk)
            both = list(zip(*people, strict=True))
            full = self._measure(
                0.8, "at full speed", lambda: answer_each_other(both, self._seconds)
            )
        p99, speed = quantile(calm.late, 0.99), full.messages / full.seconds
        self._note("pairs", calm.late, [
            Row("pairs: deliveries missing", calm.missing + full.missing, at_most=0),
            Row(f"pairs at {PAIRS_RATE:g}/s: p99", p99, "ms", at_most=9),
            Row("pairs at full speed: CPU of both nodes", full.message_cost, "us a message",
                at_most=90),
            Row("pairs at full speed", speed, "messages a second", at_least=8_000),
        ])  # fmt: skip
