"""The wire panel's feed over real sockets: one's own frames, and nobody else's."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from refimpl import connect
from refimpl.chat import MAX_FRAME
from refimpl.framing import parse_frame
from refimpl.middleware.serving import Running
from tests.support.chatting import Guest, chatting, guest, new_ticket, refusal, signed_in, user


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with chatting() as (_, running):
        yield running


class Feed:
    """A wire panel's connection."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    async def frame(self) -> tuple[str, Any]:
        """Return the next frame: its direction, and the frame as our own parser sees it."""
        event = await self.guest.hear()
        data = base64.b64decode(event["bytes"])
        assert event["size"] == len(data)
        parsed = parse_frame(data, 0, masked=event["direction"] == "in")
        assert parsed is not None
        return event["direction"], parsed[0]


class TestWire:
    @staticmethod
    async def uri(server: Running, client: httpx.AsyncClient, connection: str) -> str:
        return f"{server.ws}/ws/wire?connection={connection}&ticket={await new_ticket(client)}"

    async def test_it_shows_the_frames_of_this_connection(self, server: Running) -> None:
        async with signed_in(server, "Alice") as client, guest(server, client) as alice:
            await alice.join()
            async with connect(
                await self.uri(server, client, alice.welcome["connection"])
            ) as socket:
                feed = Feed(Guest(socket))
                shown = [await feed.frame() for _ in range(3)]
                assert [direction for direction, _ in shown] == ["out", "in", "out"]
                kinds = [json.loads(frame.payload)["type"] for _, frame in shown]
                assert kinds == ["welcome", "join", "joined"]
                await alice.say("look", "m1")
                direction, frame = await feed.frame()
                assert direction == "in" and b'"look"' in frame.payload
                await alice.socket.close(1000, "bye")
                ends = []
                while len(ends) < 2:
                    direction, frame = await feed.frame()
                    ends += [(direction, frame.payload)] if frame.opcode == 8 else []
                assert ends == [("in", b"\x03\xe8bye"), ("out", b"\x03\xe8")]

    async def test_nobody_sees_anothers(self, server: Running) -> None:
        async with user(server, "Alice") as alice, signed_in(server, "Bob") as bob:
            connection = alice.welcome["connection"]
            assert await refusal(await self.uri(server, bob, connection)) == 404

    async def test_connections_that_are_none(self, server: Running) -> None:
        async with signed_in(server, "Alice") as client:
            for connection in ("", "unknown", "a&connection=b"):
                assert await refusal(await self.uri(server, client, connection)) == 404

    async def test_it_is_told_when_it_is_over_and_forgotten(self) -> None:
        async with chatting() as (chat, server):
            chat.records.linger = 0.0
            async with signed_in(server, "Alice") as client:
                async with guest(server, client) as alice:
                    connection = alice.welcome["connection"]
                    socket = await connect(await self.uri(server, client, connection))
                async with socket:
                    assert await Guest(socket).until("over")
                assert await refusal(await self.uri(server, client, connection)) == 404

    async def test_only_the_beginning_of_a_large_frame_is_kept(self) -> None:
        async with (
            chatting(paced=False) as (_, server),
            signed_in(server, "Alice") as client,
            guest(server, client) as alice,
        ):
            for _ in range(149):
                await alice.send(type="ping")
                await alice.hear()
            await alice.socket.send("x" * MAX_FRAME)
            await alice.hear()
            async with connect(
                await self.uri(server, client, alice.welcome["connection"])
            ) as socket:
                feed = Guest(socket)
                events = [await feed.hear() for _ in range(100)]
            assert [event["number"] for event in events] == list(range(202, 302))
            large = events[-2]
            assert large["size"] == MAX_FRAME + 8
            assert len(base64.b64decode(large["bytes"])) == 2048

    @pytest.mark.parametrize("engine", ["websockets-sansio", "wsproto"])
    async def test_under_another_engine_there_is_a_chat_and_no_panel(self, engine: str) -> None:
        async with chatting(engine=engine) as (_, server), user(server, "Alice") as alice:
            assert alice.welcome["connection"] == ""
            await alice.join()
            assert (await alice.say("works", "m1"))["seq"] == 1
