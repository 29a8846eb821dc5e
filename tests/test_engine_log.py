"""The engine's lines in uvicorn's log: those of uvicorn's engines, and nothing raw from outside."""

from __future__ import annotations

import asyncio
import logging

import pytest

from refimpl.middleware.engine.log import TRACE, client_name
from tests.support.clockwork import settle, virtual_time
from tests.support.engine_pair import asked, new_client, opened
from tests.support.rawpeer import client_close


def traced(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == TRACE]


class TestTrace:
    @virtual_time
    async def test_a_connection_is_made_and_lost(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(TRACE, "uvicorn.error")
        async with opened() as (_, client):
            await client.send(client_close(1000))
        assert traced(caplog) == ["WebSocket connection made", "WebSocket connection lost"]

    @virtual_time
    async def test_with_the_client_in_front_where_it_has_an_address(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(TRACE, "uvicorn.error")

        async def app(scope: object, receive: object, send: object) -> None: ...

        client = new_client(app)
        client.engine.writer.transport._extra["peername"] = ("203.0.113.9", 4711)  # type: ignore[attr-defined]
        client.transport.abort()
        await settle()
        assert traced(caplog)[-1] == "203.0.113.9:4711 - WebSocket connection lost"

    @virtual_time
    async def test_a_ping_without_a_pong_is_told_in_uvicorns_words(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(TRACE, "uvicorn.error")
        async with opened(ws_ping_interval=5.0, ws_ping_timeout=3.0) as (script, client):
            await asyncio.sleep(9)
            message = await script.receive()
            assert (message["code"], message["reason"]) == (1011, "keepalive ping timeout")
            assert client.lost
        assert traced(caplog)[1:] == [
            "WebSocket keepalive ping timeout",
            "WebSocket connection lost",
        ]

    @virtual_time
    async def test_nobody_who_did_not_ask_sees_them(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        async with opened():
            pass
        assert not traced(caplog)


class TestForwardedAddresses:
    """X-Forwarded-For is the client's own text; uvicorn puts it into `scope["client"]` as it is."""

    @pytest.mark.parametrize(
        "host",
        ["\x1b[2J\x1b[31m", "a\r\nb", "\u202eevil", 'x - "WebSocket /" [accepted]', "\x9b5n"],
    )
    def test_no_byte_of_them_reaches_a_terminal_raw(
        self, host: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "uvicorn.error")

        @virtual_time
        async def run() -> None:
            async with asked() as (script, _):
                script.scope["client"] = (host, 0)
                await script.accept()

        run()
        [line] = [each.getMessage() for each in caplog.records if "accepted" in each.getMessage()]
        name, _, rest = line.partition(" - ")
        assert rest == '"WebSocket /chat" [accepted]'
        assert name.isascii() and name.isprintable() and " " not in name

    def test_addresses_stay_readable(self) -> None:
        for host in ("203.0.113.9", "2001:db8::1", "[2001:db8::1]"):
            assert client_name({"client": (host, 80)}) == f"{host}:80"
