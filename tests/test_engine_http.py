"""HTTP in front of the engine, in memory: deadlines for slow clients, and what follows a request.

The public report of the slow ones: github.com/xorbitsai/inference/pull/5213 (CVE-2007-6750).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from refimpl.lifecycle.memory import join
from refimpl.middleware.engine.http import HTTP, LAST_ANSWER_TIMEOUT
from refimpl.middleware.engine.protocol import Engine
from tests.support import wire
from tests.support.clockwork import settle, timers, virtual_time
from tests.support.rawpeer import RawPeer, client_close, client_frame

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
GET_LAST = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
KEEP_ALIVE = 5.0  # uvicorn's own, between two requests


class Site(RawPeer):
    """A raw client of an HTTP connection, and the application at its other end."""

    http: HTTP
    state: ServerState

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []
        self.read_bodies = True
        self.answer_first = False
        self.body = b"welcome"
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.echo(receive, send)
            return
        if self.answer_first:
            await self.answer(send)
        elif not self.read_bodies:
            await self.go_on.wait()
        while (message := await receive())["type"] == "http.request":
            self.told.append(message)
            if not message["more_body"]:
                break
        else:
            self.told.append(message)
        if not self.answer_first:
            await self.answer(send)

    async def answer(self, send: Any) -> None:
        length = (b"content-length", b"%d" % len(self.body))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": self.body})

    async def echo(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
        self.told.append(message)

    async def drip(self, data: bytes, every: float = 1.0) -> None:
        """Send one byte at a time until all is sent or the connection is gone."""
        for byte in data:
            if self.gone:
                break
            await asyncio.sleep(every)
            await self.send(bytes([byte]))

    @property
    def gone(self) -> bool:
        """Whether the server has closed the connection and forgotten it."""
        return not self.state.connections

    @property
    def status(self) -> int:
        """The status of the first answer; 0 for none."""
        return int(self.received[9:12] or 0)


@asynccontextmanager
async def visited(*, chunk: int | None = None, **settings: Any) -> AsyncIterator[Site]:
    """Give a client that has just connected; cut it after."""
    site = Site()
    options = {"ws": Engine, "ws_ping_interval": None, "lifespan": "off", "log_config": None}
    config = Config(site, proxy_headers=False, **{**options, **settings})
    config.load()
    site.state = ServerState()
    site.http = HTTP(config, site.state, {})
    join(site, site.http, chunk=chunk)
    site.closes_on_eof = False
    try:
        yield site
    finally:
        site.go_on.set()
        site.transport.resume_reading()
        site.transport.close()
        await settle()
        assert not site.state.connections and not site.state.tasks


def now() -> float:
    return asyncio.get_running_loop().time()


class TestSlowHeads:
    @virtual_time
    async def test_a_client_that_says_nothing_is_gone_without_a_word(self) -> None:
        async with visited() as site:
            await asyncio.sleep(HTTP.head_timeout - 0.1)
            assert not site.gone
            await asyncio.sleep(0.2)
            assert site.gone and site.received == b""

    @pytest.mark.parametrize("first", [b"G", GET[:-2], b"\r\n"])
    def test_no_byte_extends_the_deadline(self, first: bytes) -> None:
        @virtual_time
        async def run() -> None:
            async with visited() as site:
                await site.send(first)
                await site.drip(b"a" * 100, every=0.9)
                assert site.gone and now() < HTTP.head_timeout + 1
                assert site.status == (0 if first == b"\r\n" else 408) or site.status == 400

        run()

    @virtual_time
    async def test_a_late_head_is_answered_with_408(self) -> None:
        async with visited() as site:
            await site.drip(GET)
            head, _, body = site.take().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert b"connection: close" in head and body == b"got no whole request in time\n"

    @virtual_time
    async def test_a_head_in_time_is_answered_and_stops_the_clock(self) -> None:
        async with visited() as site:
            await site.drip(GET, every=HTTP.head_timeout / (len(GET) + 1))
            assert site.status == 200
            await asyncio.sleep(KEEP_ALIVE - 0.1)
            assert not site.gone
            await asyncio.sleep(0.2)
            assert site.gone

    @virtual_time
    async def test_a_later_head_has_its_time_from_its_first_byte(self) -> None:
        async with visited() as site:
            for _ in range(3):
                await site.send(GET)
                assert site.status == 200
                site.take()
                await asyncio.sleep(KEEP_ALIVE - 2)
            began = now()
            await site.drip(b"G" * 100)
            assert site.status == 408
            assert HTTP.head_timeout <= now() - began <= HTTP.head_timeout + 2

    @virtual_time
    async def test_so_has_one_that_began_behind_another(self) -> None:
        async with visited() as site:
            await site.send(GET + GET[:20])
            assert site.status == 200
            await site.drip(b"a" * 100)
            assert site.gone and now() < HTTP.head_timeout + 2

    @virtual_time
    async def test_and_one_behind_a_body_that_nobody_wanted(self) -> None:
        async with visited() as site:
            site.answer_first = True
            await site.send(POST)
            assert site.status == 200
            await asyncio.sleep(3)
            await site.send(bytes(100))  # uvicorn's timer of idle connections is over with it
            began = now()
            await asyncio.sleep(HTTP.head_timeout + 1)
            assert site.gone and now() - began < HTTP.head_timeout + 2

    @virtual_time
    async def test_an_idle_connection_has_uvicorns_time_however_long(self) -> None:
        async with visited(timeout_keep_alive=75) as site:
            await site.send(GET)
            await asyncio.sleep(74)
            await site.send(GET)
            assert site.take().count(b"HTTP/1.1 200 ") == 2

    @virtual_time
    async def test_a_client_that_reads_no_408_is_cut_all_the_same(self) -> None:
        async with visited() as site:
            site.transport.pause_reading()
            await site.send(b"G")
            await asyncio.sleep(HTTP.head_timeout + LAST_ANSWER_TIMEOUT + 0.1)
            assert site.gone

    @virtual_time
    async def test_not_even_where_it_takes_most_of_an_earlier_answer_first(self) -> None:
        async with visited(chunk=10_000) as site:
            site.body = bytes(100_000)
            site.transport.pause_reading()
            await site.send(GET + b"G")
            await asyncio.sleep(1)
            await site.send(b"E")  # the next head begins, and uvicorn's own timer is over
            await asyncio.sleep(HTTP.head_timeout + 0.1)
            site.transport.resume_reading()
            for _ in range(9):
                await asyncio.sleep(0)
            site.transport.pause_reading()
            assert not site.gone
            await asyncio.sleep(LAST_ANSWER_TIMEOUT)
            assert site.gone


class TestSlowBodies:
    @pytest.mark.parametrize("head", [POST, CHUNKED + b"64\r\n"])
    def test_no_byte_extends_the_deadline(self, head: bytes) -> None:
        @virtual_time
        async def run() -> None:
            async with visited() as site:
                await site.send(head)
                await site.drip(bytes(99))
                assert HTTP.body_timeout <= now() <= HTTP.body_timeout + 2
                assert site.gone and site.status == 408
                assert site.told[-1] == {"type": "http.disconnect"}

        run()

    @virtual_time
    async def test_it_runs_from_the_head_also_where_nothing_more_comes(self) -> None:
        async with visited() as site:
            await site.send(POST)
            await asyncio.sleep(HTTP.body_timeout + 0.1)
            assert site.gone and site.status == 408

    @virtual_time
    async def test_a_body_in_time_is_answered(self) -> None:
        async with visited() as site:
            await site.send(POST)
            await site.drip(bytes(100), every=0.5)
            assert site.status == 200
            assert b"".join(each["body"] for each in site.told) == bytes(100)

    @virtual_time
    async def test_an_application_that_does_not_read_is_not_the_clients_fault(self) -> None:
        async with visited() as site:
            site.read_bodies = False
            await site.send(POST.replace(b"100", b"1000000") + bytes(200_000))
            await asyncio.sleep(HTTP.body_timeout * 2.5)
            assert not site.gone
            site.go_on.set()
            await site.send(bytes(800_000))
            assert site.status == 200

    @virtual_time
    async def test_a_body_behind_its_answer_is_not_waited_for_either(self) -> None:
        async with visited(timeout_keep_alive=1000) as site:
            site.answer_first = True
            await site.send(POST)
            assert site.status == 200
            await site.drip(bytes(99))
            assert site.gone and now() <= HTTP.body_timeout + 2
            assert site.received.count(b"HTTP/1.1 ") == 1

    @virtual_time
    async def test_each_request_has_a_deadline_of_its_own(self) -> None:
        async with visited() as site:
            for _ in range(4):
                await site.send(POST)
                await asyncio.sleep(HTTP.body_timeout - 1)
                await site.send(bytes(100))
            assert site.received.count(b"HTTP/1.1 200 ") == 4


class TestSlowReaders:
    @virtual_time
    async def test_one_that_takes_nothing_is_cut(self) -> None:
        async with visited() as site:
            site.body = bytes(1_000_000)
            site.transport.pause_reading()
            await site.send(GET)
            await asyncio.sleep(KEEP_ALIVE + HTTP.write_timeout * 2 + 1)
            assert site.gone

    @pytest.mark.parametrize("last", [False, True])
    def test_one_that_takes_some_now_and_then_gets_it_all(self, last: bool) -> None:
        @virtual_time
        async def run() -> None:
            async with visited(chunk=10_000) as site:
                site.body = bytes(200_000)
                site.transport.pause_reading()
                await site.send(GET_LAST if last else GET)
                while len(site.received) < 200_000:
                    await asyncio.sleep(HTTP.write_timeout - 1)
                    site.transport.resume_reading()
                    await asyncio.sleep(0)
                    site.transport.pause_reading()
                assert now() > 10 * HTTP.write_timeout

        run()

    @pytest.mark.parametrize("request_", [GET, GET_LAST])
    def test_a_short_answer_that_is_not_read_holds_nothing(self, request_: bytes) -> None:
        @virtual_time
        async def run() -> None:
            async with visited() as site:
                site.body = bytes(20_000)
                site.transport.pause_reading()
                await site.send(request_)
                await asyncio.sleep(HTTP.write_timeout * 2 + KEEP_ALIVE + 1)
                assert site.gone

        run()


class TestHandedOver:
    FRAMES = client_frame(wire.TEXT, b"early") + client_frame(wire.BINARY, bytes(range(256)))

    @pytest.mark.parametrize("chunk", [None, 1, 7, 100])
    def test_frames_behind_the_request_are_read(self, chunk: int | None) -> None:
        @virtual_time
        async def run() -> None:
            async with visited(chunk=chunk) as site:
                site.transport.write(wire.request_head() + self.FRAMES)
                await asyncio.sleep(1)
                head, _, rest = site.take().partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 101 ")
                frames = wire.split_frames(rest)
                assert [(each[0], each[4]) for each in frames] == [
                    (wire.TEXT, b"early"),
                    (wire.BINARY, bytes(range(256))),
                ]
                await site.send(client_close(4000))
                assert site.told[-1]["code"] == 4000

        run()

    def test_wherever_the_segment_is_cut(self) -> None:
        data = wire.request_head() + client_frame(wire.TEXT, b"early")

        @virtual_time
        async def run() -> None:
            for cut in range(len(data)):
                async with visited() as site:
                    await site.send(data[:cut])
                    await site.send(data[cut:])
                    assert site.take().endswith(b"\r\n\r\n" + wire.frame(wire.TEXT, b"early")), cut

        run()

    @virtual_time
    async def test_behind_another_request_too(self) -> None:
        async with visited() as site:
            await site.send(GET + wire.request_head() + client_frame(wire.TEXT, b"early"))
            assert site.take().endswith(b"\r\n\r\n" + wire.frame(wire.TEXT, b"early"))

    @virtual_time
    async def test_what_breaks_a_rule_there_is_told_so(self) -> None:
        async with visited() as site:
            await site.send(wire.request_head() + wire.frame(wire.TEXT, b"unmasked"))
            [(opcode, *_, payload)] = wire.split_frames(site.take().partition(b"\r\n\r\n")[2])
            assert opcode == wire.CLOSE and payload[:2] == b"\x03\xea"

    @virtual_time
    async def test_a_body_is_no_frames(self) -> None:
        async with visited() as site:
            head = wire.request_head(add=[("Content-Length", "5")])
            await site.send(head + b"abcde" + client_frame(wire.TEXT, b"x"))
            assert site.status == 400 and not site.told

    @virtual_time
    async def test_a_websocket_has_no_deadline_of_http(self) -> None:
        async with visited() as site:
            await site.send(wire.request_head())
            site.take()
            assert not timers()
            await asyncio.sleep(1000)
            await site.send(client_frame(wire.TEXT, b"still here"))
            assert site.frames() == [(wire.TEXT, b"still here")]
