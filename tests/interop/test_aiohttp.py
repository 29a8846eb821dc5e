"""`aiohttp`, both ways: its client on our server, our client on its server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from refimpl import connect
from refimpl.errors import ConnectionClosed, HandshakeError
from tests.interop.conversation import COMPRESSIONS, conversation, echo_server

both_compressions = pytest.mark.parametrize("compression", COMPRESSIONS)


def window(compression: str | None) -> int:
    """Return aiohttp's word for compression: the window bits, 0 for none."""
    return 15 if compression else 0


@asynccontextmanager
async def peer_echo(compression: str | None = None) -> AsyncIterator[str]:
    """Serve an echo with aiohttp on /, a plain page on /page; give the base URI."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=bool(compression))
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="only a page")

    application = web.Application()
    application.add_routes([web.get("/", echo), web.get("/page", page)])
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class TestTheirClientOnOurServer:
    @both_compressions
    async def test_every_message_comes_back(self, compression: str | None) -> None:
        async with (
            echo_server(compression=compression) as (uri, seen),
            aiohttp.ClientSession() as session,
            session.ws_connect(uri, compress=window(compression)) as peer,
        ):
            assert bool(peer.compress) == (compression == "deflate")
            for message in conversation():
                if isinstance(message, str):
                    await peer.send_str(message)
                    assert await peer.receive_str() == message
                else:
                    await peer.send_bytes(message)
                    assert await peer.receive_bytes() == message
        assert seen.messages == len(conversation())

    async def test_they_close_and_we_say_why(self) -> None:
        async with echo_server() as (uri, seen), aiohttp.ClientSession() as session:
            async with session.ws_connect(uri) as peer:
                await peer.close(code=3001, message=b"done")
                assert peer.close_code == 3001
        assert seen.end is not None
        assert seen.end.received == (3001, "done")

    async def test_a_plain_get_gets_426(self) -> None:
        async with echo_server() as (uri, _), aiohttp.ClientSession() as session:
            async with session.get(uri.replace("ws://", "http://")) as answer:
                assert answer.status == 426
                assert answer.headers["Upgrade"].lower() == "websocket"
                assert await answer.text()

    async def test_foreign_origin_gets_403(self) -> None:
        async with echo_server() as (uri, _), aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(uri, origin="https://elsewhere.example")
            assert refused.value.status == 403


class TestOurClientOnTheirServer:
    @both_compressions
    async def test_every_message_comes_back(self, compression: str | None) -> None:
        async with peer_echo(compression) as uri:
            async with connect(f"{uri}/", compression=compression) as ours:
                for message in conversation():
                    await ours.send(message)
                    assert await ours.recv() == message
                agreed = ours.response.headers.get("Sec-WebSocket-Extensions")
        assert (agreed is not None) == (compression == "deflate")

    async def test_we_close_and_they_answer(self) -> None:
        async with peer_echo() as uri, connect(f"{uri}/") as ours:
            await ours.close(3001, "done")
            with pytest.raises(ConnectionClosed) as closed:
                await ours.recv()
        assert closed.value.sent == (3001, "done")
        assert closed.value.received == (1000, "")  # aiohttp answers with a code of its own
        assert closed.value.order == "sent"

    async def test_a_page_is_not_a_websocket(self) -> None:
        async with peer_echo() as uri:
            with pytest.raises(HandshakeError) as refused:
                await connect(f"{uri}/page")
        assert refused.value.status == 200
        assert refused.value.body == b"only a page"
