"""A store in this process's memory: the default, and the plain form of what `ValkeyStore` does.

Several nodes of one process can share it, which is how tests and lessons watch a node die without
a server. Nothing waits inside of a change, so each is one step. It ends with the process.

>>> from refimpl.sessions.records import START
>>> async def main():
...     store = MemoryStore()
...     lease = await store.begin("node-1")
...     ada = await store.open(lease, "ada", device="laptop")
...     first = await store.enter(lease, "harbour", ada, START)
...     place, _ = await store.publish(lease, "harbour", "m1", b"ahoy", known=START)
...     history = await store.history("harbour", START)
...     return first, place.number, [message.data for message in history.messages]
>>> asyncio.run(main())
(True, 1, [b'ahoy'])
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from refimpl.sessions.errors import Fenced
from refimpl.sessions.memory_room import Room
from refimpl.sessions.records import (
    Connection,
    History,
    Lease,
    Members,
    Notice,
    Position,
    Presence,
    check_data,
    check_device,
    check_epoch,
    check_id,
    check_node,
    check_room,
    check_user,
    lease_of,
)
from refimpl.sessions.store import (
    Callback,
    Head,
    Limits,
    Listener,
    live_only,
    new_connection_id,
    new_epoch,
    page_of,
)

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Node:
    """A node: the life that holds the lease, until when, and the last life that is over.

    suspect: when somebody saw first that it is late.
    """

    epoch: int = 0
    until: float = 0.0
    dead: int = 0
    suspect: float | None = None


class MemoryStore:
    """Who is connected where, and what was said, in this process. now: seconds, never backwards."""

    def __init__(
        self, *, limits: Limits | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits or Limits()
        self.degraded = False
        self.listening = True
        self._now = now
        self._nodes: dict[str, _Node] = {}
        self._unswept: set[Lease] = set()
        self._connections: dict[str, Connection] = {}
        self._of_user: dict[str, dict[str, Connection]] = {}  # the same, by user and id
        self._rooms: dict[str, Room] = {}
        self._callbacks: dict[str, list[Callback]] = {}

    async def close_store(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def listen(self, listener: Listener) -> None:
        """Do nothing: this store is always within reach and forgets nothing."""

    # --- nodes ---

    async def begin(self, node: str, *, after: int = 0) -> Lease:
        """Start a life of a node."""
        held = self._nodes.setdefault(check_node(node), _Node())
        held.epoch = max(held.epoch, after, int(self._now() * 1000)) + 1
        held.until, held.suspect = self._now() + self.limits.lease, None
        lease = Lease(node, held.epoch)
        self._unswept.add(lease)
        return lease

    async def renew(self, lease: Lease) -> bool:
        """Live on. Raises Fenced."""
        self._check(lease)
        held = self._nodes[lease.node]
        held.until, held.suspect = self._now() + self.limits.lease, None
        return True

    async def retire(self, lease: Lease) -> None:
        """End a life in good order."""
        held = self._nodes[lease.node]
        held.dead = max(held.dead, lease.epoch)

    async def sweep(self, *, every: float = 0.0) -> int:
        """Remove what dead nodes left behind; return how many were cleared away."""
        dead = [lease for lease in self._unswept if self._is_dead(lease)]
        for lease in dead:
            held = self._nodes[lease.node]
            held.dead = max(held.dead, lease.epoch)
            for name in list(self._rooms):
                self._clear(name, lease)
            for connection in list(self._connections.values()):
                if connection.lease == lease:
                    await self.close(lease, connection)
            self._unswept.discard(lease)
        oldest = self._now() - self.limits.idle_room
        for name in [name for name, room in self._rooms.items() if not room.members]:
            if self._rooms[name].used < oldest:
                del self._rooms[name]
        return len(dead)

    def _is_dead(self, lease: Lease) -> bool:
        """Whether a life is over. See `ValkeyStore`: late at one look, and a grace later still."""
        held, now = self._nodes[lease.node], self._now()
        if held.epoch != lease.epoch or held.dead >= lease.epoch:
            return True
        if held.until - now > self.limits.lease - 1.5 * self.limits.renew:
            return False
        if held.suspect is None:
            held.suspect = now
        return now > held.until and now - held.suspect >= self.limits.renew

    def _clear(self, name: str, lease: Lease) -> None:
        """Let a dead node's connections out of a room."""
        room = self._rooms[name]
        for id in [id for id in room.members if lease_of(id) == lease]:
            self._let_out(name, id)
        if room.nodes.get(lease.node) == lease.epoch:
            del room.nodes[lease.node]

    def _may_live(self, lease: Lease) -> bool:
        held = self._nodes[lease.node]
        return held.epoch == lease.epoch > held.dead and self._now() <= held.until

    def _check(self, lease: Lease) -> None:
        """Refuse a life that is over; one that is late and was not swept yet goes on."""
        held = self._nodes.get(lease.node, _Node())
        if held.epoch != lease.epoch or held.dead >= lease.epoch:
            raise Fenced(f"got epoch {lease.epoch} of {lease.node}, which is over; begin a new one")

    # --- connections ---

    async def open(self, lease: Lease, user: str, *, device: str = "") -> Connection:
        """Note a new connection of a user."""
        check_user(user), check_device(device)
        connection = Connection(new_connection_id(lease), user, lease.node, device)
        return await self.renew_connection(lease, connection)

    async def renew_connection(self, lease: Lease, connection: Connection) -> Connection:
        """Note that a connection was used."""
        self._check(lease)
        now = self._now()
        held = self._connections.get(connection.id, replace(connection, opened=now))
        self._connections[connection.id] = renewed = replace(held, active=now)
        self._of_user.setdefault(connection.user, {})[connection.id] = renewed
        return renewed

    async def close(self, lease: Lease, connection: Connection) -> None:
        """Forget a connection."""
        if self._connections.pop(connection.id, None) is not None:
            mine = self._of_user[connection.user]
            del mine[connection.id]
            if not mine:
                del self._of_user[connection.user]

    async def connections(self, user: str) -> list[Connection]:
        """Return a user's connections on nodes that live, oldest first."""
        check_user(user)
        found = self._of_user.get(user, {}).values()
        alive = self._alive()
        return [each for each in found if alive.get(each.node) == each.lease.epoch]

    async def user_of(self, connection_id: str) -> str | None:
        """Return whose connection this is."""
        lease = lease_of(connection_id)
        held = self._connections.get(connection_id)
        return held.user if held and self._alive().get(lease.node) == lease.epoch else None

    def _alive(self) -> dict[str, int]:
        """Return the nodes that live, with the epoch of each."""
        return {
            name: held.epoch
            for name, held in self._nodes.items()
            if self._may_live(Lease(name, held.epoch))
        }

    # --- rooms ---

    async def enter(self, lease: Lease, room: str, connection: Connection, known: Position) -> bool:
        """Let a connection into a room; return whether it is its user's first."""
        self._check(lease)
        held = self._room(room)
        held.nodes[lease.node] = lease.epoch
        first = held.enter(connection.id, connection.user)
        if first:
            self._tell(room, Presence(room, connection.user, True, held.presence))
        return first

    async def leave(self, lease: Lease, room: str, connection: Connection) -> bool:
        """Let a connection out of a room; return whether it was its user's last."""
        return self._let_out(room, connection.id)

    def _let_out(self, name: str, id: str) -> bool:
        room = self._room(name)
        user = room.leave(id)
        if user is not None:
            self._tell(name, Presence(name, user, False, room.presence))
        return user is not None

    async def detach(self, lease: Lease, room: str) -> None:
        """The node takes no part in a room any more."""
        held = self._room(room)
        if held.nodes.get(lease.node) == lease.epoch:
            del held.nodes[lease.node]

    async def present(self, room: str) -> Members:
        """Return who is in a room, without those whose nodes have let their leases end."""
        held = self._room(room)
        return Members(live_only(held.members, self._alive(), lease_of), held.presence)

    async def members(self, room: str) -> Members:
        """Return who is in a room as its notices tell it."""
        held = self._room(room)
        members = Members(frozenset(held.users), held.presence)
        await self._told()
        return members

    async def publish(
        self, lease: Lease, room: str, id: str, data: bytes, *, known: Position
    ) -> tuple[Position, bool]:
        """Give a message its place, keep it, send it to all nodes."""
        check_id(id), check_data(data)
        held = self._room(room)
        self._check(lease)
        held.nodes[lease.node] = lease.epoch
        if id in held.known:
            await self._told()
            return Position(held.epoch, held.known[id], id), False
        message = held.add(room, id, data, self.limits)
        self._tell(room, message)
        await self._told()
        return message.position, True

    async def history(self, room: str, after: Position, *, seen: int = 0) -> History:
        """Return what stands behind a place, a page of it."""
        held, limit = self._room(room), self.limits.page
        check_epoch(after)
        entries = held.behind(after)
        page = page_of(held.head, after, seen, entries[:limit], limit)
        await self._told()
        return page

    async def known_ids(self, room: str) -> list[str]:
        """Return the ids by which a resend is recognised, oldest first."""
        known = list(self._room(room).known)
        await self._told()
        return known

    async def heads(self, lease: Lease, rooms: Sequence[str]) -> dict[str, Head | None]:
        """Return the heads of rooms."""
        found: dict[str, Head | None] = {}
        for name in rooms:
            if (room := self._rooms.get(name)) is None:
                found[name] = None
                continue
            registered = room.nodes.get(lease.node) == lease.epoch
            found[name] = Head(room.head, room.presence, registered)
        await self._told()
        return found

    async def correct(self, room: str, known: Position) -> Position:
        """Return the head: this history never loses what a node has seen."""
        head = self._room(room).head
        await self._told()
        return head

    async def subscribe(self, room: str, callback: Callback) -> None:
        """Have a room's notices told from now on."""
        self._callbacks.setdefault(check_room(room), []).append(callback)

    def unsubscribe(self, room: str, callback: Callback) -> None:
        """Have them told no more."""
        callbacks = self._callbacks.get(room, [])
        if callback in callbacks:
            callbacks.remove(callback)

    def _room(self, name: str) -> Room:
        if name not in self._rooms:
            self._rooms[check_room(name)] = Room(new_epoch())
        room = self._rooms[name]
        room.used = self._now()
        return room

    @staticmethod
    async def _told() -> None:
        """Let the notices of what an answer tells come before the answer."""
        await asyncio.sleep(0)

    def _tell(self, room: str, notice: Notice) -> None:
        """Tell all nodes in the loop's next turn, as a server would: never inside of this call."""
        for callback in self._callbacks.get(room, ()):
            asyncio.get_running_loop().call_soon(callback, notice)
