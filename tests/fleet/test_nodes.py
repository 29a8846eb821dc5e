"""A node is killed, stopped, cut off; its store is killed, stopped, emptied. What do people see?"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from refimpl.lab.wire.chaos import chaos
from refimpl.sessions import Limits
from tests.fleet.pages import LEASE, Page, Process, lost_silently
from tests.support.stores import until, valkey_store
from tests.support.tabs import node_on, seat
from tests.support.valkeys import Valkey

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]


@pytest.fixture
def server() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture
def one(server: Valkey) -> Iterator[Process]:
    with Process("node-1", server.url) as process:
        yield process


@pytest.fixture
def two(server: Valkey) -> Iterator[Process]:
    with Process("node-2", server.url) as process:
        yield process


class Talk:
    """A page that says something every 20 ms, under numbers, until it is told to stop."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            self.page.say(f"{self.page.user}:{self.count}")
            self.count += 1
            await asyncio.sleep(0.02)

    async def more(self, count: int) -> None:
        """Wait until so many more have been said and acknowledged."""
        wanted = len(self.page.said) + count
        await until(lambda: len(self.page.said) >= wanted, 60)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.page.said_all()


@pytest.fixture
async def pages(one: Process, two: Process) -> AsyncIterator[tuple[Page, Page]]:
    """Ada, at home on node-1, and Bob on node-2; each knows the other node too."""
    ada = Page("ada", one.address, two.address)
    bob = Page("bob", two.address, one.address)
    async with ada, bob:
        yield ada, bob


async def settled(*pages: Page, talkers: tuple[Page, ...]) -> None:
    """Everybody has everything that was acknowledged, or was told how much is missing."""
    await until(lambda: not any(lost_silently(page, *talkers) for page in pages), 60)


async def test_kill_9_of_a_node(one: Process, two: Process, pages: tuple[Page, Page]) -> None:
    ada, bob = pages
    async with Page("eve", one.address, stays=False):
        talks = [Talk(ada), Talk(bob)]
        await talks[0].more(20)
        one.kill()
        await until(lambda: ada.connections == 2)
        await talks[0].more(20)
        await until(lambda: ("eve", False) in bob.presence, LEASE * 2 + 30)
        one.start()  # the same name, another life
        ada.addresses[0] = bob.addresses[1] = one.address
        await talks[0].more(20)
        for talk in talks:
            await talk.stop()
    await settled(ada, bob, talkers=(ada, bob))
    assert ada.missing == bob.missing == 0
    assert sorted(ada.ids) == sorted(bob.ids)
    assert bob.presence.count(("eve", False)) == 1
    await until(lambda: bob.sees("ada", "bob"))
    assert ("ada", False) not in bob.presence[-1:]


async def test_a_stopped_node_fences_itself(
    one: Process, two: Process, pages: tuple[Page, Page]
) -> None:
    ada, bob = pages
    talk = Talk(bob)
    await talk.more(10)
    one.signal(signal.SIGSTOP)
    ada.say("from-the-old-life")  # lies in the socket of the stopped node
    await until(lambda: ("ada", False) in bob.presence, LEASE * 2 + 30)
    await talk.more(20)
    assert "from-the-old-life" not in bob.ids
    one.signal(signal.SIGCONT)
    await until(lambda: 1012 in ada.closes, 30)
    await ada.said_all()
    await talk.stop()
    await settled(ada, bob, talkers=(ada, bob))
    assert bob.ids.count("from-the-old-life") == 1
    assert ada.missing == bob.missing == 0
    assert bob.presence.count(("ada", False)) == 1
    await until(lambda: bob.sees("ada", "bob"))
    async with Page("eve", one.address) as eve:
        assert (await eve.ask("metrics"))["fenced"] == 1


