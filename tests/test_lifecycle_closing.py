"""The end of a connection: who closes what, when, and what everyone is told (RFC 6455 7)."""

from __future__ import annotations

import asyncio

import pytest

from refimpl import ConnectionClosed, LocalProtocolError, State, memory_pipe
from refimpl.lifecycle import Settings
from tests.support import wire
from tests.support.clockwork import settle, timers, virtual_time
from tests.support.rawpeer import PLAIN, client_close, client_frame, open_client, open_server

QUICK = Settings(ping_interval=None, close_timeout=3)


def now() -> float:
    return asyncio.get_running_loop().time()


class TestCloseHandshake:
    @virtual_time
    async def test_7_1_2_both_sides_learn_the_code(self) -> None:
        client, server = await memory_pipe(PLAIN)
        await client.close(3001, "done")
        with pytest.raises(ConnectionClosed) as at_server:
            await server.recv()
        with pytest.raises(ConnectionClosed) as at_client:
            await client.recv()
        assert at_server.value.received == (3001, "done")
        assert at_server.value.order == "received"
        assert at_client.value.sent == (3001, "done")
        assert at_client.value.order == "sent"
        assert at_client.value.code == 3001
        assert client.state is server.state is State.CLOSED

    @virtual_time
    async def test_close_twice_does_nothing_more(self) -> None:
        server, peer = await open_server()
        closing = asyncio.gather(server.close(1000), server.close(1001))
        await settle()
        assert peer.frames() == [(wire.CLOSE, b"\x03\xe8")]
        await peer.send(client_close(1000))
        await closing
        await server.close(1011)
        assert peer.frames() == []

    @virtual_time
    async def test_both_close_at_once(self) -> None:
        client, server = await memory_pipe(PLAIN)
        await asyncio.gather(client.close(4000, "mine"), server.close(4001, "yours"))
        assert (client.close_code, server.close_code) == (4001, 4000)

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
    def test_7_4_1_a_code_that_may_not_be_sent_is_our_mistake(self, code: int) -> None:
        @virtual_time
        async def run() -> None:
            client, server = await memory_pipe(PLAIN)
            with pytest.raises(LocalProtocolError):
                await client.close(code, "reason")
            assert client.state is State.OPEN
            await asyncio.gather(client.close(), server.close())

        run()

    @virtual_time
    async def test_5_5_1_reason_of_124_bytes_is_our_mistake(self) -> None:
        client, server = await memory_pipe(PLAIN)
        with pytest.raises(LocalProtocolError):
            await client.close(1000, "x" * 124)
        await client.close(1000, "x" * 123)
        assert server.close_reason == "x" * 123

    @virtual_time
    async def test_context_manager_closes_with_1000_or_1011(self) -> None:
        client, server = await memory_pipe(PLAIN)
        async with client:
            pass
        assert server.close_code == 1000
        client, server = await memory_pipe(PLAIN)
        with pytest.raises(KeyError):
            async with client:
                raise KeyError
        assert server.close_code == 1011

    @virtual_time
    async def test_cancelled_close_still_closes(self) -> None:
        server, peer = await open_server(QUICK)
        closing = asyncio.ensure_future(server.close())
        await settle()
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await server.wait_closed()
        assert now() == pytest.approx(3, abs=0.01)
        assert peer.lost


class TestWhoDropsTcpFirst:
    @pytest.mark.rule(66)
    @virtual_time
    async def test_7_1_1_the_server_ends_its_stream_first(self) -> None:
        server, peer = await open_server()
        peer.closes_on_eof = False
        await peer.send(client_close(1000))
        assert peer.frames() == [(wire.CLOSE, b"\x03\xe8")]
        assert peer.ended
        assert not peer.lost  # only its own direction: it reads on until the client ends too
        peer.transport.close()
        await server.wait_closed()
        assert now() < 0.1

    @pytest.mark.rule(66)
    @virtual_time
    async def test_7_1_1_the_client_waits_for_the_server(self) -> None:
        client, peer = await open_client(QUICK)
        await peer.send(wire.close(1000))
        assert peer.frames() == [(wire.CLOSE, b"\x03\xe8")]
        assert not peer.ended
        peer.transport.write_eof()
        await client.wait_closed()
        assert now() < 0.1

    @virtual_time
    async def test_7_1_1_a_client_whose_server_stays_gives_up(self) -> None:
        client, peer = await open_client(QUICK)
        await peer.send(wire.close(1000))
        await client.wait_closed()
        assert now() == pytest.approx(3, abs=0.01)
        assert client.close_code == 1000


