"""Tornado both ways, and `websocket-client` on our server: two more stacks that JupyterLab brings.

JupyterLab's own kernels talk through Tornado, and its tests through `websocket-client`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websocket as websocket_client
from tornado.httpclient import HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

from refimpl import ConnectionClosed, HandshakeError, connect
from tests.interop.conversation import COMPRESSIONS, conversation, echo_server

both_compressions = pytest.mark.parametrize("compression", COMPRESSIONS)


class TornadoEcho(WebSocketHandler):
    def initialize(self, compression: str | None) -> None:
        self.compression = compression

    def get_compression_options(self) -> dict[str, Any] | None:
        return {} if self.compression else None

    async def on_message(self, message: str | bytes) -> None:
        if message == "bye":
            self.close(4001, "as you wish")
        else:
            await self.write_message(message, binary=isinstance(message, bytes))


@asynccontextmanager
async def tornado_echo(compression: str | None = None) -> AsyncIterator[str]:
    listener, port = bind_unused_port()
    server = HTTPServer(Application([("/", TornadoEcho, {"compression": compression})]))
    server.add_socket(listener)
    try:
        yield f"ws://127.0.0.1:{port}/"
    finally:
        server.stop()
        await server.close_all_connections()


class TestTornadosClientOnOurServer:
    @both_compressions
    async def test_every_message_comes_back(self, compression: str | None) -> None:
        async with echo_server(compression=compression) as (uri, seen):
            options = {} if compression else None
            peer = await websocket_connect(uri, compression_options=options)
            for message in conversation():
                await peer.write_message(message, binary=isinstance(message, bytes))
                assert await peer.read_message() == message
            peer.close(3001, "done")
            assert await peer.read_message() is None
            assert (seen.extensions is not None) == (compression == "deflate")
            assert seen.messages == len(conversation())
        assert seen.end is not None
        assert seen.end.received == (3001, "done")

    async def test_a_refusal_is_an_http_error(self) -> None:
        async with echo_server(subprotocols=["a"], origins=["https://a.example"]) as (uri, seen):
            with pytest.raises(HTTPClientError) as refused:
                await websocket_connect(uri)
            assert refused.value.code == 403
        assert seen.connection is None


class TestOurClientOnTornadosServer:
    @both_compressions
    async def test_every_message_comes_back(self, compression: str | None) -> None:
        async with tornado_echo(compression) as uri:
            async with connect(uri, compression=compression) as ours:
                for message in conversation():
                    await ours.send(message)
                    assert await ours.recv() == message
                assert await (await ours.ping(b"there?")) >= 0
                assert (ours.core.agreement.extension is not None) == (compression == "deflate")
            assert ours.close_code == 1000

    async def test_they_close_and_recv_says_why(self) -> None:
        async with tornado_echo() as uri, connect(uri) as ours:
            await ours.send("bye")
            with pytest.raises(ConnectionClosed) as closed:
                await ours.recv()
        assert closed.value.received == (4001, "as you wish")

    async def test_a_foreign_origin_is_refused(self) -> None:
        async with tornado_echo() as uri:
            with pytest.raises(HandshakeError) as refused:
                await connect(uri, origin="https://elsewhere.example")
        assert refused.value.status == 403


class TestWebsocketClientOnOurServer:
    async def test_every_message_comes_back(self) -> None:
        async with echo_server() as (uri, seen):
            await asyncio.to_thread(self.converse, uri)
        assert seen.messages == len(conversation())
        assert seen.end is not None
        assert seen.end.received == (3001, "done")

    @staticmethod
    def converse(uri: str) -> None:
        peer = websocket_client.create_connection(uri, timeout=10, suppress_origin=True)
        for message in conversation():
            peer.send(message) if isinstance(message, str) else peer.send_binary(message)
            assert peer.recv() == message
        peer.close(3001, b"done")

    async def test_its_origin_is_our_own(self) -> None:
        async with echo_server() as (uri, _):  # it sends Origin: http://host:port by itself
            peer = await asyncio.to_thread(websocket_client.create_connection, uri, timeout=10)
            await asyncio.to_thread(peer.close)

    async def test_a_refusal_shows_the_status(self) -> None:
        async with echo_server() as (uri, _):
            with pytest.raises(websocket_client.WebSocketBadStatusException) as refused:
                await asyncio.to_thread(
                    websocket_client.create_connection, uri, origin="https://elsewhere.example"
                )
        assert refused.value.status_code == 403
