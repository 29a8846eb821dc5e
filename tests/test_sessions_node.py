"""Nodes on one store: what each tab is told, whatever is lost between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from refimpl import connect, serve
from refimpl.lab import valkey
from refimpl.sessions import (
    BadValue,
    Fenced,
    Joined,
    Message,
    Node,
    Position,
    Recheck,
    Store,
    room_of_user,
)
from tests.support.stores import STEADY, memory_store, until, valkey_store
from tests.support.tabs import Tab, node_on, seat


@pytest.fixture(scope="module", params=["memory", "valkey"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "memory":
        yield ""
    else:
        with valkey() as url:
            yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with (valkey_store if url else memory_store)(url, limits=STEADY) as store:
        yield store


@pytest.fixture
async def nodes(store: Store) -> AsyncIterator[tuple[Node[Tab], Node[Tab]]]:
    async with node_on(store, "node-1") as one, node_on(store, "node-2") as two:
        yield one, two


Two = tuple[Node[Tab], Node[Tab]]


class TestTalk:
    async def test_a_message_reaches_both_nodes_once_and_in_order(self, nodes: Two) -> None:
        one, two = nodes
        tabs = [(await seat(one, "ada"))[1], (await seat(two, "bob"))[1]]
        for number in range(50):
            await nodes[number % 2].publish("harbour", f"m{number}", b"ahoy")
        await until(lambda: all(len(tab.ids) == 50 for tab in tabs))
        assert tabs[0].ids == tabs[1].ids == [f"m{number}" for number in range(50)]
        assert tabs[0].missing == 0 == len(tabs[0].resyncs)

    async def test_it_is_made_a_payload_once_for_all_members(self, store: Store) -> None:
        rendered: list[Any] = []

        def render(event: Any) -> str:
            rendered.append(event)
            return "text"

        heard: list[tuple[int, str | bytes]] = []
        async with Node[str](
            store,
            "node-1",
            deliver=lambda members, payload: heard.append((len(members), payload)),
            close=lambda *_: None,
            render=render,
        ) as node:
            for number in range(10):
                connection = await node.connect("ada", f"tab-{number}")
                await node.join(connection, "harbour")
            await node.publish("harbour", "m1", b"ahoy")
            await until(lambda: (10, "text") in heard)
        assert sum(isinstance(event, Message) for event in rendered) == 1

    async def test_who_joins_is_told_what_was_missed_and_who_is_there(self, nodes: Two) -> None:
        one, two = nodes
        _, ada = await seat(one, "ada")
        for number in range(4):
            await one.publish("harbour", f"m{number}", b"")
        await until(lambda: len(ada.ids) == 4)
        place = next(e for e in ada.events if isinstance(e, Message)).position
        _, bob = await seat(two, "bob", after=place)
        assert isinstance(bob.events[0], Joined)
        assert (bob.events[0].users, bob.events[0].missing) == (("ada", "bob"), 0) or (
            bob.events[0].users == ("ada",)
        )
        assert bob.ids == ["m1", "m2", "m3"]

    async def test_joining_while_the_room_talks_loses_and_doubles_nothing(self, nodes: Two) -> None:
        one, two = nodes
        stop = asyncio.Event()
        said: list[str] = []

        async def talk() -> None:
            while not stop.is_set():
                id = f"m{len(said)}"
                await one.publish("harbour", id, b"")
                said.append(id)

        talking = asyncio.create_task(talk())
        tabs = []
        for number in range(12):
            await until(lambda number=number: len(said) > number * 3)
            tabs.append((await seat(two, f"user-{number}"))[1])
        stop.set()
        await talking
        await until(lambda: all(said[-1] in tab.ids for tab in tabs))
        for tab in tabs:
            first = said.index(tab.ids[0])
            places = [said.index(id) for id in tab.ids]
            assert places == sorted(set(places))  # in order, none twice
            assert len(tab.ids) + tab.missing == len(said) - first

    async def test_leaving_and_coming_back_at_once(self, nodes: Two) -> None:
        one, _ = nodes
        connection, tab = await seat(one, "ada")
        for number in range(20):
            await asyncio.gather(one.leave(connection, "harbour"), asyncio.sleep(0))
            await one.join(connection, "harbour", after=tab.place)
            await one.publish("harbour", f"m{number}", b"")
        await until(lambda: len(set(tab.ids)) == 20)
        assert tab.ids == [f"m{number}" for number in range(20)]

    async def test_all_tabs_of_a_user_on_all_nodes(self, nodes: Two) -> None:
        room = room_of_user("ada")
        tabs = [(await seat(node, "ada", room))[1] for node in (*nodes, *nodes)]
        _, bob = await seat(nodes[0], "bob")
        await nodes[1].publish(room, "signed-out", b"")
        await until(lambda: all(tab.ids == ["signed-out"] for tab in tabs))
        assert bob.ids == []

    async def test_a_bad_room_leaves_nothing_behind(self, nodes: Two) -> None:
        one, _ = nodes
        connection = await one.connect("ada", Tab())
        with pytest.raises(BadValue):
            await one.join(connection, "No Such Room")
        with pytest.raises(BadValue):
            await one.publish("No Such Room", "m1", b"")
        await one.disconnect(connection)
        assert (one.metrics().connections, one.metrics().rooms) == (0, 0)

    async def test_many_who_leave_at_once_let_the_room_go_once(self, nodes: Two) -> None:
        one, _ = nodes
        people = [(await seat(one, user))[0] for user in ("ada", "bob", "cleo", "dan")]
        await asyncio.gather(*(one.leave(each, "harbour") for each in people[:2]))
        await asyncio.gather(*(one.disconnect(each) for each in people[2:]))
        assert one.metrics().rooms == 0
        assert (await one.store.members("harbour")).users == frozenset()

    async def test_the_last_one_out_lets_the_room_go(self, nodes: Two) -> None:
        one, _ = nodes
        connection, _ = await seat(one, "ada")
        assert one.metrics().rooms == 1
        await one.disconnect(connection)
        assert one.metrics().rooms == 0


class TestPresence:
    async def test_others_hear_who_comes_and_who_goes(self, nodes: Two) -> None:
        one, two = nodes
        _, ada = await seat(one, "ada")
        bob, _ = await seat(two, "bob")
        second, _ = await seat(two, "bob")
        await two.disconnect(bob)
        await two.disconnect(second)
        await until(lambda: ("bob", False) in ada.presence)
        assert [each for each in ada.presence if each[0] == "bob"] == [
            ("bob", True),
            ("bob", False),
        ]

    async def test_two_tabs_on_two_nodes_close_at_once(self, nodes: Two) -> None:
        one, two = nodes
        _, watch = await seat(one, "watch")
        for round_ in range(10):
            (first, _), (second, _) = await asyncio.gather(seat(one, "ada"), seat(two, "ada"))
            await asyncio.gather(one.disconnect(first), two.disconnect(second))
            await until(lambda round_=round_: watch.presence.count(("ada", False)) == round_ + 1)
        told = [each for each in watch.presence if each[0] == "ada"]
        assert told == [("ada", True), ("ada", False)] * 10


class TestLoss:
    """Notices are lost on purpose: `deaf` makes a node's room not hear them."""

    @pytest.fixture
    def deaf(self, nodes: Two) -> Iterator[list[bool]]:
        from refimpl.sessions.local_room import LocalRoom

        state = [False]
        hear = LocalRoom.take

        def take(room: LocalRoom[Any], notice: Any) -> None:
            if not state[0] or isinstance(notice, Recheck):
                hear(room, notice)

        LocalRoom.take = take  # type: ignore[method-assign]
        yield state
        LocalRoom.take = hear  # type: ignore[method-assign]

    async def test_a_gap_is_filled_when_the_next_message_comes(
        self, nodes: Two, deaf: list[bool]
    ) -> None:
        one, two = nodes
        _, bob = await seat(two, "bob")
        await one.publish("harbour", "m0", b"")
        await until(lambda: bob.ids)
        deaf[0] = True
        for number in range(1, 6):
            await one.publish("harbour", f"m{number}", b"")
        deaf[0] = False
        await one.publish("harbour", "m6", b"")
        await until(lambda: "m6" in bob.ids)
        assert bob.ids == [f"m{number}" for number in range(7)]
        assert bob.resyncs == []

    async def test_a_lost_last_message_is_found_by_comparing_heads(
        self, nodes: Two, deaf: list[bool]
    ) -> None:
        one, two = nodes
        _, bob = await seat(two, "bob")
        deaf[0] = True
        await one.publish("harbour", "last", b"")
        await until(lambda: bob.ids == ["last"])

    async def test_what_the_store_lost_too_is_told(self, nodes: Two, deaf: list[bool]) -> None:
        one, two = nodes
        _, bob = await seat(two, "bob")
        two._compare_every = 3600  # the heads are not what is shown here
        deaf[0] = True
        await asyncio.gather(*(one.publish("harbour", f"m{n}", b"") for n in range(600)))
        deaf[0] = False
        await one.publish("harbour", "last", b"")
        await until(lambda: "last" in bob.ids)
        assert bob.missing > 0
        assert bob.missing + len(bob.ids) == 601
        assert len(set(bob.ids)) == len(bob.ids)

    async def test_a_lost_leave_is_told_later(self, nodes: Two, deaf: list[bool]) -> None:
        one, two = nodes
        _, ada = await seat(one, "ada")
        bob, _ = await seat(two, "bob")
        await until(lambda: ("bob", True) in ada.presence)
        deaf[0] = True
        await two.disconnect(bob)
        await until(lambda: ("bob", False) in ada.presence)


