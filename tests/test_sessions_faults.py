"""What happens to a store of ours while it is in use: a real Valkey, one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from refimpl.lab.wire.chaos import Chaos, chaos
from refimpl.sessions import (
    START,
    BadAnswer,
    Degraded,
    Limits,
    Message,
    NewerStore,
    Node,
    Position,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    ValkeyStore,
)
from refimpl.sessions.life import REGISTER_EVERY
from refimpl.sessions.valkey.keys import room_keys, user_keys
from tests.support.stores import STEADY, until, valkey_store
from tests.support.tabs import Tab, node_on, seat
from tests.support.valkeys import Valkey

ROOM = "harbour"
PREFIX = "t:"


@pytest.fixture(scope="module")
def started() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture
def server(started: Valkey) -> Valkey:
    with started.client() as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        client.execute_command("REPLICAOF", "NO", "ONE")
    return started


@pytest.fixture
async def store(server: Valkey) -> AsyncIterator[ValkeyStore]:
    async with valkey_store(server.url, prefix=PREFIX, limits=STEADY) as store:
        yield store


async def publish(node: Node[Any], id: str) -> Position:
    """Publish until it is done, as a page does: again with the same id."""

    async def once() -> Position | None:
        try:
            return (await node.publish(ROOM, id, b""))[0]
        except StoreUnavailable:
            return None

    place = await until(once)
    assert isinstance(place, Position)
    return place


class TestErrorsOfTheServer:
    async def test_noscript_after_a_flush_of_scripts(
        self, server: Valkey, store: ValkeyStore
    ) -> None:
        lease = await store.begin("node-1")
        with server.client() as client:
            client.script_flush()
        places = await asyncio.gather(
            *(store.publish(lease, ROOM, f"m{n}", b"", known=START) for n in range(10))
        )
        assert [place.number for place, _ in places] == list(range(1, 11))

    async def test_no_memory_left(self, server: Valkey, store: ValkeyStore) -> None:
        lease = await store.begin("node-1")
        place, _ = await store.publish(lease, ROOM, "m1", b"", known=START)
        with server.client() as client:
            client.config_set("maxmemory", 1)
        with pytest.raises(StoreFull):
            await store.publish(lease, ROOM, "m2", b"", known=START)
        assert await store.renew(lease)  # who is in lives on
        assert (await store.history(ROOM, START)).position == place
        with server.client() as client:
            client.config_set("maxmemory", 0)
        assert (await store.publish(lease, ROOM, "m2", b"", known=START))[0].number == 2

    async def test_a_server_that_only_reads(self, server: Valkey) -> None:
        async with valkey_store(server.url, prefix=PREFIX, limits=STEADY, timeout=0.3) as store:
            lease = await store.begin("node-1")
            with server.client() as client:
                client.execute_command("REPLICAOF", "127.0.0.1", "1")
                client.config_set("replica-serve-stale-data", "yes")
            with pytest.raises(StoreUnavailable, match="READONLY"):
                await store.publish(lease, ROOM, "m1", b"", known=START)
            with server.client() as client:
                client.execute_command("REPLICAOF", "NO", "ONE")
            await store.publish(lease, ROOM, "m1", b"", known=START)

    async def test_a_user_without_rights(self, server: Valkey) -> None:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "weak", "on", ">pw", "~*", "&*", "+hello")
        with pytest.raises(StoreRefused, match="NOPERM"):
            async with ValkeyStore(f"redis://weak:pw@127.0.0.1:{server.port}"):
                pass
        with pytest.raises(StoreRefused, match="WRONGPASS"):
            async with ValkeyStore(f"redis://weak:wrong@127.0.0.1:{server.port}"):
                pass

    async def test_keys_of_another_program(self, server: Valkey, store: ValkeyStore) -> None:
        lease = await store.begin("node-1")
        with server.client() as client:
            client.set(room_keys(PREFIX, ROOM).meta, "mine")
            client.hset(user_keys(PREFIX, "ada")[0].decode(), "x", "not json")
            client.hset(
                room_keys(PREFIX, "galley").meta.decode(), mapping={"epoch": "e", "number": "x"}
            )
        with pytest.raises(BadAnswer, match="WRONGTYPE"):
            await store.publish(lease, ROOM, "m1", b"", known=START)
        with pytest.raises(BadAnswer):
            await store.connections("ada")
        with pytest.raises(BadAnswer):
            await store.heads(lease, ["galley"])

    async def test_a_newer_release_was_here(self, server: Valkey, store: ValkeyStore) -> None:
        lease = await store.begin("node-1")
        connection = await store.open(lease, "ada")
        with server.client() as client:
            client.hset(room_keys(PREFIX, ROOM).meta.decode(), mapping={"v": 2, "epoch": "e"})
            newer = '{"v":2,"opened":1000,"active":2000,"colour":"red"}'
            client.hset(user_keys(PREFIX, "ada")[0].decode(), connection.id, newer)
        with pytest.raises(NewerStore):
            await store.enter(lease, ROOM, connection, START)
        with pytest.raises(NewerStore):
            await store.history(ROOM, START)
        with pytest.raises(NewerStore):
            await store.renew_connection(lease, connection)
        assert [each.active for each in await store.connections("ada")] == [2.0]

    async def test_nonsense_in_a_channel_is_a_reason_to_look(
        self, server: Valkey, store: ValkeyStore
    ) -> None:
        async with node_on(store, "node-1") as node:
            _, tab = await seat(node, "ada")
            channel = room_keys(PREFIX, ROOM).channel
            with server.client() as client:
                for payload in (b"", b"m1 ", b"m1 a b c\n", b"\xff", b"p1 x + ada", b"z9 new"):
                    client.execute_command("SPUBLISH", channel, payload)
            await publish(node, "m1")
            await until(lambda: tab.ids == ["m1"])

    async def test_no_secret_and_nothing_without_a_prefix(
        self, server: Valkey, store: ValkeyStore
    ) -> None:
        async with node_on(store, "node-1") as node:
            await seat(node, "ada")
            await publish(node, "m1")
            with server.client() as client:
                names = list(client.scan_iter())
        assert names and all(name.startswith(PREFIX.encode()) for name in names)

    async def test_what_somebody_deleted_comes_back(
        self, server: Valkey, store: ValkeyStore
    ) -> None:
        async with node_on(store, "node-1", compare=3600) as node:
            await seat(node, "ada")
            with server.client() as client:
                client.flushdb()
            for _ in range(REGISTER_EVERY):
                await node._life.renew()
            await until(lambda: store.connections("ada"))
            await until(lambda: registered(store, {"ada"}))

    async def test_nothing_stays_behind_for_ever(self, server: Valkey, store: ValkeyStore) -> None:
        async with node_on(store, "node-1") as node:
            await seat(node, "ada")
            await publish(node, "m1")
        with server.client() as client:
            for name in client.scan_iter():
                assert client.pttl(name) != -1, name


class TestPubSub:
    async def test_killed_connections_are_made_again_and_nothing_is_lost(
        self, server: Valkey, store: ValkeyStore
    ) -> None:
        async with node_on(store, "node-1") as one, node_on(store, "node-2") as two:
            _, ada = await seat(one, "ada")
            _, bob = await seat(two, "bob")
            for number in range(60):
                if number % 10 == 5:
                    old = store._calls.router._seed.link
                    with server.client() as client:
                        client.client_kill_filter(_type="pubsub")
                    seed = store._calls.router._seed
                    await until(lambda old=old, seed=seed: seed.link not in (None, old))
                    await until(lambda: one.ready and two.ready)
                await publish(one, f"m{number}")
            for tab in (ada, bob):
                await until(lambda tab=tab: len(tab.ids) == 60)
                assert tab.ids == [f"m{number}" for number in range(60)]
            assert one.metrics().counts["fenced"] == 0

    async def test_a_listener_that_fails_takes_nobody_with_it(self, store: ValkeyStore) -> None:
        lease = await store.begin("node-1")
        heard: list[Any] = []

        def fail(_: Any) -> None:
            raise ZeroDivisionError

        await store.subscribe(ROOM, fail)
        await store.subscribe(ROOM, heard.append)
        await store.publish(lease, ROOM, "m1", b"", known=START)
        await until(lambda: [each for each in heard if isinstance(each, Message)])

    async def test_a_cancelled_subscription_leaves_nothing(self, store: ValkeyStore) -> None:
        for _ in range(20):
            task = asyncio.create_task(store.subscribe(ROOM, print))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert store._calls.subscriptions._channels == {}
        heard: list[Any] = []
        await store.subscribe(ROOM, heard.append)
        lease = await store.begin("node-1")
        await store.publish(lease, ROOM, "m1", b"", known=START)
        await until(lambda: heard)


class TestHistoryThatChanges:
    async def test_restarted_empty(self, store: ValkeyStore, server: Valkey) -> None:
        async with node_on(store, "node-1") as one, node_on(store, "node-2") as two:
            (_, ada), (_, bob) = await seat(one, "ada"), await seat(two, "bob")
            for number in range(5):
                before = await publish(one, f"m{number}")
            await until(lambda: len(bob.ids) == 5)
            server.kill()
            server.start()
            after = await publish(two, "after")
            assert after.epoch != before.epoch
            await until(lambda: all(tab.resyncs and "after" in tab.ids for tab in (ada, bob)))
            assert ada.ids == bob.ids == [*(f"m{n}" for n in range(5)), "after"]
            await until(lambda: registered(store, {"ada", "bob"}))
            assert [each for each in ada.presence if not each[1]] == []
            assert (await store.connections("ada"))[0].node == "node-1"
            assert one.metrics().counts["fenced"] == 0

    async def test_presence_of_a_store_that_counts_anew(
        self, store: ValkeyStore, server: Valkey
    ) -> None:
        """As many changes as before, and other people: the count alone would not show it."""
        async with node_on(store, "node-1") as one, node_on(store, "node-2") as two:
            (_, ada), (bob, _) = await seat(one, "ada"), await seat(two, "bob")
            await until(lambda: ("bob", True) in ada.presence)
            server.kill()
            two._seats.pop(bob.id)  # it is forgotten where the node is not asked either
            two._rooms.clear()
            server.start()
            await publish(one, "m1")
            await seat(two, "eve")
            await until(lambda: ("bob", False) in ada.presence and ("eve", True) in ada.presence)
            assert await registered(store, {"ada", "eve"})
            assert ("ada", False) not in ada.presence

    async def test_restored_from_an_older_copy(self, store: ValkeyStore, server: Valkey) -> None:
        """Numbers run backwards, and other messages get numbers that were given before."""
        async with node_on(store, "node-1") as one, node_on(store, "node-2") as two:
            (_, ada), (_, bob) = await seat(one, "ada"), await seat(two, "bob")
            await publish(one, "m1")
            names = room_keys(PREFIX, ROOM)
            with server.client() as client:
                copies = {name: client.dump(name) for name in names[:3]}
            lost = await publish(one, "lost")
            await until(lambda: "lost" in bob.ids)
            with server.client() as client:
                for name, copy in copies.items():
                    client.restore(name, 0, copy, replace=True)
            again = await publish(two, "other")
            assert again.number > lost.number or again.epoch != lost.epoch
            await until(lambda: all(tab.ids == ["m1", "lost", "other"] for tab in (ada, bob)))
            await until(lambda: ada.resyncs and bob.resyncs)
            _, late = await seat(one, "late", after=lost)
            assert late.ids[-1] == "other"
            assert late.place.epoch != lost.epoch

    async def test_a_number_given_twice_by_a_node_that_did_not_know(
        self, store: ValkeyStore, server: Valkey
    ) -> None:
        async with node_on(store, "node-1") as one:
            _, ada = await seat(one, "ada")
            await publish(one, "m1")
            names = room_keys(PREFIX, ROOM)
            with server.client() as client:
                copies = {name: client.dump(name) for name in names[:3]}
            await publish(one, "mine")
            await until(lambda: "mine" in ada.ids)
            stranger = await store.begin("stranger")
            connection = await store.open(stranger, "eve")
            with server.client() as client:
                for name, copy in copies.items():
                    client.restore(name, 0, copy, replace=True)
            await store.enter(stranger, ROOM, connection, START)
            await store.publish(stranger, ROOM, "theirs", b"", known=START)
            await until(lambda: "theirs" in ada.ids)
            assert sorted(ada.ids) == ["m1", "mine", "theirs"]
            await until(lambda: ada.resyncs)

    async def test_it_does_not_resync_for_ever(self, store: ValkeyStore, server: Valkey) -> None:
        async with node_on(store, "node-1", compare=0.02) as one:
            _, ada = await seat(one, "ada")
            await publish(one, "m1")
            with server.client() as client:
                client.delete(*room_keys(PREFIX, ROOM)[:3])
            await until(lambda: ada.resyncs)
            await publish(one, "m2")
            await until(lambda: "m2" in ada.ids)
            compared = one.metrics().counts["registered"]
            resyncs = len(ada.resyncs)
            for number in range(30):
                await publish(one, f"more-{number}")
            assert len(ada.resyncs) == resyncs <= 2
            assert one.metrics().counts["registered"] - compared <= 1


async def registered(store: ValkeyStore, users: set[str]) -> bool:
    return (await store.present(ROOM)).users == users


class TestNetwork:
    @pytest.fixture
    async def network(self, server: Valkey) -> AsyncIterator[Chaos]:
        async with chaos("127.0.0.1", server.port, seed=10) as network:
            yield network

    async def test_a_node_that_is_cut_off_is_degraded_and_not_fenced(
        self, store: ValkeyStore, network: Chaos
    ) -> None:
        """Its lease outlives the cut: unreachable is not dead."""
        limits = Limits(lease=60, keep=200, remember=400)
        url = f"redis://127.0.0.1:{network.port}"
        async with (
            valkey_store(url, prefix=PREFIX, timeout=0.2, limits=limits) as far,
            node_on(store, "near") as near,
            node_on(far, "far") as node,
        ):
            (_, ada), (connection, bob) = await seat(near, "ada"), await seat(node, "bob")
            network.black_hole()
            with pytest.raises(StoreUnavailable):
                await node.publish(ROOM, "from-afar", b"")
            await until(lambda: node.degraded)
            assert bob.degraded == [True]
            with pytest.raises(Degraded):
                await node.publish(ROOM, "from-afar", b"")
            with pytest.raises(Degraded):
                await node.connect("eve", Tab())
            for number in range(5):
                await publish(near, f"m{number}")
            await node.disconnect(connection)  # is done when the store is back
            assert node.metrics().undone == 1
            network.heal()
            network.reset()
            await until(lambda: not node.degraded)
            await until(lambda: node.metrics().undone == 0)
            await until(lambda: ("bob", False) in ada.presence)
            _, back = await seat(node, "bob", after=bob.place)
            assert sorted(set(back.ids)) == sorted({*ada.ids})
            assert node.metrics().counts["fenced"] == 0

    async def test_a_slow_store(self, network: Chaos) -> None:
        network.faults.latency = 0.1  # 200 ms for a question and its answer
        limits = Limits(lease=6, keep=200, remember=400)
        url = f"redis://127.0.0.1:{network.port}"
        async with valkey_store(url, prefix=PREFIX, limits=limits) as store:
            async with node_on(store, "node-1") as node:
                _, ada = await seat(node, "ada")
                await asyncio.gather(*(publish(node, f"m{n}") for n in range(50)))
                await until(lambda: len(ada.ids) == 50)
                assert len(set(ada.ids)) == 50
                assert not node.degraded

    async def test_bytes_in_slices(self, network: Chaos) -> None:
        network.faults.slices = (1, 7)
        url = f"redis://127.0.0.1:{network.port}"
        async with (
            valkey_store(url, prefix=PREFIX, limits=STEADY) as store,
            node_on(store, "node-1") as node,
        ):
            _, ada = await seat(node, "ada")
            for number in range(20):
                await publish(node, f"m{number}")
            await until(lambda: len(ada.ids) == 20)

    async def test_resets_while_it_talks(self, network: Chaos, store: ValkeyStore) -> None:
        url = f"redis://127.0.0.1:{network.port}"
        async with (
            valkey_store(url, prefix=PREFIX, limits=STEADY) as far,
            node_on(store, "near") as near,
            node_on(far, "far") as node,
        ):
            (_, ada), (_, bob) = await seat(near, "ada"), await seat(node, "bob")
            for number in range(40):
                if number % 8 == 3:
                    network.reset()
                await publish((near, node)[number % 2], f"m{number}")
            for tab in (ada, bob):
                await until(lambda tab=tab: len(tab.ids) == 40)
                assert tab.ids == [f"m{number}" for number in range(40)]

    async def test_a_store_that_is_down_is_asked_no_more(self, network: Chaos) -> None:
        url = f"redis://127.0.0.1:{network.port}"
        async with valkey_store(
            url, prefix=PREFIX, limits=STEADY, timeout=0.2, most_waiting=50
        ) as store:
            lease = await store.begin("node-1")
            network.black_hole()
            results = await asyncio.gather(
                *(store.publish(lease, ROOM, f"m{n}", b"", known=START) for n in range(500)),
                return_exceptions=True,
            )
            assert all(isinstance(each, StoreUnavailable) for each in results)
            await until(lambda: store.degraded)
            assert store._calls.router._held == 0

    async def test_the_clock_on_the_wall_is_never_read(
        self, store: ValkeyStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A node whose clock is minutes off: times come from the store, and from the loop."""

        def read() -> float:
            raise AssertionError("the clock on the wall was read")

        async with node_on(store, "node-1") as node:
            with monkeypatch.context() as patch:
                patch.setattr("time.time", read)
                patch.setattr("time.time_ns", read)
                connection, tab = await seat(node, "ada")
                await publish(node, "m1")
                await until(lambda: tab.ids == ["m1"])
                await store.sweep()
                await node.disconnect(connection)
