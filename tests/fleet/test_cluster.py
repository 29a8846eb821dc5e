"""A cluster of three primaries loses one while rooms talk: every message arrives, or a word."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from refimpl.sessions import Limits, StoreUnavailable
from refimpl.sessions.valkey.keys import room_keys
from tests.fleet.pages import Page, Process, lost_silently
from tests.support.stores import until, valkey_store
from tests.support.tabs import node_on, seat
from tests.support.valkeys import Cluster

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]

NODE_TIMEOUT = 1000  # milliseconds until the others give a primary up
ROOMS = [f"room-{number}" for number in range(12)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(node_timeout=NODE_TIMEOUT) as cluster:
        yield cluster


async def test_pages_of_two_processes(cluster: Cluster) -> None:
    with (
        Process("node-1", cluster.url, lease=6) as one,
        Process("node-2", cluster.url, lease=6) as two,
    ):
        ada, bob = Page("ada", one.address), Page("bob", two.address)
        async with ada, bob:
            victim = cluster.primary_of(room_keys("fleet:", "harbour").meta.decode())
            for number in range(300):
                if number == 100:
                    victim.kill()
                ada.say(f"ada:{number}")
                bob.say(f"bob:{number}")
                await asyncio.sleep(0.01)
            await asyncio.gather(ada.said_all(), bob.said_all())
            for page in (ada, bob):
                await until(lambda page=page: not lost_silently(page, ada, bob), 60)
                assert (await page.ask("metrics"))["fenced"] == 0
                assert page.connections == 1
            assert ("ada", False) not in bob.presence
            await until(lambda: bob.sees("ada", "bob"))


async def test_every_primary_in_turn_under_twelve_rooms(cluster: Cluster) -> None:
    """With WAIT 1 nothing acknowledged is lost; without a replica nothing is acknowledged."""
    limits = Limits(lease=6, keep=2000, remember=4000)
    async with (
        valkey_store(cluster.url, limits=limits, replicas=1) as store,
        node_on(store, "node-1") as node,
    ):
        tabs = {room: (await seat(node, "ada", room))[1] for room in ROOMS}
        said: dict[str, list[str]] = {room: [] for room in ROOMS}
        stop = asyncio.Event()

        async def talk(room: str) -> None:
            number = 0
            while not stop.is_set():
                id = f"m{number}"
                try:
                    await node.publish(room, id, b"")
                except StoreUnavailable:
                    await asyncio.sleep(0.02)
                    continue  # again, with the same id
                said[room].append(id)
                number += 1
                await asyncio.sleep(0.005)

        talks = [asyncio.create_task(talk(room)) for room in ROOMS]
        for room in ROOMS[:3]:
            key = room_keys(store._prefix, room).meta.decode()
            victim = cluster.primary_of(key)
            victim.kill()
            await until(lambda key=key, victim=victim: cluster.primary_of(key) is not victim)
            await asyncio.to_thread(victim.start)  # comes back as a replica
            await asyncio.to_thread(cluster.whole)
            before = {each: len(ids) for each, ids in said.items()}
            await until(
                lambda before=before: all(len(ids) > before[r] + 20 for r, ids in said.items()), 60
            )
        stop.set()
        await asyncio.gather(*talks)
        for room, tab in tabs.items():
            await until(lambda room=room, tab=tab: set(said[room]) <= set(tab.ids), 60)
            assert tab.missing == 0
        assert node.metrics().counts["fenced"] == 0


async def test_slots_that_move_while_a_room_talks(cluster: Cluster) -> None:
    """MOVED and ASK: a slot is handed from one primary to another, with its channel."""
    async with (
        valkey_store(cluster.url, prefix="moving:", limits=Limits(lease=6)) as store,
        node_on(store, "node-1") as node,
    ):
        _, tab = await seat(node, "ada", "room-1")
        key = room_keys("moving:", "room-1").meta.decode()
        source = cluster.primary_of(key)
        (target,) = [each for each in cluster.primaries() if each is not source][:1]
        count = 0

        async def say(more: int) -> None:
            nonlocal count
            for _ in range(more):
                await node.publish("room-1", f"m{count}", b"")
                count += 1

        await say(20)
        with source.client() as old, target.client() as new:
            slot = old.execute_command("CLUSTER", "KEYSLOT", key)
            names = [bytes(each.execute_command("CLUSTER", "MYID")).decode() for each in (old, new)]
            new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
            old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
            keys = old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
            moved = ("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            old.execute_command(*moved)
            await say(5)  # the old owner says ASK
            for client in (new, old):
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[1])
        await say(20)  # the old owner says MOVED
        await until(lambda: len(tab.ids) == count)
        assert tab.ids == [f"m{number}" for number in range(count)]
        assert tab.missing == 0


async def test_a_replica_that_had_not_heard_the_last_messages(cluster: Cluster) -> None:
    """The tail is lost with the primary, and its numbers are given a second time: all are told."""
    limits = Limits(lease=6, page=8)
    async with (
        valkey_store(cluster.url, prefix="tail:", limits=limits) as far,
        valkey_store(cluster.url, prefix="tail:", limits=limits) as near,
        node_on(near, "near") as one,
        node_on(far, "far") as two,
    ):
        (_, ada), (_, bob) = await seat(one, "ada"), await seat(two, "bob")
        first, _ = await one.publish("harbour", "m0", b"")
        for number in range(1, 20):
            place, _ = await one.publish("harbour", f"m{number}", b"")
        victim = cluster.primary_of(room_keys("tail:", "harbour").meta.decode())
        replica = cluster.replica_of(victim)
        replica.pause()
        with victim.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")  # it hears no more
            for number in range(20, 30):
                place, _ = await one.publish("harbour", f"m{number}", b"")
            await until(lambda: len(ada.ids) == len(bob.ids) == 30)
            victim.kill()
        replica.resume()

        async def say(id: str) -> bool:
            try:
                await two.publish("harbour", id, b"")
            except StoreUnavailable:
                return False
            return True

        await until(lambda: say("after"), 60)
        await until(lambda: "after" in ada.ids and "after" in bob.ids)
        assert ada.ids == bob.ids == [*(f"m{number}" for number in range(30)), "after"]
        assert ada.place == bob.place
        assert ada.place.epoch != place.epoch
        assert ada.place.number == 31
        assert ada.resyncs and bob.resyncs
        assert ada.missing == bob.missing == 0  # they have what the store has not
        _, early = await seat(one, "early", after=first)
        assert (len(early.ids), early.missing) == (21, 10)  # the others can get it no more
        _, late = await seat(one, "late", after=place)
        assert "after" in late.ids
        assert one.metrics().counts["fenced"] == two.metrics().counts["fenced"] == 0