async def test_valkey_restarted_empty(server: Valkey, pages: tuple[Page, Page]) -> None:
    ada, bob = pages
    talks = [Talk(ada), Talk(bob)]
    await talks[0].more(20)
    server.kill()
    server.start()
    loop = asyncio.get_running_loop()
    started = loop.time()
    await until(lambda: bob.sees("ada", "bob"))
    assert loop.time() - started < 10
    for talk in talks:
        await talk.more(20)
        await talk.stop()
    await settled(ada, bob, talkers=(ada, bob))
    assert len(ada.epochs) == len(bob.epochs) == 2
    assert ada.connections == bob.connections == 1  # nobody was cut off
    assert ("ada", False) not in bob.presence
    assert ("bob", False) not in ada.presence


async def test_valkey_down_for_longer_than_a_lease(
    server: Valkey, one: Process, pages: tuple[Page, Page]
) -> None:
    ada, bob = pages
    talks = [Talk(ada), Talk(bob)]
    await talks[0].more(10)
    server.kill()
    await until(lambda: ada.degraded == bob.degraded == [True])
    stranger = Page("eve", one.address, stays=False)
    task = asyncio.create_task(stranger._stay())
    await until(lambda: stranger.closes)
    assert stranger.closes[0] == 1013  # no new ones
    await task
    await asyncio.sleep(LEASE * 1.5)  # the outage has to last
    server.start()
    await until(lambda: ada.degraded == bob.degraded == [True, False])
    for talk in talks:
        await talk.more(10)
        await talk.stop()
    await settled(ada, bob, talkers=(ada, bob))
    assert ada.connections == bob.connections == 1
    for page in (ada, bob):
        metrics = await page.ask("metrics")
        assert (metrics["fenced"], metrics["degraded"]) == (0, False)


async def test_valkey_stopped_for_longer_than_a_lease(
    server: Valkey, pages: tuple[Page, Page]
) -> None:
    """All leases are over when it goes on, and everybody gets the time to come back."""
    ada, bob = pages
    talks = [Talk(ada), Talk(bob)]
    await talks[0].more(10)
    server.pause()
    await until(lambda: ada.degraded == bob.degraded == [True])
    await asyncio.sleep(LEASE * 1.5)  # the outage has to last
    server.resume()
    await until(lambda: ada.degraded == bob.degraded == [True, False])
    for talk in talks:
        await talk.more(10)
        await talk.stop()
    await settled(ada, bob, talkers=(ada, bob))
    assert ada.missing == bob.missing == 0
    assert ada.connections == bob.connections == 1
    assert ("ada", False) not in bob.presence


async def test_a_node_cut_off_from_valkey(server: Valkey, two: Process) -> None:
    async with chaos("127.0.0.1", server.port, seed=10) as network:
        url = f"redis://127.0.0.1:{network.port}"
        started = asyncio.to_thread(Process, "node-1", url)
        async with AsyncExitStack() as stack:
            one = stack.enter_context(await started)
            ada = Page("ada", one.address, two.address)
            bob = Page("bob", two.address)
            await stack.enter_async_context(ada)
            await stack.enter_async_context(bob)
            talk = Talk(bob)
            await talk.more(10)
            network.black_hole()
            await until(lambda: ada.degraded == [True])
            await until(lambda: ("ada", False) in bob.presence, LEASE * 2 + 30)
            assert ada.connections == 1  # its socket stays
            await talk.more(20)
            network.heal()
            network.reset()
            await until(lambda: 1012 in ada.closes)  # the store is back, and says that it is over
            await until(lambda: bob.sees("ada", "bob"))
            await talk.more(10)
            await talk.stop()
            await settled(ada, bob, talkers=(bob,))
            assert ada.missing == 0
            assert sorted(ada.ids) == sorted(bob.ids)
            assert bob.presence.count(("ada", False)) == 1


