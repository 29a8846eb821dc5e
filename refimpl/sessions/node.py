"""A node: one process of many, its people, the rooms they are in, and its place in the store.

    async with ValkeyStore(url) as store, Node(store, "node-1") as node:
        async with node.connected("ada", websocket, device="laptop") as connection:
            await node.join(connection, "harbour", after=place_of_the_page)
            await node.publish("harbour", "ada:m1", b"ahoy")

A node renews its lease, clears away nodes that died, and compares its rooms with the store each
second, so that a lost *last* message is noticed too. When the store says that its life is over, it
closes its sockets with 1012 and begins a new one. When the store cannot be reached it is degraded:
its sockets stay, nothing can be said, nothing is queued, and everybody is told so.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar, cast

from refimpl.framing import CloseCode
from refimpl.lifecycle import WebSocket, broadcast
from refimpl.sessions.errors import Fenced, SessionsError, StoreUnavailable
from refimpl.sessions.events import Event, StoreState, as_json
from refimpl.sessions.life import Life, keep_doing, when
from refimpl.sessions.local_rooms import LocalRooms, each
from refimpl.sessions.records import START, Connection, Lease, Position
from refimpl.sessions.store import Store

__all__ = ["Metrics", "Node"]

M = TypeVar("M")

COMPARE = 1.0  # seconds

logger = logging.getLogger("refimpl.sessions")


@dataclass(frozen=True, slots=True)
class Metrics:
    """A node's numbers. undone: connections that are closed here and not yet in the store.

    counts, since the node was made: published, delivered, repeated, gaps, filled, resyncs, missing,
    registered, fenced, swept.
    """

    degraded: bool
    epoch: int
    connections: int
    rooms: int
    undone: int
    counts: dict[str, int]


@dataclass(slots=True, eq=False)
class _Seat(Generic[M]):
    """A connection of this node. rooms: those it is in (True), or still has to leave (False).

    lock: what is written about it in the store is written by one task at a time.
    """

    connection: Connection
    member: M
    rooms: dict[str, bool] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Node(Generic[M]):
    """One node. name: its own, the same after a restart.

    deliver: sends a payload to members without waiting. close: begins to close one, with a code and
    a reason. Both are for `WebSocket`s unless given. render: makes a payload of an event, once for
    all members. compare: seconds between two comparisons of all rooms with the store.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        deliver: Callable[[Collection[M], str | bytes], None] | None = None,
        close: Callable[[M, int, str], None] | None = None,
        render: Callable[[Event], str | bytes] = as_json,
        compare: float = COMPARE,
    ) -> None:
        self.store = store
        self.counts: Counter[str] = Counter()
        self._life = Life(
            store,
            name,
            on_over=self._over,
            on_forgotten=self._forgotten,
            on_degraded=lambda degraded: self._tell_everybody(StoreState(degraded)),
        )
        self._deliver = deliver or cast("Callable[[Collection[M], str | bytes], None]", broadcast)
        self._close = close or cast("Callable[[M, int, str], None]", _start_close)
        self._render, self._compare_every = render, compare
        self._seats: dict[str, _Seat[M]] = {}
        self._undone: dict[str, _Seat[M]] = {}
        self._rooms = LocalRooms[M](self._life, tell=self._tell, counts=self.counts)
        self._to_register = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin a life. Raises SessionsError."""
        await self._life.begin()
        self.store.listen(self._life.store_changed)
        create, limits = asyncio.get_running_loop().create_task, self.store.limits
        self._tasks = [
            create(keep_doing(limits.renew, self._life.renew)),
            create(keep_doing(limits.renew / 2, self._life.sweep)),
            create(keep_doing(self._compare_every, self._compare)),
            create(when(self._to_register, limits.renew / 20, self._register)),
            create(when(self._rooms.doubts, limits.renew / 20, self._rooms.check)),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the life in good order; what is still there is cleared away at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._rooms.stop()
        await self._life.end()

    @property
    def name(self) -> str:
        """The node's name."""
        return self._life.name

    @property
    def lease(self) -> Lease | None:
        """The life that the node is in; None between two."""
        return self._life.lease

    @property
    def degraded(self) -> bool:
        """Whether the store is out of reach."""
        return self._life.degraded or self.store.degraded

    @property
    def ready(self) -> bool:
        """Whether new people may come: it lives, the store is there, and every room is heard."""
        return self.lease is not None and not self.degraded and self.store.listening

    def metrics(self) -> Metrics:
        """Return the node's numbers as they are now."""
        epoch = self.lease.epoch if self.lease else 0
        counts = {**self.counts, "fenced": self._life.fenced, "swept": self._life.swept}
        sizes = len(self._seats), len(self._rooms), len(self._undone)
        return Metrics(self.degraded, epoch, *sizes, counts)

    # --- people ---

    @asynccontextmanager
    async def connected(
        self, user: str, member: M, *, device: str = ""
    ) -> AsyncIterator[Connection]:
        """Have a user connected while the block runs. Raises SessionsError: let nobody in then."""
        connection = await self.connect(user, member, device=device)
        try:
            yield connection
        finally:
            await self.disconnect(connection)

    async def connect(self, user: str, member: M, *, device: str = "") -> Connection:
        """Note a connection; `disconnect` must follow. Raises SessionsError."""
        lease = self._life.current()
        opening = asyncio.ensure_future(self.store.open(lease, user, device=device))
        try:
            connection = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._opened_for_nobody)
            raise
        except Fenced:
            await self._life.over(lease)
            raise
        if self.lease != lease:
            raise Fenced("this node began a new life; connect again")
        self._seats[connection.id] = _Seat(connection, member)
        return connection

    def _opened_for_nobody(self, opening: "asyncio.Future[Connection]") -> None:
        if not opening.cancelled() and opening.exception() is None:
            connection = opening.result()
            self._undone[connection.id] = _Seat(connection, cast("M", None))
            self._to_register.set()

    async def disconnect(self, connection: Connection) -> None:
        """Forget a connection, which leaves its rooms. Never raises; what fails is done later."""
        seat = self._seats.pop(connection.id, None)
        if seat is None:
            return  # of a life that is over
        for name in seat.rooms:
            if room := self._rooms.get(name):
                room.dismiss(seat.member)
        self._undone[connection.id] = seat
        await asyncio.shield(asyncio.ensure_future(self._undo(seat)))

    async def _undo(self, seat: _Seat[M]) -> None:
        """Take a closed connection out of the store; what fails is tried when it is back."""
        connection = seat.connection
        try:
            async with seat.lock:
                for name in list(seat.rooms):
                    await self._leave(seat, name)
                await self.store.close(connection.lease, connection)
        except StoreUnavailable:
            if self.lease == connection.lease:
                return
        except SessionsError:
            logger.exception("a connection could not be taken out of the store")
        self._undone.pop(connection.id, None)

    # --- rooms ---

    async def join(self, connection: Connection, room: str, *, after: Position = START) -> None:
        """Let a connection into a room, and tell it what stands behind its place there.

        Raises SessionsError, and then it is not in the room.
        """
        seat = self._seats.get(connection.id)
        if seat is None:
            raise Fenced("this connection is of a life that is over; connect again")
        try:
            async with seat.lock:
                await self._join(seat, room, after)
        except BaseException as error:
            await self._join_failed(seat, room, error)
            raise

    async def _join(self, seat: _Seat[M], room: str, after: Position) -> None:
        connection, local = seat.connection, await self._rooms.attached(room)
        local.admit(seat.member)
        seat.rooms[room] = True
        await self.store.enter(connection.lease, room, connection, local.position)
        await local.welcome(seat.member, after)
        here = self._seats.get(connection.id) is seat and self._rooms.get(room) is local
        if not here:
            raise Fenced("this connection is over, or its node's life is; connect again")

    async def _join_failed(self, seat: _Seat[M], room: str, error: BaseException) -> None:
        """Take back what may have been done; the rest is done by `_register`."""
        if room in seat.rooms:
            seat.rooms[room] = False
            self._to_register.set()
        if local := self._rooms.get(room):
            local.dismiss(seat.member)
        if isinstance(error, Fenced) and self._seats.get(seat.connection.id) is seat:
            await self._life.over(seat.connection.lease)

    async def leave(self, connection: Connection, room: str) -> None:
        """Let a connection out of a room. It is told no more; what fails is done later."""
        seat = self._seats.get(connection.id)
        if seat is None or room not in seat.rooms:
            return
        if local := self._rooms.get(room):
            local.dismiss(seat.member)
        seat.rooms[room] = False
        try:
            async with seat.lock:
                if seat.rooms.get(room) is False:
                    await self._leave(seat, room)
        except StoreUnavailable:
            self._to_register.set()
        except BaseException:
            self._to_register.set()
            raise

    async def _leave(self, seat: _Seat[M], room: str) -> None:
        await self.store.leave(seat.connection.lease, room, seat.connection)
        seat.rooms.pop(room, None)
        await self._rooms.let_go(room)

    async def publish(self, room: str, id: str, data: bytes) -> tuple[Position, bool]:
        """Publish a message; return its place, and whether it is new. Raises SessionsError.

        id: unique in the room, so begin it with the sender's user id. After StoreUnavailable ask
        again with the same id: it is not published twice.
        """
        lease = self._life.current()
        local = self._rooms.get(room)
        try:
            known = local.position if local else START
            answer = await self.store.publish(lease, room, id, data, known=known)
        except Fenced:
            await self._life.over(lease)
            raise
        self.counts["published"] += 1
        return answer

    def _tell(self, members: Collection[M], event: Event) -> None:
        self._deliver(members, self._render(event))
        self.counts["delivered"] += len(members)

    def _tell_everybody(self, event: Event) -> None:
        self._tell([seat.member for seat in self._seats.values()], event)

    # --- what is done for ever ---

    def _over(self) -> None:
        """A life is over: close its sockets and forget its rooms."""
        seats, self._seats = self._seats, {}
        self._undone.clear()
        self._rooms.clear()
        for seat in seats.values():
            try:
                self._close(seat.member, CloseCode.SERVICE_RESTART, "this node starts anew")
            except Exception:
                logger.exception("a connection could not be closed")

    def _forgotten(self) -> None:
        self._to_register.set()

    async def _compare(self) -> None:
        """Compare all rooms with the store."""
        if not await self._rooms.compare():
            self._forgotten()

    async def _register(self) -> None:
        """Write again all that this node holds: the store may have forgotten it."""
        await each(self._undone.values(), self._undo)
        await each(self._seats.values(), self._register_seat)
        self.counts["registered"] += 1
        self._rooms.suspect_all()

    async def _register_seat(self, seat: _Seat[M]) -> None:
        connection = seat.connection
        try:
            async with seat.lock:
                if self._seats.get(connection.id) is not seat:
                    return
                await self.store.renew_connection(connection.lease, connection)
                for name, inside in list(seat.rooms.items()):
                    if not inside:
                        await self._leave(seat, name)
                    elif room := self._rooms.get(name):
                        await self.store.enter(connection.lease, name, connection, room.position)
        except Fenced:
            await self._life.over(connection.lease)


def _start_close(connection: WebSocket, code: int, reason: str) -> None:
    connection.start_close(code, reason)
