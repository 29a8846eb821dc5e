"""The contract of a store, kept by all of them: in memory, on a Valkey, on a cluster of six."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from refimpl.lab import valkey
from refimpl.sessions import (
    START,
    BadValue,
    Connection,
    Fenced,
    Lease,
    Limits,
    Message,
    Position,
    Presence,
    Store,
)
from tests.support.stores import LIMITS, memory_store, swept, until, valkey_store
from tests.support.valkeys import Cluster

KINDS = ["memory", "valkey", pytest.param("cluster", marks=pytest.mark.fleet)]


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    places: dict[str, Any] = {"memory": nullcontext(""), "valkey": valkey(), "cluster": Cluster()}
    place: AbstractContextManager[Any] = places[request.param]
    with place as found:
        yield request.param, found.url if isinstance(found, Cluster) else found


@pytest.fixture
async def store(server: tuple[str, str]) -> AsyncIterator[Store]:
    kind, url = server
    async with (memory_store if kind == "memory" else valkey_store)(url) as store:
        yield store


async def enter(store: Store, lease: Lease, user: str, room: str = "harbour") -> Connection:
    connection = await store.open(lease, user)
    await store.enter(lease, room, connection, START)
    return connection


async def say(store: Store, lease: Lease, id: str, room: str = "harbour") -> Position:
    return (await store.publish(lease, room, id, id.encode(), known=START))[0]


class TestConnections:
    async def test_an_open_connection_is_found_both_ways(self, store: Store) -> None:
        lease = await store.begin("node-1")
        connection = await store.open(lease, "ada", device="Ada's laptop")
        assert (connection.user, connection.node) == ("ada", "node-1")
        assert connection.lease == lease
        assert await store.connections("ada") == [connection]
        assert await store.user_of(connection.id) == "ada"

    async def test_all_tabs_of_a_user_on_all_nodes(self, store: Store) -> None:
        one, two = await store.begin("node-1"), await store.begin("node-2")
        opened = [await store.open(lease, "ada") for lease in (one, two, one)]
        found = await store.connections("ada")
        assert {each.id for each in found} == {each.id for each in opened}
        assert sorted(each.node for each in found) == ["node-1", "node-1", "node-2"]

    async def test_a_closed_one_is_gone_and_closing_twice_is_once(self, store: Store) -> None:
        lease = await store.begin("node-1")
        kept, closed = await store.open(lease, "ada"), await store.open(lease, "ada")
        await store.close(lease, closed)
        await store.close(lease, closed)
        assert [each.id for each in await store.connections("ada")] == [kept.id]
        assert await store.user_of(closed.id) is None

    async def test_renewing_moves_active_and_keeps_opened(self, store: Store) -> None:
        lease = await store.begin("node-1")
        connection = await store.open(lease, "ada", device="phone")

        async def later() -> bool:
            renewed = await store.renew_connection(lease, connection)
            assert renewed.opened == pytest.approx(connection.opened)
            return renewed.active > connection.active

        await until(later)
        (found,) = await store.connections("ada")
        assert found.device == "phone"
        assert found.active > found.opened

    async def test_nobody_is_nobody(self, store: Store) -> None:
        assert await store.connections("nobody") == []
        assert await store.user_of("node-1.17.abc") is None


class TestPresence:
    async def test_a_user_comes_once_and_leaves_once(self, store: Store) -> None:
        lease = await store.begin("node-1")
        one, two = await store.open(lease, "ada"), await store.open(lease, "ada")
        assert [await store.enter(lease, "harbour", each, START) for each in (one, two, two)] == [
            True,
            False,
            False,
        ]
        assert (await store.present("harbour")).users == {"ada"}
        assert [await store.leave(lease, "harbour", each) for each in (one, one, two)] == [
            False,
            False,
            True,
        ]
        assert (await store.present("harbour")).users == frozenset()

    async def test_rooms_are_apart(self, store: Store) -> None:
        lease = await store.begin("node-1")
        await enter(store, lease, "ada", "harbour")
        await enter(store, lease, "bob", "galley")
        assert (await store.present("harbour")).users == {"ada"}
        assert (await store.present("galley")).users == {"bob"}

    async def test_everybody_is_told_of_the_first_and_of_the_last(self, store: Store) -> None:
        lease = await store.begin("node-1")
        heard: list[Any] = []
        await store.subscribe("harbour", heard.append)
        one, two = await enter(store, lease, "ada"), await enter(store, lease, "ada")
        await store.leave(lease, "harbour", one)
        await store.leave(lease, "harbour", two)
        await until(lambda: len(heard) == 2)
        assert heard == [
            Presence("harbour", "ada", True, 1),
            Presence("harbour", "ada", False, 2),
        ]

    async def test_two_nodes_close_at_once_and_the_leave_is_told_once(self, store: Store) -> None:
        one, two = await store.begin("node-1"), await store.begin("node-2")
        heard: list[Any] = []
        await store.subscribe("harbour", heard.append)
        for round_ in range(20):
            a, b = await enter(store, one, "ada"), await enter(store, two, "ada")
            lasts = await asyncio.gather(
                store.leave(one, "harbour", a), store.leave(two, "harbour", b)
            )
            assert sorted(lasts) == [False, True]
            await until(lambda round_=round_: len(heard) == 2 * (round_ + 1))
        assert [each.here for each in heard] == [True, False] * 20


class TestMessages:
    async def test_numbers_go_up_by_one(self, store: Store) -> None:
        lease = await store.begin("node-1")
        places = [await say(store, lease, f"m{number}") for number in range(5)]
        assert [place.number for place in places] == [1, 2, 3, 4, 5]
        assert len({place.epoch for place in places}) == 1

    async def test_a_resend_is_not_published_twice(self, store: Store) -> None:
        lease = await store.begin("node-1")
        heard: list[Any] = []
        await store.subscribe("harbour", heard.append)
        first = await store.publish(lease, "harbour", "m1", b"ahoy", known=START)
        again = await store.publish(lease, "harbour", "m1", b"ahoy", known=START)
        assert first[1] and not again[1]
        assert first[0] == again[0]
        await say(store, lease, "m2")
        await until(lambda: len(heard) == 2)
        assert [each.id for each in heard] == ["m1", "m2"]

    async def test_101_publish_at_once_and_each_has_a_number(self, store: Store) -> None:
        lease = await store.begin("node-1")
        places = await asyncio.gather(*(say(store, lease, f"m{n}") for n in range(101)))
        assert sorted(place.number for place in places) == list(range(1, 102))

    @pytest.mark.parametrize("data", [b"", b"\0\r\n\xff \n", b"x" * 65536], ids=len)
    async def test_data_is_bytes_of_any_kind(self, store: Store, data: bytes) -> None:
        lease = await store.begin("node-1")
        heard: list[Any] = []
        await store.subscribe("harbour", heard.append)
        place, _ = await store.publish(lease, "harbour", "m1", data, known=START)
        await until(lambda: heard)
        assert heard == [Message("harbour", 1, place.epoch, "m1", data)]
        assert (await store.history("harbour", START)).messages == tuple(heard)

    async def test_three_join_first_at_once_and_all_hear(self, store: Store) -> None:
        lease = await store.begin("node-1")
        heard: list[list[Any]] = [[], [], []]
        await asyncio.gather(*(store.subscribe("harbour", each.append) for each in heard))
        await say(store, lease, "m1")
        await until(lambda: all(heard))
        store.unsubscribe("harbour", heard[0].append)

    async def test_who_unsubscribed_hears_no_more(self, store: Store) -> None:
        lease = await store.begin("node-1")
        gone: list[Any] = []
        stays: list[Any] = []
        leave, stay = gone.append, stays.append
        await store.subscribe("harbour", leave)
        await store.subscribe("harbour", stay)
        store.unsubscribe("harbour", leave)
        store.unsubscribe("harbour", leave)
        await say(store, lease, "m1")
        await until(lambda: stays)
        assert gone == []


class TestHistory:
    async def test_what_stands_behind_a_place(self, store: Store) -> None:
        lease = await store.begin("node-1")
        places = [await say(store, lease, f"m{number}") for number in range(1, 6)]
        history = await store.history("harbour", places[2])
        assert [message.id for message in history.messages] == ["m4", "m5"]
        assert (history.missing, history.more) == (0, False)
        assert history.position == places[-1]
        assert history.epoch == places[0].epoch

    async def test_pages(self, store: Store) -> None:
        lease = await store.begin("node-1")
        for number in range(1, 20):
            await say(store, lease, f"m{number}")
        seen, place, pages = [], START, 0
        while True:
            page = await store.history("harbour", place)
            seen += [message.number for message in page.messages]
            place, pages = page.position, pages + 1
            if not page.more:
                break
        assert seen == list(range(1, 20))
        assert pages == 3

    async def test_what_is_kept_no_more_is_counted(self, store: Store) -> None:
        lease = await store.begin("node-1")
        first = await say(store, lease, "m1")
        for number in range(2, 501):
            await say(store, lease, f"m{number}")
        history = await store.history("harbour", first)
        assert history.messages[0].number - 2 == history.missing
        assert history.missing >= 100  # a stream lets go of whole blocks
        assert (await store.history("harbour", START)).missing == 0

    async def test_an_unknown_epoch_gets_all_that_is_kept(self, store: Store) -> None:
        lease = await store.begin("node-1")
        epoch = (await say(store, lease, "m1")).epoch
        history = await store.history("harbour", Position("another", 7, "m7"))
        assert history.epoch == epoch
        assert [message.id for message in history.messages] == ["m1"]

    async def test_a_number_from_the_future_is_another_history(self, store: Store) -> None:
        lease = await store.begin("node-1")
        place = await say(store, lease, "m1")
        future = Position(place.epoch, 2**53 - 1, "m1")
        history = await store.history("harbour", future)
        assert [message.id for message in history.messages] == ["m1"]
        assert history.position == place

    async def test_the_same_number_with_another_id_is_another_history(self, store: Store) -> None:
        lease = await store.begin("node-1")
        first = await say(store, lease, "m1")
        await say(store, lease, "m2")
        history = await store.history("harbour", Position(first.epoch, 1, "mine"))
        assert [message.id for message in history.messages] == ["m1", "m2"]

    async def test_a_room_where_nothing_was_said(self, store: Store) -> None:
        history = await store.history("quiet", START)
        assert (history.messages, history.missing, history.more) == ((), 0, False)

    async def test_heads(self, store: Store) -> None:
        lease = await store.begin("node-1")
        await enter(store, lease, "ada")
        place = await say(store, lease, "m1")
        heads = await store.heads(lease, ["harbour", "unknown"])
        assert heads["unknown"] is None
        head = heads["harbour"]
        assert head is not None
        assert (head.position, head.presence, head.registered) == (place, 1, True)

    async def test_ids_by_which_a_resend_is_known(self, store: Store) -> None:
        lease = await store.begin("node-1")
        for number in range(3):
            await say(store, lease, f"m{number}")
        assert await store.known_ids("harbour") == ["m0", "m1", "m2"]


class TestLives:
    async def test_a_life_has_a_higher_epoch_than_the_one_before(self, store: Store) -> None:
        first = await store.begin("node-1")
        second = await store.begin("node-1")
        third = await store.begin("node-1", after=second.epoch + 10**6)
        assert first.epoch < second.epoch < second.epoch + 10**6 < third.epoch

    async def test_a_life_is_over_when_the_next_begins(self, store: Store) -> None:
        old = await store.begin("node-1")
        connection = await enter(store, old, "ada")
        new = await store.begin("node-1")
        assert await store.connections("ada") == []
        assert (await store.present("harbour")).users == frozenset()
        for late in (
            lambda: store.renew(old),
            lambda: store.open(old, "bob"),
            lambda: store.enter(old, "galley", connection, START),
        ):
            with pytest.raises(Fenced):
                await late()
        assert await store.renew(new)

    async def test_what_a_dead_node_held_is_swept_and_told_once(self, store: Store) -> None:
        dead, alive = await store.begin("node-1"), await store.begin("node-2")
        heard: list[Any] = []
        await store.subscribe("harbour", heard.append)
        for user in ("ada", "ada", "bob"):
            await enter(store, dead, user)
        await enter(store, alive, "bob")

        async def sweep() -> int:
            await store.renew(alive)
            return await store.sweep()

        assert await until(sweep) == 1
        assert await store.sweep() == 0
        await until(lambda: [each.user for each in heard if not each.here] == ["ada"])
        assert (await store.present("harbour")).users == {"bob"}
        assert [each.node for each in await store.connections("bob")] == ["node-2"]

    async def test_ghosts_are_invisible_before_they_are_swept(self, store: Store) -> None:
        lease = await store.begin("node-1")
        connection = await enter(store, lease, "ada")

        async def nobody() -> bool:
            return not (await store.present("harbour")).users

        await until(nobody)
        assert await store.connections("ada") == []
        assert await store.user_of(connection.id) is None
        assert (await store.members("harbour")).users == {"ada"}

    async def test_nothing_of_an_old_life_gets_in_after_the_sweep(self, store: Store) -> None:
        lease = await store.begin("node-1")
        connection = await enter(store, lease, "ada")
        await say(store, lease, "m1")
        await swept(store)
        for late in (
            lambda: store.renew(lease),
            lambda: store.enter(lease, "harbour", connection, START),
            lambda: store.publish(lease, "harbour", "late", b"", known=START),
            lambda: store.publish(lease, "other", "late", b"", known=START),
            lambda: store.renew_connection(lease, connection),
        ):
            with pytest.raises(Fenced):
                await late()
        assert (await store.history("harbour", START)).position.number == 1
        assert await store.connections("ada") == []

    async def test_a_late_node_that_comes_back_in_time_lives(self, store: Store) -> None:
        lease = await store.begin("node-1")
        await enter(store, lease, "ada")

        async def late() -> bool:
            return not await store.connections("ada")

        await until(late)
        assert await store.sweep() == 0  # seen as late for the first time
        assert await store.renew(lease)
        assert await store.sweep() == 0

        async def visible() -> bool:  # who lives is remembered for a moment
            await store.renew(lease)
            return (await store.present("harbour")).users == {"ada"}

        await until(visible)

    async def test_a_node_that_retires_is_swept_at_once(self, store: Store) -> None:
        lease = await store.begin("node-1")
        await enter(store, lease, "ada")
        await store.retire(lease)
        assert await store.sweep() == 1
        assert (await store.members("harbour")).users == frozenset()

    async def test_many_sweep_at_once(self, store: Store) -> None:
        lease = await store.begin("node-1")
        heard: list[Any] = []
        await store.subscribe("harbour", heard.append)
        for number in range(30):
            await enter(store, lease, f"user-{number}")
        await store.retire(lease)
        await asyncio.gather(*(store.sweep() for _ in range(5)))
        await until(lambda: len(heard) == 60)
        assert [each.here for each in heard].count(False) == 30


class TestValues:
    @pytest.mark.parametrize("room", ["", "Harbour", "a b", "a" * 65, "höhle", "{a}", "a\n", "a:b"])
    async def test_names_of_rooms(self, store: Store, room: str) -> None:
        lease = await store.begin("node-1")
        for call in (
            lambda: store.publish(lease, room, "m1", b"", known=START),
            lambda: store.history(room, START),
            lambda: store.present(room),
            lambda: store.subscribe(room, print),
        ):
            with pytest.raises(BadValue):
                await call()

    @pytest.mark.parametrize("user", ["", "a" * 129, "a\0", "a\n", "{a}", "\ud800"])
    async def test_users(self, store: Store, user: str) -> None:
        lease = await store.begin("node-1")
        with pytest.raises(BadValue):
            await store.open(lease, user)
        with pytest.raises(BadValue):
            await store.connections(user)

    @pytest.mark.parametrize("id", ["", "a b", "a" * 129, "a\n", "é"])
    async def test_message_ids(self, store: Store, id: str) -> None:
        lease = await store.begin("node-1")
        with pytest.raises(BadValue):
            await store.publish(lease, "harbour", id, b"", known=START)

    async def test_data_over_the_limit(self, store: Store) -> None:
        lease = await store.begin("node-1")
        await store.publish(lease, "harbour", "m1", b"x" * 65536, known=START)
        with pytest.raises(BadValue, match="got 65537 bytes of data, expected at most 65536"):
            await store.publish(lease, "harbour", "m2", b"x" * 65537, known=START)

    @pytest.mark.parametrize(
        "place",
        [Position("e\n", 1), Position("e" * 65, 1), Position("e", -1), Position("e", 2**53)],
    )
    async def test_places(self, store: Store, place: Position) -> None:
        with pytest.raises(BadValue):
            await store.history("harbour", place)

    @pytest.mark.parametrize("id", ["", "a", "a.b", "a.1", "a.x.b", f"a.{10**20}.b", "a b.1.c"])
    async def test_connection_ids(self, store: Store, id: str) -> None:
        with pytest.raises(BadValue):
            await store.user_of(id)

    async def test_names_of_nodes(self, store: Store) -> None:
        for node in ("", "a.b", "a b", "x" * 65):
            with pytest.raises(BadValue):
                await store.begin(node)

    def test_limits(self) -> None:
        assert LIMITS.renew == pytest.approx(0.2)
        with pytest.raises(BadValue):
            Limits(keep=10, remember=9)
        with pytest.raises(BadValue):
            Limits(lease=0)

    async def test_users_have_names_of_many_scripts(self, store: Store) -> None:
        lease = await store.begin("node-1")
        for user in ("Ada Lovelace", "ада", "愛", "a:b/c@d", "🦊"):
            connection = await enter(store, lease, user)
            assert await store.user_of(connection.id) == user
            assert [each.id for each in await store.connections(user)] == [connection.id]
        assert len((await store.present("harbour")).users) == 5
