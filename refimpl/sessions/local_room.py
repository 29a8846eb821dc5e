"""One room as one node has it: its feed, who is in it, and those of its members that are here.

Whatever is told is told to all members at once, serialised once. A member that is still reading the
history does not miss what comes meanwhile: it waits in a list of its own, and what stands in both
is told once.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from refimpl.sessions.errors import StoreUnavailable
from refimpl.sessions.events import Event, Joined, Resync
from refimpl.sessions.feed import Feed, Verdict
from refimpl.sessions.records import (
    START,
    History,
    Members,
    Message,
    Notice,
    Position,
    Presence,
)
from refimpl.sessions.store import Head, Store

__all__ = ["LocalRoom"]

M = TypeVar("M")

MOST_MEANWHILE = 1000  # events for one member that is still reading the history


class LocalRoom(Generic[M]):
    """A room on a node. tell: takes members and what they are told; check: wants `check` called."""

    def __init__(
        self,
        name: str,
        store: Store,
        *,
        tell: Callable[[Collection[M], Event], None],
        on_doubt: Callable[["LocalRoom[M]"], None],
        counts: Counter[str],
    ) -> None:
        self.name = name
        self.members: dict[M, None] = {}
        self.doubt = False
        self._store, self._tell, self._on_doubt = store, tell, on_doubt
        self._counts = counts
        self._joining: dict[M, list[Event]] = {}
        self._feed = Feed(START, remember=store.limits.remember)
        self._users: frozenset[str] = frozenset()
        self._version = 0
        self._presence_doubt = False
        self._hold_until = 0.0

    @property
    def position(self) -> Position:
        """Up to where this node has the room's messages."""
        return self._feed.position

    @property
    def empty(self) -> bool:
        """Whether no member is here, or about to come."""
        return not self.members and not self._joining

    async def attach(self) -> None:
        """Listen to the room, and learn where it stands. Raises SessionsError."""
        store = self._store
        await store.subscribe(self.name, self.take)
        ids = await store.known_ids(self.name)  # before the head: none of them is behind it
        head = await store.correct(self.name, START)
        self._feed = Feed(head, ids, remember=store.limits.remember)
        members = await store.members(self.name)
        self._users, self._version = members.users, members.version
        self.doubt = self._presence_doubt = True  # what came while this was under way
        self._on_doubt(self)

    def detach(self) -> None:
        """Listen no more."""
        self._store.unsubscribe(self.name, self.take)

    # --- what comes ---

    def take(self, notice: Notice) -> None:
        """Take a notice: pass it on if it is the next, look into it if it is not."""
        match notice:
            case Message():
                verdict = self._feed.take(notice)
                if verdict is Verdict.NEXT:
                    self._emit(notice)
                elif verdict is Verdict.REPEATED:
                    self._counts["repeated"] += 1
                else:
                    self._counts["gaps"] += 1
                    self.suspect()
            case Presence(_, user, here, version):
                if version == self._version + 1 and not self._held():
                    self._version = version
                    self._change({user} if here else set(), set() if here else {user})
                elif version > self._version:
                    self._presence_doubt = True
                    self.suspect()
            case _:
                self._presence_doubt = True
                self.suspect()

    def compare(self, head: Head, seen: Position, version: int) -> None:
        """Compare with the room's head. seen, version: ours when it was asked for."""
        if self._feed.is_behind(head.position, seen):
            self.suspect()
        if head.presence > self._version or head.presence < version:
            self._presence_doubt = True
            self.suspect()

    @property
    def version(self) -> int:
        """The version of the presence that is known here."""
        return self._version

    def suspect(self) -> None:
        """Have the room compared with the store."""
        self.doubt = True
        self._on_doubt(self)

    async def check(self) -> None:
        """Fill what is missing from the store, and tell what cannot be filled."""
        while self.doubt:
            self.doubt = False
            seen = self.position
            head = await self._store.correct(self.name, seen)
            if head.epoch != seen.epoch:
                self._hold_presence(0)
            if self._feed.is_behind(head, seen):
                await self._fill()
            if self._presence_doubt and not self._held():
                self._presence_doubt = False
                version = self._version
                members = await self._store.members(self.name)
                self._take_members(members, version)

    async def _fill(self) -> None:
        more, seen = True, self.position.number
        while more:
            before = self.position
            history = await self._store.history(self.name, before, seen=seen)
            if self.position != before:
                continue  # the next message came meanwhile
            more = history.more
            if history.missing or history.epoch != before.epoch:
                self._counts["resyncs"] += 1
                self._counts["missing"] += history.missing
                self._emit(Resync(self.name, history.position, history.missing))
            for message in self._feed.fill(history):
                self._counts["filled"] += 1
                self._emit(message)

    def _hold_presence(self, version: int) -> None:
        """Leave presence as it is for a while: the store has forgotten, and counts anew.

        The other nodes get the time in which they register their people again, before anybody is
        told to have left.
        """
        loop = asyncio.get_running_loop()
        self._version = version
        self._presence_doubt = True
        self._hold_until = loop.time() + self._store.limits.renew
        loop.call_at(self._hold_until + 0.001, self.suspect)

    def _held(self) -> bool:
        return asyncio.get_running_loop().time() < self._hold_until

    def _take_members(self, members: Members, seen: int) -> None:
        """Take who is in the room from the store, and tell the difference.

        seen: our version when they were asked for. Where newer notices came meanwhile it is asked
        for again.
        """
        if seen <= members.version < self._version:
            self._presence_doubt = self.doubt = True
            return
        if members.version < seen:
            self._hold_presence(members.version)
            return
        self._version = members.version
        self._change(set(members.users - self._users), set(self._users - members.users))

    def _change(self, came: set[str], left: set[str]) -> None:
        """Tell who came and who left, as far as it is news here."""
        for user in sorted(came - self._users):
            self._emit(Presence(self.name, user, True, self._version))
        for user in sorted(left & self._users):
            self._emit(Presence(self.name, user, False, self._version))
        self._users = frozenset((self._users | came) - left)

    def _emit(self, event: Event) -> None:
        """Tell all members."""
        if self.members:
            self._tell(self.members, event)
        if not isinstance(event, Presence):  # who is here is told in `Joined`, as it is by then
            for meanwhile in self._joining.values():
                if len(meanwhile) <= MOST_MEANWHILE:
                    meanwhile.append(event)

    # --- who comes and goes ---

    def admit(self, member: M) -> None:
        """Keep for a member what comes from now on, until `welcome`."""
        self.members.pop(member, None)
        self._joining.setdefault(member, [])

    def dismiss(self, member: M) -> None:
        """Forget a member."""
        self.members.pop(member, None)
        self._joining.pop(member, None)

    async def welcome(self, member: M, after: Position) -> None:
        """Tell a member what stands behind its place, and what came meanwhile, each once.

        Raises StoreUnavailable where so much came meanwhile that it would have to begin again.
        """
        pages = [await self._store.history(self.name, after)]
        while pages[-1].more:
            place = pages[-1].position
            pages.append(await self._store.history(self.name, place, seen=after.number))
        meanwhile = self._joining.pop(member, None)
        if meanwhile is None:
            return  # it left again
        if len(meanwhile) > MOST_MEANWHILE:
            raise StoreUnavailable("the room is faster than its history is read; join again")
        messages = [message for page in pages for message in page.messages]
        self._tell([member], self._joined(pages, len(messages)))
        told = {message.id for message in messages}
        for event in (*messages, *(each for each in meanwhile if _is_news(each, told))):
            self._tell([member], event)
        self.members[member] = None

    def _joined(self, pages: list[History], messages: int) -> Joined:
        missing = sum(page.missing for page in pages)
        position = pages[-1].position
        return Joined(self.name, position, missing, messages, tuple(sorted(self._users)))


def _is_news(event: Event, told: set[str]) -> bool:
    """Whether an event is no message that was told."""
    return not isinstance(event, Message) or event.id not in told