class TestLives:
    async def test_a_node_that_ends_in_order_is_told_at_once(self, store: Store) -> None:
        async with node_on(store, "node-1") as one:
            _, ada = await seat(one, "ada")
            async with node_on(store, "node-2") as two:
                await seat(two, "bob")
            await until(lambda: ("bob", False) in ada.presence)
            assert ada.presence.count(("bob", False)) == 1

    async def test_a_fenced_node_closes_its_sockets_and_begins_anew(self, store: Store) -> None:
        async with node_on(store, "node-1") as one, node_on(store, "node-2") as two:
            connection, ada = await seat(one, "ada")
            _, bob = await seat(two, "bob")
            old = one.lease
            assert old is not None
            await store.retire(old)  # the store says so, for whatever reason
            await until(lambda: ada.closed)
            assert ada.closed is not None and ada.closed[0] == 1012
            await until(lambda: one.lease not in (None, old))
            with pytest.raises(Fenced):
                await one.join(connection, "harbour")
            await one.disconnect(connection)
            await until(lambda: ("ada", False) in bob.presence)
            _, again = await seat(one, "ada", after=ada.place)
            await two.publish("harbour", "m1", b"")
            await until(lambda: again.ids == ["m1"])
            assert ada.ids == []
            assert one.metrics().counts["fenced"] == 1

    async def test_closing_a_connection_twice_is_once(self, nodes: Two) -> None:
        one, _ = nodes
        connection, _ = await seat(one, "ada")
        await asyncio.gather(one.disconnect(connection), one.disconnect(connection))
        assert one.metrics().undone == 0


