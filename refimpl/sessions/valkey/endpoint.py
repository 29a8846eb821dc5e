"""One server of Valkey: its address, and a link to it that is made again whenever it is lost.

>>> address = Address.parse("rediss://ada:secret@store.example:6380/2")
>>> address.host, address.port, address.database, address.tls
('store.example', 6380, 2, True)
>>> "secret" in repr(address)
False
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import unquote, urlsplit

import hiredis

from refimpl.lifecycle.backoff import Backoff
from refimpl.sessions.errors import (
    BadAnswer,
    BadValue,
    SessionsError,
    StoreRefused,
    StoreUnavailable,
)
from refimpl.sessions.valkey.link import Link, Push, Word

__all__ = ["Address", "Endpoint"]

PORT = 6379
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0  # seconds between two attempts to connect, at most


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and who we are there."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the address of redis://[user:password@]host[:port][/database], or rediss://.

        Raises BadValue, without the password.
        """
        parts = urlsplit(url)
        database = parts.path.strip("/")
        try:
            port = parts.port or PORT
        except ValueError:
            port = 0
        known = parts.scheme in ("redis", "rediss", "valkey", "valkeys") and parts.hostname
        if not known or not port or not (database or "0").isdecimal():
            raise BadValue(
                "got a bad address, expected redis://[user:password@]host[:port][/number]"
            )
        return cls(
            parts.hostname or "",
            port,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            int(database or 0),
            parts.scheme in ("rediss", "valkeys"),
        )

    def at(self, host: str, port: int) -> "Address":
        """Return the address of another server of the same cluster."""
        return replace(self, host=host or self.host, port=port)


class Endpoint:
    """A server. link: the connection, None while there is none; error: why there is none.

    on_ready is told of each connection, on_lost of each loss and each failed attempt. prepare:
    commands that each new connection begins with.
    """

    def __init__(
        self,
        address: Address,
        *,
        prepare: Sequence[tuple[Word, ...]],
        on_push: Push,
        on_ready: Callable[["Endpoint"], None],
        on_lost: Callable[["Endpoint"], None],
        timeout: float,
        most: int,
    ) -> None:
        self.address = address
        self.link: Link | None = None
        self.cluster = False
        self.error: Exception | None = None
        self.down_since: float | None = asyncio.get_running_loop().time()
        self._prepare = prepare
        self._on_push, self._on_ready, self._on_lost = on_push, on_ready, on_lost
        self._timeout, self._most = timeout, most
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End the link and do not make it again."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def down_for(self, now: float) -> float:
        """Return for how many seconds there has been no link."""
        return 0.0 if self.down_since is None else now - self.down_since

    async def _run(self) -> None:
        """Connect, wait for the loss, wait a little, again and again."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(first=FIRST_WAIT, longest=LONGEST_WAIT)
        while True:
            lost = asyncio.Event()
            try:
                link = await self._connect(lost.set)
            except (OSError, SessionsError) as error:  # a TimeoutError is an OSError
                self.error = error
                self._on_lost(self)
                await asyncio.sleep(backoff.next_delay())
                continue
            backoff.reset()
            self.link, self.error, self.down_since = link, None, None
            self._on_ready(self)
            try:
                await lost.wait()
            finally:
                self.link, self.down_since = None, loop.time()
                link.close()
                self._on_lost(self)
            await asyncio.sleep(backoff.next_delay())

    async def _connect(self, on_lost: Callable[[], None]) -> Link:
        """Return a link that was greeted and prepared."""
        loop, address = asyncio.get_running_loop(), self.address
        context = ssl.create_default_context() if address.tls else None
        link: Link | None = None
        try:
            async with asyncio.timeout(self._timeout):
                _, link = await loop.create_connection(
                    lambda: Link(
                        on_push=self._on_push,
                        on_lost=on_lost,
                        timeout=self._timeout,
                        most=self._most,
                    ),
                    address.host,
                    address.port,
                    ssl=context,
                )
                await self._greet(link)
        except BaseException:
            if link is not None:
                link.close()
            raise
        return link

    async def _greet(self, link: Link) -> None:
        """Speak RESP3, say who we are, bring the scripts."""
        address = self.address
        hello: list[Word] = ["HELLO", "3"]
        if address.password:
            hello += ["AUTH", address.username or "default", address.password]
        sent = [link.call(*hello)]
        if address.database:
            sent.append(link.call("SELECT", str(address.database)))
        sent += [link.call(*words) for words in self._prepare]
        greeting, *others = await asyncio.gather(*sent)
        for reply in (greeting, *others):
            if isinstance(reply, hiredis.ReplyError):
                word = str(reply).partition(" ")[0]
                kind = StoreUnavailable if word in ("LOADING", "MASTERDOWN") else StoreRefused
                raise kind(f"the store refuses us: {word}; expected Valkey, or Redis 7")
        if not isinstance(greeting, dict):
            raise BadAnswer("got no greeting of RESP3, expected Valkey, or Redis 7")
        self.cluster = greeting.get(b"mode") == b"cluster"
