"""What the engine does where an application breaks a rule of ASGI: the mistake comes out of `send`.

"If a server receives an invalid event dictionary ... it should raise an exception out of the send
awaitable back to the application" (ASGI 3.0, "Error Handling"). What the application lets pass
costs it the connection, and nothing that it said is on the wire by halves.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest

from refimpl.errors import LocalProtocolError
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.engine_pair import asked, opened

START, BODY = "websocket.http.response.start", "websocket.http.response.body"
CLOSE, SEND = "websocket.close", "websocket.send"

BAD_HEADERS = [
    [("x-one", "1")],
    [(b"x-one", "1")],
    [(b"x-one", 1)],
    [(b"x-one", None)],
    [(b"x-one", b"1", b"2")],
    [b"x-one"],
    {b"ab": b"cd"},
    5,
]


class TestTypes:
    @pytest.mark.parametrize("headers", BAD_HEADERS, ids=repr)
    @pytest.mark.parametrize("kind", ["websocket.accept", START])
    def test_headers_are_pairs_of_bytes(self, headers: Any, kind: str) -> None:
        @virtual_time
        async def run() -> None:
            async with asked() as (script, client):
                await script.receive()
                with pytest.raises(TypeError, match="expected pairs of bytes"):
                    await script.send({"type": kind, "status": 401, "headers": headers})
                await settle()
                assert client.take() == b""
                await script.send({"type": "websocket.accept"})  # it may think again
                await settle()
                assert client.take().startswith(b"HTTP/1.1 101 ")

        run()

    @pytest.mark.parametrize("kind", [list, tuple])
    def test_any_pair_and_any_bytes_will_do(self, kind: Any) -> None:
        @virtual_time
        async def run() -> None:
            async with asked() as (script, client):
                await script.receive()
                headers = [kind([b"x-one", bytearray(b"1")])]
                await script.send({"type": "websocket.accept", "headers": headers})
                await settle()
                assert b"\r\nx-one: 1\r\n" in client.take()

        run()

    @pytest.mark.parametrize(
        "message",
        [
            {"text": 5},
            {"text": b"bytes"},
            {"bytes": "text"},
            {"bytes": 5},
            {"bytes": [1, 2]},
            {"text": ["a"], "bytes": b"b"},
        ],
        ids=repr,
    )
    def test_text_is_str_and_bytes_are_bytes(self, message: dict[str, Any]) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                with pytest.raises(TypeError, match=r"expected str|a bytes-like"):
                    await script.send({"type": SEND, **message})
                await script.send({"type": SEND, "text": "right"})
                await settle()
                assert client.frames() == [(wire.TEXT, b"right")]

        run()

    @virtual_time
    async def test_a_str_of_another_class_is_text(self) -> None:
        class Name(str):
            __slots__ = ()

        async with opened() as (script, client):
            await script.send({"type": SEND, "text": Name("ada"), "bytes": None})
            await settle()
            assert client.frames() == [(wire.TEXT, b"ada")]

    @pytest.mark.parametrize(
        "message",
        [
            {"code": "1000"},
            {"code": 1000.0},
            {"code": b"\x03\xe8"},
            {"code": 1000, "reason": b"bytes"},
            {"code": 1000, "reason": 5},
            {"code": 1000, "reason": ["why"]},
        ],
        ids=repr,
    )
    def test_a_code_is_an_int_and_a_reason_str(self, message: dict[str, Any]) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                with pytest.raises(TypeError, match="expected"):
                    await script.send({"type": CLOSE, **message})
                await settle()
                assert client.frames() == []
                await script.close()
                assert client.frames() == [(wire.CLOSE, b"\x03\xe8")]

        run()

    @pytest.mark.parametrize("status", ["401", 401.0, None])
    def test_a_status_is_an_int(self, status: Any) -> None:
        @virtual_time
        async def run() -> None:
            async with asked() as (script, client):
                await script.receive()
                with pytest.raises((TypeError, RuntimeError), match="got status"):
                    await script.send({"type": START, "status": status})
                assert client.take() == b""

        run()

    @pytest.mark.parametrize("body", ["text", 5, None, [1]])
    def test_a_body_is_bytes(self, body: Any) -> None:
        @virtual_time
        async def run() -> None:
            async with asked() as (script, client):
                await script.receive()
                await script.send({"type": START, "status": 401})
                with pytest.raises(TypeError, match="a bytes-like"):
                    await script.send({"type": BODY, "body": body})
                assert client.take() == b""
                await script.send({"type": BODY, "body": b"right"})
                await settle()
                assert client.take().endswith(b"\r\n\r\nright")

        run()


class TestWhatTheClientSees:
    """Of a mistake that the application lets pass: 500 before the 101, 1011 after it."""

    @pytest.mark.parametrize(
        "messages",
        [
            [{"type": "websocket.accept"}],
            [{"type": CLOSE, "code": 999}],
            [{"type": CLOSE, "code": "1000"}],
            [{"type": SEND, "text": 5}],
            [{"type": "websocket.ping"}],
            [{}],
        ],
        ids=repr,
    )
    def test_1011_for_a_mistake_after_accept(
        self, messages: list[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                with pytest.raises(Exception) as caught:
                    for message in messages:
                        await script.send(message)
                await script.finish(caught.value)
                assert client.frames() == [(wire.CLOSE, b"\x03\xf3")]

        run()
        assert "Exception in ASGI application" in caplog.text

    @virtual_time
    async def test_500_for_one_before_it(self) -> None:
        async with asked() as (script, client):
            with pytest.raises(TypeError) as caught:
                await script.send({"type": "websocket.accept", "headers": [("a", "b")]})
            await script.finish(caught.value)
            head, _, body = client.take().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
            assert b"\r\nContent-Length: 21" in head and body == b"Internal Server Error"

    @pytest.mark.parametrize("code", [999, 1004, 1006, 1015, 2999, 5000, 70000, -1])
    def test_a_code_that_may_not_travel(self, code: int) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                with pytest.raises(LocalProtocolError) as caught:
                    await script.close(code=code)
                await script.finish(caught.value)
                assert client.frames() == [(wire.CLOSE, b"\x03\xf3")]

        run()


class TestReturning:
    @virtual_time
    async def test_a_value_is_an_error_and_1011(self, caplog: pytest.LogCaptureFixture) -> None:
        async with opened() as (script, client):
            await script.finish(returns="secret")
            assert client.frames() == [(wire.CLOSE, b"\x03\xf3")]
        [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
        assert record.getMessage() == "ASGI callable should return None, but returned a str."

    @virtual_time
    async def test_a_value_behind_its_own_close_is_logged_only(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opened() as (script, client):
            await script.close(code=4000)
            await script.finish(returns=0)
            assert client.frames() == [(wire.CLOSE, b"\x0f\xa0")]
        assert "but returned a int." in caplog.text
