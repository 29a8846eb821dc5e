"""The server before 101, in memory: process_request, plain HTTP, probes, open_timeout."""

from __future__ import annotations

import asyncio

import pytest

from refimpl import HandshakeError, Headers, Request, Response, ServerConnection, State
from refimpl.handshake import parse_response
from refimpl.lifecycle import Settings
from tests.support import wire
from tests.support.clockwork import settle, timers, virtual_time
from tests.support.rawpeer import RawPeer, client_frame, new_server, open_server


def answered(peer: RawPeer) -> Response:
    """Return the response that the peer got, with its body; there must be exactly one."""
    parsed = parse_response(peer.received)
    assert parsed is not None
    response, end = parsed
    length = response.headers.get("Content-Length", "0")  # a 204 has none (RFC 9110 8.6)
    assert int(length) == len(peer.received) - end
    return Response(response.status, response.headers, peer.received[end:])


class TestProcessRequest:
    """Memory and virtual time: `new_server` gives a connection that no byte has reached yet."""

    @staticmethod
    def with_process_request(process: object) -> tuple[ServerConnection, RawPeer]:
        server, peer = new_server()
        server.server.process_request = process  # type: ignore[assignment]
        return server, peer

    @virtual_time
    async def test_none_goes_on(self) -> None:
        seen: list[Request] = []
        server, peer = self.with_process_request(lambda connection, request: seen.append(request))
        await peer.send(wire.request_head())
        assert server.state is State.OPEN
        assert seen == [server.request]
        peer.transport.abort()

    @pytest.mark.parametrize("status", [200, 204, 302, 401, 403, 404, 503])
    @pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
    def test_any_status_before_101(self, status: int, later: bool) -> None:
        def answer(connection: ServerConnection, request: Request) -> Response:
            return Response(
                status, Headers([("X-Why", "because")]), b"" if status == 204 else b"so"
            )

        async def answer_later(connection: ServerConnection, request: Request) -> Response:
            await asyncio.sleep(1)
            return answer(connection, request)

        @virtual_time
        async def run() -> None:
            server, peer = self.with_process_request(answer_later if later else answer)
            await peer.send(wire.request_head())
            await asyncio.sleep(2)
            response = answered(peer)
            assert (response.status, response.headers["X-Why"]) == (status, "because")
            assert response.headers["Connection"] == "close"
            assert peer.ended
            assert server.state is State.CLOSED
            assert server.response is not None
            assert server.response.status == status

        run()

    @virtual_time
    async def test_async_none_goes_on_and_keeps_what_came_meanwhile(self) -> None:
        async def think(connection: ServerConnection, request: Request) -> None:
            await asyncio.sleep(1)

        server, peer = self.with_process_request(think)
        head = wire.request_head()
        await peer.send(head + client_frame(wire.TEXT, b"right behind"))
        await peer.send(client_frame(wire.TEXT, b"a little later"))
        assert server.state is State.CONNECTING
        await asyncio.sleep(2)
        assert [await server.recv(), await server.recv()] == ["right behind", "a little later"]
        peer.transport.abort()

    @virtual_time
    async def test_reading_goes_on_when_it_has_thought(self) -> None:
        async def think(connection: ServerConnection, request: Request) -> None:
            await asyncio.sleep(1)

        server, peer = self.with_process_request(think)
        await peer.send(wire.request_head())
        assert not server.transport.is_reading()
        await asyncio.sleep(2)
        assert server.transport.is_reading()
        peer.transport.abort()

    @virtual_time
    async def test_one_that_closes_the_connection_has_answered(self) -> None:
        server, peer = self.with_process_request(lambda ours, _: ours.leave())
        await peer.send(wire.request_head())
        assert answered(peer).status == 503
        assert server.state is State.CLOSED

    @virtual_time
    async def test_nothing_piles_up_while_it_thinks(self) -> None:
        async def think(connection: ServerConnection, request: Request) -> None:
            await asyncio.sleep(1)

        server, peer = self.with_process_request(think)
        await peer.send(wire.request_head())
        for _ in range(100):
            await peer.send(bytes(65_536))
        assert peer.transport.get_write_buffer_size() == 100 * 65_536
        peer.transport.abort()
        await settle()
        assert server.state is State.CLOSED

    @virtual_time
    async def test_respond_makes_a_plain_text_answer(self) -> None:
        server, peer = self.with_process_request(lambda ours, _: ours.respond(200, "OK\n"))
        await peer.send(wire.request_head(drop=["Upgrade"]))  # a health check is no WebSocket
        response = answered(peer)
        assert (response.status, response.body) == (200, b"OK\n")
        assert server.server.refused == {"process-request-200": 1}

    @virtual_time
    async def test_a_handshake_error_is_the_answer_it_describes(self) -> None:
        def refuse(connection: ServerConnection, request: Request) -> None:
            raise HandshakeError("got no token", status=401, reason="token")

        server, peer = self.with_process_request(refuse)
        await peer.send(wire.request_head())
        assert answered(peer).status == 401
        assert server.server.refused == {"token": 1}

    @pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
    def test_any_other_error_is_ours_and_logged(
        self, later: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(connection: ServerConnection, request: Request) -> None:
            raise ZeroDivisionError("secret detail")

        async def fail_later(connection: ServerConnection, request: Request) -> None:
            fail(connection, request)

        @virtual_time
        async def run() -> None:
            server, peer = self.with_process_request(fail_later if later else fail)
            await peer.send(wire.request_head())
            response = answered(peer)
            assert response.status == 500
            assert b"secret" not in peer.received
            assert server.server.refused == {"process-request": 1}

        run()
        assert "secret detail" in caplog.text

    @pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
    @pytest.mark.parametrize(
        "answer",
        [
            "no Response",
            Response(600),
            Response(100),
            Response(403, body="text"),  # type: ignore[arg-type]
            Response(403, reason="a\r\nb"),
            HandshakeError("another server was not reached", status=0),
            HandshakeError("got a status that is no refusal", status=101),
        ],
        ids=["str", "600", "100", "str body", "CR LF", "error 0", "error 101"],
    )
    def test_what_is_no_answer_becomes_500(
        self, answer: object, later: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        def give(connection: ServerConnection, request: Request) -> object:
            if isinstance(answer, Exception):
                raise answer
            return answer

        async def give_later(connection: ServerConnection, request: Request) -> object:
            return give(connection, request)

        @virtual_time
        async def run() -> None:
            server, peer = self.with_process_request(give_later if later else give)
            await peer.send(wire.request_head())
            assert answered(peer).status == 500
            assert server.server.refused == {"process-request": 1}
            peer.transport.close()
            await settle()
            assert peer.lost
            assert server.state is State.CLOSED

        run()
        assert "process_request failed" in caplog.text

    @virtual_time
    async def test_101_is_not_its_to_give(self) -> None:
        server, peer = self.with_process_request(lambda ours, _: ours.respond(101, ""))
        await peer.send(wire.request_head())
        assert answered(peer).status == 500
        assert server.state is State.CLOSED

    @pytest.mark.parametrize(
        "head",
        [
            wire.request_head("POST /chat HTTP/1.1"),
            wire.request_head("GET /chat HTTP/1.0"),
            wire.request_head(drop=["Host"]),
            wire.request_head(add=[("Content-Length", "5")]),
        ],
        ids=["POST", "HTTP/1.0", "no Host", "body"],
    )
    def test_is_not_asked_about_what_is_no_sound_get(self, head: bytes) -> None:
        @virtual_time
        async def run() -> None:
            asked: list[Request] = []
            _, peer = self.with_process_request(lambda ours, request: asked.append(request))
            await peer.send(head)
            assert answered(peer).status >= 400
            assert asked == []

        run()

    @virtual_time
    async def test_a_client_that_leaves_while_it_thinks_ends_it(self) -> None:
        cancelled = asyncio.Event()

        async def think(connection: ServerConnection, request: Request) -> None:
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        server, peer = self.with_process_request(think)
        await peer.send(wire.request_head())
        peer.transport.abort()
        await settle()
        assert cancelled.is_set()
        assert server.state is State.CLOSED


class TestPlainHttp:
    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("text/html,application/xhtml+xml", "text/html"),
            ("*/*", "text/plain"),
            (None, "text/plain"),
        ],
    )
    def test_426_with_a_page_that_says_what_this_is(self, accept: str | None, kind: str) -> None:
        @virtual_time
        async def run() -> None:
            _, peer = new_server()
            headers = [("Accept", accept)] if accept else []
            await peer.send(wire.request_head(drop=["Upgrade", "Connection"], add=headers))
            response = answered(peer)
            assert response.status == 426
            assert response.headers["Upgrade"] == "websocket"
            assert response.headers["Content-Type"] == f"{kind}; charset=utf-8"
            page = response.body.decode()
            assert "WebSocket server" in page
            assert "refimpl connect ws://server.example.com/chat" in page
            assert 'new WebSocket("ws://server.example.com/chat")' in page.replace("&quot;", '"')

        run()

    @virtual_time
    async def test_the_page_escapes_what_it_quotes(self) -> None:
        _, peer = new_server()
        line = 'GET /<script>alert("1")</script> HTTP/1.1'
        await peer.send(wire.request_head(line, drop=["Upgrade"], add=[("Accept", "text/html")]))
        body = answered(peer).body
        assert b"<script>" not in body
        assert b"&lt;script&gt;" in body


