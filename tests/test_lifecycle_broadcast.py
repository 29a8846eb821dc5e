"""One message to many: serialised once, nobody waits, the slowest is let go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import pytest

from refimpl import ConnectionClosed, State, broadcast, memory_pipe
from refimpl.lifecycle import Settings, connection
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.rawpeer import PLAIN, client_close, open_client, open_server


class TestBroadcast:
    @pytest.mark.parametrize(("message", "opcode"), [("news", wire.TEXT), (b"news", wire.BINARY)])
    def test_everyone_open_gets_it(self, message: str | bytes, opcode: int) -> None:
        @virtual_time
        async def run() -> None:
            pairs = [await open_server() for _ in range(5)]
            await pairs[0][1].send(client_close(1000))
            broadcast([server for server, _ in pairs], message)
            await settle()
            heard = [peer.frames() for _, peer in pairs]
            assert heard == [[(wire.CLOSE, b"\x03\xe8")], *[[(opcode, b"news")]] * 4]
            for server, peer in pairs:
                peer.transport.abort()
                await server.wait_closed()

        run()

    @virtual_time
    async def test_the_frame_is_made_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = 0

        def count(*args: object, **kwargs: object) -> bytes:
            nonlocal made
            made += 1
            return real(*args, **kwargs)  # type: ignore[arg-type]

        real = connection.serialize_header
        pairs = [await open_server() for _ in range(20)]
        monkeypatch.setattr(connection, "serialize_header", count)
        broadcast([server for server, _ in pairs], "news")
        assert made == 1
        for server, peer in pairs:
            peer.transport.abort()
            await server.wait_closed()

    @virtual_time
    async def test_clients_mask_and_compressed_connections_compress(self) -> None:
        client, peer = await open_client()
        broadcast([client], "masked")
        await settle()
        [(opcode, _, _, key, payload)] = wire.split_frames(peer.take())
        assert (opcode, payload) == (wire.TEXT, b"masked")
        assert key is not None
        peer.transport.abort()
        await client.wait_closed()

        ours, server = await memory_pipe(PLAIN, compression=True)
        broadcast([server], "squeezed" * 100)
        assert server.buffered_amount < 100
        assert await ours.recv() == "squeezed" * 100
        await asyncio.gather(ours.close(), server.close())

    @virtual_time
    async def test_it_comes_behind_what_was_sent_before(self) -> None:
        server, peer = await open_server()
        server.driver.inbox = deque(["a"])
        (lambda *_: None)("a message that waits, so that answers are held")
        await server.send("first")
        broadcast([server], "second")
        await settle()
        assert peer.frames() == [(wire.TEXT, b"first"), (wire.TEXT, b"second")]
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_5_4_it_waits_for_the_end_of_a_fragmented_message(self) -> None:
        client, server = await memory_pipe(PLAIN)
        gate = asyncio.Event()

        async def slowly() -> AsyncIterator[str]:
            yield "frag"
            await gate.wait()
            yield "mented"

        sending = asyncio.ensure_future(server.send(slowly()))
        await settle()
        broadcast([server], "news")
        gate.set()
        await sending
        assert [await client.recv(), await client.recv()] == ["fragmented", "news"]
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_5_4_it_comes_before_the_next_fragmented_message(self) -> None:
        client, server = await memory_pipe(PLAIN)
        gate = asyncio.Event()

        async def slowly() -> AsyncIterator[str]:
            yield "frag"
            await gate.wait()
            yield "mented"

        async def send_two() -> None:
            await server.send(slowly())
            gate.clear()
            await server.send(slowly())  # begins before the event loop has another turn

        sending = asyncio.ensure_future(send_two())
        await settle()
        broadcast([server], "news")
        gate.set()
        await settle()
        gate.set()
        await sending
        assert [await client.recv() for _ in range(3)] == ["fragmented", "news", "fragmented"]
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_5_4_what_waits_behind_a_fragmented_message_counts_towards_the_limit(
        self,
    ) -> None:
        server, peer = await open_server(Settings(ping_interval=None, close_timeout=3))
        endless = asyncio.Event()

        async def slowly() -> AsyncIterator[str]:
            yield "frag"
            await endless.wait()

        sending = asyncio.ensure_future(server.send(slowly()))
        await settle()
        for number in range(10):
            assert server.buffered_amount == number * 1004
            broadcast([server], bytes(1000), limit=9 * 1004)
        broadcast([server], bytes(1000), limit=9 * 1004)
        assert server.core.close_sent is not None
        assert server.core.close_sent.code == 1013
        endless.set()
        with pytest.raises(ConnectionClosed):
            await sending
        assert [opcode for opcode, _ in peer.frames()] == [wire.TEXT, wire.CLOSE]
        assert server.buffered_amount == 0
        await server.wait_closed()

    @virtual_time
    async def test_5_4_what_waits_for_a_client_is_masked_in_its_turn(self) -> None:
        client, server = await memory_pipe(PLAIN)
        gate = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield b"frag"
            await gate.wait()
            yield b"mented"

        sending = asyncio.ensure_future(client.send(slowly()))
        await settle()
        broadcast([client], "news")
        broadcast([client], b"more news")
        gate.set()
        await sending
        assert [await server.recv() for _ in range(3)] == [b"fragmented", "news", b"more news"]
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_one_that_reads_too_slowly_is_closed_with_1013(self) -> None:
        slow, slow_peer = await open_server(Settings(ping_interval=None, close_timeout=3))
        quick, quick_peer = await open_server()
        slow_peer.transport.pause_reading()
        most = 0
        for _ in range(100):
            broadcast([slow, quick], bytes(50_000))
            most = max(most, slow.buffered_amount)
            await settle()
        assert most < 2**20 + 60_000
        assert len(quick_peer.frames()) == 100
        assert slow.core.close_sent is not None
        assert slow.core.close_sent.code == 1013
        assert quick.state is State.OPEN
        await slow.wait_closed()
        quick_peer.transport.abort()
        await quick.wait_closed()

    def test_of_nobody_is_nothing(self) -> None:
        broadcast([], "nobody hears this")
