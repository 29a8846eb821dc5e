"""Who is where: the rooms, the visitors in them, and what each of them hears.

A visitor is one connection, a tab of a browser. A user is present in a room while at least one of
their tabs is: others hear of the first that comes and of the last that goes, not of those between.
One process holds it all; chapter 10 spreads presence over many.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from refimpl.auth.session import TOKEN_OVER
from refimpl.auth.tokens import Claims
from refimpl.chat.messages import BadMessage, Join, Say, joined, presence, said
from refimpl.chat.outbox import Outbox
from refimpl.chat.rooms import Room
from refimpl.chat.sessions import SignedOut
from refimpl.framing import CloseCode
from refimpl.middleware.context import User

__all__ = ["HangUp", "Lobby", "Visitor"]

SIGNED_OUT = (TOKEN_OVER, "signed out")


class HangUp:
    """Closes a connection once, from code that cannot wait; its owner awaits `tasks`."""

    def __init__(self, close: Callable[[int, str], Awaitable[None]]) -> None:
        self._close = close
        self.tasks: list[asyncio.Task[None]] = []

    def __call__(self, code: int, reason: str) -> None:
        """Begin to close; a second call does nothing."""
        if not self.tasks:
            self.tasks.append(asyncio.get_running_loop().create_task(self._end(code, reason)))

    async def _end(self, code: int, reason: str) -> None:
        await self._close(code, reason)


@dataclass(slots=True, eq=False)
class Visitor:
    """One connection of a user. claims: of the session that opened it.

    hang_up: closes the connection with a code and a reason, without waiting.
    """

    claims: Claims
    outbox: Outbox
    hang_up: Callable[[int, str], None]
    rooms: list[Room] = field(default_factory=list)

    @property
    def user(self) -> User:
        """Whose connection it is."""
        return self.claims.user

    def tell(self, text: str) -> None:
        """Let text wait for this visitor; one who reads too slowly has to come back and ask."""
        if not self.outbox.put(text) and self.outbox.overflowed:
            self.hang_up(CloseCode.TRY_AGAIN_LATER, "too slow a reader")

    def described(self) -> dict[str, str]:
        """Return the user as others see them."""
        return {"id": self.user.id, "name": self.user.name}


class Lobby:
    """All rooms of the house, and everybody in them.

    signed_out: the sessions that are over already. now: Unix seconds, for people to read.
    """

    def __init__(
        self,
        rooms: Iterable[Room],
        *,
        signed_out: SignedOut | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.rooms = {room.id: room for room in rooms}
        # Numbers are of one life of this process; a page that has others must not compare them.
        self.epoch = secrets.token_urlsafe(9)
        self.now = now
        self._present: dict[str, dict[Visitor, None]] = {name: {} for name in self.rooms}
        self._visitors: set[Visitor] = set()
        self.signed_out = signed_out if signed_out is not None else SignedOut(now=now)

    def __len__(self) -> int:
        return len(self._visitors)

    def enter(self, visitor: Visitor) -> None:
        """Note a connection; it is in no room yet, and out again where its session is over."""
        self._visitors.add(visitor)
        if visitor.claims in self.signed_out:
            visitor.hang_up(*SIGNED_OUT)

    def leave(self, visitor: Visitor) -> None:
        """Forget a connection, and tell its rooms where it was the user's last."""
        self._visitors.discard(visitor)
        for room in visitor.rooms:
            del self._present[room.id][visitor]
            if not self._is_here(visitor.user, room):
                self._tell_all(room, presence(room, visitor.described(), here=False))
        visitor.rooms.clear()

    def join(self, visitor: Visitor, request: Join) -> None:
        """Let a visitor into a room and tell what was missed; in it already, just tell."""
        room = self._room(request.room)
        if room not in visitor.rooms:
            if not self._is_here(visitor.user, room):
                self._tell_all(room, presence(room, visitor.described(), here=True))
            visitor.rooms.append(room)
            self._present[room.id][visitor] = None
        after = request.after if request.epoch == self.epoch else 0
        lost = room.lost(after) if after else 0  # who is new here has missed nothing
        people = self.people(room)
        answer = joined(room, room.after(after), epoch=self.epoch, lost=lost, people=people)
        visitor.tell(answer)

    def say(self, visitor: Visitor, request: Say) -> None:
        """Tell everybody in a room; a message that came before, only its sender."""
        room = self._room(request.room, request.id)
        if room not in visitor.rooms:
            raise BadMessage("not-in-room", "join the room before you say something", request.id)
        user = visitor.user
        message, is_new = room.say(user.id, user.name, request.id, request.text, at=self.now())
        if is_new:
            self._tell_all(room, said(room, message))
        else:
            visitor.tell(said(room, message))

    def sign_out(self, claims: Claims) -> int:
        """End a session: close its connections, and let no cookie or ticket of it in any more.

        Returns how many connections were open.
        """
        self.signed_out.add(claims)
        token_id = claims.token_id
        leaving = [each for each in self._visitors if each.claims.token_id == token_id]
        for visitor in leaving:
            visitor.hang_up(*SIGNED_OUT)
        return len(leaving)

    def people(self, room: Room) -> list[dict[str, str]]:
        """Return who is in a room, each user once, by name."""
        found = {visitor.user.id: visitor.described() for visitor in self._present[room.id]}
        return sorted(found.values(), key=lambda user: user["name"].casefold())

    def _room(self, name: str, reply_to: str = "") -> Room:
        room = self.rooms.get(name)
        if room is None:
            raise BadMessage("unknown-room", "there is no such room", reply_to)
        return room

    def _is_here(self, user: User, room: Room) -> bool:
        return any(visitor.user.id == user.id for visitor in self._present[room.id])

    def _tell_all(self, room: Room, text: str) -> None:
        for visitor in list(self._present[room.id]):
            visitor.tell(text)
