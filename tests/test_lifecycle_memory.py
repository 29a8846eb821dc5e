"""What one peer, or all of them, can make a server hold: limits in every state, and one for all."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from refimpl import State, memory_pipe, serve
from refimpl.lifecycle import ClientConnection, ServerConnection, Settings
from refimpl.lifecycle.memory_limit import MemoryLimit, held_by
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.rawpeer import client_close, client_frame, new_server, open_server

BOMBS = 200  # messages of 1 MiB in 200 KiB


def bombs(client: ClientConnection) -> bytes:
    for _ in range(BOMBS):
        client.core.send_binary(bytes(2**20))
    return client.core.data_to_send()


class TestEveryState:
    """The same 200 KiB of deflate, while we are open, have sent Close, or have no reader left."""

    @pytest.mark.parametrize("state", ["open", "closing", "reader gone", "peer gone"])
    @pytest.mark.parametrize("max_queue", [4, 16, None])
    def test_what_inflates_is_bounded(self, state: str, max_queue: int | None) -> None:
        if max_queue is None and state in ("open", "peer gone"):
            pytest.skip("no limit was asked for")

        @virtual_time
        async def run() -> None:
            settings = Settings(ping_interval=None, max_queue=max_queue, close_timeout=None)
            client, server = await memory_pipe(settings, compression=True)
            data = bombs(client)
            if state == "closing":
                server.start_close()
            elif state == "reader gone":
                server.start_close()
                server.driver.discard_messages()
            tracemalloc.start()
            for at in range(0, len(data), 20_000):
                server.driver.data_received(data[at : at + 20_000])
                await settle()
            if state == "peer gone":
                client.transport.abort()
                await settle()
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 6 * 2**20
            client.transport.abort()
            await server.wait_closed()

        run()

    @pytest.mark.parametrize("frame", [wire.TEXT, wire.BINARY])
    def test_a_flood_behind_our_close_is_not_kept(self, frame: int) -> None:
        @virtual_time
        async def run() -> None:
            server, peer = await open_server(Settings(ping_interval=None, close_timeout=None))
            server.start_close()
            for _ in range(100):
                server.driver.data_received(client_frame(frame, b"x" * 1000) * 50)
            assert held_by(server.driver) < 16 * 1200 + 1000
            await peer.send(client_close(1000))
            assert server.close_code == 1000
            peer.transport.close()
            await server.wait_closed()

        run()

    @virtual_time
    async def test_frames_behind_the_request_keep_to_the_limit(self) -> None:
        server, peer = new_server(Settings(ping_interval=None, max_queue=16))
        early = client_frame(wire.TEXT, b"x") * 9_000
        server.driver.data_received(wire.request_head() + early)
        assert server.state is State.OPEN
        assert len(server.driver.inbox) == 16
        assert [await server.recv() for _ in range(9_000)] == ["x"] * 9_000
        peer.transport.abort()
        await server.wait_closed()


class TestAllTogether:
    """`serve(max_memory=)`: a total for all connections, counted in bytes."""

    @virtual_time
    async def test_the_largest_are_closed_with_1013_until_the_rest_fits(self) -> None:
        pairs = [await open_server(Settings(ping_interval=None, max_queue=None)) for _ in range(10)]
        limit = MemoryLimit(100_000, lambda: [server.driver for server, _ in pairs])
        for server, _ in pairs:
            server.driver.grew = server.writer.grew = limit.grew
        for number, (_, peer) in enumerate(pairs):
            await peer.send(client_frame(wire.BINARY, bytes(1000)) * (3 * number + 1))
        assert limit.closed > 0
        assert sum(held_by(server.driver) for server, _ in pairs) <= 100_000
        closed = [number for number, (server, _) in enumerate(pairs) if server.core.close_sent]
        assert closed
        assert all(pairs[number][0].core.close_sent.code == 1013 for number in closed)
        assert 0 not in closed and 1 not in closed  # they hold little
        for server, peer in pairs:
            peer.transport.abort()
            await server.wait_closed()

    @virtual_time
    async def test_emoji_count_as_the_memory_they_take(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, max_queue=None))
        await peer.send(client_frame(wire.TEXT, ("x" * 10_000 + "\N{PARROT}").encode()))
        assert held_by(server.driver) > 40_000
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_an_unfinished_message_counts(self) -> None:
        server, peer = await open_server()
        await peer.send(client_frame(wire.BINARY, bytes(50_000), fin=False))
        await peer.send(client_frame(wire.CONTINUATION, bytes(50_000), fin=False))
        assert held_by(server.driver) >= 100_000
        await peer.send(client_frame(wire.CONTINUATION, bytes(50_000))[:-1])
        assert held_by(server.driver) > 149_000
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_what_waits_to_be_sent_counts_and_is_given_back(self) -> None:
        server, peer = await open_server()
        limit = MemoryLimit(200_000, lambda: [server.driver])
        server.driver.grew = server.writer.grew = limit.grew
        peer.transport.pause_reading()
        sending = [asyncio.ensure_future(server.send(bytes(100_000))) for _ in range(4)]
        await settle()
        assert limit.closed == 1
        assert held_by(server.driver) == 0
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        assert all(isinstance(outcome, Exception) for outcome in outcomes)
        await server.wait_closed()

    async def test_serve_takes_it_and_shows_it(self) -> None:
        async def handler(websocket: ServerConnection) -> None:
            await websocket.wait_closed()

        async with serve(handler, "127.0.0.1", 0, max_memory=2**20) as server:
            assert server.memory_limit is not None
            assert (server.memory_limit.most, server.memory_limit.used) == (2**20, 0)
        with pytest.raises(ValueError, match="got max_memory=0, expected a number of bytes"):
            serve(handler, "127.0.0.1", 0, max_memory=0)

    def test_a_server_without_it_has_no_limit(self) -> None:
        async def run() -> None:
            async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0) as server:
                assert server.memory_limit is None

        asyncio.run(run())
