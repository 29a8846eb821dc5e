"""The heartbeat: who is declared dead, when, and who never (RFC 6455 section 5.5.2)."""

from __future__ import annotations

import asyncio

import pytest

from refimpl import ConnectionClosed, State, memory_pipe
from refimpl.handshake import build_request, parse_uri
from refimpl.lifecycle import ClientConnection, Settings
from refimpl.lifecycle.heartbeat import Heartbeat, Pings, shared_heartbeat
from refimpl.lifecycle.memory import join
from tests.support import wire
from tests.support.clockwork import timers, virtual_time
from tests.support.rawpeer import (
    RawPeer,
    client_close,
    client_frame,
    new_server,
    open_client,
    open_server,
)

BEATING = Settings(ping_interval=20, ping_timeout=5, close_timeout=3)


def now() -> float:
    return asyncio.get_running_loop().time()


async def answer_pings(peer: RawPeer, *, until: float) -> int:
    """Answer every ping until then; return how many there were."""
    pings = 0
    while now() < until:
        for opcode, payload in peer.frames():
            if opcode == wire.PING:
                pings += 1
                peer.transport.write(client_frame(wire.PONG, payload))
        await asyncio.sleep(0.5)
    return pings


class TestQuietPeer:
    @virtual_time
    async def test_that_answers_lives_for_ever(self) -> None:
        server, peer = await open_server(BEATING)
        assert await answer_pings(peer, until=1000.25) in (49, 50)
        assert server.state is State.OPEN
        assert 0 < server.latency <= 0.5
        peer.transport.abort()
        await server.wait_closed()

    @pytest.mark.parametrize(("interval", "timeout"), [(20, 5), (5, 20), (20, 20)])
    def test_that_owes_a_pong_is_dead_within_interval_and_timeout(
        self, interval: int, timeout: int
    ) -> None:
        @virtual_time
        async def run() -> None:
            settings = Settings(ping_interval=interval, ping_timeout=timeout)
            server, peer = await open_server(settings)
            with pytest.raises(ConnectionClosed) as closed:
                await server.recv()
            assert now() == pytest.approx(interval + timeout, abs=0.01)
            assert closed.value.code == 1006
            assert closed.value.sent is not None
            assert closed.value.sent.code == 1011
            assert isinstance(closed.value.__cause__, TimeoutError)
            assert peer.lost

        run()

    @virtual_time
    async def test_without_timeout_it_is_pinged_and_never_given_up(self) -> None:
        server, peer = await open_server(Settings(ping_interval=20, ping_timeout=None))
        await asyncio.sleep(1001)
        assert len(peer.frames()) == 50
        assert server.state is State.OPEN
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_a_client_beats_too(self) -> None:
        client, peer = await open_client(Settings(ping_interval=20, ping_timeout=5))
        await asyncio.sleep(21)
        assert [opcode for opcode, _ in peer.frames()] == [wire.PING]
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert now() == pytest.approx(25, abs=0.01)

    @virtual_time
    async def test_without_interval_it_is_left_alone(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None))
        await asyncio.sleep(1000)
        assert peer.take() == b""
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_two_of_ours_keep_each_other_alive(self) -> None:
        client, server = await memory_pipe(BEATING)
        await asyncio.sleep(1000)
        assert client.state is server.state is State.OPEN
        await asyncio.gather(client.close(), server.close())


