"""Who is where: the rooms, the visitors in them, and what each of them hears.

A visitor is one connection, a tab of a browser. A user is present in a room while at least one of
their tabs is, on any node: others hear of the first that comes and of the last that goes. Who is
not in a room hears only that something was said there, and counts it.

History and presence are `refimpl.sessions`: a lobby is one `Node` of one or many. What a message
costs here is one dictionary entry for each who hears it: JSON is made once.
"""

import asyncio
import json
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from refimpl.auth.expiry import TOKEN_OVER
from refimpl.auth.tokens import Claims
from refimpl.chat.messages import (
    BadMessage,
    Join,
    Line,
    Say,
    Unavailable,
    activity,
    joined,
    line_of,
    said,
)
from refimpl.chat.rooms import Room, Said, described, message_id, newest, user_of
from refimpl.chat.sessions import SignedOut
from refimpl.chat.visitor import Visitor
from refimpl.middleware.context import User
from refimpl.sessions import (
    START,
    Joined,
    MemoryStore,
    Message,
    Node,
    Notice,
    Position,
    Presence,
    SessionsError,
    Store,
    StoreUnavailable,
)
from refimpl.sessions.errors import Degraded
from refimpl.sessions.life import keep_doing

__all__ = ["Lobby"]

SIGNED_OUT = (TOKEN_OVER, "signed out")
KEEP_SIZE = 64 * 1024
CATCH_UP = 0.5  # seconds between two looks at who signed out on other nodes

logger = logging.getLogger("refimpl.chat")


@dataclass(slots=True, eq=False)
class Joining:
    """A visitor on its way into a room, from its place there. size: characters of the answer."""

    visitor: Visitor
    after: Position
    joined: Joined | None = None
    messages: list[Message] = field(default_factory=list)
    size: int = 0


