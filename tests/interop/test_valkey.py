"""The pool in front of a real Valkey: what the server sees of it, not what a stand-in would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionGone

from refimpl.concurrency import Pool
from refimpl.lab import valkey


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with valkey() as address:
        yield address


@pytest.fixture
async def admin(url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url, single_connection_client=True) as client:
        yield client


def pool_of(url: str, **settings: object) -> Pool[Redis]:
    async def open_one() -> Redis:
        once = Retry(NoBackoff(), 0)
        client = Redis.from_url(
            url, single_connection_client=True, client_name="pooled", retry=once
        )
        return await client.initialize()

    async def check(client: Redis) -> bool:
        try:
            return bool(await client.ping())
        except ConnectionGone:
            return False

    async def close(client: Redis) -> None:
        await client.aclose()

    return Pool(open_one, close=close, check=check, **settings)  # type: ignore[arg-type]


async def seen_by(admin: Redis) -> int:
    return sum(client["name"] == "pooled" for client in await admin.client_list())


class TestPoolOnValkey:
    async def test_the_server_never_sees_more_than_max_open(self, url: str, admin: Redis) -> None:
        most = 0

        async def visit(pool: Pool[Redis]) -> None:
            nonlocal most
            async with pool.acquire() as client:
                await client.incr("refimpl:test")
                most = max(most, await seen_by(admin))

        async with pool_of(url, max_open=3) as pool:
            await asyncio.gather(*[visit(pool) for _ in range(30)])
            assert pool.stats().opened == 3
        assert most == 3
        assert await admin.getdel("refimpl:test") == b"30"

    async def test_dead_connections_are_found_before_they_are_lent(
        self, url: str, admin: Redis
    ) -> None:
        async with pool_of(url) as pool:
            async with pool.acquire(), pool.acquire(), pool.acquire():
                assert await seen_by(admin) == 3
            for client in await admin.client_list():
                if client["name"] == "pooled":
                    await admin.client_kill_filter(_id=client["id"])
            async with pool.acquire() as client:
                assert await client.ping()
            assert pool.stats().unhealthy == 3

    async def test_closing_leaves_nothing_on_the_server(self, url: str, admin: Redis) -> None:
        async with pool_of(url) as pool:
            async with pool.acquire(), pool.acquire():
                pass
        async with asyncio.timeout(10):
            while await seen_by(admin):  # the server notices a moment later
                pass
