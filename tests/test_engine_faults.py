"""Clients and applications that would take the engine, and with it the server, down.

Row by row the faults that the parts below have in common with our own server: there they are tested
in tests/test_lifecycle_*.py, here once more for the way through ASGI.
"""

from __future__ import annotations

import asyncio
import errno
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from refimpl.lifecycle.memory import MemoryTransport
from refimpl.middleware.engine.protocol import Disconnected
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.engine_pair import Client, asked, new_client, opened, text, until
from tests.support.rawpeer import client_close, client_frame

KIB = 1024
MIB = 1024 * KIB
DEFLATE = [("Sec-WebSocket-Extensions", "permessage-deflate")]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    try:
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
    except Disconnected:
        pass


def servers_end(client: Client) -> MemoryTransport:
    """Return the transport that the engine has."""
    return client.transport._peer


async def give_way(client: Client) -> None:
    """Cut what is left of a client, and let everybody end."""
    client.transport.resume_reading()
    client.transport.abort()
    await settle()


class Turns:
    """Counts the turns of the loop that another task gets."""

    def __init__(self) -> None:
        self.count = 0
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.count += 1

    async def stop(self) -> int:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return self.count


class TestSendingWithoutEnd:
    """Row 1: a coroutine that ends without giving way, in a loop that only the end would stop."""

    @pytest.mark.parametrize("end", ["abort", "close"])
    def test_on_a_closing_transport_send_raises(self, end: str) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                getattr(servers_end(client), end)()
                with pytest.raises(Disconnected):
                    for _ in range(10_000):
                        await script.send(text("x"))

        run()

    @virtual_time
    async def test_to_a_client_that_takes_all_at_once_others_have_their_turn(self) -> None:
        async with opened() as (script, client):
            servers_end(client).write = lambda data: None  # type: ignore[method-assign]
            turns = Turns()
            await asyncio.sleep(0)
            for _ in range(10_000):
                await script.send(text("x"))
            assert await turns.stop() > 50


class TestReceivingWithoutEnd:
    """Row 17: one client's messages, so many that nobody else has a turn."""

    @pytest.mark.parametrize("reads", [1, 64])
    def test_an_echo_of_tiny_messages_lets_others_run(self, reads: int) -> None:
        many = 64 * KIB

        @virtual_time
        async def run() -> None:
            client = new_client(echo)
            await client.send(wire.request_head())
            client.take()
            turns = Turns()
            for _ in range(reads):
                client.transport.write(client_frame(wire.TEXT, b"x") * (many // reads))
            await until(lambda: len(client.received) == 3 * many)
            assert await turns.stop() > many / 256
            await give_way(client)

        run()

    @virtual_time
    async def test_nor_does_an_application_that_only_receives_hold_them_up(self) -> None:
        async with opened() as (script, client):
            await client.send(client_frame(wire.TEXT, b"x") * 10_000)
            turns = Turns()
            await asyncio.sleep(0)
            for _ in range(10_000):
                await script.receive()
            assert await turns.stop() > 10_000 / 256


@contextmanager
def at_most(limit: int) -> Iterator[None]:
    """Fail where more memory than that was taken at some time."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, f"took {peak / MIB:.1f} MiB"


def bomb(count: int, size: int = 64 * KIB) -> bytes:
    """Return compressed messages of zeros, a thousand times larger than they look."""
    deflate = zlib.compressobj(wbits=-15)
    payload = deflate.compress(bytes(size)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return wire.frame(wire.BINARY, payload[:-4], rsv=4, key=wire.KEY) * count


class TestMemory:
    """Row 2: limits that hold in one state of the connection only."""

    @pytest.mark.parametrize(
        "how",
        [
            "closed",
            "returned",
            "reading nothing",
        ],
    )
    def test_compressed_messages_wait_compressed(self, how: str) -> None:
        bombs = bomb(1000)

        @virtual_time
        async def run() -> None:
            async with opened(add=DEFLATE, ws_max_size=MIB) as (script, client):
                if how == "closed":
                    await script.close()
                elif how == "returned":
                    await script.finish()
                with at_most(4 * MIB):
                    await client.send(bombs)
                await give_way(client)

        run()

    @virtual_time
    async def test_what_comes_before_the_101_is_not_kept_without_end(self) -> None:
        async with asked() as (script, client):
            await script.receive()
            early = client_frame(wire.BINARY, bytes(16 * KIB))
            with at_most(MIB):
                for _ in range(100):
                    await client.send(early)
            assert client.take().startswith(b"HTTP/1.1 400 ")
            await give_way(client)


class TestSystemCallsThatFail:
    """Row 18: a peer's reset between our write and our end of stream is no error of ours."""

    @virtual_time
    async def test_the_next_connections_are_shut_down_too(self) -> None:
        async with asked() as (script, client):
            await script.receive()

            def write_eof() -> None:
                raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

            servers_end(client).write_eof = write_eof  # type: ignore[method-assign]
            client.engine.shutdown()
            await settle()
            assert client.take().startswith(b"HTTP/1.1 503 ")
            await asyncio.sleep(11)
            assert not client.state.connections

    @virtual_time
    async def test_nothing_is_said_of_a_reset_behind_the_clients_close(self) -> None:
        async with opened() as (script, client):

            def write_eof() -> None:
                raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

            servers_end(client).write_eof = write_eof  # type: ignore[method-assign]
            await client.send(client_close(1000))
            assert (await script.receive())["code"] == 1000
            assert client.frames() == [(wire.CLOSE, b"\x03\xe8")]
            await script.finish()


HEARTBEAT = {"ws_ping_interval": 5.0, "ws_ping_timeout": 5.0}


class TestHeartbeat:
    """Row 19: that we do not read a client is no sign that it lives."""

    @virtual_time
    async def test_who_floods_never_reads_and_falls_silent_is_dead(self) -> None:
        client = new_client(echo, **HEARTBEAT)
        await client.send(wire.request_head())
        client.transport.pause_reading()
        await client.send(client_frame(wire.BINARY, bytes(8 * KIB)) * 200)
        await asyncio.sleep(60)
        gone = not client.state.connections
        await give_way(client)
        assert gone

    @virtual_time
    async def test_who_closed_tcp_under_an_application_that_does_not_read(self) -> None:
        async with opened(**HEARTBEAT, ws_max_queue=4) as (_, client):
            for _ in range(20):
                await client.send(client_frame(wire.BINARY, bytes(KIB)))
            client.transport.close()
            await asyncio.sleep(60)
            gone = not client.state.connections
            await give_way(client)
            assert gone
