"""Frames of a living connection, seen by those who ask: the extension `refimpl.wire`."""

from __future__ import annotations

import logging
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.middleware.engine.observe import FrameSplitter
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.engine_pair import Script, asked, opened, text
from tests.support.rawpeer import client_close, client_frame


def observe(script: Script, seen: list[tuple[str, bytes]]) -> Any:
    """Add every frame of a script's connection to a list; return what stops that."""

    def note(direction: str, frame: bytes) -> None:
        seen.append((direction, frame))

    return script.scope["extensions"]["refimpl.wire"]["observe"](note)


class TestObserving:
    @virtual_time
    async def test_sees_whole_frames_both_ways_as_they_are_on_the_wire(self) -> None:
        async with opened() as (script, client):
            seen: list[tuple[str, bytes]] = []
            observe(script, seen)
            incoming = [
                client_frame(wire.TEXT, b"one"),
                client_frame(wire.PING, b"p"),
                client_frame(wire.BINARY, b"x" * 300, fin=False),
                client_frame(wire.CONTINUATION, b"y" * 70_000),
            ]
            await client.send(b"".join(incoming))
            await script.send(text("answer"))
            await settle()
            assert [frame for direction, frame in seen if direction == "in"] == incoming
            outgoing = [wire.frame(wire.PONG, b"p"), wire.frame(wire.TEXT, b"answer")]
            assert [frame for direction, frame in seen if direction == "out"] == outgoing
            assert client.take() == b"".join(outgoing)
            assert (await script.receive())["text"] == "one"

    @virtual_time
    async def test_sees_the_close_of_both_sides(self) -> None:
        async with opened() as (script, client):
            seen: list[tuple[str, bytes]] = []
            observe(script, seen)
            await script.close(code=4000)
            await client.send(client_close(4000))
            assert seen == [
                ("out", wire.close(4000)),
                ("in", client_close(4000)),
            ]

    @pytest.mark.parametrize("cut", range(1, 9))
    def test_a_frame_half_arrived_is_seen_whole(self, cut: int) -> None:
        frame = client_frame(wire.TEXT, b"abc")

        @virtual_time
        async def run() -> None:
            async with opened() as (script, client):
                await client.send(client_frame(wire.TEXT, b"unseen") + frame[:cut])
                seen: list[tuple[str, bytes]] = []
                observe(script, seen)
                await client.send(frame[cut:] + frame)
                assert seen == [("in", frame), ("in", frame)]

        run()

    @virtual_time
    async def test_a_big_frame_half_arrived_is_seen_whole(self) -> None:
        frame = client_frame(wire.BINARY, random.Random(7).randbytes(300_000))
        async with opened() as (script, client):
            await client.send(frame[:200_000])
            seen: list[tuple[str, bytes]] = []
            observe(script, seen)
            await client.send(frame[200_000:])
            assert seen == [("in", frame)]
            assert len((await script.receive())["bytes"]) == 300_000

    @virtual_time
    async def test_asked_for_before_accept_it_begins_with_the_frames(self) -> None:
        async with asked() as (script, client):
            seen: list[tuple[str, bytes]] = []
            observe(script, seen)
            await script.accept()
            await script.send(text("hello"))
            await settle()
            assert seen == [("out", wire.frame(wire.TEXT, b"hello"))]
            assert client.take().startswith(b"HTTP/1.1 101 ")

    @virtual_time
    async def test_stops_when_told_and_leaves_no_trace(self) -> None:
        async with opened() as (script, client):
            before = client.engine.writer.transport
            one: list[tuple[str, bytes]] = []
            two: list[tuple[str, bytes]] = []
            stop_one, stop_two = observe(script, one), observe(script, two)
            await script.send(text("both"))
            await settle()
            stop_one()
            stop_one()
            await script.send(text("the second"))
            await settle()
            stop_two()
            assert client.engine.writer.transport is before
            assert before.get_protocol() is client.engine.driver
            await script.send(text("nobody"))
            await client.send(client_frame(wire.TEXT, b"nobody"))
            assert [frame[2:] for _, frame in one] == [b"both"]
            assert [frame[2:] for _, frame in two] == [b"both", b"the second"]
            again: list[tuple[str, bytes]] = []
            observe(script, again)
            await script.send(text("again"))
            await settle()
            assert again == [("out", wire.frame(wire.TEXT, b"again"))]

    @virtual_time
    async def test_ends_with_the_connection(self) -> None:
        async with opened() as (script, client):
            stop = observe(script, [])
            client.transport.abort()
            await settle()
            assert client.engine.writer.transport is client.transport._peer
            stop()

    @virtual_time
    async def test_costs_nothing_while_nobody_looks(self) -> None:
        async with opened() as (_, client):
            assert client.engine.writer.transport is client.transport._peer
            assert client.transport._peer.get_protocol() is client.engine.driver

    @virtual_time
    async def test_a_watcher_that_fails_harms_nobody(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opened() as (script, client):

            def fail(direction: str, frame: bytes) -> None:
                raise ValueError("the watcher's mistake")

            script.scope["extensions"]["refimpl.wire"]["observe"](fail)
            seen: list[tuple[str, bytes]] = []
            observe(script, seen)
            await script.send(text("one"))
            await script.send(text("two"))
            await settle()
            assert len(seen) == 2 and len(client.frames()) == 2
        assert [each.levelno for each in caplog.records].count(logging.ERROR) == 1

    @virtual_time
    async def test_shows_bytes_that_are_no_frame_once(self) -> None:
        async with opened() as (script, client):
            seen: list[tuple[str, bytes]] = []
            observe(script, seen)
            await client.send(client_frame(wire.TEXT, b"good") + b"\xff\xff nonsense")
            assert [frame for direction, frame in seen if direction == "in"] == [
                client_frame(wire.TEXT, b"good"),
                b"\xff\xff nonsense",
            ]
            await client.send(b"more nonsense")
            assert len([1 for direction, _ in seen if direction == "in"]) == 2


class TestFrameSplitter:
    @given(st.lists(st.binary(max_size=300), max_size=8), st.data())
    def test_any_split_gives_the_same_frames(self, payloads: list[bytes], data: Any) -> None:
        frames = [client_frame(wire.BINARY, payload) for payload in payloads]
        stream = b"".join(frames)
        sizes = data.draw(st.lists(st.integers(1, 50), max_size=60))
        splitter = FrameSplitter(max_size=None)
        found = [frame for piece in wire.cuts(stream, sizes) for frame in splitter.feed(piece)]
        assert found == frames

    def test_keeps_nothing_of_a_frame_over_the_limit(self) -> None:
        splitter = FrameSplitter(max_size=100)
        [shown] = splitter.feed(wire.frame(wire.BINARY, length=101, key=wire.KEY))
        assert len(shown) < 20
        assert splitter.feed(bytes(10_000)) == [] and not splitter._buffer
