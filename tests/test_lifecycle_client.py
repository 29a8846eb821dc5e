"""The client: opening, refusing to open, TLS, and coming back."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from refimpl import (
    ConnectionClosed,
    HandshakeError,
    LocalProtocolError,
    Response,
    ServerConnection,
    State,
    connect,
    serve,
)
from refimpl.handshake import build_request, make_key, parse_uri
from refimpl.lifecycle import Backoff, ClientConnection, Settings
from refimpl.lifecycle import client as client_module
from refimpl.lifecycle.backoff import is_fatal
from refimpl.lifecycle.memory import join
from tests.certificates import client_context, server_context
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.rawpeer import RawPeer

LOCAL = "127.0.0.1"


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


def port_of(server: object) -> int:
    port: int = server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    return port


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve raw bytes as the answer to whatever head comes; give the URI and the heads."""
    heads = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(talk, LOCAL, 0)
    async with server:
        yield f"ws://{LOCAL}:{port_of(server)}", heads


class TestRequest:
    async def test_4_1_what_the_server_sees(self) -> None:
        async with answering(wire.head("HTTP/1.1 403 Forbidden", [])) as (uri, heads):
            with pytest.raises(HandshakeError):
                await connect(
                    f"{uri}/chat?room=1",
                    origin="https://a.example",
                    subprotocols=["v2", "v1"],
                    additional_headers={"Authorization": "Bearer x", "User-Agent": "test"},
                    compression="deflate",
                )
        lines = heads[0].decode().split("\r\n")
        assert lines[0] == "GET /chat?room=1 HTTP/1.1"
        assert f"Host: {uri.removeprefix('ws://')}" in lines
        assert "Origin: https://a.example" in lines
        assert "Sec-WebSocket-Protocol: v2, v1" in lines
        assert "Authorization: Bearer x" in lines
        assert "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits" in lines

    async def test_headers_may_come_as_pairs(self) -> None:
        async with answering(b"HTTP/1.1 403 \r\n\r\n") as (uri, heads):
            with pytest.raises(HandshakeError):
                await connect(uri, additional_headers=iter([("Cookie", "a=1"), ("X-B", "b")]))
        assert b"\r\nCookie: a=1\r\nX-B: b\r\n" in heads[0]

    async def test_4_1_a_fresh_key_for_each_connection(self) -> None:
        async with answering(b"HTTP/1.1 403 \r\n\r\n") as (uri, heads):
            for _ in range(3):
                with pytest.raises(HandshakeError):
                    await connect(uri)
        keys = {head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0] for head in heads}
        assert len(keys) == 3


class TestWrongArguments:
    @pytest.mark.parametrize(
        "uri",
        [
            "http://a.example",
            "ws://",
            "ws://a.example/#fragment",
            "ws://a.example:99999",
            "nonsense",
        ],
    )
    def test_uri(self, uri: str) -> None:
        with pytest.raises(LocalProtocolError):
            connect(uri)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"subprotocols": ["a", "a"]},
            {"subprotocols": ["a b"]},
            {"additional_headers": {"X-Injected": "a\r\nHost: b"}},
            {"additional_headers": {"X: Y": "z"}},
            {"origin": "https://a.example\r\nX: y"},
            {"ssl": ssl.create_default_context()},
        ],
        ids=", ".join,  # names, the same in every process: a context prints its address
    )
    def test_what_is_refused_at_the_call(self, wrong: dict[str, object]) -> None:
        with pytest.raises(LocalProtocolError):
            connect("ws://a.example", **wrong)  # type: ignore[arg-type]

    def test_limits(self) -> None:
        with pytest.raises(ValueError, match="max_size"):
            connect("ws://a.example", max_size=0)
        with pytest.raises(ValueError, match="compression"):
            connect("ws://a.example", compression="gzip")