class TestProbes:
    @virtual_time
    async def test_who_connects_and_leaves_is_not_counted(self) -> None:
        server, peer = new_server()
        peer.transport.close()
        await settle()
        assert server.state is State.CLOSED
        assert peer.received == b""
        assert server.server.refused == {}

    @virtual_time
    async def test_who_leaves_inside_the_head_is(self) -> None:
        server, peer = new_server()
        await peer.send(wire.request_head()[:30])
        peer.transport.close()
        await settle()
        assert server.state is State.CLOSED
        assert server.server.refused == {"eof": 1}


class TestOpenTimeout:
    @virtual_time
    async def test_a_head_that_drips_is_cut_off_and_told_why(self) -> None:
        server, peer = new_server(Settings(open_timeout=10))
        head = wire.request_head()
        for at in range(len(head)):
            if peer.ended:
                break
            await peer.send(head[at : at + 1])
            await asyncio.sleep(1)
        assert asyncio.get_running_loop().time() == pytest.approx(11, abs=1)
        assert answered(peer).status == 408
        assert server.server.refused == {"open-timeout": 1}

    @virtual_time
    async def test_a_client_that_says_nothing_is_cut_off(self) -> None:
        _, peer = new_server(Settings(open_timeout=10))
        await asyncio.sleep(9.9)
        assert not peer.ended
        await asyncio.sleep(0.2)
        assert peer.ended

    @virtual_time
    async def test_process_request_is_within_it(self) -> None:
        async def think(connection: ServerConnection, request: Request) -> None:
            await asyncio.sleep(3600)

        server, peer = new_server(Settings(open_timeout=10))
        server.server.process_request = think
        await peer.send(wire.request_head())
        await asyncio.sleep(11)
        assert answered(peer).status == 408
        assert server.state is State.CLOSED

    @virtual_time
    async def test_none_waits(self) -> None:
        server, peer = new_server(Settings(open_timeout=None, ping_interval=None))
        await asyncio.sleep(10_000)
        await peer.send(wire.request_head())
        assert server.state is State.OPEN
        peer.transport.abort()

    @virtual_time
    async def test_an_open_connection_is_beyond_it(self) -> None:
        server, peer = await open_server(Settings(open_timeout=1, ping_interval=None))
        assert timers() == []
        await asyncio.sleep(100)
        assert server.state is State.OPEN
        peer.transport.abort()


class TestClosing:
    @virtual_time
    async def test_a_client_that_slips_in_while_the_server_closes_gets_503(self) -> None:
        server, peer = new_server()
        server.server.is_closing = True  # type: ignore[misc]
        await peer.send(wire.request_head())
        assert answered(peer).status == 503
        assert server.server.refused == {"server-closing": 1}
