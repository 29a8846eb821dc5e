"""A bad network: each fault does what it says, to real connections."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from refimpl import ConnectionClosed, HandshakeError, connect, serve
from refimpl.lab.wire.chaos import chaos


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    async def echo(websocket):  # type: ignore[no-untyped-def]
        async for message in websocket:
            await websocket.send(message)

    async with serve(echo, "127.0.0.1", 0, close_timeout=0.5) as server:
        yield server.sockets[0].getsockname()


async def test_a_perfect_network_changes_nothing(address: tuple[str, int]) -> None:
    async with chaos(*address) as network, connect(network.uri) as websocket:
        for size in (0, 1, 125, 70_000, 500_000):
            await websocket.send(b"x" * size)
            assert await websocket.recv() == b"x" * size
        assert network.connections == 1
        await websocket.close()
        assert websocket.close_code == 1000


@pytest.mark.parametrize("slices", [(1, 1), (1, 7)])
async def test_slices_change_no_message(address: tuple[str, int], slices: tuple[int, int]) -> None:
    async with chaos(*address, slices=slices) as network, connect(network.uri) as websocket:
        for message in ("Hello", "\N{SNOWMAN}" * 400, b"\0" * 3000):
            await websocket.send(message)
            assert await websocket.recv() == message


async def test_latency_and_jitter_keep_the_order(address: tuple[str, int]) -> None:
    async with (
        chaos(*address, latency=0.02, jitter=0.02, seed=3) as network,
        connect(network.uri) as websocket,
    ):
        for number in range(20):
            await websocket.send(str(number))
        assert [await websocket.recv() for _ in range(20)] == [str(n) for n in range(20)]
        assert await (await websocket.ping()) >= 0.04


async def test_a_black_hole_is_silent_until_it_heals(address: tuple[str, int]) -> None:
    async with chaos(*address) as network, connect(network.uri) as websocket:
        network.black_hole()
        await websocket.send("into the dark")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await websocket.recv()
        network.heal()
        assert await websocket.recv() == "into the dark"


async def test_a_reset_is_seen_as_1006(address: tuple[str, int]) -> None:
    async with chaos(*address) as network, connect(network.uri) as websocket:
        network.reset()
        with pytest.raises(ConnectionClosed) as caught:
            await websocket.recv()
        assert caught.value.code == 1006


async def test_a_reset_inside_a_message_delivers_nothing_partial(address: tuple[str, int]) -> None:
    async with chaos(*address, limit=5_000) as network, connect(network.uri) as websocket:
        await websocket.send(b"x" * 4_000)
        assert await websocket.recv() == b"x" * 4_000
        await websocket.send(b"y" * 4_000)
        with pytest.raises(ConnectionClosed) as caught:
            await websocket.recv()
        assert caught.value.code == 1006


@pytest.mark.parametrize("side", ["client", "server"])
async def test_a_half_close_ends_the_connection(address: tuple[str, int], side: str) -> None:
    async with chaos(*address) as network, connect(network.uri) as websocket:
        network.half_close(side)
        with pytest.raises(ConnectionClosed):
            await websocket.recv()


async def test_healing_finds_a_side_that_was_reset_meanwhile() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with chaos(*listener.getsockname()) as network:
            _, writer = await asyncio.open_connection("127.0.0.1", network.port)
            accepted, _ = await loop.sock_accept(listener)
            network.black_hole()
            writer.write_eof()
            while not any(link._ending for link in network._links):  # noqa: ASYNC110
                await asyncio.sleep(0)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            network.heal()  # before the loop has heard of the reset
            writer.close()
            await asyncio.wait([asyncio.ensure_future(writer.wait_closed())], timeout=5)


async def test_a_narrow_network_holds_the_sender_back(address: tuple[str, int]) -> None:
    async with chaos(*address, bandwidth=2_000_000) as network, connect(network.uri) as websocket:
        start = asyncio.get_running_loop().time()
        await websocket.send(b"x" * 200_000)
        assert len(await websocket.recv()) == 200_000
        assert asyncio.get_running_loop().time() - start >= 0.1


async def test_a_dead_server_is_a_reset(address: tuple[str, int]) -> None:
    async with chaos("127.0.0.1", 1) as network:
        with pytest.raises(HandshakeError):
            await connect(network.uri)
