"""The rooms that a node has members in: begun by the first, let go by the last, kept whole between.

Beginning and letting go of one room never overlap: whoever comes while the last one leaves waits a
moment, and then begins it anew.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Generic, TypeVar

from refimpl.sessions.errors import Fenced
from refimpl.sessions.events import Event
from refimpl.sessions.life import Life
from refimpl.sessions.local_room import LocalRoom

__all__ = ["LocalRooms", "each"]

M = TypeVar("M")
T = TypeVar("T")

AT_ONCE = 100  # calls to the store that a node has under way for itself


class LocalRooms(Generic[M]):
    """The rooms of a node. tell: takes members and what they are told; doubts: set while `check`
    has something to do."""

    def __init__(
        self, life: Life, *, tell: Callable[[Collection[M], Event], None], counts: Counter[str]
    ) -> None:
        self.doubts = asyncio.Event()
        self._life, self._store = life, life.store
        self._tell, self._counts = tell, counts
        self._rooms: dict[str, LocalRoom[M]] = {}
        self._attaching: dict[str, asyncio.Task[None]] = {}
        self._detaching: dict[str, asyncio.Task[None]] = {}
        self._doubtful: dict[LocalRoom[M], None] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, name: str) -> LocalRoom[M] | None:
        """Return a room that this node listens to."""
        return self._rooms.get(name)

    async def attached(self, name: str) -> LocalRoom[M]:
        """Return a room, listened to; whoever comes first does it for all. Raises SessionsError."""
        while True:
            if detaching := self._detaching.get(name):
                await asyncio.wait([detaching])
            elif attaching := self._attaching.get(name):
                await asyncio.shield(attaching)
            elif local := self._rooms.get(name):
                return local
            else:
                await self._change(self._attaching, name, self._attach)

    async def let_go(self, name: str) -> None:
        """Listen no more to a room, if nobody is in it here. Raises SessionsError."""
        local = self._rooms.get(name)
        if detaching := self._detaching.get(name):
            await asyncio.wait([detaching])
        elif local and local.empty:
            await self._change(self._detaching, name, self._detach)

    def clear(self) -> None:
        """Listen to nothing more; the store is not told."""
        rooms, self._rooms = self._rooms, {}
        self._doubtful.clear()
        for room in rooms.values():
            room.detach()

    async def stop(self) -> None:
        """End what is under way, and listen to nothing more."""
        changing = [*self._attaching.values(), *self._detaching.values()]
        for task in changing:
            task.cancel()
        await asyncio.gather(*changing, return_exceptions=True)
        self.clear()

    async def _change(
        self,
        changing: dict[str, asyncio.Task[None]],
        name: str,
        work: Callable[[str], Awaitable[None]],
    ) -> None:
        """Begin a room or let it go; that goes on where its caller is cancelled."""

        async def change() -> None:
            try:
                await work(name)
            finally:
                changing.pop(name, None)

        task = asyncio.get_running_loop().create_task(change())
        if not task.done():  # a task may begin at once, and end
            changing[name] = task
        task.add_done_callback(
            lambda task: task.cancelled() or task.exception()
        )  # seen by somebody
        await asyncio.shield(task)

    async def _attach(self, name: str) -> None:
        lease = self._life.current()
        local = LocalRoom(
            name, self._store, tell=self._tell, on_doubt=self._doubt, counts=self._counts
        )
        try:
            await local.attach()
            if self._life.lease != lease:
                raise Fenced("this node began a new life; connect again")
        except BaseException:
            local.detach()
            raise
        self._rooms[name] = local

    async def _detach(self, name: str) -> None:
        local, lease = self._rooms.pop(name, None), self._life.lease
        if local and lease:
            local.detach()
            await self._store.detach(lease, name)

    # --- keeping them whole ---

    def suspect_all(self) -> None:
        """Have all rooms compared with the store, one by one."""
        for room in list(self._rooms.values()):
            room.suspect()

    def _doubt(self, room: LocalRoom[M]) -> None:
        self._doubtful[room] = None
        self.doubts.set()

    async def check(self) -> None:
        """Look into the rooms about which there are doubts. Raises SessionsError: do it again."""
        rooms, self._doubtful = self._doubtful, {}
        mine = [room for room in rooms if self._rooms.get(room.name) is room]
        try:
            await each(mine, LocalRoom.check)
        except BaseException:
            for room in mine:
                room.suspect()
            raise

    async def compare(self) -> bool:
        """Compare all rooms with the store; return whether it knows that we are in them.

        Behind a lost last message there is no next one to tell of it. Raises SessionsError.
        """
        # Whoever began a room may have been cancelled meanwhile: then nobody is in it.
        await each([name for name, room in self._rooms.items() if room.empty], self.let_go)
        lease, rooms = self._life.lease, list(self._rooms.values())
        if lease is None or not rooms:
            return True
        seen = [(room.position, room.version) for room in rooms]
        heads = await self._store.heads(lease, [room.name for room in rooms])
        known = True
        for room, (position, version) in zip(rooms, seen, strict=True):
            if room.name not in heads or self._rooms.get(room.name) is not room:
                continue
            head = heads[room.name]
            known = known and head is not None and (head.registered or room.empty)
            if head is not None:
                room.compare(head, position, version)
        return known


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do work for many, a bounded number at a time; for all of them, before a failure is raised."""
    waiting, failures = list(items), []
    for start in range(0, len(waiting), AT_ONCE):
        some = waiting[start : start + AT_ONCE]
        results = await asyncio.gather(*map(work, some), return_exceptions=True)
        failures += [result for result in results if isinstance(result, BaseException)]
    if failures:
        raise failures[0]
