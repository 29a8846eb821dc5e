"""The transport in memory keeps asyncio's contract: each claim is checked on TCP as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from refimpl import memory_pipe
from refimpl.lifecycle import Settings
from refimpl.lifecycle.memory import join
from tests.support.clockwork import settle, virtual_time
from tests.support.rawpeer import PLAIN


class Recorder(asyncio.Protocol):
    """A protocol that writes down which callbacks came, in order, and lets a test wait for one."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.calls: list[str] = []
        self.data = b""
        self.keep_open = False
        self._changed = asyncio.Event()

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def saw(self, call: str) -> None:
        await self.until(lambda: call in self.calls)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._note("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.calls[-1] != "data":
            self.calls.append("data")
        self._changed.set()

    def eof_received(self) -> bool:
        self._note("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self._note("pause")

    def resume_writing(self) -> None:
        self._note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self._note(f"lost {type(exc).__name__}")


class Buffered(asyncio.BufferedProtocol):
    """A protocol that offers five bytes at a time, and uses them again."""

    def __init__(self) -> None:
        self.memory = bytearray(5)
        self.data = b""
        self.whole = asyncio.Event()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.memory

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.memory[:nbytes]
        if self.data.endswith(b"."):
            self.whole.set()


Pair = tuple[Recorder, Recorder]


@asynccontextmanager
async def in_memory() -> AsyncIterator[Pair]:
    one, two = Recorder(), Recorder()
    join(one, two)
    yield one, two


@asynccontextmanager
async def over_tcp() -> AsyncIterator[Pair]:
    one, two = Recorder(), Recorder()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: two, "127.0.0.1", 0)
    await loop.create_connection(lambda: one, *server.sockets[0].getsockname())
    await two.saw("made")
    server.close()
    yield one, two


both = pytest.mark.parametrize("joined", [in_memory, over_tcp])
Joined = Callable[[], AbstractAsyncContextManager[Pair]]


class TestContract:
    @both
    async def test_what_is_written_arrives_in_a_later_turn(self, joined: Joined) -> None:
        async with joined() as (one, two):
            one.transport.write(b"first ")
            one.transport.write(bytearray(b"second"))
            one.transport.write(b"")
            assert two.data == b""
            await two.until(lambda: two.data == b"first second")
            one.transport.abort()
            await two.until(lambda: two.calls[-1].startswith("lost"))

    @pytest.mark.parametrize("tcp", [False, True])
    async def test_a_buffered_protocol_gets_it_in_its_own_memory(self, tcp: bool) -> None:
        one, two = Recorder(), Buffered()
        if tcp:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: two, "127.0.0.1", 0)
            await loop.create_connection(lambda: one, *server.sockets[0].getsockname())
            server.close()
        else:
            join(one, two)
        one.transport.write(b"in pieces of five.")
        await asyncio.wait_for(two.whole.wait(), 10)
        assert two.data == b"in pieces of five."
        one.transport.abort()
        await one.saw("lost NoneType")

    @both
    async def test_half_closing_leaves_the_other_direction_open(self, joined: Joined) -> None:
        async with joined() as (one, two):
            two.keep_open = True
            assert one.transport.can_write_eof()
            one.transport.write(b"last words")
            one.transport.write_eof()
            with pytest.raises(RuntimeError):
                one.transport.write(b"more")
            await two.saw("eof")
            assert two.data == b"last words"
            two.transport.write(b"answer")
            two.transport.close()
            await one.saw("lost NoneType")
            await two.saw("lost NoneType")
            assert one.data == b"answer"
            assert one.calls == ["made", "data", "eof", "lost NoneType"]

    @both
    async def test_an_end_that_is_not_kept_open_closes_both(self, joined: Joined) -> None:
        async with joined() as (one, two):
            one.transport.write_eof()
            await one.saw("lost NoneType")
            await two.saw("lost NoneType")
            assert two.calls == ["made", "eof", "lost NoneType"]
            assert one.transport.is_closing()

    @both
    async def test_close_delivers_what_was_written(self, joined: Joined) -> None:
        async with joined() as (one, two):
            one.transport.write(bytes(500_000))
            one.transport.close()
            one.transport.close()
            await two.saw("lost NoneType")
            assert two.data == bytes(500_000)
            await one.saw("lost NoneType")
            assert one.calls[-1] == "lost NoneType"
            assert one.calls.count("lost NoneType") == 1

    @both
    async def test_abort_drops_what_was_written(self, joined: Joined) -> None:
        async with joined() as (one, two):
            two.transport.pause_reading()
            one.transport.write(bytes(50_000_000))
            one.transport.abort()
            await one.saw("lost NoneType")
            two.transport.resume_reading()
            await two.until(lambda: two.calls[-1].startswith("lost"))
            assert len(two.data) < 50_000_000

    @both
    async def test_water_marks(self, joined: Joined) -> None:
        async with joined() as (one, two):
            one.transport.set_write_buffer_limits(1000)
            assert one.transport.get_write_buffer_limits() == (250, 1000)
            two.transport.pause_reading()
            assert not two.transport.is_reading()
            while "pause" not in one.calls:
                one.transport.write(bytes(100_000))
            assert one.transport.get_write_buffer_size() > 1000
            two.transport.resume_reading()
            await one.saw("resume")
            assert one.transport.get_write_buffer_size() <= 250
            one.transport.abort()
            await two.until(lambda: two.calls[-1].startswith("lost"))


class TestChunks:
    @pytest.mark.parametrize("chunk", [1, 2, 7, 4096])
    def test_any_slicing_is_the_same_conversation(self, chunk: int) -> None:
        @virtual_time
        async def run() -> None:
            client, server = await memory_pipe(PLAIN, chunk=chunk, compression=chunk % 2 == 0)
            for message in ("", "Grüße", b"\0" * 3000, "x" * 70_000):
                await client.send(message)
                assert await server.recv() == message
                await server.send(message)
                assert await client.recv() == message
            await asyncio.gather(client.close(4321, "sliced"), server.wait_closed())
            assert (server.close_code, server.close_reason) == (4321, "sliced")

        run()

    @virtual_time
    async def test_each_end_may_have_its_own_limits(self) -> None:
        strict = Settings(ping_interval=None, max_size=10)
        client, server = await memory_pipe(PLAIN, server_settings=strict)
        await client.send("x" * 11)
        await settle()
        assert client.close_code == 1009
        await asyncio.gather(client.wait_closed(), server.wait_closed())
