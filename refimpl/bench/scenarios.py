"""Four loads with limits to keep: idle connections, a room, churn, and one slow reader.

Each starts a server in its own process, reports its progress, and returns a Report. Sizes and
durations are arguments, so that the same load serves as a check of seconds and a soak of minutes.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from refimpl.bench.report import Report, Row, quantile
from refimpl.bench.server_process import ROOM_LIMIT, Health, ServerProcess, server_process
from refimpl.handshake import build_request, make_key, parse_uri
from refimpl.lifecycle.client import ClientConnection, connect

__all__ = ["churn", "idle", "room", "slow_reader"]

Tell = Callable[[float, str], None]
AT_ONCE = 50  # handshakes in flight
KIB = 1024


def silent(share: float, words: str) -> None:
    """Report no progress: the default."""


@asynccontextmanager
async def open_connections(
    uri: str, size: int, tell: Tell
) -> AsyncIterator[list[ClientConnection]]:
    """Open size connections, and close them all at the end of the block."""
    gate, opened = asyncio.Semaphore(AT_ONCE), []

    async def open_one() -> None:
        async with gate:
            opened.append(await connect(uri, ping_interval=None, max_queue=None, open_timeout=60))
            if len(opened) % 100 == 0:
                tell(len(opened) / size, f"{len(opened)} of {size} connections open")

    async with asyncio.TaskGroup() as group:
        for _ in range(size):
            group.create_task(open_one())
    try:
        yield opened
    finally:
        async with asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(connection.close())


async def watch(on: ServerProcess, seconds: float, tell: Tell) -> list[tuple[float, int]]:
    """Let seconds pass; return (elapsed, RSS) of the server, about sixty times."""
    loop, seen = asyncio.get_running_loop(), []
    start, step = loop.time(), max(0.25, seconds / 60)
    while (elapsed := loop.time() - start) < seconds:
        tell(elapsed / seconds, f"{elapsed:.0f} of {seconds:.0f} s")
        seen.append((elapsed, (await on.health()).rss))
        await asyncio.sleep(min(step, seconds - elapsed))
    return seen


async def settle(on: ServerProcess, done: Callable[[Health], bool], limit: float = 30) -> Health:
    """Return the server's health once done(health) holds, or after limit seconds."""
    end = asyncio.get_running_loop().time() + limit
    while True:
        health = await on.health()
        if done(health) or asyncio.get_running_loop().time() > end:
            return health
        await asyncio.sleep(0.1)


async def idle(connections: int = 8000, seconds: float = 300, tell: Tell = silent) -> Report:
    """Hold idle connections with heartbeats: none may drop, each may cost 6 KiB."""
    report = Report(f"{connections:,} idle connections for {seconds:g} s", series_unit="KiB")
    async with server_process("idle", ping_interval=20) as on:
        async with open_connections(on.uri, 50, silent):
            pass  # fills caches and pools before the base is measured
        base = await settle(on, lambda health: health.connections == 0)
        start = time.monotonic()
        async with open_connections(on.uri, connections, tell) as opened:
            rate = connections / (time.monotonic() - start)
            first = await on.health()
            seen = await watch(on, seconds, tell)
            last = await on.health()
            dropped = sum(each.close_code is not None for each in opened)
    each = [(elapsed, (rss - base.rss) / connections / KIB) for elapsed, rss in seen]
    report.series = {"RSS per connection": each}
    cpu = 100 * (last.cpu - first.cpu) / seconds
    report.rows = [
        Row("connections dropped", dropped + connections - last.connections, at_most=0),
        Row("RSS per connection", (last.rss - base.rss) / connections / KIB, "KiB", at_most=6),
        Row("handshakes", rate, "a second"),
        Row("CPU of the server, heartbeats only", cpu, "% of a core"),
    ]
    return report


async def listen(connection: ClientConnection, first: int, late: list[float]) -> int:
    """Note how late each message is, in ms, until the last; return how many came out of order."""
    expected, wrong = first, 0
    async for message in connection:
        number, sent, _ = json.loads(message)
        if number < 0:
            break
        late.append((time.monotonic() - sent) * 1000)
        wrong += number != expected
        expected = number + 1
    return wrong


async def speak(
    connection: ClientConnection, rate: float, seconds: float, padding: int, tell: Tell
) -> int:
    """Send numbered messages at a rate, at times fixed in advance; return how many."""
    loop, total, ballast = asyncio.get_running_loop(), round(rate * seconds), "x" * padding
    start = loop.time()
    for number in range(total):
        await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
        # When it is due, not when it is sent: a sender that is held up would hide the wait.
        planned = time.monotonic() - (loop.time() - start - number / rate)
        await connection.send(json.dumps([number, planned, ballast]))
        if number % max(1, round(rate)) == 0:
            tell(number / total, f"{number} of {total} messages said")
    await connection.send(json.dumps([-1, 0, ""]))
    return total


