"""Tickets: a credential that opens one socket, once, within half a minute.

A page cannot put a header on its WebSocket, and a token in the URL ends up in every log on the way.
A ticket may: by the time that someone reads the log, it is used or void. A page gets one from `POST
/api/tickets`, where it can send a header or its cookie.

The store sees a digest of the ticket, so a copy of the store opens nothing, and looking one up in a
dictionary leaks no more by its timing than a hash. Taking is one step: of two sockets that come
with the same ticket at the same time, one opens.

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
MAX_OF_USER = 100  # bought within one lifetime; a page needs one for each socket it opens
SWEEP = 2  # old entries that make room when one comes: more than one, so none are left in the end


class Store(Protocol):
    """Where tickets wait. Both are one atomic step: in Redis, `SET NX EX` and `GETDEL`."""

    async def put(self, key: str, value: str, seconds: float) -> bool:
        """Keep value under key for so long; False where the key is taken or there is no room."""

    async def take(self, key: str) -> str | None:
        """Return the value and forget it; None where there is none, or its time is over."""


class MemoryStore:
    """A Store in this process. Nothing here awaits, so no other task comes between.

    now: seconds. max_open: a full store refuses, and forgets nobody's ticket. All of them should
    live equally long: who comes to a full store makes room only at its old end. Every operation
    costs the same however many tickets are open, and however many of them are over.
    """

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, max_open: int = MAX_OPEN
    ) -> None:
        self._now = now
        self._max_open = max_open
        self._values: OrderedDict[str, tuple[str, float]] = OrderedDict()  # the oldest first

    async def put(self, key: str, value: str, seconds: float) -> bool:
        """Keep value; the oldest whose time is over make room first."""
        now = self._now()
        _sweep(self._values, lambda entry: entry[1] <= now)
        if key in self._values or len(self._values) >= self._max_open:
            return False
        self._values[key] = value, now + seconds
        return True

    async def take(self, key: str) -> str | None:
        """Return the value and forget it."""
        value, until = self._values.pop(key, (None, 0.0))
        return value if self._now() < until else None

    def __len__(self) -> int:
        return len(self._values)


def _sweep(entries: OrderedDict[str, T], is_over: Callable[[T], bool]) -> None:
    """Drop some of the oldest entries where their time is over.

    Not all at once: of ten thousand the last would wait for all others.
    """
    for _ in range(SWEEP):
        if not entries or not is_over(next(iter(entries.values()))):
            return
        entries.popitem(last=False)


class Tickets:
    """Sells and redeems tickets. now: Unix seconds; new_ticket: what nobody can guess."""

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
        # When each user bought, the latest buyer last.
        self._bought: OrderedDict[str, deque[float]] = OrderedDict()

    async def issue(self, claims: Claims) -> str:
        """Return a ticket that is worth claims, once.

        Raises AuthError: 429 for a user who buys too many, 503 for a full store.
        """
        self._count(claims.user.id)
        ticket = self.new_ticket()
        if not await self.store.put(digest(ticket), dump(claims), self.lifetime):
            raise AuthError("full", "got no room for a ticket in the store")
        return ticket

    def _count(self, user_id: str) -> None:
        """Note that a user buys, or refuse: one who buys without end would fill the store."""
        now = self.now()
        _sweep(self._bought, lambda times: times[-1] <= now - self.lifetime)
        times = self._bought.setdefault(user_id, deque(maxlen=MAX_OF_USER))
        self._bought.move_to_end(user_id)
        if len(times) == MAX_OF_USER and times[0] > now - self.lifetime:
            raise AuthError("often", f"got {MAX_OF_USER} tickets of one user in {self.lifetime} s")
        times.append(now)

    async def redeem(self, ticket: str) -> Claims:
        """Return what a ticket is worth, and void it. Raises AuthError, 401."""
        stored = await self.store.take(digest(ticket))
        if stored is None:
            raise AuthError("ticket", "got a ticket that is unknown, used or too old")
        claims = load(stored)
        if self.now() >= claims.expires_at:
            raise AuthError("expired", "got a ticket of an expired token")
        return claims


def digest(ticket: str) -> str:
    """Return what the store knows a ticket by; 256 random bits need no salt."""
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
    """ASGI endpoint for `POST /api/tickets`: `{"ticket": "...", "expires_in": 30}` for who asks.

    Stands behind `Authenticate`, which binds the Claims; a ticket is worth those, and no more.
    """

    def __init__(self, tickets: Tickets) -> None:
        self.tickets = tickets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: 201 and a ticket, 405 for other methods, else as `issue` refuses."""
        if scope["method"] != "POST":
            return await respond(scope, send, 405, headers=[("Allow", "POST")])
        try:
            ticket = await self.tickets.issue(current(Claims))
        except AuthError as error:
            return await respond(scope, send, error.status, error.body, error.headers)
        body = json.dumps({"ticket": ticket, "expires_in": self.tickets.lifetime}).encode()
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        await respond(scope, send, 201, body, headers)
