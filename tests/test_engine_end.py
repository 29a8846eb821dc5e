"""How a connection of the engine ends: by the peer, by the application, and what the log says."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from refimpl.errors import ConnectionClosed, LocalProtocolError
from refimpl.middleware.engine.order import Disconnected
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.engine_http import BODY, START, head_of, request
from tests.support.engine_pair import asked, new_client, opened, text
from tests.support.rawpeer import client_close, client_frame


class TestTheEnd:
    @pytest.mark.parametrize(
        ("frame", "code", "reason"),
        [
            (client_close(1000), 1000, ""),
            (client_close(1001, b"leaving"), 1001, "leaving"),
            (client_close(4321, "tschüß".encode()), 4321, "tschüß"),
            (client_close(), 1005, ""),
        ],
    )
    def test_the_clients_close_reaches_the_application(
        self, frame: bytes, code: int, reason: str
    ) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                await client.send(client_frame(wire.TEXT, b"last words") + frame)
                assert (await script.receive())["text"] == "last words"
                expected = {"type": "websocket.disconnect", "code": code, "reason": reason}
                assert await script.receive() == expected
                assert await script.receive() == expected  # asked again, it does not hang
                with pytest.raises(Disconnected):
                    await script.send(text("too late"))
                await script.close()  # nothing is left to do, and that is no mistake
                assert [opcode for opcode, _ in client.frames()] == [wire.CLOSE]

        run()

    @virtual_time
    async def test_a_lost_connection_is_1006(self) -> None:
        async with opened() as (script, client):
            waiting = asyncio.ensure_future(script.receive())
            await settle()
            client.transport.abort()
            assert await waiting == {"type": "websocket.disconnect", "code": 1006}
            with pytest.raises(OSError) as caught:
                await script.send(text("too late"))
            assert isinstance(caught.value, Disconnected)
            assert isinstance(caught.value.__cause__, ConnectionClosed)
            assert caught.value.__cause__.code == 1006

    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            (wire.frame(wire.TEXT, b"unmasked"), 1002),
            (client_frame(wire.TEXT, b"\xff"), 1007),
            (client_frame(3, b""), 1002),
            (client_frame(wire.BINARY, bytes(101)), 1009),
            (client_close(1006), 1002),
        ],
    )
    def test_a_client_that_breaks_a_rule_is_told_and_so_is_the_application(
        self, frame: bytes, code: int
    ) -> None:
        @virtual_time
        async def run() -> None:
            async with opened(ws_max_size=100) as (script, client):
                await client.send(client_frame(wire.TEXT, b"good") + frame)
                assert (await script.receive())["text"] == "good"
                message = await script.receive()
                assert (message["type"], message["code"]) == ("websocket.disconnect", code)
                [(opcode, payload)] = client.frames()
                assert opcode == wire.CLOSE
                assert payload == code.to_bytes(2, "big") + message["reason"].encode()

        run()

    @virtual_time
    async def test_what_came_before_the_mistake_is_answered_still(self) -> None:
        async def echo(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({**message, "type": "websocket.send"})

        client = new_client(echo)
        await client.send(wire.request_head())
        client.take()
        await client.send(client_frame(wire.TEXT, b"good") + client_frame(3, b"bad"))
        assert [opcode for opcode, _ in client.frames()] == [wire.TEXT, wire.CLOSE]
        client.transport.abort()
        await settle()

    @pytest.mark.parametrize(
        ("message", "payload"),
        [
            ({}, b"\x03\xe8"),
            ({"code": None, "reason": None}, b"\x03\xe8"),
            ({"code": 4000, "reason": "bye"}, b"\x0f\xa0bye"),
            ({"code": 1005}, b""),
            ({"code": 1000, "reason": "x" * 122 + "é"}, b"\x03\xe8" + b"x" * 122),
        ],
    )
    def test_the_applications_close_goes_out(self, message: dict[str, Any], payload: bytes) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                waiting = asyncio.ensure_future(script.receive())
                await settle()
                await script.send(text("first"))
                await script.close(**message)
                assert client.frames() == [(wire.TEXT, b"first"), (wire.CLOSE, payload)]
                code = message.get("code")
                told = await waiting  # at once, however long the client takes to answer
                assert told["code"] == (1000 if code is None else code)
                await client.send(wire.close(key=wire.KEY))
                assert client.ended

        run()

    @pytest.mark.parametrize("code", [999, 1004, 1006, 1015, 2999, 5000])
    def test_a_code_that_may_not_travel_is_refused(self, code: int) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                with pytest.raises(LocalProtocolError):
                    await script.close(code=code)
                await script.close(code=1000)
                assert client.frames() == [(wire.CLOSE, b"\x03\xe8")]

        run()

    @virtual_time
    async def test_a_client_gone_before_the_answer_is_1006(self) -> None:
        async with asked() as (script, client):
            assert (await script.receive())["type"] == "websocket.connect"
            waiting = asyncio.ensure_future(script.receive())
            await settle()
            client.transport.close()
            await settle()
            assert (await waiting)["code"] == 1006
            with pytest.raises(Disconnected):
                await script.send({"type": "websocket.accept"})
            await script.close()
            assert client.take() == b""

    @virtual_time
    async def test_a_client_gone_inside_a_denial_wakes_it(self) -> None:
        async with asked() as (script, client):
            await script.receive()
            await script.send({"type": START, "status": 400})
            client.transport.pause_reading()
            piece = {"type": BODY, "body": bytes(100_000), "more_body": True}
            sending = asyncio.ensure_future(script.send(piece))
            await settle()
            assert not sending.done()
            client.transport.abort()
            with pytest.raises(Disconnected):
                await sending

    @virtual_time
    async def test_a_client_gone_inside_the_head_starts_nothing(self) -> None:
        async with asked(wire.request_head()[:40]) as (script, client):
            client.transport.close()
            await settle()
            assert not hasattr(script, "scope") and not client.state.connections


class TestTheApplicationEnds:
    @virtual_time
    async def test_returning_closes_with_1000(self) -> None:
        async with opened() as (script, client):
            await script.send(text("that was all"))
            await script.finish()
            assert client.frames() == [(wire.TEXT, b"that was all"), (wire.CLOSE, b"\x03\xe8")]

    @virtual_time
    async def test_raising_closes_with_1011_and_is_logged_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opened() as (script, client):
            await script.finish(ValueError("broken"))
            [(opcode, payload)] = client.frames()
            assert (opcode, payload) == (wire.CLOSE, b"\x03\xf3")
        [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
        assert record.name == "uvicorn.error" and record.exc_info is not None
        assert record.getMessage() == "Exception in ASGI application\n"

    @virtual_time
    async def test_raising_before_accept_is_500_without_a_word_of_why(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with asked() as (script, client):
            await script.receive()
            await script.finish(ValueError("password=secret"))
            line, _, body = head_of(client.take())
            assert line == b"HTTP/1.1 500 Internal Server Error"
            assert b"secret" not in body and client.ended
        assert "Exception in ASGI application" in caplog.text

    @virtual_time
    async def test_returning_before_accept_is_500_and_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with asked() as (script, client):
            await script.finish()
            assert client.take().startswith(b"HTTP/1.1 500 ")
        assert "without completing handshake" in caplog.text

    @pytest.mark.parametrize(
        "wrap", [lambda error: error, lambda error: ExceptionGroup("", [error])]
    )
    def test_letting_disconnected_pass_is_no_error(
        self, wrap: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                client.transport.abort()
                await settle()
                with pytest.raises(Disconnected) as caught:
                    await script.send(text("too late"))
                await script.finish(wrap(caught.value))

        run()
        assert not [each for each in caplog.records if each.levelno >= logging.ERROR]

    @virtual_time
    async def test_cancelling_it_closes_with_1011(self) -> None:
        async with opened() as (_, client):
            [task] = client.state.tasks
            task.cancel()
            await settle()
            assert task.cancelled()
            assert client.frames() == [(wire.CLOSE, b"\x03\xf3")]

    @virtual_time
    async def test_messages_nobody_will_read_are_let_go(self) -> None:
        async with opened() as (script, client):
            await client.send(client_frame(wire.BINARY, bytes(1000)) * 5)
            await script.finish()
            assert not client.engine.driver.inbox


class TestTheLog:
    @virtual_time
    async def test_names_path_and_outcome_but_never_the_query(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with asked(request("/a%20b?ticket=canary")) as (script, _):
            script.scope["client"] = ("203.0.113.9", 4711)  # as a proxy's middleware does
            await script.accept()
        async with asked(request("/no%0Aline?ticket=canary")) as (script, _):
            await script.receive()
            await script.close()
        async with asked(request("/denied?ticket=canary")) as (script, _):
            await script.receive()
            await script.send({"type": START, "status": 401})
            await script.send({"type": BODY})
        async with asked(request("/broken?ticket=canary")) as (script, _):
            await script.finish(ValueError)
        lines = [each.getMessage() for each in caplog.records if each.levelno == logging.INFO]
        assert lines == [
            '203.0.113.9:4711 - "WebSocket /a%20b" [accepted]',
            ' - "WebSocket /no%0Aline" 403',
            ' - "WebSocket /denied" 401',
            ' - "WebSocket /broken" 500',
        ]
        assert "canary" not in caplog.text
