"""The workloads, and a trial: one of them, measured once on one server.

>>> [workload.name for workload in WORKLOADS.values()]
['pp1', 'pp100', 'pipe', '64k', '1m', 'bcast', 'mem']
"""

import os
import threading
import time
from dataclasses import dataclass

from refimpl.bench.client import Client, Traffic, make_traffic
from refimpl.bench.machine import (
    LAST,
    cpu_seconds,
    kept_waiting,
    on_core,
    page_faults,
    resident_bytes,
)

__all__ = ["WORKLOADS", "Held", "Trial", "Workload", "hold", "run_trial"]

WARM_UP = 0.2  # share of a trial, before its clock starts
WARM_CONNECTIONS = 50  # so that one-time costs of a server are not in the cost of each
SETTLED = 2.0  # seconds for the memory of a server to come to rest


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of work. in_flight: messages in flight at once on each connection."""

    name: str
    words: str
    connections: int = 1
    in_flight: int = 1
    size: int = 125
    text: bool = True
    mode: str = "echo"

    def traffic(self, handshake: bool) -> Traffic:
        """Return what each connection sends, and expects."""
        return make_traffic(self.size, self.in_flight, text=self.text, handshake=handshake)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("pp1", "one connection, 32 B of text to and fro", size=32),
        Workload("pp100", "100 connections, 125 B of text on its way on each", 100),
        Workload("pipe", "10 connections, 64 messages of 64 B on their way on each", 10, 64, 64),
        Workload("64k", "64 KiB of binary to and fro", size=2**16, text=False),
        Workload("1m", "1 MiB of binary to and fro", size=2**20, text=False),
        Workload("bcast", "125 B of text to 1,000 clients, a delivery", 1000, mode="bcast"),
        Workload("mem", "idle connections and handshakes", mode="idle"),
    )
}


@dataclass(frozen=True, slots=True)
class Trial:
    """The cost of one trial, in seconds of CPU and of the clock.

    waited: how long either side was ready to run while another process had its core. page_faults:
    the server's.
    """

    messages: int
    seconds: float
    server_cpu: float
    client_cpu: float
    waited: float
    page_faults: float

    @property
    def cost(self) -> float:
        """Microseconds of the server's CPU for a message."""
        return self.server_cpu / self.messages * 1e6

    @property
    def faults(self) -> float:
        """Page faults of the server for a message."""
        return self.page_faults / self.messages

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def client(self) -> float:
        """The client's CPU divided by the server's: above 1, the client was the slower side."""
        return self.client_cpu / self.server_cpu

    @property
    def disturbed(self) -> float:
        """The share of the time that other processes took from either side."""
        return self.waited / self.seconds


@dataclass(frozen=True, slots=True)
class Held:
    """The cost of an idle connection: RSS in KiB; CPU in us and page faults of its handshake."""

    connections: int
    kib: float
    handshake: float
    faults: float


def run_trial(client: Client, pid: int, workload: Workload, seconds: float) -> Trial:
    """Return the cost of a workload for one server, measured for some seconds on open connections.

    pid: the server's process. Raises PeerFailed if a byte of an answer is wrong, before the clock
    starts or after it has stopped.
    """
    traffic = workload.traffic(client.handshake)
    check = client.check_broadcast if workload.mode == "bcast" else client.check_echo
    if workload.mode == "bcast":
        loop = client.broadcast
    else:
        loop = client.echo_one if workload.connections == 1 else client.echo_all
    with on_core(LAST):
        check(traffic)
        loop(traffic, time.perf_counter() + seconds * WARM_UP)
        before, start = readings(pid), time.perf_counter()
        messages = loop(traffic, start + seconds)
        end, after = time.perf_counter(), readings(pid)
        check(traffic)
    server, own, waited, faults = (late - early for late, early in zip(after, before, strict=True))
    return Trial(messages, end - start, server, own, waited, faults)


def readings(pid: int) -> tuple[float, float, float, float]:
    """Return the CPU of the server and of this thread, how long both waited, the page faults."""
    waited = kept_waiting(pid) + kept_waiting(os.getpid(), threading.get_native_id())
    return cpu_seconds(pid), time.thread_time(), waited, page_faults(pid)


def hold(client: Client, pid: int, sizes: tuple[int, ...]) -> list[Held]:
    """Return the cost of idle connections for one server, at each of the sizes, smallest first."""
    found = []
    with on_core(LAST):
        client.open(WARM_CONNECTIONS)
        base, before, faults = at_rest(pid), cpu_seconds(pid), page_faults(pid)
        for size in sorted(sizes):
            client.open(WARM_CONNECTIONS + size)
            spent, given = cpu_seconds(pid) - before, page_faults(pid) - faults
            kib = (at_rest(pid) - base) / size / 1024
            found.append(Held(size, kib, spent / size * 1e6, given / size))
        client.check_echo(WORKLOADS["pp1"].traffic(client.handshake))
    return found


def at_rest(pid: int) -> int:
    """Return the memory of a process once it no longer changes."""
    end, before = time.monotonic() + SETTLED, -1
    while (now := resident_bytes(pid)) != before and time.monotonic() < end:
        before = now
        time.sleep(0.05)
    return now