class Lobby:
    """All rooms of the house, and everybody in them here; `async with` while it is open.

    store: what this node has in common with others. node: its name, "" for one of its own making.
    name_of: a user's name by id. signed_out: the sessions that are over already. keep_size:
    characters of the messages in the answer to a join: whoever comes must be able to take them at
    once. now: Unix seconds, for people to read.
    """

    def __init__(
        self,
        rooms: Iterable[Room],
        *,
        store: Store | None = None,
        node: str = "",
        name_of: Callable[[str], str] = str,
        signed_out: SignedOut | None = None,
        keep_size: int = KEEP_SIZE,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.rooms = {room.id: room for room in rooms}
        self.store = store if store is not None else MemoryStore()
        self.node = Node[Visitor](
            self.store,
            node or f"node-{secrets.token_hex(4)}",
            deliver=self._deliver,
            close=Visitor.hang_up,
            render=lambda event: line_of(event, name_of),
        )
        self.signed_out = signed_out if signed_out is not None else SignedOut(now=now)
        self.now = now
        self._name_of = name_of
        self._keep_size = keep_size
        self._listening: dict[Visitor, None] = {}
        self._sessions: dict[str, dict[Visitor, None]] = {}
        self._tabs: Counter[str] = Counter()
        self._joining: dict[Visitor, Joining] = {}
        self._answering: Joining | None = None
        self._people: dict[str, tuple[tuple[str, ...], str]] = {}
        self._watch: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return self._tabs.total()

    async def __aenter__(self) -> Self:
        """Begin to listen to all rooms. Raises SessionsError."""
        await self.node.__aenter__()
        try:
            for name in self.rooms:
                await self.store.subscribe(name, self._noticed)
        except BaseException:
            await self.__aexit__()
            raise
        self.signed_out.listeners.append(self._session_ended)
        watching = keep_doing(CATCH_UP, self.signed_out.catch_up)
        self._watch = asyncio.get_running_loop().create_task(watching)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more; whoever is still here on this node has left all rooms."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self.signed_out.listeners.remove(self._session_ended)
            self._watch = None
        for name in self.rooms:
            self.store.unsubscribe(name, self._noticed)
        await self.node.__aexit__()

    # --- who comes and goes ---

    def tabs(self, user: User) -> int:
        """Return how many connections a user has on this node."""
        return self._tabs[user.id]

    def enter(self, visitor: Visitor) -> None:
        """Note a connection; it is in no room yet, and out again where its session is over."""
        self._sessions.setdefault(visitor.claims.token_id, {})[visitor] = None
        self._tabs[visitor.user.id] += 1
        if visitor.claims in self.signed_out:
            visitor.hang_up(*SIGNED_OUT)

    async def connect(self, visitor: Visitor) -> None:
        """Tell all nodes of a connection; `disconnect` must follow. Raises SessionsError."""
        visitor.connection = await self.node.connect(visitor.user.id, visitor)

    async def heads(self) -> list[tuple[Room, Position]]:
        """Return the rooms with the place of the last message in each. Raises SessionsError."""
        lease = self.node.lease
        if lease is None:
            raise Degraded("this node has no place in the store now; ask again later")
        found = await self.store.heads(lease, list(self.rooms))
        heads = ((room, found[name]) for name, room in self.rooms.items())
        return [(room, head.position if head else START) for room, head in heads]

    def listen(self, visitor: Visitor) -> None:
        """Tell a visitor from now on when something is said in a room that it is not in."""
        self._listening[visitor] = None

    def leave(self, visitor: Visitor) -> None:
        """Forget a connection of this node."""
        session = self._sessions.get(visitor.claims.token_id, {})
        if visitor not in session:
            return
        del session[visitor]
        if not session:
            del self._sessions[visitor.claims.token_id]
        self._tabs[visitor.user.id] -= 1
        if not self._tabs[visitor.user.id]:
            del self._tabs[visitor.user.id]
        self._listening.pop(visitor, None)
        visitor.rooms.clear()

    async def disconnect(self, visitor: Visitor) -> None:
        """Have it leave its rooms on all nodes, which are told where it was its user's last."""
        connection, visitor.connection = visitor.connection, None
        if connection is not None:
            await self.node.disconnect(connection)

    async def sign_out(self, claims: Claims) -> int:
        """End a session: close its connections, and let no cookie or ticket of it in any more.

        Returns how many connections were open here. Raises SessionsError, and then it goes on.
        """
        count = len(self._sessions.get(claims.token_id, ()))
        await self.signed_out.end(claims)
        return count

    def _session_ended(self, claims: Claims) -> None:
        for visitor in list(self._sessions.get(claims.token_id, ())):
            visitor.hang_up(*SIGNED_OUT)

    # --- what visitors do ---

    async def join(self, visitor: Visitor, request: Join) -> int:
        """Let a visitor into a room and tell what was missed; in it already, just tell.

        Returns how many characters that took. Raises BadMessage.
        """
        room = self._room(request.room)
        if visitor.connection is None:
            raise Unavailable("this connection is closing")
        joining = self._joining[visitor] = Joining(visitor, request.position)
        try:
            with reaching():
                await self.node.join(visitor.connection, room.id, after=joining.after)
        finally:
            del self._joining[visitor]
        visitor.rooms.add(room.id)
        return joining.size

    async def say(self, visitor: Visitor, request: Say) -> None:
        """Tell everybody in a room; a message that came before, only its sender. Raises BadMessage.

        While the store is out of reach nothing is said, and nothing waits here.
        """
        room = self._room(request.room, request.id)
        if room.id not in visitor.rooms:
            raise BadMessage("not-in-room", "join the room before you say something", request.id)
        user = visitor.user
        data = Said(request.id, user.id, user.name, request.text, self.now()).as_bytes()
        id = message_id(user.id, request.id)
        with reaching(request.id):
            place, is_new = await self.node.publish(room.id, id, data)
            if not is_new:
                visitor.tell(said(await self._said_before(room, place, id, data)))

    async def _said_before(self, room: Room, place: Position, id: str, data: bytes) -> Message:
        """Return a message that was said before; one no longer kept, with the words of now."""
        before = Position(place.epoch, max(0, place.number - 1))
        history = await self.store.history(room.id, before)
        again = Message(room.id, place.number, place.epoch, id, data)
        return next((each for each in history.messages if each.id == id), again)

    async def people(self, room: str) -> list[dict[str, str]]:
        """Return who is in a room, on all nodes, each user once, by name."""
        return self._described((await self.store.present(room)).users)

    def _room(self, name: str, reply_to: str = "") -> Room:
        room = self.rooms.get(name)
        if room is None:
            raise BadMessage("unknown-room", "there is no such room", reply_to)
        return room

    # --- what they hear ---

    def _noticed(self, notice: Notice) -> None:
        """Tell those who are not in a room that something was said there."""
        if not isinstance(notice, Message) or not self._listening:
            return
        news = activity(notice, user=user_of(notice))
        for visitor in self._listening:
            if notice.room not in visitor.rooms:
                visitor.tell(news)

    def _deliver(self, visitors: Collection[Visitor], text: str | bytes) -> None:
        """Pass a line on; messages behind a `Joined` are gathered for one answer."""
        assert isinstance(text, Line)
        match text.event:
            case Joined() as event:
                (visitor,) = visitors
                self._answering = self._joining[visitor]
                self._answering.joined = event
                self._answer()
            case Message() as event if self._answering is not None:
                self._answering.messages.append(event)
                self._answer()
            case Presence(_, user, _):  # that oneself is here is no news
                self._tell((each for each in visitors if each.user.id != user), text)
            case _:
                self._tell(visitors, text)

    def _tell(self, visitors: Iterable[Visitor], text: str) -> None:
        for visitor in visitors:
            visitor.tell(text)

    def _answer(self) -> None:
        """Answer a join as soon as all its messages are there."""
        joining = self._answering
        if joining is None or joining.joined is None:
            return
        event = joining.joined
        if len(joining.messages) < event.messages:
            return
        self._answering = None
        kept = newest(joining.messages, self._keep_size)
        # Who is new here has missed nothing.
        lost = 0 if joining.after == START else event.missing + event.messages - len(kept)
        people = self._written_people(event, joining.visitor.user.id)
        answer = joined(event.room, kept, position=event.position, lost=lost, people=people)
        joining.size = len(answer)
        joining.visitor.tell(answer)

    def _written_people(self, event: Joined, user: str) -> str:
        """Return who is in a room as JSON, made anew only when somebody has come or gone."""
        users = event.users if user in event.users else (*event.users, user)
        known, text = self._people.get(event.room, ((), ""))
        if users != known or not text:
            text = json.dumps(self._described(users), ensure_ascii=False, separators=(",", ":"))
            self._people[event.room] = users, text
        return text

    def _described(self, users: Iterable[str]) -> list[dict[str, str]]:
        people = [described(User(user, self._name_of(user))) for user in users]
        return sorted(people, key=lambda user: user["name"].casefold())


@contextmanager
def reaching(reply_to: str = "") -> Iterator[None]:
    """Turn what goes wrong with the store into an answer for the page."""
    try:
        yield
    except SessionsError as error:
        if not isinstance(error, StoreUnavailable):
            logger.warning("the store did not take it: %s", error)
        detail = "the server cannot reach its store: nothing can be said now"
        raise Unavailable(detail, reply_to) from error
