"""A pool: few costly connections, shared by many tasks that need one for a moment.

Opening a connection costs round trips, and a server allows only so many. The pool opens them on
demand, one at a time: RFC 6455 section 4.1 asks that of WebSocket clients, and it spares any server
a stampede. It lends them first come, first served, and checks each one before lending it again.
None grows old; their maximum ages differ a little at random, so that they do not all expire in the
same second.

>>> async def main():
...     async with Pool(open_nothing, max_open=2) as pool:
...         async with pool.acquire() as first, pool.acquire() as second:
...             print(pool.stats())
>>> async def open_nothing():
...     return object()
>>> asyncio.run(main())
Stats(open=2, in_use=2, idle=0, waiting=0, opened=2, reused=0, expired=0, unhealthy=0, timeouts=0)
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

__all__ = ["Pool", "PoolClosed", "PoolTimeout", "Stats"]

T = TypeVar("T")


class PoolTimeout(TimeoutError):
    """Nothing came free in time: raise `max_open`, do less in `acquire`, or start fewer tasks."""


class PoolClosed(RuntimeError):
    """The pool is closed: its user must stop before it does."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a pool holds now, and its counts since it was made."""

    open: int
    in_use: int
    idle: int
    waiting: int
    opened: int
    reused: int
    expired: int
    unhealthy: int
    timeouts: int


@dataclass(slots=True)
class _Slot(Generic[T]):
    """One open resource and the time at which it expires."""

    resource: T
    expires: float


class Pool(Generic[T]):
    """Resources that `open` makes, lent to one task at a time.

    close: ends one. check: tells whether an idle one is still good. max_open: how many may exist;
    max_idle: how many of them are kept while unused. max_lifetime: seconds until one is not lent
    again, less a random part of up to a tenth. acquire_timeout: seconds for a whole acquire.
    random: returns a number from 0 to 1.
    """

    def __init__(
        self,
        open: Callable[[], Awaitable[T]],
        *,
        close: Callable[[T], Awaitable[object]] | None = None,
        check: Callable[[T], Awaitable[bool]] | None = None,
        max_open: int = 20,
        max_idle: int = 10,
        max_lifetime: float = 30 * 60,
        acquire_timeout: float | None = 5,
        random: Callable[[], float] = random.random,
    ) -> None:
        if max_open < 1 or max_idle < 0:
            raise ValueError(
                f"got max_open={max_open}, max_idle={max_idle}, expected >= 1 and >= 0"
            )
        self._open, self._close, self._check = open, close, check
        self._max_idle, self._max_lifetime = max_idle, max_lifetime
        self._acquire_timeout, self._random = acquire_timeout, random
        self._places = self._max_open = max_open  # how many more may be lent
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._idle: deque[_Slot[T]] = deque()  # the last one used is the first one lent
        self._opening = asyncio.Lock()
        self._returned = asyncio.Event()
        self._closed = False
        self._counts = dict.fromkeys(("opened", "reused", "expired", "unhealthy", "timeouts"), 0)

    def stats(self) -> Stats:
        """Return the pool's numbers as they are now."""
        in_use, idle = self._max_open - self._places, len(self._idle)
        waiting = sum(not waiter.done() for waiter in self._waiters)
        return Stats(in_use + idle, in_use, idle, waiting, **self._counts)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[T]:
        """Lend a resource to the block; first come, first served.

        Raises PoolTimeout after acquire_timeout, PoolClosed, and what opening raises.
        """
        slot = await self._lend()
        try:
            yield slot.resource
        except BaseException as error:
            # Its use was interrupted: only a check can tell whether it is still good.
            if self._check is None or not isinstance(error, Exception):
                await self._end(slot)
            else:
                await self._take_back(slot)
            raise
        else:
            await self._take_back(slot)
        finally:
            self._free_place()

    async def _lend(self) -> _Slot[T]:
        try:
            async with asyncio.timeout(self._acquire_timeout) as limit:
                await self._wait_for_place()
                try:
                    return await self._healthy_slot()
                except BaseException:
                    self._free_place()
                    raise
        except TimeoutError as error:
            if not limit.expired():
                raise  # opening has a time limit of its own
            self._counts["timeouts"] += 1
            message = f"nothing came free within {self._acquire_timeout} s: {self.stats()}"
            raise PoolTimeout(message) from error

    async def _wait_for_place(self) -> None:
        """Wait in line until fewer than max_open are lent."""
        if self._closed:
            raise PoolClosed("got acquire() on a closed pool")
        if self._places:
            self._places -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._free_place()  # it was given to us at the moment of our cancellation
            raise

    def _free_place(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._places += 1
        self._returned.set()

    async def _healthy_slot(self) -> _Slot[T]:
        """Return an idle one that is young and well, or open a new one."""
        while self._idle:
            slot = self._idle.pop()
            if self._is_old(slot):
                self._counts["expired"] += 1
            elif not await self._is_well(slot):
                self._counts["unhealthy"] += 1
            else:
                self._counts["reused"] += 1
                return slot
            await self._end(slot)
        async with self._opening:  # one at a time: no stampede on a server that has just come back
            resource = await self._open()
        self._counts["opened"] += 1
        lifetime = self._max_lifetime * (1 - 0.1 * self._random())
        return _Slot(resource, asyncio.get_running_loop().time() + lifetime)

    async def _is_well(self, slot: _Slot[T]) -> bool:
        if self._check is None:
            return True
        try:
            return await self._check(slot.resource)
        except Exception:
            return False
        except BaseException:
            await self._end(slot)  # it is in nobody's hands
            raise

    def _is_old(self, slot: _Slot[T]) -> bool:
        return asyncio.get_running_loop().time() >= slot.expires

    async def _take_back(self, slot: _Slot[T]) -> None:
        if self._closed or len(self._idle) >= self._max_idle:
            await self._end(slot)
        elif self._is_old(slot):
            self._counts["expired"] += 1
            await self._end(slot)
        else:
            self._idle.append(slot)

    async def _end(self, slot: _Slot[T]) -> None:
        if self._close is not None:
            await self._close(slot.resource)

    async def close(self) -> None:
        """Refuse further acquires, end what is idle, and wait until all that is lent is back."""
        self._closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(PoolClosed("the pool closed while we waited"))
        self._waiters.clear()
        while self._idle:
            await self._end(self._idle.popleft())
        while self._places < self._max_open:
            self._returned.clear()
            await self._returned.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
