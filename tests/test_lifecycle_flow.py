"""How bytes flow: one write per batch, back-pressure both ways, limits on what may pile up."""

from __future__ import annotations

import asyncio

import pytest

from refimpl import ConnectionClosed, broadcast, memory_pipe
from refimpl.lifecycle import ServerConnection, Settings
from refimpl.lifecycle import writer as writer_module
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.rawpeer import PLAIN, RawPeer, client_close, client_frame, open_server


async def echo(server: ServerConnection) -> None:
    async for message in server:
        await server.send(message)


def count_writes(server: ServerConnection, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the list to which every write from now on is added."""
    writes: list[bytes] = []
    write = server.transport.write

    def count(data: bytes) -> None:
        writes.append(data)
        write(data)

    monkeypatch.setattr(server.transport, "write", count)
    return writes


class TestWhatWaitsForRecv:
    @virtual_time
    async def test_large_messages_stop_reading_before_many_wait(self) -> None:
        settings = Settings(ping_interval=None, max_size=1000, max_queue=16)
        server, peer = await open_server(settings)
        for number in range(10):
            await peer.send(client_frame(wire.BINARY, bytes([number]) * 400))
        waiting = sum(map(len, server.driver.inbox))
        assert 1000 <= waiting < 1000 + 400
        got = [await server.recv() for _ in range(10)]
        assert got == [bytes([number]) * 400 for number in range(10)]
        await peer.send(client_close(1000))
        await server.wait_closed()

    @virtual_time
    async def test_without_a_limit_everything_may_wait(self) -> None:
        server, peer = await open_server(
            Settings(ping_interval=None, max_size=1000, max_queue=None)
        )
        for _ in range(10):
            await peer.send(client_frame(wire.BINARY, bytes(400)))
        assert len(server.driver.inbox) == 10
        peer.transport.abort()
        await server.wait_closed()


class TestOneWritePerBatch:
    @virtual_time
    async def test_answers_to_one_read_leave_in_one_write(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server, peer = await open_server()
        handler = asyncio.ensure_future(echo(server))
        writes = count_writes(server, monkeypatch)
        await peer.send(b"".join(client_frame(wire.TEXT, b"%d" % n) for n in range(64)))
        assert len(writes) == 1
        assert peer.frames() == [(wire.TEXT, b"%d" % n) for n in range(64)]
        await peer.send(client_close(1000))
        await handler
        await server.wait_closed()

    @pytest.mark.parametrize("answer", ["first answer", ""])
    @virtual_time
    async def test_a_held_answer_leaves_when_the_handler_waits(self, answer: str) -> None:
        server, peer = await open_server()

        async def think() -> None:
            await server.recv()
            await server.send(answer)  # held: the second message waits in the inbox
            await asyncio.sleep(60)

        handler = asyncio.ensure_future(think())
        await peer.send(client_frame(wire.TEXT, b"one") + client_frame(wire.TEXT, b"two"))
        assert peer.frames() == [(wire.TEXT, answer.encode())]
        peer.transport.abort()
        await handler

    @pytest.mark.parametrize("answer", ["first answer", ""])
    @virtual_time
    async def test_a_broadcast_goes_behind_a_held_answer(self, answer: str) -> None:
        server, peer = await open_server()

        async def think() -> None:
            await server.recv()
            await server.send(answer)  # held: the second message waits in the inbox
            broadcast([server], "to all")
            await asyncio.sleep(60)

        handler = asyncio.ensure_future(think())
        await peer.send(client_frame(wire.TEXT, b"one") + client_frame(wire.TEXT, b"two"))
        assert peer.frames() == [(wire.TEXT, answer.encode()), (wire.TEXT, b"to all")]
        peer.transport.abort()
        await handler

    @virtual_time
    async def test_a_batch_of_big_answers_is_not_held_beyond_write_limit(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, write_limit=1000))
        sizes = []

        async def answer() -> None:
            async for _ in server:
                await server.send(bytes(400))
                sizes.append(server.buffered_amount)

        handler = asyncio.ensure_future(answer())
        await peer.send(client_frame(wire.TEXT, b"go") * 50)
        assert len(peer.frames()) == 50
        assert max(sizes) < 3000
        await peer.send(client_close(1000))
        await handler

    @virtual_time
    async def test_an_answer_is_not_held_while_a_handler_computes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seconds = 0.0
        monkeypatch.setattr(writer_module, "monotonic", lambda: seconds)
        server, peer = await open_server()
        written: list[int] = []

        async def compute() -> None:
            nonlocal seconds
            async for _ in server:
                seconds += 0.0015  # computes, and never awaits anything that waits
                await server.send("result")
                written.append(server.transport.get_write_buffer_size())

        handler = asyncio.ensure_future(compute())
        await peer.send(client_frame(wire.TEXT, b"work") * 10)
        assert written[3] > 0
        await peer.send(client_close(1000))
        await handler

    @virtual_time
    async def test_messages_that_nobody_asked_for_leave_at_once(self) -> None:
        client, server = await memory_pipe(PLAIN)
        await server.send("news")
        assert server.buffered_amount > 0
        assert server.driver.writer.held == 0
        assert await client.recv() == "news"
        await asyncio.gather(client.close(), server.close())


class TestReceivingIsBounded:
    @pytest.mark.parametrize("max_queue", [1, 2, 16])
    def test_reading_stops_when_the_inbox_is_full_and_goes_on(self, max_queue: int) -> None:
        @virtual_time
        async def run() -> None:
            server, peer = await open_server(Settings(ping_interval=None, max_queue=max_queue))
            for number in range(max_queue + 10):
                await peer.send(client_frame(wire.TEXT, b"%d" % number))
            assert len(server.driver.inbox) == max_queue
            assert not server.transport.is_reading()
            assert peer.transport.get_write_buffer_size() > 0  # the peer feels it
            received = [await server.recv() for _ in range(max_queue + 10)]
            assert received == [str(number) for number in range(max_queue + 10)]
            assert server.transport.is_reading()
            peer.transport.abort()
            await server.wait_closed()

        run()

    @virtual_time
    async def test_one_read_of_bombs_inflates_little_more_than_the_inbox_holds(self) -> None:
        client, server = await memory_pipe(
            Settings(ping_interval=None, max_queue=4), compression=True
        )
        bombs = 200
        for _ in range(bombs):
            client.core.send_binary(bytes(2**20))
        client.driver.writer.flush()  # all of them in one write, 200 KiB that stand for 200 MiB
        await settle()
        for _ in range(bombs):
            assert len(server.driver.inbox) <= 1  # of max_size each, a single one fills the inbox
            assert len(await server.recv()) == 2**20
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_reading_goes_on_when_all_is_parsed_not_before(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, max_queue=16))
        for _ in range(20):
            await peer.send(client_frame(wire.TEXT, b"x"))
        for _ in range(15):
            await server.recv()
        assert not server.transport.is_reading()
        await server.recv()
        assert server.transport.is_reading()
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_none_never_stops(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, max_queue=None))
        for _ in range(500):
            await peer.send(client_frame(wire.TEXT, b"x"))
        assert len(server.driver.inbox) == 500
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_a_sender_feels_a_slow_receiver(self) -> None:
        client, server = await memory_pipe(Settings(ping_interval=None, max_queue=4))
        sending = asyncio.ensure_future(send_many(client, 1000))
        await settle()
        assert not sending.done()
        received = 0
        while received < 1000:
            assert await server.recv() == bytes(1000)
            received += 1
        await sending
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_what_came_before_a_loss_is_received_even_beyond_the_full_inbox(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, max_queue=1))
        for number in range(2):
            await peer.send(client_frame(wire.TEXT, b"%d" % number))
        peer.transport.abort()
        await server.wait_closed()
        assert [await server.recv(), await server.recv()] == ["0", "1"]


async def send_many(connection: object, count: int) -> None:
    for _ in range(count):
        await connection.send(bytes(1000))  # type: ignore[attr-defined]


class TestSendingIsBounded:
    @virtual_time
    async def test_send_waits_for_a_slow_peer_and_goes_on(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, write_limit=1000))
        peer.transport.pause_reading()
        sending = asyncio.ensure_future(send_many(server, 10))
        await settle()
        assert not sending.done()
        assert server.buffered_amount == 1004
        peer.transport.resume_reading()
        await sending
        await settle()
        assert len(peer.frames()) == 10
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_every_sender_that_waits_goes_on(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, write_limit=1000))
        peer.transport.pause_reading()
        sending = [asyncio.ensure_future(server.send(bytes(2000))) for _ in range(5)]
        await settle()
        sending[2].cancel()
        peer.transport.resume_reading()
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(asyncio.CancelledError) == 1
        assert not server.driver.writer._drainers
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_a_waiting_sender_wakes_when_the_peer_closes(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, write_limit=1000))
        peer.transport.pause_reading()
        sending = asyncio.ensure_future(server.send(bytes(2000)))
        await peer.send(client_close(1001))
        with pytest.raises(ConnectionClosed):
            await sending
        peer.transport.abort()
        await server.wait_closed()


class TestPings:
    @virtual_time
    async def test_5_5_3_every_ping_gets_its_pong_where_the_peer_reads(self) -> None:
        server, peer = await open_server()
        await peer.send(b"".join(client_frame(wire.PING, b"%d" % n) for n in range(300)))
        assert peer.frames() == [(wire.PONG, b"%d" % n) for n in range(300)]
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_5_5_3_a_peer_that_does_not_read_has_one_pong_waiting(self) -> None:
        server, peer = await stuffed()
        before = server.buffered_amount
        for number in range(100):
            await peer.send(client_frame(wire.PING, b"%d" % number))
        assert server.buffered_amount == before
        peer.transport.resume_reading()
        await settle()
        assert peer.frames()[-1] == (wire.PONG, b"99")
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_a_flood_from_a_peer_that_does_not_read_closes_with_1008(self) -> None:
        server, peer = await stuffed()
        for number in range(1000):
            await peer.send(client_frame(wire.PING, b"%d" % number))
        peer.transport.resume_reading()
        await settle()
        opcode, payload = peer.frames()[-1]
        assert (opcode, payload[:2]) == (wire.CLOSE, b"\x03\xf0")
        await peer.send(client_close(1008))
        await server.wait_closed()


async def stuffed() -> tuple[ServerConnection, RawPeer]:
    """Return a server's connection whose transport is full, and its peer that does not read."""
    server, peer = await open_server(Settings(ping_interval=None, write_limit=1000))
    peer.transport.pause_reading()
    sending = asyncio.ensure_future(server.send(bytes(2000)))
    await settle()
    sending.cancel()
    await settle()
    return server, peer
