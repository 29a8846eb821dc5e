"""A coroutine that never gives way stops every other connection of its loop.

Reported as websockets#84: `send` on a connection whose transport is closing returned at once, and
`connection_lost`, which would have ended the loop of sends, never ran.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from refimpl import ConnectionClosed, WebSocket, memory_pipe
from refimpl.lifecycle import Settings
from tests.support import wire
from tests.support.clockwork import virtual_time
from tests.support.rawpeer import PLAIN, client_frame, open_server

Call = Callable[[WebSocket], Awaitable[object]]

CALLS: dict[str, Call] = {
    "send text": lambda websocket: websocket.send("x"),
    "send bytes": lambda websocket: websocket.send(b"x"),
    "send a view": lambda websocket: websocket.send(memoryview(b"x")),
    "send fragments": lambda websocket: websocket.send(["x", "y"]),
    "ping": lambda websocket: websocket.ping(),
    "pong": lambda websocket: websocket.pong(),
}
TIMES = 5_000


async def count_turns(turns: list[int]) -> None:
    while True:
        turns[0] += 1
        await asyncio.sleep(0)


async def repeat(call: Call, websocket: WebSocket) -> int:
    """Call as often as TIMES, or until the connection has ended; return how often it was."""
    for number in range(TIMES):
        try:
            await call(websocket)
        except ConnectionClosed:
            return number
    return TIMES


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("end", ["reset", "abort", "close"])
def test_a_closing_transport_ends_a_loop_of_calls(call: Call, side: str, end: str) -> None:
    @virtual_time
    async def run() -> None:
        client, server = await memory_pipe(PLAIN)
        ours, theirs = (client, server) if side == "client" else (server, client)
        if end == "reset":
            theirs.transport.abort()
        elif end == "abort":
            ours.transport.abort()
        else:
            ours.transport.close()
        assert await repeat(call, ours) < 200
        assert ours.close_code == 1006
        await asyncio.gather(client.close(), server.close())

    run()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_peer_that_takes_everything_stops_nobody_else(call: Call) -> None:
    """No transport ever pauses this sender, so it has to give way by itself."""

    @virtual_time
    async def run() -> None:
        server, peer = await open_server(Settings(ping_interval=None, write_limit=2**30))
        turns = [0]
        counting = asyncio.ensure_future(count_turns(turns))
        assert await repeat(call, server) == TIMES
        assert turns[0] >= TIMES // 200
        counting.cancel()
        peer.transport.abort()
        await server.wait_closed()

    run()


@pytest.mark.parametrize("max_queue", [16, 1, None])
@pytest.mark.parametrize("iterate", [True, False])
def test_a_flood_of_small_messages_stops_nobody_else(iterate: bool, max_queue: int | None) -> None:
    """256 KiB hold 37,449 texts of one byte; a handler takes them without ever having to wait."""

    @virtual_time
    async def run() -> None:
        server, peer = await open_server(Settings(ping_interval=None, max_queue=max_queue))
        turns, count, most = [0], 37_449, 0
        counting = asyncio.ensure_future(count_turns(turns))
        server.driver.data_received(client_frame(wire.TEXT, b"x") * count)
        for _ in range(count):
            await (anext(server) if iterate else server.recv())
            most = max(most, len(server.driver.inbox))
        assert turns[0] >= count // 128
        if max_queue is not None:
            assert most <= max_queue
        counting.cancel()
        peer.transport.abort()
        await server.wait_closed()

    run()


@virtual_time
async def test_a_flood_of_pings_stops_nobody_else() -> None:
    server, peer = await open_server()
    turns = [0]
    counting = asyncio.ensure_future(count_turns(turns))
    server.driver.data_received(client_frame(wire.PING) * 40_000)
    assert server.core.unparsed > 200_000
    while server.core.unparsed:  # noqa: ASYNC110 - the flood is parsed turn by turn
        await asyncio.sleep(0)
    assert turns[0] >= 40_000 // 128
    counting.cancel()
    peer.transport.abort()
    await server.wait_closed()


@virtual_time
async def test_a_busy_hub_writes_nothing_to_a_transport_that_is_gone() -> None:
    """asyncio logs a warning for each write to a lost connection, from the fifth on."""
    from refimpl import broadcast

    server, peer = await open_server()
    server.transport.abort()
    written = server.writer.written
    for _ in range(100):
        broadcast([server], "news")
    assert server.writer.written == written
    await server.wait_closed()
    assert peer.lost
