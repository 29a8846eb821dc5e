"""The thirty malformed handshakes, and those that must still pass, over a real socket.

The bytes are those of `handshakes.py`. Each bad one must get exactly one response, `Connection:
close` and the end of the stream within a second; no handler may start, the reason is counted, and
neither a task nor a connection stays behind.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from refimpl import Server, WebSocket, serve
from refimpl.errors import HandshakeError
from refimpl.handshake import Request, Response, accept_key, parse_response
from refimpl.lifecycle import ServerConnection
from tests.certificates import client_context, server_context
from tests.support import wire
from tests.support.handshakes import MALFORMED, SMUGGLED, STILL_GOOD, Bad, Good

ProcessRequest = Callable[[ServerConnection, Request], Response | Awaitable[Response | None] | None]

SECOND = 1.0
WITH_BODY = [bad for bad in MALFORMED if SMUGGLED in bad.head]


class Listening:
    """A server of ours, what its handlers did, and a way to talk raw bytes to it."""

    def __init__(self, server: Server, context: ssl.SSLContext | None) -> None:
        self.server = server
        self.port = server.sockets[0].getsockname()[1]
        self.context = context
        self.handled: list[str | bytes] = []
        self.started = 0

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect without saying anything yet."""
        hostname = "localhost" if self.context else None
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context, server_hostname=hostname
        )

    async def ask(self, data: bytes) -> bytes:
        """Send data on a new connection; return everything that comes until the end."""
        reader, writer = await self.open()
        writer.write(data)
        async with asyncio.timeout(SECOND):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


@asynccontextmanager
async def listening(
    context: ssl.SSLContext | None = None, process_request: ProcessRequest | None = None
) -> AsyncIterator[Listening]:
    """Serve on a free port; assert at the end that nothing is left."""

    async def handler(websocket: WebSocket) -> None:
        place.started += 1
        async for message in websocket:
            place.handled.append(message)
            await websocket.send(message)

    server_side = server_context() if context else None
    async with serve(
        handler,
        "127.0.0.1",
        0,
        ssl=server_side,
        process_request=process_request,
        allowed_hosts=["*"],
    ) as server:
        place = Listening(server, context)
        yield place
    assert not server._accepted
    assert asyncio.all_tasks() == {asyncio.current_task()}


def parse_only_response(answer: bytes) -> tuple[Response, bytes]:
    """Return the one response in answer and its body; anything behind it is a mistake."""
    parsed = parse_response(answer)
    assert parsed is not None, f"no whole response in {answer!r}"
    response, end = parsed
    length = int(response.headers["Content-Length"])
    assert len(answer) == end + length, "bytes behind the response"
    return response, answer[end:]


both_transports = pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])


def context(secure: bool) -> ssl.SSLContext | None:
    return client_context() if secure else None


class TestMalformed:
    @pytest.mark.rule(21)
    @both_transports
    @pytest.mark.parametrize("bad", MALFORMED, ids=lambda bad: f"{bad.number}-{bad.name}")
    async def test_4_2_2_one_refusal_and_the_end(self, bad: Bad, secure: bool) -> None:
        async with listening(context(secure)) as place:
            response, body = parse_only_response(await place.ask(bad.head))
            assert response.status == bad.status
            assert "close" in response.headers["Connection"]
            if bad.header is not None:
                name, value = bad.header
                assert value in response.headers.get_all(name)
            assert body
            assert place.started == 0
            assert sum(place.server.refused.values()) == 1

    async def test_reasons_are_told_apart(self) -> None:
        async with listening() as place:
            for bad in MALFORMED:
                await place.ask(bad.head)
            assert sum(place.server.refused.values()) == len(MALFORMED)
            assert len(place.server.refused) >= 15
            assert place.server.refused["origin"] == 1

    @pytest.mark.parametrize("bad", WITH_BODY, ids=lambda bad: bad.name)
    async def test_9112_6_a_body_is_never_read_as_a_second_request(self, bad: Bad) -> None:
        async with listening() as place:
            answer = await place.ask(bad.head + SMUGGLED)
            assert answer.count(b"HTTP/1.1 ") == 1

    @pytest.mark.parametrize("bad", MALFORMED[:3], ids=lambda bad: f"{bad.number}-{bad.name}")
    async def test_a_refused_client_that_goes_on_talking_sees_no_reset(self, bad: Bad) -> None:
        async with listening() as place:
            reader, writer = await place.open()
            writer.write(bad.head)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(bytes(1_000_000))  # read and thrown away: closing now would reset TCP
            await writer.drain()
            await reader.read()
            writer.close()
            await writer.wait_closed()


