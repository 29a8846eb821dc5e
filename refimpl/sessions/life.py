"""The life of a node: begun, renewed, over when the store says so; and work that is done for ever.

A store that cannot be reached says nothing, so it ends no life: only one that answers can. But a
store remembers dead lives for `Limits.remember_dead`, and after half of that a node ends its life.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from refimpl.sessions.errors import Degraded, Fenced, SessionsError, StoreUnavailable
from refimpl.sessions.records import Lease, check_node
from refimpl.sessions.store import Store

__all__ = ["Life", "keep_doing", "when"]

REGISTER_EVERY = 12  # renewals: what was lost in silence, somebody's FLUSHALL, stands there again

logger = logging.getLogger("refimpl.sessions")


class Life:
    """A node's lease, one life after another. lease: None between two of them.

    on_over: told when a life is over, before the next begins. on_forgotten: the store may not know
    what the node holds. on_degraded: whether the store is out of reach, when that changes.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        on_over: Callable[[], None],
        on_forgotten: Callable[[], None],
        on_degraded: Callable[[bool], None],
    ) -> None:
        self.store, self.name = store, check_node(name)
        self.lease: Lease | None = None
        self.degraded = False
        self.fenced = 0
        self.swept = 0
        self._on_over, self._on_forgotten = on_over, on_forgotten
        self._on_degraded = on_degraded
        self._last_epoch = 0
        self._renewed = 0.0
        self._renewals = 0

    def current(self) -> Lease:
        """Return the lease. Raises Degraded where there is none."""
        if self.lease is None:
            raise Degraded("this node has no place in the store now; ask again later")
        return self.lease

    async def begin(self) -> None:
        """Begin a life. Raises SessionsError."""
        started = asyncio.get_running_loop().time()
        lease = await self.store.begin(self.name, after=self._last_epoch)
        self._last_epoch, self._renewed = lease.epoch, started
        self.lease = lease

    async def renew(self) -> None:
        """Live on; begin again where there is no life. Raises SessionsError, Fenced never."""
        lease = self.lease
        if lease is None:
            await self.begin()
            return self.set_degraded(False)
        now = asyncio.get_running_loop().time()
        if now - self._renewed > self.store.limits.remember_dead / 2:
            return await self.over(lease)  # away for so long that its death may be forgotten
        try:
            known = await self.store.renew(lease)
        except Fenced:
            return await self.over(lease)
        except StoreUnavailable:
            self.set_degraded(True)
            raise
        self._renewed = now
        self.set_degraded(False)
        self._renewals += 1
        if not known or self._renewals % REGISTER_EVERY == 0:
            self._on_forgotten()

    async def over(self, lease: Lease) -> None:
        """This life is over: have its sockets closed, begin a new one."""
        if self.lease != lease:
            return
        self.lease = None
        self.fenced += 1
        self._on_over()
        try:
            await self.begin()
        except SessionsError as error:
            logger.warning("%s has no place in the store yet: %s", self.name, error)

    async def sweep(self) -> None:
        """Clear away what dead nodes left. Raises SessionsError."""
        if self.lease is not None and not self.degraded:
            self.swept += await self.store.sweep(every=0.45 * self.store.limits.renew)

    async def end(self) -> None:
        """End the life in good order, and clear away what it held. Never raises."""
        lease, self.lease = self.lease, None
        if lease is None or self.store.degraded:
            return
        try:
            await self.store.retire(lease)
            await self.store.sweep()
        except SessionsError as error:
            logger.warning("the life of %s ends by its lease: %s", self.name, error)

    def store_changed(self, within_reach: bool) -> None:
        """The store is back, perhaps another one than before; or it is out of reach."""
        if within_reach:
            self._on_forgotten()
        self.set_degraded(not within_reach)

    def set_degraded(self, degraded: bool) -> None:
        """Note whether the store is out of reach, and tell of a change."""
        if degraded != self.degraded:
            self.degraded = degraded
            self._on_degraded(degraded)


async def keep_doing(every: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do work again and again; a failure is tried again sooner."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        if not await _tried(work):
            due = loop.time() + every / 5
        await asyncio.sleep(due - loop.time())


async def when(event: asyncio.Event, pause: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do work whenever an event is set; a failure is tried again after a pause of seconds."""
    while True:
        await event.wait()
        event.clear()
        if not await _tried(work):
            event.set()
            await asyncio.sleep(pause)


async def _tried(work: Callable[[], Awaitable[None]]) -> bool:
    """Do work once; return whether it was done."""
    try:
        await work()
    except StoreUnavailable:
        return False
    except Exception:
        logger.exception("a task of the node failed, and is tried again")
        return False
    return True
