"""Servers side by side: the same work for each, in turn; one core for them, one for the client.

`bench` starts every server in a process of its own, gives each workload to all of them in turn, and
returns a Record. The figure that counts is the server's CPU time for a message: it says what a
server needs. The rate also depends on the client, on the kernel's scheduler and on other servers.

    record = await bench(["websockets", "raw"], ["pp1"], rounds=3, seconds=0.5)
    record.ratio("pp1", "websockets").median
"""

import asyncio
import json
import re
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from refimpl.bench.allocator import REFERENCE, REGIMES, environment
from refimpl.bench.client import Client, PeerFailed
from refimpl.bench.machine import FIRST, describe_machine, on_core, raise_file_limit
from refimpl.bench.peers import Peer, find_peers
from refimpl.bench.record import HANDSHAKE, MEMORY, Record, Sample
from refimpl.bench.workloads import (
    WARM_CONNECTIONS,
    WORKLOADS,
    Workload,
    hold,
    run_trial,
)

__all__ = ["bench", "run_peer"]

Tell = Callable[[float, str], None]
START_LIMIT = 30  # seconds for a server to print its port
NO_WORD = re.compile(r"\W+")  # a name may hold a path
SPARE_FILES = 100  # files that a process has open besides its connections


class PeerServer(NamedTuple):
    """A server that listens."""

    peer: Peer
    pid: int
    port: int
    version: str


def silent(share: float, words: str) -> None:
    """Report no progress: the default."""


@asynccontextmanager
async def run_peer(
    peer: Peer, mode: str, folder: Path, regime: str = REFERENCE
) -> AsyncIterator[PeerServer]:
    """Run a server on the first core for the block. folder: for what it builds, and its stderr.

    regime: of its allocator. Raises PeerFailed if it does not start.
    """
    command = await asyncio.to_thread(peer.command, mode, folder)
    errors_file = folder / f"{re.sub(NO_WORD, '-', peer.name)[-99:]}.err"
    with errors_file.open("wb") as errors, on_core(FIRST):
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=errors, env=environment(regime)
        )
    try:
        port, version = await read_hello(peer, process, errors_file)
        yield PeerServer(peer, process.pid, port, version)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def read_hello(peer: Peer, process: Process, errors_file: Path) -> tuple[int, str]:
    """Return the port and the version from a server's first line."""
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_LIMIT)
        hello = json.loads(line)
        return int(hello["port"]), str(hello["version"])
    except (TimeoutError, ValueError, LookupError, TypeError) as error:
        last = last_line(errors_file) or "it said nothing"
        raise PeerFailed(f"{peer.name}: the server did not start: {last[:200]}") from error


