"""Where a command goes: to the one server, or in a cluster to the primary that owns the key's slot.

A cluster tells where a slot is: MOVED (from now on there), ASK (this once, it is moving). When a
primary is lost its replica takes over, and the whole map is read again.

A server that says nothing for `timeout` seconds is given up. From the first failure on an operation
has `timeout` seconds more, in which it is asked for again: every command of this floor may be
repeated. A server that was away for longer is out of reach: commands for it fail at once, so that
nothing gathers.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from refimpl.sessions.errors import (
    BadAnswer,
    Busy,
    Degraded,
    SessionsError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from refimpl.sessions.valkey.endpoint import Address, Endpoint
from refimpl.sessions.valkey.link import Push, Reply, Word
from refimpl.sessions.valkey.slots import SLOTS, slot_of

__all__ = ["Router"]

PASSING = {"CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN", "READONLY", "BUSY", "NOREPLICAS"}
REFUSED = {"NOAUTH", "NOPERM", "WRONGPASS"}
PAUSE = 0.05  # seconds before a command is tried again


class Router:
    """All servers of a store. degraded: whether one of them is out of reach.

    on_ready is told of each new connection to a server, on_moved when slots changed their owners,
    on_state when `degraded` changes.
    """

    def __init__(
        self,
        address: Address,
        *,
        prepare: Sequence[tuple[Word, ...]],
        on_push: Push,
        on_ready: Callable[[Endpoint], None],
        on_moved: Callable[[], None],
        on_state: Callable[[bool], None],
        timeout: float,
        most: int,
    ) -> None:
        self.degraded = False
        self._address = address
        self._prepare = prepare
        self._on_push, self._on_ready = on_push, on_ready
        self._on_moved, self._on_state = on_moved, on_state
        self._timeout, self._most = timeout, most
        self._loop = asyncio.get_running_loop()
        self._endpoints: dict[tuple[str, int], Endpoint] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._owners: list[Endpoint] = []
        self._stopped = False
        self._held = 0  # commands that wait for a connection
        self._changed = asyncio.Event()
        self._stale = asyncio.Event()
        self._seed = self._endpoint(address.host, address.port)
        self._refreshing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait for the first connection, and for the map of a cluster.

        Raises StoreUnavailable, or why the store does not let us.
        """
        deadline = self._loop.time() + self._timeout
        try:
            while self._seed.link is None or (self._seed.cluster and not self._owners):
                if isinstance(self._seed.error, StoreRefused | BadAnswer):
                    raise self._seed.error  # no repetition will mend it
                await self._wait(deadline)
        except BaseException as error:
            await self.stop()
            if isinstance(error, StoreUnavailable):
                raise self._reason(self._seed) from error
            raise

    async def stop(self) -> None:
        """End all connections."""
        self._stopped = True
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await asyncio.gather(*(each.stop() for each in self._endpoints.values()), *self._ending)
        await asyncio.sleep(0)  # the transports report their loss in the loop's next turn

    def owner(self, key: bytes) -> Endpoint:
        """Return the server that a key lives on."""
        return self._owners[slot_of(key)] if self._owners else self._seed

    def call(self, key: bytes, *words: Word) -> "asyncio.Future[Reply]":
        """Send a command without waiting and without trying again: `settle` does both."""
        link = self.owner(key).link
        if link is None:
            raise StoreUnavailable("there is no connection to the store; ask again")
        return link.call(*words)

    async def ask(self, key: bytes, *words: Word) -> Reply:
        """Return the reply to a command on a key. Raises SessionsError; a NOSCRIPT is returned."""
        try:
            reply = await self.call(key, *words)
        except StoreUnavailable as error:
            reply = error
        if isinstance(reply, Exception):
            return await self.settle(reply, key, *words)
        return reply

    async def settle(self, failed: Exception, key: bytes, *words: Word) -> Reply:
        """Try a command again that failed, until it is done or its time is over."""
        deadline = self._loop.time() + self._timeout
        reply: Reply = failed
        while isinstance(reply, Exception):
            if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
                return reply
            asked = await self._judge(reply, self.owner(key), deadline)
            link = (asked or self.owner(key)).link
            try:
                if link is None:
                    reply = StoreUnavailable("there is no connection to the store; ask again")
                    continue
                if asked:
                    link.call("ASKING")
                reply = await link.call(*words)
            except StoreUnavailable as error:
                reply = error
        return reply

    async def _judge(self, failed: Exception, at: Endpoint, deadline: float) -> Endpoint | None:
        """Wait for what a failed command needs, or raise; return whom to ask if that was said."""
        if isinstance(failed, Busy):
            raise failed
        if not isinstance(failed, hiredis.ReplyError):
            if at.link is None:
                if at.down_for(self._loop.time()) > self._timeout:
                    raise Degraded("the store is out of reach; ask again later") from at.error
                await self._wait(deadline)
            elif self._loop.time() >= deadline:
                raise failed
            else:
                await asyncio.sleep(PAUSE)
            return None
        text = str(failed)
        word, _, rest = text.partition(" ")
        if word in ("MOVED", "ASK"):
            if self._loop.time() >= deadline:
                raise StoreUnavailable(f"the store's slots are moving ({text}); ask again")
            return self._redirect(word, rest)
        if word in PASSING:
            self._stale.set()
            if self._loop.time() + PAUSE >= deadline:
                raise StoreUnavailable(f"the store is not ready ({word}); ask again")
            await asyncio.sleep(PAUSE)
            return None
        raise error_of(text)

    def _redirect(self, word: str, rest: str) -> Endpoint | None:
        """Note where a slot is, or return where to ask this once."""
        try:
            slot, _, place = rest.partition(" ")
            host, _, port = place.rpartition(":")
            endpoint = self._endpoint(host, int(port))
            if word == "ASK":
                return endpoint
            self._owners[int(slot)] = endpoint
        except (ValueError, IndexError) as error:
            raise BadAnswer(f"got {word} to nowhere, expected a slot and an address") from error
        self._stale.set()
        return None

    async def _wait(self, deadline: float) -> None:
        """Wait until something about the connections has changed."""
        if self._held >= self._most:
            raise Busy(f"{self._most} commands wait for the store already; ask less, or later")
        self._held += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._changed.wait()
        except TimeoutError as error:
            raise StoreUnavailable(f"no connection to the store in {self._timeout} s") from error
        finally:
            self._held -= 1

    def _reason(self, endpoint: Endpoint) -> SessionsError:
        """Return why there is no connection."""
        if isinstance(endpoint.error, SessionsError):
            return endpoint.error
        address = endpoint.address
        return StoreUnavailable(f"found no store at {address.host}:{address.port}")

    # --- servers that come and go ---

    def _endpoint(self, host: str, port: int) -> Endpoint:
        """Return the endpoint of an address, a new one where there is none."""
        address = self._address.at(host, port)
        place = address.host, address.port
        if place not in self._endpoints:
            self._endpoints[place] = Endpoint(
                address,
                prepare=self._prepare,
                on_push=self._on_push,
                on_ready=self._ready,
                on_lost=self._lost,
                timeout=self._timeout,
                most=self._most,
            )
        return self._endpoints[place]

    def _ready(self, endpoint: Endpoint) -> None:
        if endpoint.cluster and self._refreshing is None:
            self._refreshing = self._loop.create_task(self._refresh())
        self._stale.set()
        self._say_changed()
        self._on_ready(endpoint)

    def _lost(self, endpoint: Endpoint) -> None:
        self._stale.set()
        self._say_changed()
        self._loop.call_later(self._timeout * 1.01, self._say_changed)

    def _say_changed(self) -> None:
        """Wake who waits, and find out whether a server is out of reach now."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        now = self._loop.time()
        needed = set(self._owners) or {self._seed}
        degraded = not self._stopped and any(each.down_for(now) > self._timeout for each in needed)
        if degraded != self.degraded:
            self.degraded = degraded
            if not self._stopped:
                self._on_state(degraded)

    async def _refresh(self) -> None:
        """Read the map of the cluster when it may have changed, and until all owners are there."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            for endpoint in list(self._endpoints.values()):
                if endpoint.link is None:
                    continue
                try:
                    self._take_map(await endpoint.link.call("CLUSTER", "SLOTS"), endpoint)
                    break
                except (SessionsError, ValueError, TypeError, IndexError):
                    continue
            if not self._owners or any(each.link is None for each in set(self._owners)):
                self._stale.set()
            await asyncio.sleep(PAUSE)

    def _take_map(self, ranges: Any, source: Endpoint) -> None:
        """Note who owns which slots. Raises ValueError and the like for what is no map."""
        owners: list[Endpoint] = [self._seed] * SLOTS
        for start, end, (host, port, *_), *_ in ranges:
            name = host.decode() if host else source.address.host
            owner = self._endpoint(name, int(port))
            owners[start : end + 1] = [owner] * (end + 1 - start)
        if not ranges or len(owners) != SLOTS:
            raise ValueError("no map of slots")
        moved = owners != self._owners
        self._owners = owners
        for place, endpoint in list(self._endpoints.items()):
            if endpoint is not self._seed and endpoint not in set(owners):
                del self._endpoints[place]
                task = self._loop.create_task(endpoint.stop())
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
        self._say_changed()
        if moved:
            self._on_moved()


def error_of(text: str) -> SessionsError:
    """Return our error for an error reply that no repetition will mend."""
    word = text.partition(" ")[0]
    if word == "OOM":
        return StoreFull("the store has no memory left; nothing was written")
    if word in REFUSED or "unknown command" in text:
        return StoreRefused(f"the store does not let us ({word}); give this user the rights")
    return BadAnswer(f"got {text[:200]!r} from the store, expected an answer")
