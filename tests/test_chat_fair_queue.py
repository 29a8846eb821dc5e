"""The queue in front of sign-in: many from one address keep nobody else waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from refimpl.chat import DEMO, Chat
from refimpl.chat.fair_queue import FairQueue, QueueFull
from refimpl.chat.limits import address_of
from refimpl.chat.people import MAX_WAITING
from tests.support.clockwork import settle, virtual_time


class TestFairQueue:
    """Deterministic: a turn ends when its future is set."""

    @staticmethod
    def asker(queue: FairQueue, served: list[str]) -> Callable[[str, str], asyncio.Task[None]]:
        async def ask(key: str, name: str) -> None:
            async with queue.turn(key):
                served.append(name)
                await asyncio.sleep(1)

        return lambda key, name: asyncio.create_task(ask(key, name))

    @virtual_time
    async def test_keys_take_turns(self) -> None:
        """26: forty workers of one address locked everybody else out."""
        queue, served = FairQueue(at_once=1), []
        ask = self.asker(queue, served)
        tasks = [ask("flood", f"f{number}") for number in range(40)]
        await settle()
        tasks += [ask("ada", "ada"), ask("bob", "bob"), ask("ada", "ada again")]
        await asyncio.gather(*tasks)
        assert served[:6] == ["f0", "f1", "ada", "bob", "f2", "ada again"]
        assert served[6:] == [f"f{number}" for number in range(3, 40)]

    @virtual_time
    async def test_one_key_never_has_all_places(self) -> None:
        queue, served = FairQueue(at_once=2, per_key=1), []
        ask = self.asker(queue, served)
        tasks = [ask("flood", f"f{number}") for number in range(5)]
        await settle()
        assert served == ["f0"]
        tasks.append(ask("ada", "ada"))
        await settle()
        assert served == ["f0", "ada"]  # at once: a place is free for her
        await asyncio.gather(*tasks)

    @virtual_time
    async def test_within_a_key_it_is_first_come_first_served(self) -> None:
        queue, served = FairQueue(at_once=3, per_key=2), []
        ask = self.asker(queue, served)
        await asyncio.gather(*[ask("ada", str(number)) for number in range(9)])
        assert served == [str(number) for number in range(9)]

    @pytest.mark.parametrize(
        ("keys", "per_key"), [(["a"] * 5, True), (["a", "a", "b", "c", "d"], False)]
    )
    @virtual_time
    async def test_a_full_line_says_whose_it_is(self, keys: list[str], per_key: bool) -> None:
        queue, served = FairQueue(at_once=1, waiting_per_key=3, waiting=3), []
        ask = self.asker(queue, served)
        tasks = [ask(key, key) for key in keys[:-1]]
        await settle()
        with pytest.raises(QueueFull) as crowded:
            await queue.enter(keys[-1])
        assert crowded.value.per_key is per_key
        await asyncio.gather(*tasks)
        assert (queue._waiting, queue._running, queue._queues) == (0, {}, {})

    @pytest.mark.parametrize("turns", range(4))
    @virtual_time
    async def test_cancelling_anywhere_loses_no_place(self, turns: int) -> None:
        queue, served = FairQueue(at_once=1), []
        ask = self.asker(queue, served)
        tasks = [ask("a", "a"), ask("a", "b"), ask("a", "c"), ask("b", "d")]
        await asyncio.sleep(1)  # now the first leaves, and its place goes on
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (queue._waiting, queue._running, queue._queues) == (0, {}, {})
        assert served[-1] == "c"

    @virtual_time
    async def test_one_that_is_cancelled_in_the_moment_of_its_turn(self) -> None:
        queue = FairQueue(at_once=1)
        await queue.enter("a")
        waiting = asyncio.create_task(queue.enter("a"))
        await asyncio.sleep(0)
        waiting.cancel()
        queue.leave("a")  # picks the one that is cancelled and has not noticed yet
        await asyncio.wait([waiting])
        assert (queue._waiting, queue._running, queue._queues) == (0, {}, {})
        await queue.enter("a")
        waiting = asyncio.create_task(queue.enter("a"))
        await asyncio.sleep(0)
        queue.leave("a")
        waiting.cancel()  # it has its turn, and is cancelled before it runs
        await asyncio.wait([waiting])
        assert (queue._waiting, queue._running, queue._queues) == (0, {}, {})


class TestAddresses:
    @pytest.mark.parametrize(
        ("client", "address"),
        [
            (("192.0.2.7", 1234), "192.0.2.7"),
            (["192.0.2.7", 1234], "192.0.2.7"),
            (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
            (("2001:db8:1:2::9", 1), "2001:db8:1:2::/64"),
            (("::ffff:192.0.2.7", 1), "192.0.2.7"),
            (("fe80::1%eth0", 1), "fe80::/64"),
            (("testclient", 1), "testclient"),
            (None, ""),
        ],
    )
    def test_what_counts_as_one(self, client: Any, address: str) -> None:
        assert address_of({"client": client}) == address

    def test_without_any(self) -> None:
        assert address_of({}) == ""


WRONG = {"name": "Alice", "password": "wrong"}
RIGHT = {"name": "Alice", "password": DEMO["Alice"]}


class Gate(PasswordHasher):
    """A hasher whose threads wait until they are let through, one at a time."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.passed = threading.Semaphore(0)
        self.begun = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:
        self.begun += 1
        assert self.passed.acquire(timeout=10)
        return super().verify(hash, password)


