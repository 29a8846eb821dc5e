"""Tickets: a credential that opens one socket, once, within half a minute.

A page cannot put a header on its WebSocket, and a token in the URL ends up in every log on the way.
A ticket may be there: when somebody reads the log, it is used or void. A page gets one from `POST
/api/tickets`, where it can send a header or its cookie.

The store holds a digest of each ticket, so a copy of the store is worthless, and the timing of a
look-up reveals nothing but a hash. Taking a ticket is one atomic step: if two sockets bring the
same one at the same time, one of them opens.

>>> import asyncio
>>> tickets = Tickets(now=lambda: 1000.0)
>>> claims = Claims(User("ada"), "token-1", 900.0, 1800.0)
>>> ticket = asyncio.run(tickets.issue(claims))
>>> asyncio.run(tickets.redeem(ticket)) == claims
True
"""

import hashlib
import json
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from refimpl.auth.errors import AuthError
from refimpl.auth.tokens import Claims
from refimpl.middleware.asgi import Receive, Scope, Send, respond
from refimpl.middleware.context import TenantID, User, current

__all__ = ["TICKET_LIFETIME", "MemoryStore", "Store", "TicketOffice", "Tickets"]

T = TypeVar("T")

TICKET_LIFETIME = 30
MAX_OPEN = 10_000
MAX_OF_USER = 100  # issued within one lifetime; a page needs one for each socket that it opens
SWEEP = 2  # expired entries removed for each new one: more than one, so that they run out


class Store(Protocol):
    """Where tickets are kept. Both operations are atomic: in Redis, `SET NX EX` and `GETDEL`."""

    async def put(self, key: str, value: str, seconds: float) -> bool:
        """Keep value under key for some seconds; False if the key exists or the store is full."""

    async def take(self, key: str) -> str | None:
        """Return the value and delete it; None if there is none or it has expired."""


class MemoryStore:
    """A Store in this process. It never awaits, so its operations are atomic.

    now: seconds. max_open: a full store refuses new tickets and keeps the old ones. All should have
    the same lifetime, since expired ones are removed from the old end only, a few at a time. An
    operation costs the same however many tickets are open or expired.
    """

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, max_open: int = MAX_OPEN
    ) -> None:
        self._now = now
        self._max_open = max_open
        self._values: OrderedDict[str, tuple[str, float]] = OrderedDict()  # oldest first

    async def put(self, key: str, value: str, seconds: float) -> bool:
        """Keep value; a few expired tickets are removed first."""
        now = self._now()
        _sweep(self._values, lambda entry: entry[1] <= now)
        if key in self._values or len(self._values) >= self._max_open:
            return False
        self._values[key] = value, now + seconds
        return True

    async def take(self, key: str) -> str | None:
        """Return the value and delete it."""
        value, until = self._values.pop(key, (None, 0.0))
        return value if self._now() < until else None

    def __len__(self) -> int:
        return len(self._values)


def _sweep(entries: OrderedDict[str, T], is_over: Callable[[T], bool]) -> None:
    """Remove expired entries from the old end, at most SWEEP: all at once block the loop."""
    for _ in range(SWEEP):
        if not entries or not is_over(next(iter(entries.values()))):
            return
        entries.popitem(last=False)


class Tickets:
    """Issues and redeems tickets. now: Unix seconds. new_ticket: makes one nobody can guess."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        lifetime: float = TICKET_LIFETIME,
        now: Callable[[], float] = time.time,
        new_ticket: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self.store = store if store is not None else MemoryStore()
        self.lifetime = lifetime
        self.now = now
        self.new_ticket = new_ticket
        # When each user got tickets, the latest user last.
        self._bought: OrderedDict[str, deque[float]] = OrderedDict()

    async def issue(self, claims: Claims) -> str:
        """Return a ticket for these claims, good for one use.

        Raises AuthError: 429 for a user who asks for too many, 503 for a full store.
        """
        self._count(claims.user.id)
        ticket = self.new_ticket()
        if not await self.store.put(digest(ticket), dump(claims), self.lifetime):
            raise AuthError("full", "got no room for a ticket in the store")
        return ticket

    def _count(self, user_id: str) -> None:
        """Count a ticket of a user, or refuse it: one user must not fill the store."""
        now = self.now()
        _sweep(self._bought, lambda times: times[-1] <= now - self.lifetime)
        times = self._bought.setdefault(user_id, deque(maxlen=MAX_OF_USER))
        self._bought.move_to_end(user_id)
        if len(times) == MAX_OF_USER and times[0] > now - self.lifetime:
            raise AuthError("often", f"got {MAX_OF_USER} tickets of one user in {self.lifetime} s")
        times.append(now)

    async def redeem(self, ticket: str) -> Claims:
        """Return the claims of a ticket, and make it void. Raises AuthError, 401."""
        stored = await self.store.take(digest(ticket))
        if stored is None:
            raise AuthError("ticket", "got a ticket that is unknown, used or too old")
        claims = load(stored)
        if self.now() >= claims.expires_at:
            raise AuthError("expired", "got a ticket of an expired token")
        return claims


def digest(ticket: str) -> str:
    """Return the store's key for a ticket; 256 random bits need no salt."""
    return hashlib.sha256(ticket.encode()).hexdigest()


def dump(claims: Claims) -> str:
    """Return claims as text for a store."""
    user = claims.user
    tenant = user.tenant.value if user.tenant else None
    return json.dumps(
        {
            "user": [user.id, user.name, sorted(user.roles), tenant],
            "token": [claims.token_id, claims.issued_at, claims.expires_at],
        }
    )


def load(text: str) -> Claims:
    """Return the claims that `dump` wrote."""
    stored = json.loads(text)
    user_id, name, roles, tenant = stored["user"]
    user = User(user_id, name, frozenset(roles), TenantID(tenant) if tenant else None)
    return Claims(user, *stored["token"])


class TicketOffice:
    """ASGI endpoint for `POST /api/tickets`; answers `{"ticket": "...", "expires_in": 30}`.

    Put it behind `Authenticate`, which binds the Claims that the ticket stands for.
    """

    def __init__(self, tickets: Tickets) -> None:
        self.tickets = tickets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: 201 and a ticket, 405 for other methods, or what `issue` raises."""
        if scope["method"] != "POST":
            return await respond(scope, send, 405, headers=[("Allow", "POST")])
        try:
            ticket = await self.tickets.issue(current(Claims))
        except AuthError as error:
            return await respond(scope, send, error.status, error.body, error.headers)
        body = json.dumps({"ticket": ticket, "expires_in": self.tickets.lifetime}).encode()
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        await respond(scope, send, 201, body, headers)
