"""Two nodes that share a store: what a delivery across nodes costs, and how late it is.

Both nodes are processes on the first core, the store and this client are on the last. The figure
that counts is the CPU of both nodes a delivery. `room`: one room with members on both nodes, first
at a rate, then as fast as the nodes can. `pairs`: many rooms with one member on each node, who
answer each other, so that every message pays for a publication of its own.

The client counts bytes while the clock runs, and of pairs it looks at one letter. A text begins
with the time of sending and the letter of its node; a delivery is the text, behind LEAD bytes of
the node's own.
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
from dataclasses import dataclass, field, replace
from functools import partial

from refimpl.bench.client import Client, PeerFailed
from refimpl.bench.machine import (
    LAST,
    cpu_seconds,
    on_core,
    raise_file_limit,
    resident_bytes,
)
from refimpl.bench.peers import installed
from refimpl.bench.report import Report, Row, quantile
from refimpl.framing import Frame, Opcode, serialize_frame, serialize_header

__all__ = ["fleet"]

Tell = Callable[[float, str], None]
NAMES = ("node-1", "node-2")
LETTERS = (b"a", b"b")
TEXT = 125  # bytes of a message, as its sender wrote it
STAMP = 20  # of them: when it was sent; behind it a letter, of the node it was sent to
KEY = b"\x37\xfa\x21\x3d"
READY = serialize_frame(Frame(Opcode.TEXT, b"ready"))
IN_FLIGHT = 64  # messages of the room that are on their way at once, for full speed
PAIRS_RATE = 250.0  # messages a second
PATIENCE = 20.0  # seconds for the last deliveries
MIB = 2**20
PEERS = {
    "refimpl": ("from refimpl.bench.peers.fleet_refimpl import main", 16),
    "broadcaster": ("from refimpl.bench.peers.fleet_broadcaster import main", 0),
}
"""For each kind of node: the program, and LEAD, the bytes that it writes before a text."""


def silent(share: float, words: str) -> None:
    """Report no progress: the default."""


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """A node, seen from the client."""

    pid: int
    port: int


@asynccontextmanager
async def node_process(
    program: str, name: str, url: str, prefix: str
) -> AsyncIterator[NodeProcess]:
    """Run a node for the block. Raises PeerFailed where it does not start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"{program}; main{name, url, prefix}",
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