@asynccontextmanager
async def asking(chat: Chat, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(chat, client=(address, 1234))
    headers = {"origin": "http://chat.example"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://chat.example", headers=headers
    ) as client:
        yield client


class TestSignIn:
    """26: forty anonymous workers locked it: 24 of 25 tries of an honest user got 503."""

    @pytest.mark.parametrize("workers", [40, MAX_WAITING + 40])
    async def test_an_honest_user_gets_in_while_one_address_floods(self, workers: int) -> None:
        gate = Gate()
        chat = Chat(hasher=gate)
        async with asking(chat, "192.0.2.66") as flood, asking(chat, "192.0.2.1") as honest:
            tries = [
                asyncio.create_task(flood.post("/api/sign-in", json=WRONG)) for _ in range(workers)
            ]
            await turns(lambda: gate.begun)
            entering = asyncio.create_task(honest.post("/api/sign-in", json=RIGHT))
            await turns(lambda: gate.begun == 2)  # beside the flood's one, not behind its queue
            gate.passed.release(workers + 1)  # for all at once: who waits at a gate has no order
            response = await entering
            answers = [(await each).status_code for each in tries]
        assert response.status_code == 200
        assert answers.count(429) == max(0, workers - MAX_WAITING - 1)
        assert set(answers) <= {403, 429}

    async def test_even_from_the_same_address_it_waits_its_turn(self) -> None:
        gate = Gate()
        chat = Chat(hasher=gate)
        gate.passed.release(41)
        async with asking(chat, "192.0.2.66") as client:
            tries = [client.post("/api/sign-in", json=WRONG) for _ in range(40)]
            *answers, honest = await asyncio.gather(*tries, client.post("/api/sign-in", json=RIGHT))
        assert {answer.status_code for answer in answers} == {403}
        assert honest.status_code == 200

    async def test_one_address_never_has_both_threads(self) -> None:
        gate = Gate()
        chat = Chat(hasher=gate)
        async with asking(chat, "192.0.2.66") as client:
            tries = [asyncio.create_task(client.post("/api/sign-in", json=WRONG)) for _ in range(9)]
            for passed in range(9):
                await turns(lambda at=passed: gate.begun > at)  # type: ignore[misc]
                assert gate.begun == passed + 1
                gate.passed.release()
            await asyncio.gather(*tries)


async def turns(until: Callable[[], object]) -> None:
    """Let the loop run until something holds; 10 s at most."""
    async with asyncio.timeout(10):
        while not until():  # noqa: ASYNC110 - what a thread does
            await asyncio.sleep(0)
