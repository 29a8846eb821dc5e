"""`websockets`, both ways: its client on our server, our client on its server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets.asyncio.client as peer_client
import websockets.asyncio.server as peer_server
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from refimpl import connect
from refimpl.errors import ConnectionClosed, HandshakeError
from tests.interop.conversation import COMPRESSIONS, conversation, echo_server

both_compressions = pytest.mark.parametrize("compression", COMPRESSIONS)


@asynccontextmanager
async def peer_echo(**options: Any) -> AsyncIterator[tuple[str, list[Any]]]:
    """Serve an echo with `websockets`; give its URI and the connections it had."""
    connections: list[Any] = []

    async def echo(connection: peer_server.ServerConnection) -> None:
        connections.append(connection)
        async for message in connection:
            await connection.send(message)

    async with peer_server.serve(echo, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", connections


class TestTheirClientOnOurServer:
    @both_compressions
    async def test_every_message_comes_back(self, compression: str | None) -> None:
        async with echo_server(compression=compression) as (uri, seen):
            async with peer_client.connect(uri, compression=compression) as peer:
                for message in conversation():
                    await peer.send(message)
                    assert await peer.recv() == message
        assert (seen.extensions is not None) == (compression == "deflate")
        assert seen.messages == len(conversation())

    async def test_compression_only_on_their_side_is_declined(self) -> None:
        async with echo_server(compression=None) as (uri, seen):
            async with peer_client.connect(uri, compression="deflate") as peer:
                await peer.send("plain")
                assert await peer.recv() == "plain"
        assert seen.extensions is None

    @both_compressions
    async def test_fragments_arrive_as_one_message(self, compression: str | None) -> None:
        async with echo_server(compression=compression) as (uri, _):
            async with peer_client.connect(uri, compression=compression) as peer:
                await peer.send(["frag", "ment", "", "ed"])
                assert await peer.recv() == "fragmented"

    async def test_their_ping_gets_its_pong(self) -> None:
        async with echo_server() as (uri, _), peer_client.connect(uri) as peer:
            waiter = await peer.ping(b"are you there")
            assert await waiter >= 0

    async def test_they_close_and_we_say_why(self) -> None:
        async with echo_server() as (uri, seen):
            async with peer_client.connect(uri) as peer:
                await peer.close(3001, "done")
                assert peer.close_code == 3001
        assert seen.end is not None
        assert seen.end.received == (3001, "done")

    async def test_too_big_a_message_gets_1009(self) -> None:
        async with echo_server(max_size=1000) as (uri, _), peer_client.connect(uri) as peer:
            await peer.send(b"x" * 1000)
            assert await peer.recv() == b"x" * 1000
            await peer.send(b"x" * 1001)
            with pytest.raises(ConnectionClosedError):
                await peer.recv()
            assert peer.close_code == 1009

    async def test_subprotocol_is_agreed(self) -> None:
        async with echo_server(subprotocols=["v2.chat", "v1.chat"]) as (uri, _):
            async with peer_client.connect(uri, subprotocols=["v1.chat"]) as peer:
                assert peer.subprotocol == "v1.chat"

    async def test_foreign_origin_gets_403(self) -> None:
        async with echo_server() as (uri, seen):
            with pytest.raises(InvalidStatus) as refused:
                await peer_client.connect(uri, origin="https://elsewhere.example")
            assert refused.value.response.status_code == 403
        assert seen.connection is None


class TestOurClientOnTheirServer:
    @both_compressions
    async def test_every_message_comes_back(self, compression: str | None) -> None:
        async with peer_echo(compression=compression) as (uri, connections):
            async with connect(uri, compression=compression) as ours:
                for message in conversation():
                    await ours.send(message)
                    assert await ours.recv() == message
                agreed = ours.response.headers.get("Sec-WebSocket-Extensions")
        assert (agreed is not None) == (compression == "deflate")
        assert len(connections) == 1

    async def test_our_ping_gets_its_pong(self) -> None:
        async with peer_echo() as (uri, _), connect(uri) as ours:
            waiter = await ours.ping(b"are you there")
            assert await waiter >= 0

    async def test_we_close_and_they_hear_why(self) -> None:
        async with peer_echo() as (uri, connections):
            async with connect(uri) as ours:
                await ours.send("one")
                await ours.recv()
                await ours.close(3001, "done")
                assert ours.close_code == 3001
            (theirs,) = connections
            await theirs.wait_closed()
            assert (theirs.close_code, theirs.close_reason) == (3001, "done")

    async def test_they_close_and_recv_says_why(self) -> None:
        async def leave(connection: peer_server.ServerConnection) -> None:
            await connection.close(4001, "enough")

        async with peer_server.serve(leave, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}/") as ours:
                with pytest.raises(ConnectionClosed) as closed:
                    await ours.recv()
        assert closed.value.received == (4001, "enough")
        assert closed.value.order == "received"

    async def test_our_too_big_message_is_refused_with_1009(self) -> None:
        async with peer_echo(max_size=1000) as (uri, _), connect(uri) as ours:
            await ours.send(b"x" * 1001)
            with pytest.raises(ConnectionClosed) as closed:
                await ours.recv()
        assert closed.value.code == 1009

    async def test_subprotocol_is_agreed(self) -> None:
        async with peer_echo(subprotocols=["v1.chat"]) as (uri, _):
            async with connect(uri, subprotocols=["v2.chat", "v1.chat"]) as ours:
                assert ours.subprotocol == "v1.chat"

    async def test_a_refused_handshake_shows_the_status(self) -> None:
        async with peer_echo(origins=["https://app.example"]) as (uri, _):
            with pytest.raises(HandshakeError) as refused:
                await connect(uri, origin="https://elsewhere.example")
        assert refused.value.status == 403
