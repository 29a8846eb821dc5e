"""What only real sockets show: resets, leaks, many connections at once."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from refimpl import Server, ServerConnection, connect, serve
from tests.support import wire

LOCAL = "127.0.0.1"


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


class TestNoReset:
    """Closing a socket with unread bytes resets it, and the peer never reads our last words."""

    @pytest.mark.parametrize(
        ("mistake", "code"),
        [
            (wire.frame(wire.TEXT, b"not masked"), 1002),
            (wire.frame(wire.TEXT, b"\xff", key=wire.KEY), 1007),
            (wire.frame(wire.BINARY, length=2**20 + 1, key=wire.KEY), 1009),
        ],
        ids=["1002", "1007", "1009"],
    )
    async def test_7_1_7_a_peer_that_goes_on_sending_reads_why(
        self, mistake: bytes, code: int
    ) -> None:
        async with serve(echo, LOCAL, 0, allowed_hosts=["*"]) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(LOCAL, port)
            writer.write(wire.request_head())
            await reader.readuntil(b"\r\n\r\n")
            writer.write(mistake)
            for _ in range(200):
                writer.write(bytes(10_000))
                await writer.drain()
            answer = await reader.read()
            assert answer[2:4] == code.to_bytes(2, "big")
            writer.close()
            await writer.wait_closed()

    async def test_a_clean_close_under_fire(self) -> None:
        async with serve(echo, LOCAL, 0, allowed_hosts=["*"]) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(LOCAL, port)
            writer.write(wire.request_head())
            await reader.readuntil(b"\r\n\r\n")
            writer.write(wire.close(1000, key=wire.KEY) + bytes(2_000_000))  # illegal, and unread
            await writer.drain()
            assert await reader.read() == wire.close(1000)
            writer.close()
            await writer.wait_closed()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def quiet(server: Server) -> None:
    """Wait until a server has no connection and no handler left."""
    while server._accepted or server._tasks:  # noqa: ASYNC110 - at the server's own pace
        await asyncio.sleep(0)


class TestNothingIsLeftBehind:
    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts in /proc")
    async def test_tasks_and_descriptors_are_back_to_the_base(self) -> None:
        async with serve(echo, LOCAL, 0, allowed_hosts=["*"]) as server:
            uri = f"ws://{LOCAL}:{server.sockets[0].getsockname()[1]}"
            async with connect(uri) as first:  # what is loaded once is loaded now
                await first.send("warm")
                await first.recv()
            await quiet(server)
            base = descriptors(), len(asyncio.all_tasks())
            for number in range(200):
                client = await connect(uri)
                await client.send("hello")
                await client.recv()
                if number % 4 == 0:
                    client.transport.abort()
                    await client.wait_closed()
                else:
                    await client.close()
            await quiet(server)
            assert (descriptors(), len(asyncio.all_tasks())) == base

    async def test_a_closed_connection_is_garbage(self) -> None:
        import gc
        import weakref

        async with serve(echo, LOCAL, 0, allowed_hosts=["*"]) as server:
            uri = f"ws://{LOCAL}:{server.sockets[0].getsockname()[1]}"
            client = await connect(uri)
            await client.send("hello")
            await client.recv()
            [connection] = server.connections
            ours, theirs = weakref.ref(client), weakref.ref(connection)
            await client.close()
            await connection.wait_closed()
            await quiet(server)
            del client, connection
            await asyncio.sleep(0)
            gc.collect()
            assert (ours(), theirs()) == (None, None)


class TestMany:
    async def test_two_hundred_at_once_each_get_their_own_answers(self) -> None:
        async def converse(number: int) -> list[str | bytes]:
            async with connect(uri) as client:
                for message in range(5):
                    await client.send(f"{number}-{message}")
                return [await client.recv() for _ in range(5)]

        async with serve(echo, LOCAL, 0, allowed_hosts=["*"], backlog=200) as server:
            uri = f"ws://{LOCAL}:{server.sockets[0].getsockname()[1]}"
            answers = await asyncio.gather(*(converse(number) for number in range(200)))
        assert answers == [[f"{number}-{message}" for message in range(5)] for number in range(200)]

    @pytest.mark.skipif(sys.platform == "win32", reason="ports are reused differently there")
    async def test_two_servers_share_a_port(self) -> None:
        async with serve(echo, LOCAL, 0, reuse_port=True) as one:
            port = one.sockets[0].getsockname()[1]
            async with serve(echo, LOCAL, port, reuse_port=True):
                async with connect(f"ws://{LOCAL}:{port}") as client:
                    await client.send("hello")
                    assert await client.recv() == "hello"
