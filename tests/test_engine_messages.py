"""What an application says and hears through the engine, message by message (ASGI 3.0)."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from refimpl.errors import ConcurrencyError, LocalProtocolError
from refimpl.middleware.engine.order import EXPECTED, Disconnected, Stage
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.engine_http import BODY, START, head_of, request
from tests.support.engine_pair import Script, asked, new_client, opened, text
from tests.support.handshakes import MALFORMED, Bad
from tests.support.rawpeer import client_frame


class TestScope:
    @virtual_time
    async def test_tells_what_the_request_says(self) -> None:
        head = request("/a%20b/caf%C3%A9?x=%20&x=1", ("X-One", "1"), ("x-one", "\xe9"))
        async with asked(head, app_state={"pool": 7}) as (script, _):
            scope = script.scope
            assert scope["type"] == "websocket"
            assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
            assert scope["http_version"] == "1.1"
            assert scope["scheme"] == "ws"
            assert scope["path"] == "/a b/café"
            assert scope["raw_path"] == b"/a%20b/caf%C3%A9"
            assert scope["query_string"] == b"x=%20&x=1"
            assert scope["root_path"] == ""
            assert scope["headers"][0] == (b"host", b"server.example.com")
            assert scope["headers"][-2:] == [(b"x-one", b"1"), (b"x-one", b"\xe9")]
            assert scope["state"] == {"pool": 7}
            assert set(scope["extensions"]) == {"websocket.http.response", "refimpl.wire"}

    @virtual_time
    async def test_each_connection_has_a_state_of_its_own(self) -> None:
        lifespan = {"pool": 7}
        async with asked(app_state=lifespan) as (script, _):
            script.scope["state"]["pool"] = 8
        assert lifespan == {"pool": 7}

    @pytest.mark.parametrize(
        ("target", "path", "raw"),
        [
            ("/", "/", b"/"),
            ("/a%2Fb", "/a/b", b"/a%2Fb"),
            ("/%252e", "/%2e", b"/%252e"),
            ("/ws/../admin", "/ws/../admin", b"/ws/../admin"),
            ("//double", "//double", b"//double"),
            ("/%00", "/\0", b"/%00"),
            ("/%ff", "/\ufffd", b"/%ff"),
            ("ws://other.example/chat?a", "/chat", b"/chat"),
            ("http://other.example", "/", b"/"),
            ("/a?b?c", "/a", b"/a"),
        ],
    )
    def test_decodes_the_path_once_and_leaves_it_alone(
        self, target: str, path: str, raw: bytes
    ) -> None:
        @virtual_time
        async def run() -> None:
            async with asked(request(target)) as (script, _):
                assert (script.scope["path"], script.scope["raw_path"]) == (path, raw)

        run()

    @virtual_time
    async def test_the_root_path_stands_before_both_paths(self) -> None:
        async with asked(request("/chat"), root_path="/ä pp") as (script, _):
            assert script.scope["root_path"] == "/ä pp"
            assert script.scope["path"] == "/ä pp/chat"
            assert script.scope["raw_path"] == b"/%C3%A4%20pp/chat"

    @virtual_time
    async def test_offered_subprotocols_are_a_list(self) -> None:
        offers = [("Sec-WebSocket-Protocol", "a, b"), ("Sec-WebSocket-Protocol", "c")]
        async with asked(request("/", *offers)) as (script, _):
            assert script.scope["subprotocols"] == ["a", "b", "c"]

    @virtual_time
    async def test_nobody_has_to_be_asked_before_101(self) -> None:
        async with asked() as (script, client):
            assert client.take() == b""
            await script.accept()
            assert client.take().startswith(b"HTTP/1.1 101 ")


class TestAccept:
    @virtual_time
    async def test_adds_what_server_and_application_want(self) -> None:
        defaults = [(b"date", b"today"), (b"server", b"uvicorn")]
        script = Script()
        client = new_client(script)
        client.state.default_headers = defaults
        # The engine takes them when it is made, as uvicorn's own do.
        client = new_client(script, state=client.state)
        await client.send(wire.request_head(add=[("Sec-WebSocket-Protocol", "v1, v2")]))
        await script.accept(subprotocol="v2", headers=[(b"x-a", b"1"), (b"x-a", b"2")])
        line, headers, _ = head_of(answer := client.take())
        assert line == b"HTTP/1.1 101 Switching Protocols"
        assert headers["sec-websocket-accept"] == wire.ACCEPT
        assert headers["sec-websocket-protocol"] == "v2"
        assert (headers["date"], headers["server"]) == ("today", "uvicorn")
        assert answer.index(b"x-a: 1\r\n") < answer.index(b"x-a: 2\r\n")
        await script.finish()
        client.transport.abort()

    @pytest.mark.parametrize(
        "message",
        [
            {"subprotocol": "v3"},
            {"subprotocol": "v1\r\nSet-Cookie: a=b"},
            {"headers": [(b"x-a", b"1\r\nSet-Cookie: a=b")]},
            {"headers": [(b"x-a", b"1\nSet-Cookie: a=b")]},
            {"headers": [(b"x-a", b"1\0")]},
            {"headers": [(b"x-a\r\n", b"1")]},
            {"headers": [(b"x a", b"1")]},
            {"headers": [(b"sec-websocket-protocol", b"v1")]},
            {"headers": [(b"Sec-WebSocket-Accept", b"mine")]},
            {"headers": [(b"content-length", b"5")]},
            {"headers": [(b"Connection", b"close")]},
        ],
    )
    def test_refuses_what_may_not_travel_and_sends_nothing(self, message: dict[str, Any]) -> None:
        @virtual_time
        async def run() -> None:
            head = wire.request_head(add=[("Sec-WebSocket-Protocol", "v1, v2")])
            async with asked(head) as (script, client):
                with pytest.raises(LocalProtocolError):
                    await script.accept(**message)
                assert client.take() == b""
                await script.send({"type": "websocket.accept"})  # it may think better of it
                await settle()
                assert client.take().startswith(b"HTTP/1.1 101 ")

        run()

    @virtual_time
    async def test_no_subprotocol_is_chosen_for_the_application(self) -> None:
        async with asked(wire.request_head(add=[("Sec-WebSocket-Protocol", "v1")])) as (
            one,
            client,
        ):
            await one.accept(subprotocol=None)
            assert b"sec-websocket-protocol" not in client.take().lower()

    @virtual_time
    async def test_frames_right_behind_the_request_are_kept(self) -> None:
        early = client_frame(wire.TEXT, b"early")
        async with asked(wire.request_head() + early) as (script, _):
            await script.accept()
            assert await script.receive() == {"type": "websocket.receive", "text": "early"}

    @virtual_time
    async def test_frames_without_end_before_101_are_refused(self) -> None:
        async with asked() as (script, client):
            await client.send(b"\x82" * 70_000)
            assert client.take().startswith(b"HTTP/1.1 400 ")
            await script.receive()
            with pytest.raises(Disconnected):
                await script.send({"type": "websocket.accept"})


class TestMessages:
    @virtual_time
    async def test_text_and_binary_both_ways(self) -> None:
        async with opened() as (script, client):
            await client.send(client_frame(wire.TEXT, "hé".encode()))
            await client.send(client_frame(wire.BINARY, b"\0\xff"))
            assert await script.receive() == {"type": "websocket.receive", "text": "hé"}
            assert await script.receive() == {"type": "websocket.receive", "bytes": b"\0\xff"}
            await script.send({"type": "websocket.send", "text": "hé", "bytes": None})
            await script.send({"type": "websocket.send", "bytes": b"\0\xff"})
            await script.send({"type": "websocket.send", "text": ""})
            await script.send({"type": "websocket.send", "bytes": b""})
            await settle()
            sent = [(wire.TEXT, "hé".encode()), (wire.BINARY, b"\0\xff")]
            assert client.frames() == [*sent, (wire.TEXT, b""), (wire.BINARY, b"")]

    @virtual_time
    async def test_bytes_that_may_change_are_copied(self) -> None:
        async with opened() as (script, client):
            await client.send(client_frame(wire.TEXT, b"1") + client_frame(wire.TEXT, b"2"))
            await script.receive()
            data = bytearray(b"before")
            await script.send({"type": "websocket.send", "bytes": data})  # held: "2" still waits
            data[:] = b"behind"
            await script.send({"type": "websocket.send", "bytes": memoryview(b"view")})
            await settle()
            assert client.frames() == [(wire.BINARY, b"before"), (wire.BINARY, b"view")]

    @pytest.mark.parametrize(
        ("message", "error"),
        [
            ({}, RuntimeError),
            ({"text": None, "bytes": None}, RuntimeError),
            ({"bytes": "text"}, TypeError),
            ({"bytes": 5}, TypeError),
            ({"text": "\ud800"}, LocalProtocolError),
        ],
    )
    def test_what_is_no_message_is_refused(
        self, message: dict[str, Any], error: type[Exception]
    ) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                with pytest.raises(error):
                    await script.send({"type": "websocket.send", **message})
                await script.send(text("go on"))
                await settle()
                assert client.frames() == [(wire.TEXT, b"go on")]

        run()

    @virtual_time
    async def test_cancelling_receive_loses_nothing(self) -> None:
        async with opened() as (script, client):
            waiting = asyncio.ensure_future(script.receive())
            await settle()
            client.transport.write(client_frame(wire.TEXT, b"kept"))
            waiting.cancel()
            await settle()
            assert waiting.cancelled()
            assert (await script.receive())["text"] == "kept"

    @virtual_time
    async def test_two_tasks_that_wait_are_told_so(self) -> None:
        async with opened() as (script, client):
            first = asyncio.ensure_future(script.receive())
            await settle()
            with pytest.raises(ConcurrencyError):
                await script.receive()
            await client.send(client_frame(wire.TEXT, b"for the first"))
            assert (await first)["text"] == "for the first"


class TestOrder:
    """Every stage against every message: what is not in the table is a RuntimeError."""

    KINDS = sorted(set().union(*EXPECTED.values()) | {"websocket.receive", "http.response.start"})
    EXTRAS: ClassVar[dict[str, dict[str, Any]]] = {
        START: {"status": 400, "headers": []},
        BODY: {"body": b"no", "more_body": True},
        "websocket.send": {"text": "x"},
    }

    async def reach(self, stage: Stage, script: Script) -> None:
        await script.receive()
        if stage is Stage.DENYING:
            await script.send({"type": START, "status": 400, "headers": []})
        elif stage is not Stage.ASKED:
            await script.send({"type": "websocket.accept"})
        if stage is Stage.DONE:
            await script.close()

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.name)
    def test_message(self, stage: Stage, kind: str) -> None:
        @virtual_time
        async def run() -> None:
            async with asked() as (script, _):
                await self.reach(stage, script)
                message = {"type": kind, **self.EXTRAS.get(kind, {})}
                if kind in EXPECTED[stage]:
                    await script.send(message)
                else:
                    with pytest.raises(RuntimeError, match=f"got '{kind}' from the application"):
                        await script.send(message)

        run()

    @virtual_time
    async def test_nothing_follows_a_denial(self) -> None:
        async with asked() as (script, _):
            await script.receive()
            await script.send({"type": START, "status": 400, "headers": []})
            await script.send({"type": BODY, "body": b"no"})
            with pytest.raises(RuntimeError, match="expected nothing more"):
                await script.send({"type": BODY, "body": b"more"})


class TestRefusing:
    @virtual_time
    async def test_close_before_accept_is_403(self) -> None:
        async with asked() as (script, client):
            await script.receive()
            await script.close(code=4000, reason=["secret"])  # FastAPI's is a list
            line, headers, body = head_of(client.take())
            assert line == b"HTTP/1.1 403 Forbidden"
            assert headers["connection"] == "close" and b"secret" not in body
            assert client.ended
            assert await script.receive() == {"type": "websocket.disconnect", "code": 1006}

    @virtual_time
    async def test_a_whole_denial_has_its_length(self) -> None:
        async with asked() as (script, client):
            await script.receive()
            headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"999")]
            await script.send({"type": START, "status": 401, "headers": headers})
            assert client.take() == b""  # the status goes with the body
            await script.send({"type": BODY, "body": b"sign in first"})
            await settle()
            line, found, body = head_of(client.take())
            assert line == b"HTTP/1.1 401 Unauthorized"
            assert found == {
                "www-authenticate": "Bearer",
                "connection": "close",
                "content-length": "13",
            }
            assert body == b"sign in first" and client.ended

    @virtual_time
    async def test_a_denial_in_pieces_is_chunked_and_goes_out_as_it_comes(self) -> None:
        async with asked() as (script, client):
            await script.receive()
            await script.send({"type": START, "status": 503})
            seen = []
            for piece, more in [(b"a", True), (b"", True), (b"bc" * 8, True), (b"", False)]:
                await script.send({"type": BODY, "body": piece, "more_body": more})
                await settle()
                seen.append(client.take())
            assert head_of(seen[0])[1]["transfer-encoding"] == "chunked"
            assert seen[0].endswith(b"\r\n\r\n1\r\na\r\n")
            assert seen[1:] == [b"", b"10\r\n" + b"bc" * 8 + b"\r\n", b"0\r\n\r\n"]
            assert client.ended

    @pytest.mark.parametrize("status", [204, 304])
    @pytest.mark.parametrize("pieces", [[b""], [b"ignored", b"as well"]])
    def test_some_answers_have_no_body(self, status: int, pieces: list[bytes]) -> None:
        @virtual_time
        async def run() -> None:
            async with asked() as (script, client):
                await script.receive()
                await script.send({"type": START, "status": status, "headers": []})
                for number, piece in enumerate(pieces, 1):
                    more = number < len(pieces)
                    await script.send({"type": BODY, "body": piece, "more_body": more})
                await settle()
                _, headers, body = head_of(client.take())
                assert body == b"" and headers == {"connection": "close"} and client.ended

        run()

    @pytest.mark.parametrize("status", [99, 100, 101, 199, 600])
    def test_no_other_status_is_an_answer(self, status: int) -> None:
        @virtual_time
        async def run() -> None:
            async with asked() as (script, client):
                await script.receive()
                with pytest.raises(RuntimeError, match="expected 200 to 599"):
                    await script.send({"type": START, "status": status, "headers": []})
                assert client.take() == b""

        run()

    @pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\ny", b"\0"])
    def test_headers_of_a_denial_cannot_break_out(self, value: bytes) -> None:
        @virtual_time
        async def run() -> None:
            async with asked() as (script, client):
                await script.receive()
                with pytest.raises(LocalProtocolError):
                    await script.send({"type": START, "status": 400, "headers": [(b"x", value)]})
                assert client.take() == b""

        run()

    @virtual_time
    async def test_a_denial_cut_off_does_not_look_whole(self) -> None:
        async with asked() as (script, client):
            await script.receive()
            await script.send({"type": START, "status": 400})
            await script.send({"type": BODY, "body": b"half", "more_body": True})
            await settle()
            await script.finish(ValueError("the rest is lost"))
            assert client.lost and not client.take().endswith(b"0\r\n\r\n")

    @virtual_time
    async def test_a_denial_only_announced_becomes_500(self) -> None:
        async with asked() as (script, client):
            await script.receive()
            await script.send({"type": START, "status": 401})
            await script.finish()
            assert client.take().startswith(b"HTTP/1.1 500 ")


FOREIGN_ORIGIN = 30  # ASGI leaves the Origin to the application


class TestMalformedHandshakes:
    @pytest.mark.parametrize(
        "bad",
        [bad for bad in MALFORMED if bad.number != FOREIGN_ORIGIN],
        ids=lambda bad: f"{bad.number}-{bad.name}",
    )
    def test_is_refused_and_no_application_runs(self, bad: Bad) -> None:
        @virtual_time
        async def run() -> None:
            async with asked(bad.head) as (script, client):
                answer = client.take()
                assert not hasattr(script, "scope")
                assert answer.startswith(b"HTTP/1.1 %d " % bad.status), answer
                assert client.ended

        run()

    @virtual_time
    async def test_a_foreign_origin_is_the_applications_to_judge(self) -> None:
        [foreign] = [bad.head for bad in MALFORMED if bad.number == FOREIGN_ORIGIN]
        async with asked(foreign) as (script, _):
            assert (b"origin", b"https://evil.example") in script.scope["headers"]
