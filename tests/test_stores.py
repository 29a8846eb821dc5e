"""What one operation costs in a store or registry that holds ten, a thousand, a hundred thousand.

No operation may grow with what is held. Each runs many times in a row and leaves the store as it
was; CPU time is compared, the quickest of several runs, since other load only ever adds. A lookup
among a hundred thousand misses the processor's caches and takes a few times as long; a loop over
them takes thousands of times as long, so the margin is wide.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from refimpl.auth import Claims, Key, Keyring, MemoryStore, Tickets
from refimpl.chat.lobby import Lobby, Visitor
from refimpl.chat.outbox import Outbox
from refimpl.chat.people import People
from refimpl.chat.records import Records
from refimpl.chat.rooms import Room
from refimpl.concurrency import Hub
from refimpl.concurrency.tasks import _births, birth
from refimpl.middleware import Registry
from refimpl.middleware.asgi import Message, Receive, Scope, Send
from refimpl.middleware.context import User
from refimpl.sessions import START
from refimpl.sessions import MemoryStore as SessionStore
from tests.support.cpu import quickest

REPEAT = 200
SIZES = (10, 1_000, 100_000)
TIMES, SLACK = 20, 20e-6

Operation = Callable[[], object]


def run(work: Coroutine[Any, Any, Any] | Awaitable[Any]) -> Any:
    """Run a coroutine that never waits, without the cost of an event loop."""
    try:
        work.send(None)  # type: ignore[union-attr]
    except StopIteration as stopped:
        return stopped.value
    raise AssertionError("it waits")


def ticket_store(count: int) -> Iterator[Operation]:
    store, names = MemoryStore(now=lambda: 0.0, max_open=count + 1), itertools.count()
    for number in range(count):
        run(store.put(f"open {number}", "", 30))

    def put_and_take() -> None:
        name = f"new {next(names)}"
        assert run(store.put(name, "", 30))
        assert run(store.take(name)) == ""

    yield put_and_take
    assert len(store) == count


def ticket_store_that_turns_over(count: int) -> Iterator[Operation]:
    """Every ticket that comes finds the oldest one over: a crowd that reconnects for long."""
    clock = itertools.count()
    store = MemoryStore(now=lambda: float(next(clock)), max_open=count)
    for number in range(count):
        assert run(store.put(f"open {number}", "", count))
    yield lambda: run(store.put(f"new {next(clock)}", "", count))
    assert len(store) <= count


def ticket_buyers(count: int) -> Iterator[Operation]:
    tickets = Tickets(MemoryStore(now=lambda: 0.0), now=lambda: 0.0)
    tickets._bought.update((f"user {number}", deque([0.0], 100)) for number in range(count))
    buyers = itertools.cycle(range(0, count, max(1, count // 1000)))

    def buy_and_use() -> None:
        claims = Claims(User(f"user {next(buyers)}"), "token", 0.0, 900.0)
        tickets._bought[claims.user.id].clear()  # with few users, one would buy too many
        tickets._bought[claims.user.id].append(0.0)
        run(tickets.redeem(run(tickets.issue(claims))))

    yield buy_and_use


def session_store(count: int) -> Iterator[Operation]:
    store = SessionStore()
    lease = run(store.begin("node-1"))
    for number in range(count):
        connection = run(store.open(lease, f"user {number}"))
        run(store.enter(lease, "harbour", connection, START))

    def come_and_go() -> None:
        connection = run(store.open(lease, "user 0"))
        run(store.enter(lease, "harbour", connection, START))
        assert len(run(store.connections("user 0"))) == 2
        run(store.leave(lease, "harbour", connection))
        run(store.close(lease, connection))

    yield come_and_go


def keyring(count: int) -> Iterator[Operation]:
    key = Key("key", "HS256", bytes(32))
    keys = Keyring(key)
    keys._keys.update((f"key {number}", (key, None)) for number in range(count))
    yield lambda: keys.find(f"key {count - 1}", now=0.0)


async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    """End at once."""


async def receive() -> Message:
    return {"type": "websocket.connect"}


async def send(message: Message) -> None:
    """Throw it away."""


def scope(name: str) -> Scope:
    return {
        "type": "websocket",
        "path": f"/ws/{name}",
        "raw_path": f"/ws/{name}".encode(),
        "headers": [(b"host", b"a.example")],
        "scheme": "ws",
    }


def registry_of_endpoints(count: int) -> Iterator[Operation]:
    registry = Registry(endpoint)
    for number in range(count):
        registry.add(f"room-{number}", endpoint)
    loop = asyncio.new_event_loop()
    name = f"room-{count // 2}"
    yield lambda: loop.run_until_complete(registry(scope(name), receive, send))
    loop.close()


def registry_of_connections(count: int) -> Iterator[Operation]:
    registry = Registry(endpoint)
    registry.add("chat", endpoint)
    registry._endpoints["chat"].open.update(object() for _ in range(count))  # type: ignore[misc]
    loop = asyncio.new_event_loop()
    yield lambda: loop.run_until_complete(registry(scope("chat"), receive, send))
    assert registry.connections("chat") == count
    loop.close()


def hub(count: int) -> Iterator[Operation]:
    hub = Hub()
    hub._members.update((object(), None) for _ in range(count))  # type: ignore[misc]

    def come_and_go() -> None:
        with hub.member(object()):  # type: ignore[arg-type]
            assert len(hub) == count + 1

    yield come_and_go


class Born:
    """Stands for a task."""


def traced_tasks(count: int) -> Iterator[Operation]:
    tasks = [Born() for _ in range(count)]
    for task in tasks:
        _births[task] = ("here", 0.0)  # type: ignore[index]
    yield lambda: birth(tasks[count // 2])  # type: ignore[arg-type]


class NoHasher:
    """Hashes nothing: what is measured is the way to the person."""

    def hash(self, password: str) -> str:
        return password

    def verify(self, stored: str, password: str) -> bool:
        return stored == password


def people(count: int) -> Iterator[Operation]:
    everybody = People({f"user {n}": "secret" for n in range(count)}, hasher=NoHasher())  # type: ignore[arg-type]
    loop = asyncio.new_event_loop()
    yield lambda: loop.run_until_complete(everybody.check(f"user {count - 1}", "secret"))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def lobby(count: int) -> Iterator[Operation]:
    house, box = Lobby([Room("harbour", "Harbour")]), Outbox()
    ada = Claims(User("ada"), "token", 0, 2**40)
    for _ in range(count):
        house.enter(Visitor(ada, box, lambda code, reason: None))
    one = Visitor(ada, box, lambda code, reason: None)

    def come_and_go() -> None:
        house.enter(one)
        house.leave(one)

    yield come_and_go


def records(count: int) -> Iterator[Operation]:
    kept = Records()
    kept._records.update((f"name {number}", object()) for number in range(count))  # type: ignore[misc]
    yield lambda: kept.find("no such name", "ada")


STORES = [
    ticket_store,
    ticket_store_that_turns_over,
    ticket_buyers,
    session_store,
    keyring,
    registry_of_endpoints,
    registry_of_connections,
    hub,
    traced_tasks,
    people,
    lobby,
    records,
]


def cost(store: Callable[[int], Iterator[Operation]], count: int) -> float:
    """Return the CPU seconds of one operation on a store that holds so many."""
    with contextmanager(store)(count) as operation:

        def repeat() -> None:
            for _ in range(REPEAT):
                operation()

        return quickest(repeat, times=3) / REPEAT


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.__name__)
def test_an_operation_costs_the_same_whatever_is_held(
    store: Callable[[int], Iterator[Operation]],
) -> None:
    few, some, many = (cost(store, count) for count in SIZES)
    assert max(some, many) < TIMES * few + SLACK, f"{few:.2e} s, {some:.2e} s, {many:.2e} s"