class TestSockets:
    async def test_real_websockets_hear_json(self, store: Store) -> None:
        async with Node(store, "node-1") as one, Node(store, "node-2") as two:
            nodes = iter([one, two])

            async def serve_one(websocket: Any) -> None:
                node = next(nodes)
                async with node.connected("ada", websocket) as connection:
                    await node.join(connection, "harbour")
                    async for text in websocket:
                        await node.publish("harbour", f"ada:{text}", text.encode())

            async with serve(serve_one, "127.0.0.1", 0) as server:
                host, port = server.sockets[0].getsockname()
                address = f"ws://{host}:{port}"
                async with connect(address) as first:
                    assert '"type":"joined"' in await first.recv()
                    async with connect(address) as second:
                        assert '"type":"joined"' in await second.recv()
                        await first.send("ahoy")
                        for each in (first, second):
                            text = await each.recv()
                            while '"type":"message"' not in text:
                                text = await each.recv()
                            assert '"id":"ada:ahoy","data":"ahoy"' in text

    async def test_an_unknown_place_is_answered_and_told(self, nodes: Two) -> None:
        one, _ = nodes
        await one.publish("harbour", "m1", b"")
        _, tab = await seat(one, "ada", after=Position("unknown", 12, "m12"))
        assert tab.ids == ["m1"]
        assert tab.place.epoch != "unknown"
