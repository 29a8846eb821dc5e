"""The open connection: receiving, sending, pings, fragments; on a clock that jumps, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl import ConcurrencyError, ConnectionClosed, LocalProtocolError, State, memory_pipe
from refimpl.lifecycle import Settings
from tests.support import wire
from tests.support.clockwork import VirtualLoop, settle, virtual_time
from tests.support.rawpeer import PLAIN, client_close, client_frame, open_client, open_server


class TestRecv:
    @virtual_time
    async def test_text_comes_as_str_and_binary_as_bytes(self) -> None:
        server, peer = await open_server()
        await peer.send(
            client_frame(wire.TEXT, "Grüße".encode()) + client_frame(wire.BINARY, b"\0")
        )
        assert [await server.recv(), await server.recv()] == ["Grüße", b"\0"]
        peer.transport.close()
        await server.wait_closed()

    @virtual_time
    async def test_messages_before_the_end_are_still_returned(self) -> None:
        server, peer = await open_server()
        await peer.send(client_frame(wire.TEXT, b"one") + client_frame(wire.TEXT, b"two"))
        await peer.send(client_close(1000))
        await server.wait_closed()
        assert [await server.recv(), await server.recv()] == ["one", "two"]
        with pytest.raises(ConnectionClosed):
            await server.recv()

    @virtual_time
    async def test_waiting_recv_wakes_when_the_connection_is_lost(self) -> None:
        server, peer = await open_server()
        waiting = asyncio.ensure_future(server.recv())
        await settle()
        peer.transport.abort()
        with pytest.raises(ConnectionClosed) as closed:
            await waiting
        assert closed.value.code == 1006
        assert isinstance(closed.value.__cause__, ConnectionResetError)

    @virtual_time
    async def test_two_tasks_in_recv_are_both_named(self) -> None:
        client, server = await memory_pipe(PLAIN)
        first = asyncio.create_task(server.recv(), name="the reader")
        await settle()
        second = asyncio.create_task(server.recv(), name="the intruder")
        with pytest.raises(ConcurrencyError, match="'the intruder', but task 'the reader'"):
            await second
        await client.send("for the reader")
        assert await first == "for the reader"
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_second_recv_cannot_snatch_a_message_already_promised(self) -> None:
        server, peer = await open_server()
        first = asyncio.ensure_future(server.recv())
        await settle()
        server.driver.data_received(
            client_frame(wire.TEXT, b"promised")
        )  # the first is not awake yet
        with pytest.raises(ConcurrencyError):
            await server.recv()
        assert await first == "promised"
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_cancelled_between_wake_up_and_return_keeps_the_message(self) -> None:
        server, peer = await open_server()
        waiting = asyncio.ensure_future(server.recv())
        await settle()
        server.driver.data_received(client_frame(wire.TEXT, b"kept"))
        waiting.cancel()  # in the same turn: the future is done, the task has not run
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await server.recv() == "kept"
        peer.transport.abort()
        await server.wait_closed()

    @given(cancel=st.lists(st.booleans(), min_size=1, max_size=30), cuts=st.data())
    def test_cancelling_anywhere_loses_no_message(
        self, cancel: list[bool], cuts: st.DataObject
    ) -> None:
        @virtual_time
        async def run() -> None:
            server, peer = await open_server(Settings(ping_interval=None, max_queue=3))
            sent = [f"message {number}" for number in range(len(cancel))]
            stream = b"".join(client_frame(wire.TEXT, text.encode()) for text in sent)
            sizes = cuts.draw(st.lists(st.integers(1, 60), max_size=20))
            received = []
            pieces = list(wire.cuts(stream, sizes))
            for piece, cancelled in zip(pieces, [*cancel, *[True] * len(pieces)], strict=False):
                task = asyncio.ensure_future(server.recv())
                await asyncio.sleep(0)
                peer.transport.write(piece)
                for _ in range(cuts.draw(st.integers(0, 3))):
                    await asyncio.sleep(0)
                if cancelled:
                    task.cancel()
                try:
                    received.append(await asyncio.wait_for(task, 1))
                except (asyncio.CancelledError, TimeoutError):
                    pass
            peer.transport.write(client_close(1000))
            received += [message async for message in server]
            assert received == sent
            await server.wait_closed()

        run()


class TestIteration:
    @pytest.mark.parametrize("code", [1000, 1001, None])
    def test_ends_quietly_after_a_clean_close(self, code: int | None) -> None:
        @virtual_time
        async def run() -> None:
            server, peer = await open_server()
            await peer.send(client_frame(wire.TEXT, b"one") + client_close(code))
            assert [message async for message in server] == ["one"]
            await server.wait_closed()

        run()

    @pytest.mark.parametrize("code", [1002, 1011, 3000, 4999])
    def test_raises_after_any_other_code(self, code: int) -> None:
        @virtual_time
        async def run() -> None:
            server, peer = await open_server()
            await peer.send(client_close(code, b"why"))
            with pytest.raises(ConnectionClosed) as closed:
                [message async for message in server]
            assert closed.value.received == (code, "why")
            await server.wait_closed()

        run()

    @virtual_time
    async def test_raises_when_the_connection_breaks(self) -> None:
        server, peer = await open_server()
        peer.transport.abort()
        with pytest.raises(ConnectionClosed):
            [message async for message in server]


class TestSend:
    @virtual_time
    async def test_str_goes_as_text_and_any_bytes_as_binary(self) -> None:
        server, peer = await open_server()
        for message in ("text", b"bytes", bytearray(b"array"), memoryview(b"view")):
            await server.send(message)
        await settle()
        assert peer.frames() == [
            (wire.TEXT, b"text"),
            (wire.BINARY, b"bytes"),
            (wire.BINARY, b"array"),
            (wire.BINARY, b"view"),
        ]
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_subclass_of_str_is_text(self) -> None:
        class Name(str):
            pass

        server, peer = await open_server()
        await server.send(Name("Ada"))
        await settle()
        assert peer.frames() == [(wire.TEXT, b"Ada")]
        peer.transport.abort()
        await server.wait_closed()

    @pytest.mark.parametrize("wrong", [42, None, {"a": 1}, object()])
    def test_anything_else_is_a_type_error_and_harmless(self, wrong: object) -> None:
        @virtual_time
        async def run() -> None:
            client, server = await memory_pipe(PLAIN)
            with pytest.raises(TypeError):
                await client.send(wrong)  # type: ignore[arg-type]
            await client.send("still open")
            assert await server.recv() == "still open"
            await asyncio.gather(client.close(), server.close())

        run()

    @virtual_time
    async def test_lone_surrogate_is_our_mistake_and_harmless(self) -> None:
        client, server = await memory_pipe(PLAIN)
        with pytest.raises(LocalProtocolError):
            await client.send("\ud800")
        await client.send("still open")
        assert await server.recv() == "still open"
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_after_the_end_it_says_how_it_ended(self) -> None:
        server, peer = await open_server()
        await peer.send(client_close(4001, b"moved"))
        await server.wait_closed()
        with pytest.raises(ConnectionClosed) as closed:
            await server.send("too late")
        assert closed.value.received == (4001, "moved")

    @virtual_time
    async def test_during_our_close_it_waits_for_the_outcome(self) -> None:
        client, server = await memory_pipe(PLAIN)
        client.start_close(1001)
        sending = asyncio.ensure_future(client.send("too late"))
        with pytest.raises(ConnectionClosed) as closed:
            await sending
        assert closed.value.received == (1001, "")
        await server.wait_closed()


class TestFragments:
    @virtual_time
    async def test_5_4_an_iterable_is_one_message_in_fragments(self) -> None:
        server, peer = await open_server()
        await server.send(["one ", "two ", "three"])
        await settle()
        sent = wire.split_frames(peer.take())
        assert [(opcode, fin, payload) for opcode, fin, _, _, payload in sent] == [
            (wire.TEXT, False, b"one "),
            (wire.CONTINUATION, False, b"two "),
            (wire.CONTINUATION, False, b"three"),
            (wire.CONTINUATION, True, b""),
        ]
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_5_4_other_messages_wait_for_its_end(self) -> None:
        client, server = await memory_pipe(PLAIN)
        gate = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield b"begin "
            await gate.wait()
            yield b"end"

        first = asyncio.ensure_future(client.send(slowly()))
        await settle()
        second = asyncio.ensure_future(client.send("afterwards"))
        await settle()
        assert not second.done()
        gate.set()
        await asyncio.gather(first, second)
        assert [await server.recv(), await server.recv()] == [b"begin end", "afterwards"]
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_5_4_control_frames_go_in_between(self) -> None:
        client, server = await memory_pipe(PLAIN)
        gate = asyncio.Event()

        async def slowly() -> AsyncIterator[str]:
            yield "begin"
            await gate.wait()

        sending = asyncio.ensure_future(client.send(slowly()))
        await settle()
        assert await (await client.ping()) >= 0
        gate.set()
        await sending
        assert await server.recv() == "begin"
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_no_fragments_are_no_message(self) -> None:
        client, server = await memory_pipe(PLAIN)
        await client.send([])
        await client.send("next")
        assert await server.recv() == "next"
        await asyncio.gather(client.close(), server.close())

    @pytest.mark.parametrize("fails", [["a", b"b"], [b"a", "b"], ["a", 1]])
    def test_broken_source_closes_with_1011(self, fails: list[object]) -> None:
        @virtual_time
        async def run() -> None:
            client, server = await memory_pipe(PLAIN)
            with pytest.raises(TypeError):
                await client.send(fails)  # type: ignore[arg-type]
            await server.wait_closed()
            assert server.close_code == 1011
            await client.wait_closed()

        run()

    @virtual_time
    async def test_wrong_first_fragment_is_harmless(self) -> None:
        client, server = await memory_pipe(PLAIN)
        with pytest.raises(TypeError):
            await client.send([1, 2])  # type: ignore[list-item]
        await client.send("still open")
        assert await server.recv() == "still open"
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_cancelled_half_way_closes_with_1011(self) -> None:
        client, server = await memory_pipe(PLAIN)

        async def for_ever() -> AsyncIterator[str]:
            yield "begin"
            await asyncio.Event().wait()

        sending = asyncio.ensure_future(client.send(for_ever()))
        await settle()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.wait_closed()
        assert server.close_code == 1011
        await client.wait_closed()

    @virtual_time
    async def test_connection_that_ends_half_way_ends_the_send(self) -> None:
        server, peer = await open_server()

        def fragments() -> Iterator[str]:
            yield "begin"
            server.driver.data_received(client_close(1001))
            yield "too late"

        with pytest.raises(ConnectionClosed) as closed:
            await server.send(fragments())
        assert closed.value.code == 1001
        await server.wait_closed()
        assert server.fragmenting is None
        assert peer.lost


class TestPing:
    @virtual_time
    async def test_5_5_2_latency_is_the_time_to_the_pong(self) -> None:
        server, peer = await open_server()
        waiter = await server.ping(b"now")
        await settle()
        assert peer.frames() == [(wire.PING, b"now")]
        await asyncio.sleep(0.25)
        await peer.send(client_frame(wire.PONG, b"now"))
        assert await waiter == pytest.approx(0.25, abs=1e-3)
        assert server.latency == pytest.approx(0.25, abs=1e-3)
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_5_5_3_a_pong_answers_older_pings_too(self) -> None:
        server, peer = await open_server()
        waiters = [await server.ping(data) for data in ("one", "two", "three")]
        await peer.send(client_frame(wire.PONG, b"two"))
        assert [waiter.done() for waiter in waiters] == [True, True, False]  # type: ignore[attr-defined]
        await peer.send(client_frame(wire.PONG, b"unknown"))
        assert not waiters[2].done()  # type: ignore[attr-defined]
        await peer.send(client_frame(wire.PONG, b"three"))
        assert await waiters[2] >= 0
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_payloads_are_random_and_of_four_bytes(self) -> None:
        server, peer = await open_server()
        for _ in range(8):
            await server.ping()
        await settle()
        payloads = {payload for _, payload in peer.frames()}
        assert len(payloads) == 8
        assert {len(payload) for payload in payloads} == {4}
        peer.transport.abort()
        await server.wait_closed()

    @virtual_time
    async def test_same_payload_twice_is_refused_while_one_waits(self) -> None:
        client, server = await memory_pipe(PLAIN)
        waiter = await client.ping("same")
        with pytest.raises(ConcurrencyError):
            await client.ping("same")
        await waiter
        await (await client.ping("same"))
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_too_long_a_payload_leaves_nothing_behind(self) -> None:
        client, server = await memory_pipe(PLAIN)
        with pytest.raises(LocalProtocolError):
            await client.ping(b"x" * 126)
        with pytest.raises(LocalProtocolError, match="125"):  # not: it waits for its pong
            await client.ping(b"x" * 126)
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_waiting_ping_wakes_when_the_connection_is_lost(self) -> None:
        server, peer = await open_server()
        waiter = await server.ping()
        peer.transport.abort()
        with pytest.raises(ConnectionClosed):
            await waiter
        with pytest.raises(ConnectionClosed):
            await server.ping()

    @virtual_time
    async def test_5_5_3_unsolicited_pong(self) -> None:
        server, peer = await open_server()
        await server.pong("alive")
        await settle()
        assert peer.frames() == [(wire.PONG, b"alive")]
        await peer.send(client_frame(wire.PONG, b"alive too"))
        assert server.state is State.OPEN
        peer.transport.abort()
        await server.wait_closed()
        with pytest.raises(ConnectionClosed):
            await server.pong()


class TestWhatIsKnown:
    @virtual_time
    async def test_of_an_open_connection(self) -> None:
        client, server = await memory_pipe(PLAIN)
        assert client.request is not None
        assert server.request is not None
        assert client.request.headers == server.request.headers
        assert client.response is not None
        assert client.response.status == 101
        assert (client.subprotocol, client.latency, client.buffered_amount) == (None, 0.0, 0)
        assert (client.close_code, client.close_reason) == (None, None)
        assert client.local_address == server.remote_address == "memory:1"
        assert client.id == client.id != server.id
        await asyncio.gather(client.close(), server.close())

    @virtual_time
    async def test_5_of_a_closed_one(self) -> None:
        client, server = await memory_pipe(PLAIN)
        await client.close(4000, "bye")
        assert (server.close_code, server.close_reason) == (4000, "bye")
        assert client.state is server.state is State.CLOSED

    @virtual_time
    async def test_an_application_may_hang_its_own_names_on_it(self) -> None:
        client, server = await memory_pipe(PLAIN)
        server.user = "ada"
        assert server.user == "ada"
        await asyncio.gather(client.close(), server.close())


class TestClientRole:
    @pytest.mark.rule(38)
    @virtual_time
    async def test_5_3_every_frame_is_masked(self) -> None:
        client, peer = await open_client()
        await client.send("text")
        await client.ping()
        await client.send(["a", "b"])
        client.start_close()
        await settle()
        keys = [key for _, _, _, key, _ in wire.split_frames(peer.take())]
        assert len(keys) == 6
        assert None not in keys
        peer.transport.abort()
        await client.wait_closed()


def test_virtual_loop_notices_a_deadlock() -> None:
    with (
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
        pytest.raises(RuntimeError, match="deadlock"),
    ):
        runner.run(asyncio.Event().wait())  # type: ignore[arg-type]
