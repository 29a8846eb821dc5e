"""Stores for tests: with short times, and keys of their own on a server that others use too."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import redis

from refimpl.sessions import Limits, MemoryStore, Store, ValkeyStore

SECONDS = 30  # in which whatever a test waits for has happened, on any machine

LIMITS = Limits(lease=0.6, keep=200, remember=400, page=8)
STEADY = Limits(lease=3.0, keep=200, remember=400, page=8)  # for nodes that must not seem dead

_numbers = itertools.count(1)


def prefix() -> str:
    """Return a prefix for keys that no other test uses."""
    return f"refimpl-test-{os.getpid()}-{next(_numbers)}:"


@asynccontextmanager
async def valkey_store(url: str, **settings: Any) -> AsyncIterator[ValkeyStore]:
    """A store on a server; what it wrote there is removed."""
    settings = {"limits": LIMITS, "prefix": prefix(), "timeout": 5.0, **settings}
    try:
        async with ValkeyStore(url, **settings) as store:
            yield store
    finally:
        if url == os.environ.get("REDIS_URL"):  # it outlives this test
            with redis.Redis.from_url(url) as client:
                for name in client.scan_iter(settings["prefix"] + "*"):
                    client.delete(name)


@asynccontextmanager
async def memory_store(_url: str = "", **settings: Any) -> AsyncIterator[MemoryStore]:
    settings = {"limits": LIMITS, **settings}
    yield MemoryStore(limits=settings["limits"])


async def until(condition: Callable[[], Any | Awaitable[Any]], seconds: float = SECONDS) -> Any:
    """Wait until a condition holds, and return what it gave."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.005)


async def swept(store: Store) -> int:
    """Sweep until something was cleared away."""
    return int(await until(lambda: store.sweep()))