class TestReadingOn:
    """After Close nothing is processed, and all is read: unread bytes would reset TCP."""

    @virtual_time
    async def test_7_1_7_after_a_failure_everything_is_read_and_thrown_away(self) -> None:
        server, peer = await open_server()
        peer.closes_on_eof = False
        await peer.send(wire.frame(wire.TEXT, b"not masked"))
        opcode, payload = peer.frames()[0]
        assert (opcode, payload[:2]) == (wire.CLOSE, b"\x03\xea")
        assert peer.ended
        for _ in range(100):
            await peer.send(client_frame(wire.BINARY, bytes(65_536)))
        assert peer.transport.get_write_buffer_size() == 0
        assert peer.take() == b""
        with pytest.raises(ConnectionClosed) as closed:
            await server.recv()
        assert closed.value.sent is not None
        assert closed.value.sent.code == 1002
        assert closed.value.code == 1006
        peer.transport.close()
        await server.wait_closed()

    @virtual_time
    async def test_1_4_data_after_the_peers_close_is_discarded(self) -> None:
        server, peer = await open_server()
        peer.closes_on_eof = False
        await peer.send(client_close(1000) + client_frame(wire.TEXT, b"illegal"))
        await peer.send(client_frame(wire.TEXT, b"illegal too"))
        with pytest.raises(ConnectionClosed):
            await server.recv()
        peer.transport.close()
        await server.wait_closed()

    @virtual_time
    async def test_7_1_1_messages_under_way_when_we_close_are_received(self) -> None:
        server, peer = await open_server()
        server.start_close()
        await peer.send(client_frame(wire.TEXT, b"crossed your Close"))
        await peer.send(client_close(1000))
        assert [message async for message in server] == ["crossed your Close"]
        await server.wait_closed()

    @virtual_time
    async def test_when_we_close_with_a_full_inbox_reading_goes_on_and_memory_does_not_grow(
        self,
    ) -> None:
        settings = Settings(ping_interval=None, max_queue=2)
        server, peer = await open_server(settings)
        for _ in range(4):
            await peer.send(client_frame(wire.TEXT, b"piling up"))
        assert not server.transport.is_reading()
        server.start_close()
        for _ in range(1000):
            await peer.send(client_frame(wire.TEXT, b"never to be read"))
        await peer.send(client_close(1000))
        await server.wait_closed()
        assert now() < 1
        assert 2 <= len([message async for message in server]) <= 4


class TestDeadline:
    @pytest.mark.rule(67)
    @virtual_time
    async def test_a_silent_peer_is_cut_off(self) -> None:
        server, peer = await open_server(QUICK)
        await server.close()
        assert now() == pytest.approx(3, abs=0.01)
        assert peer.lost
        with pytest.raises(ConnectionClosed) as closed:
            await server.recv()
        assert closed.value.code == 1006
        assert isinstance(closed.value.__cause__, TimeoutError)

    @pytest.mark.rule(67)
    @pytest.mark.parametrize("chatter", [wire.PING, wire.PONG, wire.TEXT])
    def test_chatter_does_not_extend_it(self, chatter: int) -> None:
        @virtual_time
        async def run() -> None:
            server, peer = await open_server(QUICK)
            closing = asyncio.ensure_future(server.close())
            while not closing.done() and now() < 60:
                await peer.send(client_frame(chatter, b"just one more thing"))
                await asyncio.sleep(0.1)
            assert now() == pytest.approx(3, abs=0.2)
            await closing

        run()

    @pytest.mark.rule(67)
    @virtual_time
    async def test_a_peer_that_closed_and_dribbles_on_is_cut_off(self) -> None:
        server, peer = await open_server(QUICK)
        peer.closes_on_eof = False
        await peer.send(client_close(1000))
        while not peer.lost and now() < 60:
            await peer.send(b"x")
            await asyncio.sleep(0.1)
        assert now() == pytest.approx(3, abs=0.2)
        assert server.close_code == 1000

    @virtual_time
    async def test_a_peer_that_does_not_read_is_cut_off(self) -> None:
        server, peer = await open_server(QUICK)
        peer.transport.pause_reading()
        sending = asyncio.ensure_future(server.send(bytes(100_000)))
        await settle()
        await server.close()
        assert now() == pytest.approx(3, abs=0.01)
        with pytest.raises(ConnectionClosed):
            await sending

    @virtual_time
    async def test_none_waits_as_long_as_it_takes(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, close_timeout=None))
        closing = asyncio.ensure_future(server.close())
        await asyncio.sleep(10_000)
        assert not closing.done()
        await peer.send(client_close(1000))
        await closing

    @virtual_time
    async def test_no_timer_is_left_behind(self) -> None:
        client, server = await memory_pipe(Settings())
        await asyncio.gather(client.close(), server.close())
        assert timers() == []


class TestLoss:
    @virtual_time
    async def test_7_1_5_end_of_stream_without_close_is_1006(self) -> None:
        server, peer = await open_server()
        peer.transport.write_eof()
        with pytest.raises(ConnectionClosed) as closed:
            await server.recv()
        assert (closed.value.code, closed.value.sent, closed.value.received) == (1006, None, None)
        await server.wait_closed()
        assert peer.lost

    @virtual_time
    async def test_every_waiter_wakes(self) -> None:
        server, peer = await open_server()
        peer.transport.pause_reading()
        pong = await server.ping()
        waiters = [
            asyncio.ensure_future(each)
            for each in (server.recv(), server.send(bytes(100_000)), server.wait_closed(), pong)
        ]
        await settle()
        assert not any(waiter.done() for waiter in waiters)
        peer.transport.abort()
        outcomes = await asyncio.gather(*waiters, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            ConnectionClosed,
            ConnectionClosed,
            type(None),
            ConnectionClosed,
        ]

    @virtual_time
    async def test_every_caller_gets_an_error_of_its_own(self) -> None:
        server, peer = await open_server()
        peer.transport.abort()
        await server.wait_closed()
        errors = []
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as closed:
                await server.recv()
            errors.append(closed.value)
        assert errors[0] is not errors[1]  # a shared one would collect everyone's traceback

    @virtual_time
    async def test_a_peers_mistake_is_the_cause(self) -> None:
        server, peer = await open_server()
        await peer.send(client_frame(wire.TEXT, b"\xff"))
        with pytest.raises(ConnectionClosed) as closed:
            await server.recv()
        assert closed.value.sent is not None
        assert closed.value.sent.code == 1007
        assert "UTF-8" in str(closed.value.__cause__)
        peer.transport.abort()
        await server.wait_closed()