class TestRefusal:
    async def test_4_1_anything_but_101_stays_readable(self) -> None:
        headers = [("Content-Length", "9"), ("Retry-After", "3")]
        async with answering(wire.head("HTTP/1.1 503 Busy", headers) + b"try later") as (uri, _):
            with pytest.raises(HandshakeError) as refused:
                await connect(uri)
        assert refused.value.status == 503
        assert ("Retry-After", "3") in refused.value.headers
        assert refused.value.body == b"try later"

    async def test_4_1_a_body_that_ends_with_the_stream(self) -> None:
        async with answering(b"HTTP/1.1 404 Not Found\r\n\r\nnothing here") as (uri, _):
            with pytest.raises(HandshakeError) as refused:
                await connect(uri)
        assert (refused.value.status, refused.value.body) == (404, b"nothing here")

    @pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 101 Swi"])
    async def test_no_answer_or_none_of_http(self, answer: bytes) -> None:
        async with answering(answer) as (uri, _):
            with pytest.raises(HandshakeError) as refused:
                await connect(uri)
        assert refused.value.status == 0

    @pytest.mark.rule(34)
    async def test_4_1_a_wrong_accept_never_opens(self) -> None:
        async with answering(wire.response_head() + wire.frame(wire.TEXT, b"poison")) as (uri, _):
            with pytest.raises(HandshakeError, match="Accept"):
                await connect(uri)

    async def test_nobody_listens(self) -> None:
        server = await serve(echo, LOCAL, 0)
        port = port_of(server)
        server.close()
        await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await connect(f"ws://{LOCAL}:{port}")

    async def test_our_own_server_says_what_is_wrong(self) -> None:
        async with serve(echo, LOCAL, 0) as server:
            with pytest.raises(HandshakeError) as refused:
                await connect(f"ws://{LOCAL}:{port_of(server)}", origin="https://evil.example")
        assert refused.value.status == 403
        assert b"Origin" in refused.value.body


class TestOpenTimeout:
    @virtual_time
    async def test_a_server_that_never_answers(self) -> None:
        client, peer = ClientConnection(Settings()), RawPeer()
        join(client.driver, peer)
        request = build_request(parse_uri("ws://a.example"), key=make_key())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await client.open(request)
        client.transport.abort()

    async def test_the_whole_of_opening_is_within_it(self) -> None:
        accepted: list[asyncio.StreamWriter] = []

        async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.append(writer)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silence, LOCAL, 0)
        async with server:
            with pytest.raises(TimeoutError, match=r"0\.05 s"):
                await connect(f"ws://{LOCAL}:{port_of(server)}", open_timeout=0.05)
            await accepted[0].wait_closed()

    @pytest.mark.parametrize("answer", [wire.response_head(), b"HTTP/1.1 403 \r\n\r\n"])
    def test_an_answer_that_comes_after_we_gave_up_is_harmless(self, answer: bytes) -> None:
        @virtual_time
        async def run() -> None:
            client, peer = ClientConnection(Settings()), RawPeer()
            join(client.driver, peer)
            uri, key = parse_uri("ws://a.example"), "dGhlIHNhbXBsZSBub25jZQ=="
            opening = asyncio.ensure_future(client.open(build_request(uri, key=key)))
            await settle()
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            await peer.send(answer)
            client.transport.abort()
            await settle()
            assert client.state is State.CLOSED

        run()


class TestTls:
    async def test_wss_both_ways(self) -> None:
        async with serve(echo, "localhost", 0, ssl=server_context()) as server:
            uri = f"wss://localhost:{port_of(server)}"
            async with connect(uri, ssl=client_context()) as client:
                for message in ("hello", bytes(300_000)):
                    await client.send(message)
                    assert await client.recv() == message
            assert client.close_code == 1000
            assert client.state is State.CLOSED

    @pytest.mark.rule(35)
    async def test_4_1_an_unknown_authority_is_refused(self) -> None:
        async with serve(echo, "localhost", 0, ssl=server_context()) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(f"wss://localhost:{port_of(server)}")  # ssl=None: the system's trust

    @pytest.mark.rule(35)
    async def test_4_1_another_hosts_certificate_is_refused(self) -> None:
        async with serve(echo, "localhost", 0, ssl=server_context("other.example")) as server:
            with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
                await connect(f"wss://localhost:{port_of(server)}", ssl=client_context())

    async def test_close_over_tls_when_the_server_closes(self) -> None:
        async def leave(websocket: ServerConnection) -> None:
            await websocket.send("x" * 200_000)
            await websocket.close(4000, "enough")

        async with serve(leave, "localhost", 0, ssl=server_context()) as server:
            uri = f"wss://localhost:{port_of(server)}"
            async with connect(uri, ssl=client_context()) as client:
                assert len(await client.recv()) == 200_000
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
            assert closed.value.received == (4000, "enough")