async def talk(
    on: ServerProcess, members: int, rate: float, seconds: float, tell: Tell, padding: int = 0
) -> tuple[list[float], int, int]:
    """Run a room; return how late the deliveries were, how many were wrong, how many expected."""
    late: list[float] = []
    async with open_connections(on.uri, members, tell) as opened, asyncio.TaskGroup() as group:
        ears = [group.create_task(listen(each, 0, late)) for each in opened]
        total = await speak(opened[0], rate, seconds, padding, tell)
        wrong = sum([await ear for ear in ears])
    return late, wrong, total * members


async def room(
    members: int = 2000, rate: float = 10, seconds: float = 30, tell: Tell = silent
) -> Report:
    """Send messages to a room: every member gets all of them, in order, p99 within 250 ms."""
    report = Report(f"a room of {members:,} at {rate:g} messages/s for {seconds:g} s")
    async with server_process("room") as on:
        late, wrong, expected = await talk(on, members, rate, seconds, tell)
        health = await on.health()
    report.series_unit = "milliseconds"
    report.series = {"late": [(share, quantile(late, share / 100)) for share in range(1, 101)]}
    report.rows = [
        Row("deliveries missing", expected - len(late), at_most=0),
        Row("deliveries out of order", wrong, at_most=0),
        Row("p50", quantile(late, 0.5), "ms"),
        Row("p99", quantile(late, 0.99), "ms", at_most=250),
        Row("deliveries", len(late) / seconds, "a second"),
        Row("CPU of the server", health.cpu / len(late) * 1e6 if late else 0, "us a delivery"),
    ]
    return report


async def visit(uri: str) -> None:
    """Connect, get one echo, and leave."""
    async with connect(uri, ping_interval=None) as connection:
        await connection.send("hello")
        await connection.recv()


async def churn(rate: float = 50, seconds: float = 600, tell: Tell = silent) -> Report:
    """Connect, get one echo and leave, rate times a second: nothing may be left behind."""
    report = Report(f"{rate:g} connects and disconnects a second for {seconds:g} s")
    loop, visits = asyncio.get_running_loop(), round(rate * seconds)
    async with server_process("echo") as on:
        for _ in range(100):
            await visit(on.uri)
        base = await settle(on, lambda health: health.connections == 0)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch(on, seconds, tell))
            start = loop.time()
            for number in range(visits):
                await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
                group.create_task(visit(on.uri))
        last = await settle(on, lambda health: health.connections == 0)
    memory = [(elapsed, rss / KIB / KIB) for elapsed, rss in watching.result()]
    report.series, report.series_unit = {"RSS": memory}, "MiB"
    report.rows = [
        Row("visits", visits),
        Row("tasks left behind", abs(last.tasks - base.tasks), at_most=2),
        Row("open files left behind", abs(last.files - base.files), at_most=2),
        Row("RSS gained in the second half", last_half(memory), "MiB", at_most=1),
    ]
    return report


def last_half(points: list[tuple[float, float]]) -> float:
    """Return how much a series has grown from its middle to its end."""
    return points[-1][1] - points[len(points) // 2][1]


async def slow_reader(
    members: int = 200, rate: float = 50, seconds: float = 20, tell: Tell = silent
) -> Report:
    """Add a reader of 64 KiB/s to a busy room of large messages: only that one may suffer."""
    report = Report(f"a reader of 64 KiB/s in a room of {members} at {rate:g} messages/s")
    report.series_unit = "milliseconds"
    for name in ("without", "with"):
        async with AsyncExitStack() as stack:
            on = await stack.enter_async_context(server_process("room"))
            if name == "with":
                reader = asyncio.create_task(read_slowly(on.port))
                stack.callback(reader.cancel)
                await settle(on, lambda health: health.connections == 1)
            late, wrong, expected = await talk(on, members, rate, seconds, tell, padding=8 * KIB)
            health = await on.health()
        p99 = quantile(late, 0.99)
        report.rows += [
            Row(f"p99 of the others, {name} it", p99, "ms"),
            Row(f"deliveries missing, {name} it", expected - len(late) + wrong, at_most=0),
        ]
        report.series[name] = [(share, quantile(late, share / 100)) for share in range(1, 101)]
    calm, busy = report.rows[0].value, report.rows[2].value
    report.rows += [
        Row("p99 with it, times p99 without", busy / calm if calm else 0, at_most=2),
        Row("most that waited for it", health.waiting / KIB, "KiB", at_most=ROOM_LIMIT / KIB + 64),
        Row("slow readers closed with 1013", health.closed_slow),
    ]
    return report


async def read_slowly(port: int, rate: int = 64 * KIB) -> None:
    """Join the room and read at a rate, in bytes a second, until cancelled."""
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KIB)  # the kernel must not read ahead
    link.setblocking(False)
    await asyncio.get_running_loop().sock_connect(link, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=link, limit=4 * KIB)
    request = build_request(parse_uri(f"ws://127.0.0.1:{port}"), key=make_key())
    try:
        writer.write(request.serialize())
        more = b"more"
        while more:
            more = await reader.read(rate // 20)
            await asyncio.sleep(1 / 20)
    finally:
        writer.close()