def last_line(path: Path) -> str:
    """Return the last line of a file that is not empty."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


async def bench(
    peers: Sequence[str | Peer],
    workloads: Sequence[str] = tuple(WORKLOADS),
    *,
    rounds: int = 3,
    seconds: float = 0.5,
    sizes: tuple[int, ...] = (1000, 10_000),
    regimes: Sequence[str] = (REFERENCE,),
    tell: Tell = silent,
) -> Record:
    """Give each workload to each server, in rounds, and return the costs.

    peers: by name, or as Peer for a server of your own; `refimpl` is always added to those by name.
    seconds: of each measurement. sizes: numbers of idle connections for `mem`. regimes: of the
    servers' allocator, one after the other. Peers that are not installed are left out and named in
    the record. Raises PeerFailed for a server that fails, LookupError for an unknown name, or if no
    peer is installed.
    """
    check_known("workload", workloads, WORKLOADS)
    check_known("regime", regimes, REGIMES)
    names = [each for each in peers if isinstance(each, str)]
    found, missing = find_peers(names) if names else ([], {})
    if names and all(name in missing for name in names):
        raise LookupError("; ".join(f"{name} is missing: {missing[name]}" for name in names))
    record = Record(rounds, seconds, datetime.now(UTC).isoformat(timespec="seconds"))
    record.machine, record.missing = describe_machine(), missing
    found += [each for each in peers if isinstance(each, Peer)]
    with tempfile.TemporaryDirectory(prefix="refimpl-bench-") as folder:
        run = Run(found, record, Path(folder), tell, len(workloads) * len(regimes))
        for name in dict.fromkeys(workloads):
            for regime in dict.fromkeys(regimes):
                if name == "mem":
                    await run.hold_crowds(sizes, regime)
                else:
                    await run.exchange(WORKLOADS[name], regime)
    tell(1, "done")
    return record


def check_known(kind: str, names: Sequence[str], known: Collection[str]) -> None:
    """Raise LookupError for a name that is not known."""
    for name in names:
        if name not in known:
            raise LookupError(f"got {kind} {name!r}, expected one of {', '.join(known)}")


class Run:
    """One run of the bench: its servers, and the record of its results."""

    def __init__(
        self, peers: list[Peer], record: Record, folder: Path, tell: Tell, parts: int
    ) -> None:
        self.peers = peers
        self.record = record
        self.folder = folder
        self._tell = tell
        self._parts = parts
        self._done = 0.0  # parts

    def tell(self, words: str, step: float = 0) -> None:
        """Report what comes next. step: the share of a part (a workload in a regime) done since."""
        self._tell(self._done / self._parts, words)
        self._done += step

    async def exchange(self, workload: Workload, regime: str) -> None:
        """Measure a workload: all servers up, all connections open, then round after round."""
        limit = (raise_file_limit() - SPARE_FILES) // len(self.peers)
        if workload.connections > limit:
            self.note(f"{workload.name}: {limit} connections, for the limit of open files")
        async with AsyncExitStack() as stack:
            ready = []
            for peer in self.peers:
                self.tell(f"{workload.name}: starting {peer.name}")
                server = await stack.enter_async_context(
                    run_peer(peer, workload.mode, self.folder, regime)
                )
                self.record.versions[peer.name] = server.version
                client = Client(peer.name, server.port, handshake=peer.handshake)
                stack.callback(client.close)
                count = min(workload.connections, limit)
                await asyncio.to_thread(client.open, count, joined=workload.mode == "bcast")
                ready.append((server, client))
            step = 1 / (self.record.rounds * len(ready))
            for number in range(self.record.rounds):
                turn = number % len(ready)  # no server is always first
                for server, client in ready[turn:] + ready[:turn]:
                    self.tell(f"{workload.name}: round {number + 1}, {server.peer.name}", step)
                    trial = await asyncio.to_thread(  # the client blocks
                        run_trial, client, server.pid, workload, self.record.seconds
                    )
                    sample = Sample(
                        trial.cost, trial.rate, trial.client, trial.disturbed, trial.faults
                    )
                    self.record.add(workload.name, server.peer.name, sample, regime)

    async def hold_crowds(self, sizes: tuple[int, ...], regime: str) -> None:
        """Measure idle connections, with a new server each time, since memory is not given back."""
        most = raise_file_limit() - SPARE_FILES - WARM_CONNECTIONS
        if max(sizes) > most:
            self.note(f"mem: {most} connections at most, for the limit of open files")
        sizes = tuple(sorted({min(size, most) for size in sizes}))
        rounds = -(-self.record.rounds // 3)  # memory hardly varies, and opening takes long
        for number in range(rounds):
            for peer in self.peers:
                self.tell(f"mem: round {number + 1}, {peer.name}", 1 / (rounds * len(self.peers)))
                await self.hold_crowd(peer, sizes, regime)

    async def hold_crowd(self, peer: Peer, sizes: tuple[int, ...], regime: str) -> None:
        """Measure the idle connections of one server."""
        async with run_peer(peer, "idle", self.folder, regime) as server:
            client = Client(peer.name, server.port, handshake=peer.handshake)
            try:
                found = await asyncio.to_thread(hold, client, server.pid, sizes)
            finally:
                client.close()
        self.record.versions[peer.name] = server.version
        for held in found:
            metric = f"{MEMORY} {held.connections:,}"
            self.record.add(metric, peer.name, Sample(held.kib), regime)
            if peer.handshake:
                metric = f"{HANDSHAKE} {held.connections:,}"
                sample = Sample(held.handshake, faults=held.faults)
                self.record.add(metric, peer.name, sample, regime)

    def note(self, words: str) -> None:
        """Add a remark to the record, once."""
        if words not in self.record.notes:
            self.record.notes.append(words)
