"""What the nodes of one chat have in common: sessions and rooms, tickets, and who signed out.

`MemoryStores` is one process: nothing leaves it, and it ends with it. `ValkeyStores` is many nodes
on one Valkey or Redis. No token stands in either; a ticket stands there as its digest.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self

from refimpl.auth import AuthError, Claims
from refimpl.auth import MemoryStore as TicketMemory
from refimpl.auth.tickets import Store as TicketStore
from refimpl.auth.tickets import dump, load
from refimpl.chat.sessions import SignedOut
from refimpl.sessions import Limits, MemoryStore, SessionsError, Store, ValkeyStore
from refimpl.sessions.valkey.answers import reading
from refimpl.sessions.valkey.calls import Calls

__all__ = ["LIMITS", "MemoryStores", "Stores", "ValkeyStores"]

LIMITS = Limits(keep=200, remember=2000)  # of a room
MOST_WAITING = 1000  # commands for tickets and sign-outs without an answer
MOST_ENDED = 100_000  # sessions that ended, about; the oldest go first
AT_ONCE = 1000


class Stores(Protocol):
    """The three stores of a chat; opened before the first use, with `async with`."""

    sessions: Store
    tickets: TicketStore
    signed_out: SignedOut

    async def __aenter__(self) -> Self:
        """Open them. Raises SessionsError."""

    async def __aexit__(self, *_: object) -> None:
        """Let go of what they hold in this process."""


class MemoryStores:
    """The stores of one process; several nodes of it may share them. now: Unix seconds."""

    def __init__(self, *, limits: Limits = LIMITS, now: Callable[[], float] = time.time) -> None:
        self.sessions: Store = MemoryStore(limits=limits)
        self.tickets: TicketStore = TicketMemory()
        self.signed_out = SignedOut(now=now)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: there is nothing to let go of."""


class ValkeyStores:
    """The stores of one node of many, made where the event loop runs.

    url, prefix, timeout, limits: as in `ValkeyStore`. now: Unix seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: Limits = LIMITS,
        prefix: str = "refimpl:",
        timeout: float = 2.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._calls = Calls(url, timeout=timeout, most=MOST_WAITING)
        self._valkey = ValkeyStore(url, limits=limits, prefix=prefix, timeout=timeout)
        self.sessions: Store = self._valkey
        self.tickets: TicketStore = ValkeyTickets(self._calls, prefix)
        self.signed_out: SignedOut = ValkeySignedOut(self._calls, prefix, now=now)

    async def __aenter__(self) -> Self:
        await self._valkey.__aenter__()
        try:
            await self._calls.start()
            await self.signed_out.catch_up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._calls.stop()
        await self._valkey.close_store()


class ValkeyTickets:
    """Tickets that any node sells and any other one takes, once: SET NX and GETDEL."""

    def __init__(self, calls: Calls, prefix: str) -> None:
        self._calls = calls
        self._prefix = prefix

    async def put(self, key: str, value: str, seconds: float) -> bool:
        """Keep value under key for some seconds. Raises AuthError, 503."""
        milliseconds = str(round(seconds * 1000))
        with answering():
            words = ("SET", self._key(key), value, "NX", "PX", milliseconds)
            return await self._calls.command(*words) is not None

    async def take(self, key: str) -> str | None:
        """Return the value and delete it. Raises AuthError, 503."""
        with answering():
            value = await self._calls.command("GETDEL", self._key(key))
            with reading():
                return None if value is None else str(value.decode())

    def _key(self, key: str) -> str:
        return f"{self._prefix}{{ticket:{key}}}"


@contextmanager
def answering() -> Iterator[None]:
    """Turn what goes wrong with the store into a 503."""
    try:
        yield
    except SessionsError as error:
        raise AuthError("unavailable", "got no answer from the store of tickets") from error


class ValkeySignedOut(SignedOut):
    """The deny list of all nodes: one stream, and a copy of it in each.

    The copy is brought up to date before any credential is taken. A store that comes back without
    what we had read there was restarted empty: then it is written again.
    """

    def __init__(self, calls: Calls, prefix: str, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self._calls = calls
        self._key = f"{prefix}{{signed-out}}"
        self._read = "0-0"  # the entry up to which this copy goes
        self._returned = False
        calls.listeners.append(self._store_changed)

    async def end(self, claims: Claims) -> None:
        """End a session for every node. Raises SessionsError."""
        await self._write(claims)
        self.add(claims)

    async def catch_up(self) -> None:
        """Read what other nodes wrote. Raises SessionsError."""
        if self._returned:
            await self._restore()
        more = True
        while more:
            words = ("XRANGE", self._key, f"({self._read}", "+", "COUNT", str(AT_ONCE))
            entries = await self._calls.command(*words)
            with reading():
                for id, (_, value) in entries:
                    self._take(load(value.decode()))
                    self._read = id.decode()
                more = len(entries) == AT_ONCE

    def _take(self, claims: Claims) -> None:
        if claims not in self:
            self.add(claims)

    async def _write(self, claims: Claims) -> Any:
        words = ("XADD", self._key, "MAXLEN", "~", str(MOST_ENDED), "*", "claims", dump(claims))
        return await self._calls.command(*words)

    async def _restore(self) -> None:
        """Write this copy again where the store has forgotten what was read there."""
        there = await self._calls.command("XRANGE", self._key, self._read, self._read)
        if not there:
            self._read = "0-0"
            for claims in list(self):
                await self._write(claims)
        self._returned = False

    def _store_changed(self, within_reach: bool) -> None:
        self._returned = self._returned or within_reach
