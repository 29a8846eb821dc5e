"""Whoever is cancelled, anywhere: nobody is left in a room, or in the store, who is not here."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from refimpl.lab import valkey
from refimpl.sessions import START, Limits, Node, SessionsError, Store
from tests.support.stores import memory_store, until, valkey_store
from tests.support.tabs import Tab, node_on, seat

LIMITS = Limits(lease=30)


@pytest.fixture(scope="module", params=["memory", "valkey"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "memory":
        yield ""
    else:
        with valkey() as url:
            yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with (valkey_store if url else memory_store)(url, limits=LIMITS) as store:
        yield store


async def visit(node: Node[Tab], user: str, progress: list[str]) -> None:
    """Come, join, say something, leave, join elsewhere, and go."""
    async with node.connected(user, Tab()) as connection:
        progress.append("connected")
        await node.join(connection, "harbour")
        progress.append("joined")
        await node.publish("harbour", f"{user}:1", b"")
        await node.leave(connection, "harbour")
        await node.join(connection, "galley")
        await node.publish("galley", f"{user}:2", b"")


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def is_clean(store: Store, node: Node[Any], users: set[str]) -> bool:
    metrics = node.metrics()
    if metrics.connections or metrics.rooms or metrics.undone:
        return False
    for room in ("harbour", "galley"):
        if (await store.members(room)).users:
            return False
    return not any([await store.connections(user) for user in users])


async def test_cancelled_after_any_number_of_turns(store: Store) -> None:
    chance = random.Random(10)
    users = {f"user-{number}" for number in range(60)}
    async with node_on(store, "node-1", compare=0.05) as node:
        for number, user in enumerate(sorted(users)):
            progress: list[str] = []
            task = asyncio.create_task(visit(node, user, progress))
            if number % 2:
                await turns(number)
            else:
                await asyncio.sleep(chance.random() * 0.004)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await until(lambda: is_clean(store, node, users))
        assert node.metrics().counts["fenced"] == 0


async def test_cancelled_while_others_stay(store: Store) -> None:
    chance = random.Random(11)
    async with node_on(store, "node-1", compare=0.05) as node:
        _, stays = await seat(node, "stays")
        tasks = [asyncio.create_task(visit(node, f"user-{n}", [])) for n in range(100)]
        for task in chance.sample(tasks, 50):
            await asyncio.sleep(0)
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [each for each in results if isinstance(each, SessionsError)]

        async def alone() -> bool:
            return (await store.members("harbour")).users == {"stays"}

        await until(alone)
        await node.publish("harbour", "last", b"")
        await until(lambda: "last" in stays.ids)
        assert len(stays.ids) == len(set(stays.ids))
        for number in range(100):
            user = f"user-{number}"
            assert stays.presence.count((user, True)) == stays.presence.count((user, False))


async def test_a_sweep_that_is_cut_short_is_gone_on_with(store: Store) -> None:
    lease = await store.begin("node-1")
    heard: list[Any] = []
    rooms = [f"room-{number}" for number in range(8)]
    for room in rooms:
        await store.subscribe(room, heard.append)
    for number in range(20):
        connection = await store.open(lease, f"user-{number}")
        for room in rooms:
            await store.enter(lease, room, connection, START)
    await store.retire(lease)
    chance = random.Random(13)
    for _ in range(30):
        sweeping = asyncio.create_task(store.sweep())
        await asyncio.wait([sweeping], timeout=chance.random() * 0.004)
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
    await store.sweep()
    await until(lambda: len(heard) == 320)
    left = [(each.room, each.user) for each in heard if not each.here]
    assert len(left) == len(set(left)) == 160
    for number in range(20):
        assert await store.connections(f"user-{number}") == []


async def test_a_cancelled_command_takes_no_answer_of_another(store: Store) -> None:
    lease = await store.begin("node-1")
    chance = random.Random(12)

    async def ask(number: int) -> None:
        connection = await store.open(lease, f"user-{number}")
        assert await store.user_of(connection.id) == f"user-{number}"
        assert [c.id for c in await store.connections(f"user-{number}")] == [connection.id]

    tasks = [asyncio.create_task(ask(number)) for number in range(300)]
    for task in chance.sample(tasks, 150):
        await asyncio.sleep(0)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    wrong = [
        each
        for each in results
        if each is not None and not isinstance(each, asyncio.CancelledError)
    ]
    assert wrong == []
