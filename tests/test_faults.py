"""What a network and a machine do to one server and its clients, and what must then be seen.

The rows of the fault table that concern one server; each test is one row, with the time limits made
small. Presence, several nodes and rollout come with later chapters.
"""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from refimpl import ConnectionClosed, connect, serve
from refimpl.concurrency import Hub, Slow
from refimpl.lab.wire.chaos import chaos
from refimpl.lifecycle import WebSocket
from refimpl.lifecycle.server import ACCEPTS
from tests.support import wire

KEY = b"\x37\xfa\x21\x3d"


async def echo(websocket: WebSocket) -> None:
    async for message in websocket:
        await websocket.send(message)


def address(server) -> tuple[str, int]:  # type: ignore[no-untyped-def]
    return server.sockets[0].getsockname()[:2]  # type: ignore[no-any-return]


@contextmanager
def command(
    *arguments: str, files: int | None = None, log: IO[str] | int = subprocess.DEVNULL
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run `refimpl serve` in a process of its own; yield it and its port."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}));"
    program = f"{limit if files else 'pass;'} from refimpl.__main__ import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)/", process.stdout.readline())
        assert found is not None
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


class TestNetwork:
    async def test_black_hole_is_1006_within_interval_and_limit(self) -> None:
        seen: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def watch(websocket: WebSocket) -> None:
            await websocket.recv()
            start = loop.time()
            with pytest.raises(ConnectionClosed) as caught:
                await websocket.recv()
            await seen.put((caught.value.code, loop.time() - start))

        limits = {"ping_interval": 0.2, "ping_timeout": 0.2, "close_timeout": 0.1}
        async with serve(watch, "127.0.0.1", 0, allowed_hosts=["*"], **limits) as server:
            async with (
                chaos(*address(server)) as network,
                connect(network.uri, ping_interval=None, close_timeout=0.1) as websocket,
            ):
                await websocket.send("the last that arrives")
                await (await websocket.ping())
                network.black_hole()
                code, after = await seen.get()
        assert code == 1006
        assert after < 5  # 0.4 s, and room for a busy machine

    @pytest.mark.parametrize("limit", [100, 1500, 2700])
    async def test_reset_inside_a_message_delivers_nothing_partial(self, limit: int) -> None:
        heard: list[str | bytes] = []
        over = asyncio.Event()

        async def watch(websocket: WebSocket) -> None:
            try:
                while True:
                    heard.append(await websocket.recv())
            except ConnectionClosed as error:
                assert error.code == 1006
                over.set()

        async with serve(watch, "127.0.0.1", 0, allowed_hosts=["*"]) as server:
            async with chaos(*address(server)) as network:
                with pytest.raises(ConnectionClosed):
                    async with connect(network.uri) as websocket:
                        network.faults.limit = limit + 250  # the request has some 200 bytes
                        await websocket.send(b"x" * 3000)
                        await websocket.recv()
                await over.wait()
        assert heard == []

    async def test_one_byte_at_a_time_changes_nothing(self) -> None:
        messages = ["", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", b"\0" * 200, "x" * 70_000]
        async with (
            serve(echo, "127.0.0.1", 0, compression="deflate") as server,
            chaos(*address(server), slices=(1, 1)) as network,
            connect(network.uri, compression="deflate") as websocket,
        ):
            for message in messages:
                await websocket.send(message)
            assert [await websocket.recv() for _ in messages] == messages

    async def test_slow_reader_in_a_busy_room_is_bounded_then_1013(self) -> None:
        hub = Hub(slow=Slow.QUEUE, limit=256 * 1024)
        most, both = 0, asyncio.Event()

        async def room(websocket: WebSocket) -> None:
            with hub.member(websocket):
                if len(hub) == 2:
                    both.set()
                async for _ in websocket:
                    pass

        async with serve(room, "127.0.0.1", 0, close_timeout=0.2, allowed_hosts=["*"]) as server:
            # It never reads, which is the slowest there is; a small window keeps the kernel small.
            idle = socket.create_connection(address(server))
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.sendall(wire.request_head())
            async with connect("ws://{}:{}".format(*address(server))) as lively:
                await both.wait()
                for _ in range(20_000):
                    hub.publish(b"x" * 4096)
                    assert await lively.recv() == b"x" * 4096
                    most = max(most, *(each.buffered_amount for each in server.connections))
                    if hub.counts["closed"]:
                        break
            idle.close()
        assert most <= 2**20
        assert hub.counts["closed"] == 1

    @pytest.mark.parametrize("last", [8, None], ids=["closes", "ignores"])
    async def test_peer_that_dribbles_is_gone_at_the_deadline(self, last: int | None) -> None:
        closed = asyncio.Event()

        async def leave(websocket: WebSocket) -> None:
            await websocket.close()
            closed.set()

        async with serve(leave, "127.0.0.1", 0, close_timeout=0.3, allowed_hosts=["*"]) as server:
            reader, writer = await asyncio.open_connection(*address(server))
            writer.write(wire.request_head())
            await reader.readuntil(b"\r\n\r\n")
            if last is not None:
                writer.write(wire.close(1000, key=KEY))

            async def dribble() -> None:
                while True:
                    writer.write(wire.frame(9, b"", key=KEY))
                    await asyncio.sleep(0.02)

            chatter = asyncio.create_task(dribble())
            async with asyncio.timeout(5):
                await closed.wait()
            chatter.cancel()
            writer.transport.abort()


class Heartbeats(threading.Thread):
    """Clients with a loop of their own, which answer pings while ours is blocked."""

    def __init__(self, uri: str, number: int) -> None:
        super().__init__(daemon=True)
        self.uri, self.number = uri, number
        self.connected, self.stop = threading.Event(), threading.Event()
        self.codes: list[int | None] = []

    def run(self) -> None:
        asyncio.run(self.main())

    async def main(self) -> None:
        connections = [await connect(self.uri, ping_interval=None) for _ in range(self.number)]
        self.connected.set()
        await asyncio.to_thread(self.stop.wait)
        self.codes = [each.close_code for each in connections]
        for each in connections:
            await each.close()


class TestMachine:
    async def test_blocked_event_loop_evicts_nobody(self) -> None:
        limits = {"ping_interval": 0.1, "ping_timeout": 0.1}
        async with serve(echo, "127.0.0.1", 0, **limits) as server:
            clients = Heartbeats("ws://{}:{}".format(*address(server)), 20)
            clients.start()
            await asyncio.to_thread(clients.connected.wait)
            for _ in range(3):
                await asyncio.sleep(0.15)  # pings are on their way
                time.sleep(0.5)  # noqa: ASYNC251 - the fault
            await asyncio.sleep(0.3)
            assert len(server.connections) == 20
            clients.stop.set()
            await asyncio.to_thread(clients.join)
        assert clients.codes == [None] * 20

    @pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX systems")
    async def test_sigterm_says_goodbye_to_all_and_exits(self) -> None:
        with command("--close-timeout", "5") as (process, port):
            clients = [await connect(f"ws://127.0.0.1:{port}") for _ in range(200)]
            process.send_signal(signal.SIGTERM)
            for client in clients:
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
                assert caught.value.code == 1001
            await asyncio.gather(*(client.wait_closed() for client in clients))
            assert await asyncio.to_thread(process.wait, 30) == 0

    @pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX systems")
    async def test_no_descriptors_left_pauses_accepting_and_recovers(self, tmp_path: Path) -> None:
        """22: asyncio says so `backlog` times in each try, 1 MB of log a second."""
        began = time.monotonic()
        with (tmp_path / "log").open("w+") as log, command(files=40, log=log) as (_, port):
            links = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
            for link in links:
                link.close()
            async with asyncio.timeout(20), connect(f"ws://127.0.0.1:{port}") as client:
                await client.send("still there?")
                assert await client.recv() == "still there?"
            log.seek(0)
            records = log.read().count("Too many open files")
        tries = time.monotonic() - began + 1  # asyncio tries again after a second
        assert 0 < records <= ACCEPTS * tries
