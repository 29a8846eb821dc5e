"""A store in Valkey 9 or Redis 7, one server or a cluster: what many nodes have in common.

Keys of one room, of one user, of one node have the same part in braces, so they live in one slot
and one script changes them in one step:

    {node:N}          hash: epoch, until (its lease), dead (the last life that is over), suspect
    {node:N}:E        hash: what life E of node N holds, noted before it is written elsewhere
    {user:U}          hash: connection id -> JSON {v, opened, active, device}
    {room:R}          hash: v, epoch, number, id (of the last message), presence, n:NODE -> epoch
    {room:R}:stream   the messages, each under its number
    {room:R}:ids      sorted set: message id -> number, by which a resend is recognised
    {room:R}:members  hash: connection id -> user        {room:R}:users   hash: user -> how many
    ...:dead          hash: node -> the life that this room or user was cleared of
    {nodes}           set: "NODE EPOCH" of each life that was not cleared away yet

What crosses slots is never one step: a node's death is cleared away by a sweep that anybody can
start, stop, and start again. No token and no password stands in any of it.
"""

from collections.abc import Sequence
from typing import Self

from refimpl.sessions.errors import StoreUnavailable
from refimpl.sessions.records import (
    Connection,
    History,
    Lease,
    Members,
    Position,
    check_data,
    check_device,
    check_epoch,
    check_id,
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
from refimpl.sessions.valkey.answers import (
    connections_of,
    entries_of,
    head_of,
    members_of,
    number_of,
    place_of,
    reading,
)
from refimpl.sessions.valkey.calls import Calls
from refimpl.sessions.valkey.keys import (
    held_key,
    ms,
    notice_of,
    room_keys,
    user_keys,
)
from refimpl.sessions.valkey.leases import Leases
from refimpl.sessions.valkey.subscriptions import Listener as Taker

__all__ = ["ValkeyStore"]

MOST_WAITING = 10_000


class ValkeyStore:
    """Who is connected where, and what was said, in Valkey.

        async with ValkeyStore("redis://127.0.0.1:6379") as store: ...

    prefix: of all keys. timeout: seconds of one operation, and after which a server that does not
    answer is out of reach. most_waiting: commands without an answer. replicas: how many must have a
    message before `publish` returns (WAIT); 0 is faster, and a failover may lose the last ones.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: Limits | None = None,
        prefix: str = "refimpl:",
        timeout: float = 2.0,
        most_waiting: int = MOST_WAITING,
        replicas: int = 0,
    ) -> None:
        self.limits = limits or Limits()
        self._prefix, self._timeout, self._replicas = prefix, timeout, replicas
        self._calls = Calls(url, timeout=timeout, most=most_waiting)
        self._leases = Leases(self._calls, prefix, self.limits)
        self._takers: dict[tuple[str, Callback], Taker] = {}

    async def __aenter__(self) -> Self:
        await self._calls.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close_store()

    async def close_store(self) -> None:
        """End all connections to the store."""
        await self._calls.stop()

    @property
    def degraded(self) -> bool:
        """Whether the store, or one server of a cluster, is out of reach."""
        return self._calls.router.degraded

    @property
    def listening(self) -> bool:
        """Whether every subscription stands; while one does not, its notices come late."""
        return self._calls.subscriptions.stand()

    def listen(self, listener: Listener) -> None:
        """Have changes of `degraded` told, and each return of the store."""
        self._calls.listeners.append(listener)

    # --- nodes ---

    async def begin(self, node: str, *, after: int = 0) -> Lease:
        """Start a life of a node."""
        return await self._leases.begin(node, after=after)

    async def renew(self, lease: Lease) -> bool:
        """Live on; False where the store had forgotten the node. Raises Fenced."""
        return await self._leases.renew(lease)

    async def retire(self, lease: Lease) -> None:
        """End a life in good order."""
        await self._leases.retire(lease)

    async def sweep(self, *, every: float = 0.0) -> int:
        """Remove what dead nodes left behind; return how many were cleared away."""
        return await self._leases.sweep(every=every)

    # --- connections ---

    async def open(self, lease: Lease, user: str, *, device: str = "") -> Connection:
        """Note a new connection of a user."""
        check_user(user)
        check_device(device)
        connection = Connection(new_connection_id(lease), user, lease.node, device)
        return await self.renew_connection(lease, connection)

    async def renew_connection(self, lease: Lease, connection: Connection) -> Connection:
        """Note that a connection was used; write it again where the store has forgotten it."""
        user, id, device = connection.user, connection.id, connection.device
        await self._leases.note(lease, f"c:{id}", user)
        keys = user_keys(self._prefix, user)
        answer = await self._calls.run("open", keys, lease.node, str(lease.epoch), id, device)
        with reading():
            opened, active = answer
            return Connection(id, user, lease.node, device, opened / 1000, active / 1000)

    async def close(self, lease: Lease, connection: Connection) -> None:
        """Forget a connection."""
        field = f"c:{connection.id}"
        key = user_keys(self._prefix, connection.user)[0]
        await self._calls.command("HDEL", key, connection.id)
        await self._leases.forget(lease, field)

    async def connections(self, user: str) -> list[Connection]:
        """Return a user's connections on nodes that live, oldest first."""
        key = user_keys(self._prefix, check_user(user))[0]
        found = connections_of(user, await self._calls.command("HGETALL", key))
        alive = await self._leases.living({each.node for each in found})
        return [each for each in found if alive[each.node] == each.lease.epoch]

    async def user_of(self, connection_id: str) -> str | None:
        """Return whose connection this is."""
        lease = lease_of(connection_id)
        key = held_key(self._prefix, lease)
        user = await self._calls.command("HGET", key, f"c:{connection_id}")
        if user is None or (await self._leases.living({lease.node}))[lease.node] != lease.epoch:
            return None
        with reading():
            return str(user.decode())

    # --- rooms ---

    async def enter(self, lease: Lease, room: str, connection: Connection, known: Position) -> bool:
        """Let a connection into a room; return whether it is its user's first."""
        answer = await self._enter(lease, room, known, connection.id, connection.user)
        with reading():
            return bool(answer[0])

    async def _enter(self, lease: Lease, room: str, known: Position, *who: str) -> list[object]:
        """Have the node take part in a room, with a connection or none."""
        keys = room_keys(self._prefix, room)
        await self._leases.note(lease, f"r:{room}")
        answer = await self._calls.run(
            "enter",
            keys[:6],
            lease.node,
            str(lease.epoch),
            known.epoch,
            str(known.number),
            new_epoch(),
            keys.channel,
            *who,
        )
        with reading():
            return list(answer)

    async def leave(self, lease: Lease, room: str, connection: Connection) -> bool:
        """Let a connection out of a room; return whether it was its user's last."""
        return bool(await self._leave(lease, room, connection.id))

    async def detach(self, lease: Lease, room: str) -> None:
        """The node takes no part in a room any more."""
        field = f"r:{check_room(room)}"
        await self._leave(lease, room)
        await self._leases.forget(lease, field)

    async def _leave(self, lease: Lease, room: str, *connection: str) -> int:
        keys = room_keys(self._prefix, room)
        node = lease.node, str(lease.epoch)
        idle = ms(self.limits.idle_room)
        return number_of(
            await self._calls.run("leave", keys[:5], *node, keys.channel, idle, *connection)
        )

    async def present(self, room: str) -> Members:
        """Return who is in a room, without those whose nodes have let their leases end."""
        version, members = await self._members(room)
        with reading():
            nodes = {lease_of(connection).node for connection in members}
        return Members(live_only(members, await self._leases.living(nodes), lease_of), version)

    async def members(self, room: str) -> Members:
        """Return who is in a room as its notices tell it."""
        version, members = await self._members(room)
        return Members(frozenset(members.values()), version)

    async def _members(self, room: str) -> tuple[int, dict[str, str]]:
        keys = room_keys(self._prefix, room)
        return members_of(await self._calls.run("present", [keys.meta, keys.members]))

    async def publish(
        self, lease: Lease, room: str, id: str, data: bytes, *, known: Position
    ) -> tuple[Position, bool]:
        """Give a message its place, keep it, send it to all nodes; return the place."""
        keys, limits = room_keys(self._prefix, room), self.limits
        check_id(id)
        check_data(data)
        words = (
            lease.node,
            str(lease.epoch),
            known.epoch,
            str(known.number),
            keys.channel,
            id,
            data,
            str(limits.keep),
            str(limits.remember),
        )
        answer = await self._calls.run("publish", keys[:3], *words)
        if answer == b"UNKNOWN":
            self._leases.doubt(lease, f"r:{room}")
            await self._enter(lease, room, known)
            answer = await self._calls.run("publish", keys[:3], *words)
        place, new = place_of(answer, id)
        if self._replicas:
            await self._wait_for_replicas(keys.meta)
        return place, new

    async def _wait_for_replicas(self, key: bytes) -> None:
        """Wait until replicas have what was written. Raises StoreUnavailable: publish again."""
        words = ("WAIT", str(self._replicas), ms(self._timeout / 2))
        copies = number_of(await self._calls.router.ask(key, *words))
        if copies < self._replicas:
            message = (
                f"{copies} replicas have the message, expected {self._replicas}; publish again"
            )
            raise StoreUnavailable(message)

    async def history(self, room: str, after: Position, *, seen: int = 0) -> History:
        """Return what stands behind a place, a page of it."""
        keys, limit = room_keys(self._prefix, room), self.limits.page
        check_epoch(after)
        place = after.epoch, str(after.number), after.id
        answer = await self._calls.run("history", keys[:2], *place, str(limit))
        head, entries = entries_of(room, answer)
        return page_of(head, after, seen, entries, limit)

    async def known_ids(self, room: str) -> list[str]:
        """Return the ids by which a resend is recognised, oldest first."""
        found = await self._calls.command("ZRANGE", room_keys(self._prefix, room).ids, "0", "-1")
        with reading():
            return [id.decode() for id in found]

    async def heads(self, lease: Lease, rooms: Sequence[str]) -> dict[str, Head | None]:
        """Return the heads of rooms; None for one that the store does not know."""
        fields = ("epoch", "number", "id", "presence", f"n:{lease.node}")

        async def head(room: str) -> Head | None:
            meta = room_keys(self._prefix, room).meta
            return head_of(await self._calls.command("HMGET", meta, *fields), lease)

        async def reachable(room: str) -> tuple[str, Head | None] | None:
            try:
                return room, await head(room)
            except StoreUnavailable:
                return None

        return dict(filter(None, await self._calls.all(reachable, rooms)))

    async def correct(self, room: str, known: Position) -> Position:
        """Tell the store what this node has seen; a history that lacks it gets a new epoch."""
        keys, place = room_keys(self._prefix, room), (known.epoch, str(known.number), known.id)
        answer = await self._calls.run("correct", keys[:3], *place, new_epoch(), keys.channel)
        with reading():
            epoch, number, id = answer
            return Position(epoch.decode(), int(number), id.decode())

    async def subscribe(self, room: str, callback: Callback) -> None:
        """Have a room's notices told from now on."""
        channel = room_keys(self._prefix, room).channel

        def take(payload: bytes | None) -> None:
            if (notice := notice_of(room, payload)) is not None:
                callback(notice)

        await self._calls.subscriptions.add(channel, take)
        self._takers[room, callback] = take

    def unsubscribe(self, room: str, callback: Callback) -> None:
        """Have them told no more."""
        if take := self._takers.pop((room, callback), None):
            self._calls.subscriptions.remove(room_keys(self._prefix, room).channel, take)