class Talk:
    """People on both nodes who talk, and all that they are told.

    people: the connections of each node. lead: bytes that stand before each text.
    """

    def __init__(self, people: Sequence[Sequence[socket.socket]], lead: int) -> None:
        self._people = people
        self._links = {link.fileno(): link for each in people for link in each}
        self._letters = {
            link.fileno(): letter
            for letter, each in zip(LETTERS, people, strict=True)
            for link in each
        }
        self._text = lead + len(serialize_header(Opcode.TEXT, lead + TEXT, masked=False))
        self._size = self._text + TEXT
        self._begun = dict.fromkeys(self._links, b"")
        self._poll = select.poll()
        for link in self._links.values():
            self._poll.register(link, select.POLLIN)
        self._buffer = bytearray(2**20)

    def _say(self, link: socket.socket) -> None:
        """Send a message that begins with the time and the letter of the node it is sent to."""
        text = f"{time.monotonic():0{STAMP}.9f}".encode() + self._letters[link.fileno()]
        frame = Frame(Opcode.TEXT, text.ljust(TEXT, b"x"), masking_key=KEY)
        link.sendall(serialize_frame(frame))

    def _told(self, seconds: float) -> Iterator[tuple[socket.socket, memoryview]]:
        """Yield each connection that has something, with its deliveries one behind the other."""
        for number, _ in self._poll.poll(max(0.0, seconds) * 1000):
            link, begun = self._links[number], self._begun[number]
            size = len(begun)
            self._buffer[:size] = begun
            got = link.recv_into(memoryview(self._buffer)[size:])
            if not got:
                raise PeerFailed("a node closed a connection")
            whole = (size + got) // self._size * self._size
            self._begun[number] = bytes(self._buffer[whole : size + got])
            if whole:
                yield link, memoryview(self._buffer)[:whole]

    def at_a_rate(
        self, speakers: Sequence[socket.socket], each: int, rate: float, seconds: float
    ) -> Trial:
        """Have the speakers take turns at a rate, whatever the nodes do; wait for every delivery.

        each: how many deliveries a message is worth.
        """
        trial, start, total = Trial(), time.monotonic(), round(rate * seconds)
        while trial.deliveries < total * each and time.monotonic() < start + seconds + PATIENCE:
            while trial.messages < total and time.monotonic() >= start + trial.messages / rate:
                self._say(speakers[trial.messages % len(speakers)])
                trial.messages += 1
            due = start + trial.messages / rate if trial.messages < total else math.inf
            for _, data in self._told(min(due - time.monotonic(), 1.0)):
                now = time.monotonic()
                for at in range(self._text, len(data), self._size):
                    trial.late.append((now - float(bytes(data[at : at + STAMP]))) * 1000)
                trial.deliveries += len(data) // self._size
        trial.seconds = time.monotonic() - start
        trial.missing = total * each - trial.deliveries
        return trial

    def at_full_speed(self, seconds: float) -> Trial:
        """Keep IN_FLIGHT messages of one room on their way; then wait for every delivery."""
        trial, start, members = Trial(), time.monotonic(), len(self._links)
        speakers, end = [each[0] for each in self._people], start + seconds
        while time.monotonic() < end + PATIENCE:
            under_way = trial.messages - trial.deliveries // members
            for _ in range(IN_FLIGHT - under_way if time.monotonic() < end else 0):
                self._say(speakers[trial.messages % len(speakers)])
                trial.messages += 1
            trial.missing = trial.messages * members - trial.deliveries
            if trial.missing == 0:
                break
            trial.deliveries += sum(len(data) // self._size for _, data in self._told(1.0))
        trial.seconds = time.monotonic() - start
        return trial

    def in_pairs(self, seconds: float) -> Trial:
        """Have each pair answer: who hears a message of the other node says the next one."""
        firsts = self._people[0]
        trial, start = Trial(messages=len(firsts)), time.monotonic()
        for link in firsts:
            self._say(link)
        end = start + seconds
        while trial.deliveries < 2 * trial.messages and time.monotonic() < end + PATIENCE:
            for link, data in self._told(1.0):
                trial.deliveries += len(data) // self._size
                for at in range(self._text + STAMP, len(data), self._size):
                    theirs = data[at : at + 1] != self._letters[link.fileno()]
                    if theirs and time.monotonic() < end:
                        self._say(link)
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
    peer: str = "refimpl",
    tell: Tell = silent,
) -> Report:
    """Measure two nodes on the store at url. members: of the room, on each node. peer: of PEERS.

    Raises PeerFailed.
    """
    prefix = f"refimpl-load-{secrets.token_hex(4)}:"
    program, lead = PEERS[peer]
    if peer != "refimpl" and not all(map(installed, (peer, "starlette", "uvicorn"))):
        raise PeerFailed(f"{peer} is not installed: pip install {peer} starlette uvicorn")
    async with AsyncExitStack() as stack:
        starting = [node_process(program, name, url, prefix) for name in NAMES]
        nodes = [await stack.enter_async_context(each) for each in starting]
        raise_file_limit()
        stack.enter_context(on_core(LAST))
        load = Load(peer, nodes, lead, seconds, tell)
        try:
            await asyncio.to_thread(load.room, members, rate)
            await asyncio.to_thread(load.pairs, pairs)
        except OSError as error:
            raise PeerFailed(f"{peer}: {error.strerror or error}") from error
    if peer != "refimpl":  # the limits are ours to keep
        load.report.rows = [replace(row, at_most=None, at_least=None) for row in load.report.rows]
    return load.report


class Load:
    """The load on two nodes, and what it has found."""

    def __init__(
        self, peer: str, nodes: Sequence[NodeProcess], lead: int, seconds: float, tell: Tell
    ) -> None:
        self.report = Report(f"two nodes of {peer} on one store", series_unit="milliseconds")
        self._nodes, self._lead, self._seconds, self._tell = nodes, lead, seconds, tell

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
            talk = Talk(people, self._lead)
            steady = partial(talk.at_a_rate, [each[0] for each in people], 2 * members, rate)
            steady(1.0)  # what a node does only once is not counted
            memory = max(resident_bytes(node.pid) for node in self._nodes) / MIB
            words = f"2 x {members:,} people talk, {rate:g} messages a second"
            calm = self._measure(0.2, words, partial(steady, self._seconds))
            full = self._measure(0.4, "at full speed", partial(talk.at_full_speed, self._seconds))
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
            talk = Talk(people, self._lead)
            words = f"{count:,} pairs talk, {PAIRS_RATE:g} messages a second"
            steady = partial(talk.at_a_rate, people[0], len(NAMES), PAIRS_RATE, self._seconds)
            calm = self._measure(0.6, words, steady)
            full = self._measure(0.8, "at full speed", partial(talk.in_pairs, self._seconds))
        p99, speed = quantile(calm.late, 0.99), full.messages / full.seconds
        self._note("pairs", calm.late, [
            Row("pairs: deliveries missing", calm.missing + full.missing, at_most=0),
            Row(f"pairs at {PAIRS_RATE:g}/s: p99", p99, "ms", at_most=9),
            Row("pairs at full speed: CPU of both nodes", full.message_cost, "us a message",
                at_most=90),
            Row("pairs at full speed", speed, "messages a second", at_least=8_000),
        ])  # fmt: skip