class TestRefusalOnAnOpenConnection:
    """A server that keeps the connection after a refusal says where the body ends."""

    @pytest.mark.parametrize(
        ("status", "lines", "sent", "body"),
        [
            (403, [("Content-Length", "3")], b"no!", b"no!"),
            (
                403,
                [("Transfer-Encoding", "chunked")],
                b"2\r\nno\r\n1;x=y\r\n!\r\n0\r\n\r\n",
                b"no!",
            ),
            (403, [("Transfer-Encoding", "chunked")], b"zz\r\n", b""),
            (204, [], b"", b""),
        ],
        ids=["length", "chunked", "no chunk", "no body"],
    )
    async def test_it_is_reported_without_waiting_for_the_end(
        self, status: int, lines: list[tuple[str, str]], sent: bytes, body: bytes
    ) -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for byte in wire.head(f"HTTP/1.1 {status} No", lines) + sent:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            await reader.read()  # until the client has had enough
            writer.close()

        async with await asyncio.start_server(refuse, LOCAL, 0) as server:
            with pytest.raises(HandshakeError) as refused:
                await connect(f"ws://{LOCAL}:{port_of(server)}")
        assert (refused.value.status, refused.value.body) == (status, body)


class TestTcpTimeout:
    @virtual_time
    async def test_tcp_alone_has_five_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()

        async def unanswered(host: str, port: int) -> None:
            await asyncio.sleep(3600)  # a SYN that nobody answers

        monkeypatch.setattr(client_module, "open_socket", unanswered)
        with pytest.raises(TimeoutError, match=r"no TCP connection to a.example:80 within 5 s"):
            await connect("ws://a.example")
        assert loop.time() == 5

    @virtual_time
    async def test_once_tcp_stands_the_rest_has_the_whole_open_timeout(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop = asyncio.get_running_loop()

        async def answered(host: str, port: int) -> None:
            """Stand for a socket that is connected."""

        async def silent(factory: Callable[[], ClientConnection], *_: object, **__: object) -> None:
            factory()
            await asyncio.sleep(3600)  # TLS that goes nowhere

        monkeypatch.setattr(client_module, "open_socket", answered)
        loop.create_connection = silent  # type: ignore[assignment, method-assign]
        with pytest.raises(TimeoutError, match="no WebSocket opened within 10 s"):
            await connect("ws://a.example")
        assert loop.time() == 10

    def test_none_is_no_limit_and_nonsense_is_refused(self) -> None:
        connect("ws://a.example", tcp_timeout=None)
        with pytest.raises(ValueError, match="got tcp_timeout=0"):
            connect("ws://a.example", tcp_timeout=0)


class TestBackoff:
    @pytest.mark.parametrize("wrong", [{"first": 0}, {"first": 10, "longest": 5}], ids=str)
    def test_bounds_that_are_none_are_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="expected 0 < first <= longest"):
            Backoff(**wrong)  # type: ignore[arg-type]

    @pytest.mark.rule(71)
    def test_7_2_3_the_first_wait_is_random_up_to_five_seconds(self) -> None:
        rng = random.Random(7)
        first = [Backoff(random=rng.random).next_delay() for _ in range(2000)]
        assert 0 <= min(first) < 0.1
        assert 4.9 < max(first) <= 5
        assert 2.3 < sum(first) / 2000 < 2.7

    @pytest.mark.rule(71)
    def test_7_2_3_then_truncated_exponential(self) -> None:
        backoff = Backoff(random=lambda: 1.0, first=5, longest=60)
        assert [backoff.next_delay() for _ in range(6)] == [5, 10, 20, 40, 60, 60]
        backoff.reset()
        assert backoff.next_delay() == 5

    @pytest.mark.parametrize(
        ("error", "fatal"),
        [
            (HandshakeError("", status=401), True),
            (HandshakeError("", status=404), True),
            (HandshakeError("", status=101), True),
            (HandshakeError("", status=0), False),
            (HandshakeError("", status=429), False),
            (HandshakeError("", status=503), False),
            (ConnectionRefusedError(), False),
            (TimeoutError(), False),
            (ssl.SSLCertVerificationError(), True),
        ],
        ids=repr,
    )
    def test_what_is_fatal(self, error: Exception, fatal: bool) -> None:
        assert is_fatal(error) is fatal


