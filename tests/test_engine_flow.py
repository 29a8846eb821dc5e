"""How bytes flow through the engine: batches, limits both ways, heartbeats, the server's end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn.config import Config

from refimpl.middleware.engine import Engine
from refimpl.middleware.engine.order import Disconnected
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.engine_pair import Script, asked, new_client, opened, text
from tests.support.rawpeer import client_close, client_frame

KIB = 1024


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


class TestBatches:
    @virtual_time
    async def test_answers_to_one_read_leave_in_one_write(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = new_client(echo)
        await client.send(wire.request_head())
        client.take()
        writes: list[bytes] = []
        monkeypatch.setattr(client.engine.writer.transport, "write", writes.append)
        await client.send(b"".join(client_frame(wire.TEXT, b"%d" % n) for n in range(30)))
        assert len(writes) == 1
        answered = [payload for *_, payload in wire.split_frames(writes[0])]
        assert answered == [b"%d" % n for n in range(30)]
        client.transport.abort()
        await settle()

    @virtual_time
    async def test_an_answer_does_not_wait_for_an_application_that_thinks(self) -> None:
        async with opened() as (script, client):
            await client.send(client_frame(wire.TEXT, b"1") + client_frame(wire.TEXT, b"2"))
            await script.receive()
            await script.send(text("first"))  # held: "2" is still to be taken
            await settle()
            assert client.frames() == [(wire.TEXT, b"first")]

    @virtual_time
    async def test_byte_by_byte_is_the_same_conversation(self) -> None:
        client = new_client(echo, chunk=1)
        frames = client_frame(wire.TEXT, "hé".encode()) + client_frame(wire.BINARY, b"\0" * 200)
        await client.send(wire.request_head())
        client.take()
        await client.send(frames + client_close(1000))
        expected = [(wire.TEXT, "hé".encode()), (wire.BINARY, b"\0" * 200)]
        assert client.frames() == [*expected, (wire.CLOSE, b"\x03\xe8")]
        client.transport.abort()
        await settle()


class TestIncoming:
    """ws_max_queue messages wait for the application, and then nothing more is read."""

    @virtual_time
    async def test_an_application_that_does_not_receive_stops_the_reading(self) -> None:
        async with opened(ws_max_queue=4) as (script, client):
            for number in range(4):
                await client.send(client_frame(wire.TEXT, b"%d" % number))
            assert client.engine.writer.transport.is_reading()
            await client.send(client_frame(wire.TEXT, b"4"))
            assert not client.engine.writer.transport.is_reading()
            for number in range(5, 20):
                await client.send(client_frame(wire.TEXT, b"%d" % number))
            got = []
            while len(got) < 20:
                got.append((await script.receive())["text"])
                await settle()
            assert got == [str(number) for number in range(20)]
            assert client.engine.writer.transport.is_reading()

    @virtual_time
    async def test_memory_is_bounded_however_much_is_sent(self) -> None:
        async with opened(ws_max_queue=4, ws_max_size=1000) as (_, client):
            for _ in range(100):
                await client.send(client_frame(wire.BINARY, bytes(1000)))
            kept = sum(len(message) for message in client.engine.driver.inbox)
            assert kept + len(client.engine.core.peek()) < 6 * 1100
            assert client.transport.get_write_buffer_size() > 90 * 1000  # the client's to keep

    @virtual_time
    async def test_messages_behind_the_pause_come_before_the_end(self) -> None:
        async with opened(ws_max_queue=1) as (script, client):
            for number in range(5):
                await client.send(client_frame(wire.TEXT, b"%d" % number))
            client.transport.write(client_close(1000))
            client.transport.close()
            await settle()
            got = []
            while (message := await script.receive())["type"] == "websocket.receive":
                got.append(message["text"])
                await settle()
            assert got == ["0", "1", "2", "3", "4"]
            assert message["code"] == 1000

    @pytest.mark.parametrize("size", [999, 1000])
    def test_a_message_of_the_size_allowed_passes(self, size: int) -> None:
        @virtual_time
        async def run() -> None:
            async with opened(ws_max_size=1000) as (script, client):
                await client.send(client_frame(wire.BINARY, bytes(size)))
                assert len((await script.receive())["bytes"]) == size

        run()

    @virtual_time
    async def test_one_byte_more_is_1009_on_its_header_alone(self) -> None:
        async with opened(ws_max_size=1000) as (script, client):
            await client.send(wire.frame(wire.BINARY, length=1001, key=wire.KEY))
            assert (await script.receive())["code"] == 1009
            assert client.frames()[0][1].startswith(b"\x03\xf1")

    @virtual_time
    async def test_fragments_without_end_are_1008(self) -> None:
        class Strict(Engine):
            max_fragments = 8

        async with opened(engine=Strict) as (script, client):
            await client.send(client_frame(wire.TEXT, b"", fin=False))
            await client.send(client_frame(wire.CONTINUATION, b"", fin=False) * 8)
            assert (await script.receive())["code"] == 1008

    @pytest.mark.parametrize("option", ["ws_max_size", "ws_max_queue"])
    def test_nought_is_no_limit(self, option: str) -> None:
        @virtual_time
        async def run() -> None:
            async with opened(**{option: 0}) as (script, client):
                await client.send(client_frame(wire.BINARY, bytes(100)) * 100)
                for _ in range(100):
                    assert len((await script.receive())["bytes"]) == 100

        run()


class TestOutgoing:
    """What the client does not read fills its buffer, then ours, and then send waits."""

    @virtual_time
    async def test_send_waits_for_a_client_that_does_not_read(self) -> None:
        async with opened() as (script, client):
            client.transport.pause_reading()
            sent = 0

            async def flood() -> None:
                nonlocal sent
                while sent < 100:
                    await script.send({"type": "websocket.send", "bytes": bytes(8 * KIB)})
                    sent += 1

            flooding = asyncio.ensure_future(flood())
            await settle()
            assert not flooding.done() and sent < 10
            assert client.engine.writer.waiting < 64 * KIB
            client.transport.resume_reading()
            await flooding
            await settle()
            assert [len(payload) for _, payload in client.frames()] == [8 * KIB] * 100

    @virtual_time
    async def test_nothing_is_added_while_too_much_waits_already(self) -> None:
        async with opened() as (script, client):
            client.transport.pause_reading()
            message = {"type": "websocket.send", "bytes": bytes(40 * KIB)}
            sending = [asyncio.ensure_future(script.send(message)) for _ in range(10)]
            await settle()
            assert client.engine.writer.waiting < 2 * 41 * KIB  # of ten, not ten times as much
            client.transport.resume_reading()
            await asyncio.gather(*sending)
            await settle()
            assert len(client.frames()) == 10

    @virtual_time
    async def test_a_connection_that_closes_meanwhile_is_no_place_for_it(self) -> None:
        async with opened() as (script, client):
            client.transport.pause_reading()
            first = asyncio.ensure_future(script.send(text("x" * 100 * KIB)))
            await settle()
            second = asyncio.ensure_future(script.send(text("late")))
            await settle()
            client.engine.shutdown()
            client.transport.resume_reading()
            with pytest.raises(Disconnected):
                await second
            await first
            await settle()
            assert [opcode for opcode, _ in client.frames()] == [wire.TEXT, wire.CLOSE]

    @pytest.mark.parametrize("how", ["abort", "close"])
    def test_a_client_that_vanishes_wakes_a_blocked_send(self, how: str) -> None:
        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                client.transport.pause_reading()
                sending = asyncio.ensure_future(
                    script.send({"type": "websocket.send", "bytes": bytes(100 * KIB)})
                )
                await settle()
                assert not sending.done()
                getattr(client.transport, how)()
                with pytest.raises(Disconnected):
                    await sending

        run()

    @virtual_time
    async def test_a_client_that_reads_nothing_cannot_hold_the_server_at_its_end(self) -> None:
        async with opened() as (script, client):
            client.transport.pause_reading()
            sending = asyncio.ensure_future(
                script.send({"type": "websocket.send", "bytes": bytes(100 * KIB)})
            )
            await settle()
            client.engine.shutdown()
            with pytest.raises(Disconnected):
                await asyncio.wait_for(sending, Engine.close_timeout + 1)
            await settle()
            assert not client.state.connections

    @virtual_time
    async def test_pings_without_end_from_a_client_that_reads_no_pong_are_1008(self) -> None:
        async with opened() as (script, client):
            client.transport.pause_reading()
            sending = asyncio.ensure_future(
                script.send({"type": "websocket.send", "bytes": bytes(100 * KIB)})
            )
            await settle()
            await client.send(client_frame(wire.PING, b"flood") * 200)
            assert (await script.receive())["code"] == 1008
            client.transport.abort()
            with pytest.raises(Disconnected):
                await sending


class TestHeartbeat:
    @virtual_time
    async def test_an_idle_client_is_pinged_and_a_pong_is_enough(self) -> None:
        async with opened(ws_ping_interval=5.0, ws_ping_timeout=5.0) as (script, client):
            for _ in range(3):
                await asyncio.sleep(5.001)
                [(opcode, payload)] = client.frames()
                assert opcode == wire.PING and len(payload) == 4
                await client.send(client_frame(wire.PONG, payload))
            assert client.engine.driver.pings.latency >= 0
            await script.send(text("still here"))
            await settle()
            assert client.frames() == [(wire.TEXT, b"still here")]

    @virtual_time
    async def test_a_client_that_owes_a_pong_is_1011(self) -> None:
        async with opened(ws_ping_interval=5.0, ws_ping_timeout=3.0) as (script, client):
            waiting = asyncio.ensure_future(script.receive())
            await asyncio.sleep(7.9)
            assert not waiting.done()
            await asyncio.sleep(0.2)
            assert (await waiting)["code"] == 1011
            assert client.lost

    @pytest.mark.parametrize("interval", [None, 0, 0.0])
    def test_without_an_interval_nobody_is_pinged(self, interval: float | None) -> None:
        @virtual_time
        async def run() -> None:
            async with opened(ws_ping_interval=interval) as (_, client):
                await asyncio.sleep(1000)
                assert client.take() == b""

        run()

    @virtual_time
    async def test_without_a_time_limit_silence_is_forgiven(self) -> None:
        async with opened(ws_ping_interval=5.0, ws_ping_timeout=None) as (_, client):
            await asyncio.sleep(1000)
            assert len(client.frames()) > 100 and not client.lost

    @virtual_time
    async def test_pings_are_answered_while_the_application_is_busy(self) -> None:
        async with opened() as (_, client):
            await client.send(client_frame(wire.PING, b"are you there"))
            assert client.frames() == [(wire.PONG, b"are you there")]


class TestShutdown:
    @virtual_time
    async def test_open_connections_close_with_1012(self) -> None:
        async with opened() as (script, client):
            waiting = asyncio.ensure_future(script.receive())
            await settle()
            client.engine.shutdown()
            assert (await waiting) == {"type": "websocket.disconnect", "code": 1012}
            await settle()
            assert client.frames() == [(wire.CLOSE, b"\x03\xf4")]
            with pytest.raises(Disconnected):
                await script.send(text("too late"))
            await client.send(client_close(1012))
            assert client.lost

    @virtual_time
    async def test_messages_on_their_way_are_still_told_first(self) -> None:
        async with opened() as (script, client):
            await client.send(client_frame(wire.TEXT, b"before"))
            client.engine.shutdown()
            assert (await script.receive())["text"] == "before"
            assert (await script.receive())["code"] == 1012

    @virtual_time
    async def test_one_that_waits_for_its_101_gets_503(self) -> None:
        async with asked() as (script, client):
            await script.receive()
            client.engine.shutdown()
            await settle()
            assert client.take().startswith(b"HTTP/1.1 503 ")
            assert (await script.receive())["code"] == 1006

    @virtual_time
    async def test_one_that_comes_while_others_leave_gets_503(self) -> None:
        async with opened() as (_, client):
            client.engine.shutdown()
            late = new_client(script := Script(), state=client.state)
            await late.send(wire.request_head())
            assert late.take().startswith(b"HTTP/1.1 503 ") and not hasattr(script, "scope")
            late.transport.abort()
            await settle()

    @virtual_time
    async def test_a_client_that_ignores_close_is_gone_within_the_deadline(self) -> None:
        async with opened() as (script, client):
            client.closes_on_eof = False
            client.engine.shutdown()
            await settle()
            for _ in range(9):
                await asyncio.sleep(1)
                await client.send(client_frame(wire.TEXT, b"chatter"))  # extends nothing
                assert client.state.connections
            await asyncio.sleep(1.1)
            assert not client.state.connections
            await script.finish()

    @virtual_time
    async def test_one_whose_close_was_sent_already_is_not_waited_for(self) -> None:
        async with opened() as (script, client):
            client.closes_on_eof = False
            await script.close(code=4000)
            client.engine.shutdown()
            await settle()
            assert not client.state.connections
            assert client.frames() == [(wire.CLOSE, b"\x0f\xa0")]  # and no second one
            assert (await script.receive())["code"] == 4000

    @virtual_time
    async def test_nor_is_one_that_was_refused_or_closed_by_the_client(self) -> None:
        async with asked() as (script, client):
            client.closes_on_eof = False
            await script.receive()
            await script.close()
            client.engine.shutdown()
            await settle()
            assert not client.state.connections
        async with opened() as (_, client):
            client.closes_on_eof = False
            await client.send(client_close(1000))
            client.engine.shutdown()
            await settle()
            assert not client.state.connections

    @virtual_time
    async def test_a_second_shutdown_waits_for_nobody(self) -> None:
        async with opened() as (_, client):
            client.closes_on_eof = False
            client.engine.shutdown()
            await settle()
            assert client.state.connections
            client.engine.shutdown()
            await settle()
            assert not client.state.connections

    @virtual_time
    async def test_a_denial_under_way_has_the_deadline_too(self) -> None:
        async with asked() as (script, client):
            await script.receive()
            await script.send({"type": "websocket.http.response.start", "status": 400})
            await script.send(
                {"type": "websocket.http.response.body", "body": b"x", "more_body": True}
            )
            client.engine.shutdown()
            await asyncio.sleep(Engine.close_timeout + 0.1)
            assert not client.state.connections


class TestWhatTheServerSees:
    @virtual_time
    async def test_connections_and_tasks_are_listed_while_they_live(self) -> None:
        async with opened() as (script, client):
            assert client.state.connections == {client.engine}
            assert len(client.state.tasks) == 1
            await script.finish()
            assert not client.state.tasks
            assert client.state.connections  # its Close waits for the client's
            await client.send(client_close(1000))
            assert not client.state.connections

    @pytest.mark.parametrize("reset", [False, True])
    def test_reset_contextvars_gives_the_application_an_empty_context(self, reset: bool) -> None:
        from contextvars import ContextVar

        variable: ContextVar[str] = ContextVar("variable", default="nothing")
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(variable.get())
            variable.set("the application's")

        @virtual_time
        async def run() -> None:
            variable.set("the server's")
            for _ in range(2):
                client = new_client(app, reset_contextvars=reset)
                await client.send(wire.request_head())
                client.transport.abort()
                await settle()

        run()
        assert seen == ["nothing" if reset else "the server's"] * 2

    def test_a_uvicorn_without_that_setting_will_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class FirstWithEngines(Config):
            """The settings of uvicorn 0.36."""

            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                del self.reset_contextvars

        monkeypatch.setattr("tests.support.engine_pair.Config", FirstWithEngines)

        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                await script.send(text("hello"))
                await settle()
                assert client.frames() == [(wire.TEXT, b"hello")]

        run()


class TestCompression:
    OFFER = (("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),)

    @virtual_time
    async def test_is_agreed_on_and_used_both_ways(self) -> None:
        import zlib

        async with asked(wire.request_head(add=self.OFFER)) as (script, client):
            await script.accept()
            assert b"permessage-deflate" in client.take()
            deflater = zlib.compressobj(wbits=-12)
            squeezed = (deflater.compress(b"a" * 500) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
            await client.send(client_frame(wire.TEXT, squeezed, rsv=4))
            assert (await script.receive())["text"] == "a" * 500
            await script.send(text("b" * 500))
            await settle()
            [(opcode, _, rsv, _, payload)] = wire.split_frames(client.take())
            assert (opcode, rsv) == (wire.TEXT, 4) and len(payload) < 50
            inflated = zlib.decompressobj(wbits=-12).decompress(payload + b"\0\0\xff\xff")
            assert inflated == b"b" * 500

    @virtual_time
    async def test_is_off_where_uvicorn_is_told_so(self) -> None:
        head = wire.request_head(add=self.OFFER)
        async with asked(head, ws_per_message_deflate=False) as (script, client):
            await script.accept()
            assert b"permessage-deflate" not in client.take()

    @virtual_time
    async def test_a_bomb_stops_at_the_limit(self) -> None:
        import zlib

        async with opened(add=self.OFFER, ws_max_size=100 * KIB) as (script, client):
            deflater = zlib.compressobj(wbits=-12)
            bomb = deflater.compress(bytes(100 * KIB + 1)) + deflater.flush(zlib.Z_SYNC_FLUSH)
            await client.send(client_frame(wire.BINARY, bomb[:-4], rsv=4))
            assert (await script.receive())["code"] == 1009
