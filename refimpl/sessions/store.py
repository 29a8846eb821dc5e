"""The interface of a store, which `MemoryStore` and `ValkeyStore` both keep.

A store knows which nodes live, which connections each user has, who is in which room, and what was
said there. What a call changes in one place (a user, a room) changes in one step, wholly or not at
all. Every call but `begin` and `open` may be repeated: asked for twice, it is done once. Writes
name the life of the node that asks for them. A change is told before its caller goes on.

Functions that both stores share stand here too, so that there is one place where they are right.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from refimpl.sessions.errors import BadValue
from refimpl.sessions.records import (
    Connection,
    History,
    Lease,
    Members,
    Message,
    Notice,
    Position,
)

__all__ = ["Callback", "Head", "Limits", "Listener", "Store"]

Callback = Callable[[Notice], None]
"""Takes the notices of a room, in the order in which they came; must not block."""

Listener = Callable[[bool], None]
"""Told True when the store is within reach again, and may have forgotten; False when it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how much. Seconds: lease (of a node), remember_dead, idle_room; a node renews
    its lease three times before it ends. Numbers: keep (messages of a room), remember (message ids
    by which a resend is recognised), page (messages of one history).
    """

    lease: float = 15.0
    keep: int = 1000
    remember: int = 2000
    page: int = 100
    idle_room: float = 7 * 86400.0
    remember_dead: float = 3600.0

    def __post_init__(self) -> None:
        if not 0 < self.keep <= self.remember or self.lease <= 0 or self.page <= 0:
            raise BadValue(f"got {self}, expected 0 < keep <= remember, and a lease and a page")

    @property
    def renew(self) -> float:
        """Seconds between two renewals of a lease, and what a late node is given to come back."""
        return self.lease / 3


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a room's history, the version of its presence, and whether we are known there."""

    position: Position
    presence: int
    registered: bool


class Store(Protocol):
    """Who is connected where, and what was said. Raises SessionsError, of all kinds."""

    limits: Limits

    @property
    def degraded(self) -> bool:
        """Whether the store is known to be out of reach."""

    @property
    def listening(self) -> bool:
        """Whether every subscription stands; while one does not, its notices come late."""

    async def close_store(self) -> None:
        """Let go of what the store holds in this process."""

    def listen(self, listener: Listener) -> None:
        """Have changes of `degraded` told, and each return of the store."""

    # --- nodes ---

    async def begin(self, node: str, *, after: int = 0) -> Lease:
        """Start a life of a node, with an epoch above `after` and above all that it had."""

    async def renew(self, lease: Lease) -> bool:
        """Live on; False where the store had forgotten the node. Raises Fenced."""

    async def retire(self, lease: Lease) -> None:
        """End a life in good order: what it holds is for the next sweep."""

    async def sweep(self, *, every: float = 0.0) -> int:
        """Remove what dead nodes left behind; return how many were cleared away.

        Anybody may do it, at any time, and stop anywhere. every: seconds in which one look by one
        node is enough for all of them.
        """

    # --- connections ---

    async def open(self, lease: Lease, user: str, *, device: str = "") -> Connection:
        """Note a new connection of a user."""

    async def renew_connection(self, lease: Lease, connection: Connection) -> Connection:
        """Note that a connection was used; write it again where the store has forgotten it."""

    async def close(self, lease: Lease, connection: Connection) -> None:
        """Forget a connection; leave its rooms first."""

    async def connections(self, user: str) -> list[Connection]:
        """Return a user's connections on nodes that live, oldest first."""

    async def user_of(self, connection_id: str) -> str | None:
        """Return whose connection this is; None where there is none, or its node is dead."""

    # --- rooms ---

    async def enter(self, lease: Lease, room: str, connection: Connection, known: Position) -> bool:
        """Let a connection into a room; return whether it is its user's first.

        known: the last place in the room's history that this node has seen.
        """

    async def leave(self, lease: Lease, room: str, connection: Connection) -> bool:
        """Let a connection out of a room; return whether it was its user's last."""

    async def detach(self, lease: Lease, room: str) -> None:
        """The node takes no part in a room any more."""

    async def present(self, room: str) -> Members:
        """Return who is in a room, without those whose nodes have let their leases end."""

    async def members(self, room: str) -> Members:
        """Return who is in a room as its notices tell it: with those who are not swept yet."""

    async def publish(
        self, lease: Lease, room: str, id: str, data: bytes, *, known: Position
    ) -> tuple[Position, bool]:
        """Give a message its place, keep it, send it to all nodes; return the place.

        With it, whether it is new: an id that was published before keeps its place.
        """

    async def history(self, room: str, after: Position, *, seen: int = 0) -> History:
        """Return what stands behind a place, a page of it.

        seen: up to this number nothing is missing; for the pages behind the first, which may begin
        before the place where another history is read from its start.
        """

    async def known_ids(self, room: str) -> list[str]:
        """Return the ids by which a resend is recognised, oldest first."""

    async def heads(self, lease: Lease, rooms: Sequence[str]) -> dict[str, Head | None]:
        """Return the heads of rooms; None for one that the store does not know.

        Rooms whose server is out of reach are left out.
        """

    async def correct(self, room: str, known: Position) -> Position:
        """Tell the store what this node has seen; a history that lacks it gets a new epoch.

        Returns the head.
        """

    async def subscribe(self, room: str, callback: Callback) -> None:
        """Have a room's notices told from now on."""

    def unsubscribe(self, room: str, callback: Callback) -> None:
        """Have them told no more."""


def new_epoch() -> str:
    """Return an epoch for a room, should it need one."""
    return secrets.token_urlsafe(9)


def new_connection_id(lease: Lease) -> str:
    """Return an id for a connection of a node's life."""
    return f"{lease.node}.{lease.epoch}.{secrets.token_hex(6)}"


def page_of(
    head: Position, after: Position, seen: int, entries: Sequence[Message], limit: int
) -> History:
    """Return a page of history from what a store has kept.

    entries: at most limit, behind `after` where it is of the same history, else from the oldest on.
    """
    more = len(entries) == limit and entries[-1].number < head.number
    end = entries[-1].position if more else head
    if after.epoch == "" and after.number == 0:
        return History(tuple(entries), 0, head.epoch, end, more)
    seen, missing = max(seen, after.number), 0
    for number in (*(each.number for each in entries), *(() if more else (head.number + 1,))):
        if number > seen:
            missing += number - seen - 1
            seen = number
    return History(tuple(entries), missing, head.epoch, end, more)


def live_only(
    members: Mapping[str, str], alive: Mapping[str, int], lease_of: Callable[[str], Lease]
) -> frozenset[str]:
    """Return the users of the connections whose nodes live.

    members: connection id to user. alive: node to the epoch that holds its lease now.
    """
    return frozenset(
        user
        for connection, user in members.items()
        if alive.get((lease := lease_of(connection)).node) == lease.epoch
    )