async def test_a_slow_valkey(server: Valkey, two: Process) -> None:
    async with chaos("127.0.0.1", server.port, latency=0.1, seed=10) as network:
        url = f"redis://127.0.0.1:{network.port}"
        started = asyncio.to_thread(Process, "node-1", url, lease=6)
        async with AsyncExitStack() as stack:
            one = stack.enter_context(await started)
            ada, bob = Page("ada", one.address), Page("bob", two.address)
            await stack.enter_async_context(ada)
            await stack.enter_async_context(bob)
            for number in range(25):  # a node takes a page's messages one after the other
                ada.say(f"ada:{number}")
                bob.say(f"bob:{number}")
            await asyncio.gather(ada.said_all(), bob.said_all())
            await settled(ada, bob, talkers=(ada, bob))
            assert ada.missing == bob.missing == ada.doubles == bob.doubles == 0
            assert ada.degraded == []


async def test_two_pages_of_a_user_on_two_nodes_close_at_once(
    one: Process, two: Process, pages: tuple[Page, Page]
) -> None:
    ada, _ = pages
    for round_ in range(10):
        first, second = Page("eve", one.address), Page("eve", two.address)
        async with first, second:
            await until(lambda: ada.sees("ada", "bob", "eve"))
            await asyncio.gather(first.__aexit__(), second.__aexit__())
        await until(lambda round_=round_: ada.presence.count(("eve", False)) == round_ + 1)
        assert await ada.sees("ada", "bob")
    assert ada.presence.count(("eve", False)) == ada.presence.count(("eve", True)) == 10


async def test_a_thousand_are_registered_again(server: Valkey) -> None:
    """In a store that comes back empty, within ten seconds, and nobody is told to have left."""
    async with (
        valkey_store(server.url, limits=Limits(lease=6)) as far,
        valkey_store(server.url, limits=Limits(lease=6), prefix=far._prefix) as near,
        node_on(far, "far") as one,
        node_on(near, "near") as two,
    ):
        _, watch = await seat(two, "watch")
        users = [f"user-{number}" for number in range(1000)]
        await asyncio.gather(*(seat(one, user) for user in users))
        await until(lambda: len(watch.presence) >= 1000)
        server.kill()
        await asyncio.to_thread(server.start)
        loop = asyncio.get_running_loop()
        started = loop.time()

        async def all_there() -> bool:
            return (await near.present("harbour")).users == {"watch", *users}

        await until(all_there)
        assert loop.time() - started < 10
        assert not [user for user, here in watch.presence if not here]
        assert one.metrics().counts["fenced"] == two.metrics().counts["fenced"] == 0


async def test_five_thousand_come_at_once(server: Valkey) -> None:
    async with (
        valkey_store(server.url, limits=Limits(lease=6)) as store,
        node_on(store, "node-1") as node,
    ):
        seats = await asyncio.gather(
            *(seat(node, f"user-{n}", f"room-{n % 50}") for n in range(5000))
        )
        assert node.metrics().connections == 5000
        for room in range(50):
            await node.publish(f"room-{room}", "m1", b"")
        await until(lambda: all(tab.ids == ["m1"] for _, tab in seats))
        await asyncio.gather(*(node.disconnect(connection) for connection, _ in seats))
        assert (node.metrics().connections, node.metrics().rooms) == (0, 0)


async def test_many_come_back_at_once(one: Process, two: Process) -> None:
    """300 pages of a killed node at the other one; each hears the next message, once."""
    async with AsyncExitStack() as stack:
        crowd = [Page(f"user-{n}", one.address, two.address) for n in range(300)]
        for page in crowd:
            await stack.enter_async_context(page)
        bob = await stack.enter_async_context(Page("bob", two.address))
        bob.say("before")
        await until(lambda: all("before" in page.ids for page in crowd), 60)
        one.kill()
        bob.say("while-away")
        await until(lambda: all(page.connections >= 2 for page in crowd), 60)
        bob.say("after")
        await until(lambda: all("after" in page.ids for page in crowd), 60)
        for page in crowd:
            assert page.ids == ["before", "while-away", "after"]
        everybody = ["bob", *(page.user for page in crowd)]
        await until(lambda: bob.sees(*everybody), LEASE * 2 + 30)
