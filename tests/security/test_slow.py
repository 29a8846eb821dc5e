"""Slow clients: whoever drips its request holds a socket as long as the server lets it.

The kind is "slowloris" (CVE-2007-6750), reported of a uvicorn server in
github.com/xorbitsai/inference/pull/5213: uvicorn has no deadline for a head or a body. The rules in
memory are in tests/test_engine_http.py and tests/test_lifecycle_opening.py.
"""

from __future__ import annotations

import asyncio
from ssl import SSLContext
from typing import Any

import pytest

from refimpl.lifecycle import Settings
from refimpl.middleware.engine.http import HTTP
from refimpl.middleware.serving import running
from tests.certificates import HERE as CERTIFICATES
from tests.certificates import client_context
from tests.support import wire
from tests.support.clockwork import virtual_time
from tests.support.engine_pair import until
from tests.support.rawpeer import new_server

POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\n"
CROWD = 200


class Quick(HTTP):
    """Our HTTP with little patience."""

    head_timeout = body_timeout = 0.5


async def page(scope: Any, receive: Any, send: Any) -> None:
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.request":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"welcome"})


async def ask(port: int, part: bytes, ssl: SSLContext | None = None) -> bytes:
    """Return all that a server says to a request that stops in the middle, or does not."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=ssl)
    writer.write(part)
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


class TestBeforeTheEngine:
    @pytest.mark.parametrize(
        ("part", "answer"),
        [
            (b"", b""),
            (b"G", b"HTTP/1.1 408 "),
            (wire.request_head()[:-1], b"HTTP/1.1 408 "),
            (POST + b"half", b"HTTP/1.1 408 "),
        ],
        ids=["silent", "a byte", "all but one", "half a body"],
    )
    async def test_a_crowd_of_slow_clients_is_gone_in_time(
        self, part: bytes, answer: bytes
    ) -> None:
        settings: dict[str, object] = {"http": Quick, "lifespan": "off"}
        async with running(page, settings=settings) as server:
            slow = [asyncio.create_task(ask(server.port, part)) for _ in range(CROWD)]
            close = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
            assert b"welcome" in await ask(server.port, close)  # others are served
            for heard in await asyncio.gather(*slow):
                assert heard.startswith(answer) and bool(heard) == bool(answer)
            assert not server.server_state.connections

    async def test_over_tls_too(self) -> None:
        certificate = str(CERTIFICATES / "localhost.pem")
        settings: dict[str, object] = {"http": Quick, "lifespan": "off"}
        settings |= {"ssl_certfile": certificate, "ssl_keyfile": certificate}
        async with running(page, settings=settings) as server:
            for part, answer in ((b"", b""), (b"G", b"HTTP/1.1 408 ")):
                heard = await ask(server.port, part, ssl=client_context())
                assert heard.startswith(answer) and bool(heard) == bool(answer)
            await until(lambda: not server.server_state.connections)


class TestOurOwnServer:
    @virtual_time
    async def test_a_slow_head_has_one_deadline_from_accept(self) -> None:
        server, peer = new_server(Settings(open_timeout=2, close_timeout=10))
        peer.closes_on_eof = False  # it drips on behind our 408 and our end of stream
        gone = asyncio.ensure_future(server.wait_closed())
        for byte in wire.request_head():
            if gone.done():
                break
            await peer.send(bytes([byte]))
            await asyncio.sleep(0.25)
        ended = asyncio.get_running_loop().time()
        peer.transport.abort()
        await gone
        assert peer.received.startswith(b"HTTP/1.1 408 ")
        assert ended <= 3