class TestReconnecting:
    @pytest.fixture(autouse=True)
    def waits(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Make waits take no time, and remember how long they should have been."""
        waits: list[float] = []

        def next_delay(backoff: Backoff) -> float:
            waits.append(backoff._bound)
            real(backoff)
            return 0

        real = Backoff.next_delay
        monkeypatch.setattr(Backoff, "next_delay", next_delay)
        return waits

    async def test_comes_back_after_every_end(self, waits: list[float]) -> None:
        async def leave(websocket: ServerConnection) -> None:
            await websocket.close(1012)

        closes = []
        async with serve(leave, LOCAL, 0) as server:
            async for websocket in connect(f"ws://{LOCAL}:{port_of(server)}"):
                with pytest.raises(ConnectionClosed):
                    await websocket.recv()
                closes.append(websocket.close_code)
                if len(closes) == 3:
                    break
        assert closes == [1012, 1012, 1012]
        assert waits == [5, 5]  # a success resets the wait

    async def test_waits_longer_while_the_server_is_overloaded(self, waits: list[float]) -> None:
        calls = 0

        def busy(connection: ServerConnection, request: object) -> Response | None:
            nonlocal calls
            calls += 1
            return connection.respond(503, "busy") if calls < 4 else None

        async with serve(echo, LOCAL, 0, process_request=busy) as server:
            async for websocket in connect(f"ws://{LOCAL}:{port_of(server)}"):
                await websocket.send("at last")
                assert await websocket.recv() == "at last"
                await websocket.close()
                break
        assert waits == [5, 10, 20]

    async def test_stops_at_a_refusal_that_is_meant(self, waits: list[float]) -> None:
        def refuse(connection: ServerConnection, request: object) -> Response:
            return connection.respond(401, "who are you?")

        async with serve(echo, LOCAL, 0, process_request=refuse) as server:
            with pytest.raises(HandshakeError) as refused:
                async for _ in connect(f"ws://{LOCAL}:{port_of(server)}"):
                    pytest.fail("it never opens")
        assert refused.value.status == 401
        assert waits == []

    async def test_the_waits_are_those_asked_for(self, waits: list[float]) -> None:
        def busy(connection: ServerConnection, request: object) -> Response | None:
            return connection.respond(503, "busy") if len(waits) < 3 else None

        backoff = Backoff(first=0.25, longest=0.5)
        async with serve(echo, LOCAL, 0, process_request=busy) as server:
            async for _ in connect(f"ws://{LOCAL}:{port_of(server)}", backoff=backoff):
                break
        assert waits == [0.25, 0.5, 0.5]

    async def test_resume_says_what_was_seen_last(self, waits: list[float]) -> None:
        async def count_on(websocket: ServerConnection) -> None:
            assert websocket.request is not None
            start = int(websocket.request.headers.get("Last-Seen") or 0)
            for number in range(start + 1, start + 4):
                await websocket.send(str(number))

        seen = [0]
        async with serve(count_on, LOCAL, 0) as server:
            uri = f"ws://{LOCAL}:{port_of(server)}"
            async for websocket in connect(uri, resume=lambda: {"Last-Seen": str(seen[-1])}):
                async for message in websocket:
                    seen.append(int(message))
                if len(seen) > 9:
                    break
        assert seen == list(range(10))  # nothing twice, nothing missing