class TestStillGood:
    @both_transports
    @pytest.mark.parametrize("good", STILL_GOOD, ids=lambda good: good.name)
    async def test_opens_and_echoes(self, good: Good, secure: bool) -> None:
        async with listening(context(secure)) as place:
            reader, writer = await place.open()
            origin = b"Origin: https:" if secure else b"Origin: http:"
            writer.write(good.head.replace(b"Origin: http:", origin) + good.behind)
            head = await reader.readuntil(b"\r\n\r\n")
            parsed = parse_response(head)
            assert parsed is not None
            assert parsed[0].status == 101
            expected = accept_key("dGhlIHNhbXBsZSBub25jZQ==")
            assert parsed[0].headers["Sec-WebSocket-Accept"] == expected
            assert "Sec-WebSocket-Extensions" not in parsed[0].headers
            hello = wire.frame(wire.TEXT, b"Hello", key=wire.KEY)
            if not good.behind:
                writer.write(hello)
            assert await reader.readexactly(7) == wire.frame(wire.TEXT, b"Hello")
            writer.write(wire.close(1000, key=wire.KEY))
            assert await reader.read() == wire.close(1000)
            writer.close()
            await writer.wait_closed()
            assert place.handled == ["Hello"]

    @pytest.mark.parametrize("size", [1, 2, 7, 64])
    async def test_a_head_in_small_pieces(self, size: int) -> None:
        async with listening() as place:
            reader, writer = await place.open()
            head = wire.request_head()
            for at in range(0, len(head), size):
                writer.write(head[at : at + size])
                await writer.drain()
            assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")
            writer.close()
            await writer.wait_closed()


class TestTls:
    @pytest.mark.rule(22)
    async def test_4_1_plain_http_to_a_tls_server_gets_no_answer(self) -> None:
        async with listening(client_context()) as place:
            place.context = None
            answer = b""
            try:
                answer = await place.ask(wire.request_head())
            except ConnectionResetError:
                pass
            assert b"101" not in answer
            assert place.started == 0

    async def test_tls_to_a_plain_server_is_told_so(self) -> None:
        async with listening() as place:
            answer = await place.ask(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            assert parse_only_response(answer)[0].status == 400
            assert place.server.refused["not-http"] == 1


BAD = [("X", "a\r\nSet-Cookie: b=c")]


def raises(connection: ServerConnection, request: Request) -> Response | None:
    raise HandshakeError("got no token", status=401, headers=BAD)


async def raises_later(connection: ServerConnection, request: Request) -> Response | None:
    await asyncio.sleep(0)
    return raises(connection, request)


def returns(connection: ServerConnection, request: Request) -> Response | None:
    return Response(401, BAD)  # type: ignore[arg-type]


async def returns_later(connection: ServerConnection, request: Request) -> Response | None:
    await asyncio.sleep(0)
    return returns(connection, request)


def text(connection: ServerConnection, request: Request) -> Response | None:
    return Response(200, body="no bytes")  # type: ignore[arg-type]


class TestRefusalsThatCannotTravel:
    @both_transports
    @pytest.mark.parametrize("decide", [raises, raises_later, returns, returns_later, text])
    async def test_the_client_gets_500_at_once(self, decide: ProcessRequest, secure: bool) -> None:
        async with listening(context(secure), decide) as place:
            answer = await place.ask(wire.request_head())
            response, _ = parse_only_response(answer)
            assert response.status == 500
            assert b"Set-Cookie" not in answer
            assert place.started == 0


def test_the_table_has_all_thirty() -> None:
    assert {bad.number for bad in MALFORMED} == set(range(1, 31))