class TestManyPeers:
    """One heart beats for all of them, and each is judged by itself."""

    @virtual_time
    async def test_one_that_opens_while_another_owes_a_pong_is_pinged_in_its_turn(self) -> None:
        patient = Settings(ping_interval=5, ping_timeout=60)
        first, silent = await open_server(patient)
        await asyncio.sleep(6)
        second, peer = await open_server(patient)
        await asyncio.sleep(5.5)
        assert len(silent.frames()) == 1
        assert len(peer.frames()) == 1
        for each in (silent, peer):
            each.transport.abort()
        await asyncio.gather(first.wait_closed(), second.wait_closed())

    @virtual_time
    async def test_only_those_that_are_silent_are_given_up(self) -> None:
        pairs = [await open_server(BEATING) for _ in range(20)]
        answering = [asyncio.ensure_future(answer_pings(peer, until=100)) for _, peer in pairs[::2]]
        await asyncio.gather(*(server.wait_closed() for server, _ in pairs[1::2]))
        assert now() == pytest.approx(25, abs=0.05)
        assert all(server.state is State.OPEN for server, _ in pairs[::2])
        assert set(await asyncio.gather(*answering)) <= {4, 5}
        assert len(timers()) == 1
        for _, peer in pairs[::2]:
            peer.transport.abort()
        await asyncio.gather(*(server.wait_closed() for server, _ in pairs))

    @virtual_time
    async def test_an_error_of_one_is_not_the_end_of_the_others(self) -> None:
        loop = asyncio.get_running_loop()
        seen: list[object] = []
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
        broken, mute = await open_server(BEATING)
        sound, peer = await open_server(BEATING)
        broken.driver.pings = None  # type: ignore[assignment]
        await asyncio.sleep(21)
        loop.set_exception_handler(before)
        assert [type(error) for error in seen] == [AttributeError]
        assert [opcode for opcode, _ in peer.frames()] == [wire.PING]
        broken.driver.pings = Pings()
        for each in (mute, peer):
            each.transport.abort()
        await asyncio.gather(broken.wait_closed(), sound.wait_closed())
        assert timers() == []

    def test_each_loop_and_each_setting_has_its_own(self) -> None:
        async def hearts() -> list[Heartbeat]:
            return [shared_heartbeat(20, 5), shared_heartbeat(20, 5), shared_heartbeat(20, None)]

        one, same, other = asyncio.run(hearts())
        assert one is same
        assert one is not other
        assert one not in asyncio.run(hearts())


class TestLivePeer:
    """A peer is alive while its data flows, whether or not its pong has found a way through."""

    @virtual_time
    async def test_whose_messages_arrive(self) -> None:
        server, peer = await open_server(BEATING)
        while now() < 200:
            await peer.send(client_frame(wire.TEXT, b"busy"))
            await server.recv()
            await asyncio.sleep(1)
        assert server.state is State.OPEN
        with pytest.raises(ConnectionClosed):  # and now that it has fallen silent
            await server.recv()
        assert now() < 230

    @virtual_time
    async def test_that_takes_what_we_send_slowly(self) -> None:
        server, peer = await open_server(BEATING)
        peer.transport.pause_reading()
        uploading = asyncio.ensure_future(server.send(bytes(2_000_000)))
        while now() < 200:
            peer.transport._chunk = server.transport._chunk = 1000  # type: ignore[attr-defined]
            peer.transport.resume_reading()
            await asyncio.sleep(0)
            peer.transport.pause_reading()
            await asyncio.sleep(1)
        assert server.state is State.OPEN
        await asyncio.sleep(30)  # it takes nothing any more
        assert server.state is State.CLOSED
        with pytest.raises(ConnectionClosed):
            await uploading

    @virtual_time
    async def test_whom_we_do_not_read(self) -> None:
        settings = Settings(ping_interval=20, ping_timeout=5, max_queue=1)
        server, peer = await open_server(settings)
        for _ in range(3):
            await peer.send(client_frame(wire.TEXT, b"waiting for you"))
        assert not server.transport.is_reading()
        await asyncio.sleep(500)
        assert server.state is State.OPEN
        for _ in range(3):
            await server.recv()
        with pytest.raises(ConnectionClosed):
            await server.recv()


class TestItsEnd:
    @virtual_time
    async def test_no_ping_after_close(self) -> None:
        server, peer = await open_server(Settings(ping_interval=1, close_timeout=None))
        server.start_close()
        await asyncio.sleep(10)
        assert peer.frames() == [(wire.CLOSE, b"\x03\xe8")]
        await peer.send(client_close(1000))
        await server.wait_closed()

    @virtual_time
    async def test_no_heartbeat_for_a_connection_that_closed_in_its_first_breath(self) -> None:
        server, peer = new_server(Settings(ping_interval=1))
        await peer.send(wire.request_head() + client_close(1000))
        assert server.close_code == 1000
        assert timers() == []

        client, peer = ClientConnection(Settings(ping_interval=1)), RawPeer()
        join(client.driver, peer)
        uri, key = parse_uri("ws://server.example.com/chat"), "dGhlIHNhbXBsZSBub25jZQ=="
        opening = asyncio.ensure_future(client.open(build_request(uri, key=key)))
        peer.transport.write(wire.response_head() + wire.close(1000))
        await opening
        peer.transport.close()
        await client.wait_closed()
        assert timers() == []
