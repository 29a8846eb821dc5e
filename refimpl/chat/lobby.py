"""Who is where: the rooms, the visitors in them, and what each of them hears.

A visitor is one connection, a tab of a browser. A user is present in a room while at least one of
their tabs is: others hear of the first that comes and of the last that goes, not of those between.
Who is not in a room hears only that something was said there, and counts it.

What a message costs is one dictionary entry for each who hears it: JSON is made once. One process
holds it all; chapter 10 spreads presence over many.
"""

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable

from refimpl.auth.expiry import TOKEN_OVER
from refimpl.auth.tokens import Claims
from refimpl.chat.messages import BadMessage, Join, Say, activity, joined, presence, said
from refimpl.chat.rooms import Room
from refimpl.chat.sessions import SignedOut
from refimpl.chat.visitor import Visitor
from refimpl.middleware.context import User

__all__ = ["Lobby"]

SIGNED_OUT = (TOKEN_OVER, "signed out")


class Members:
    """Who is in one room: connections, and users with how many of them each has."""

    def __init__(self) -> None:
        self.visitors: dict[Visitor, None] = {}
        self._users: dict[str, User] = {}
        self._tabs: Counter[str] = Counter()
        self._written: str | None = None

    def add(self, visitor: Visitor) -> bool:
        """Note a connection; return whether it is its user's first."""
        user = visitor.user
        self.visitors[visitor] = None
        self._tabs[user.id] += 1
        if user.id in self._users:
            return False
        self._users[user.id] = user
        self._written = None
        return True

    def remove(self, visitor: Visitor) -> bool:
        """Forget a connection; return whether it was its user's last."""
        user = visitor.user
        del self.visitors[visitor]
        self._tabs[user.id] -= 1
        if self._tabs[user.id]:
            return False
        del self._tabs[user.id], self._users[user.id]
        self._written = None
        return True

    def people(self) -> list[dict[str, str]]:
        """Return the users, each once, by name."""
        users = sorted(self._users.values(), key=lambda user: user.name.casefold())
        return [described(user) for user in users]

    def written(self) -> str:
        """Return `people` as JSON, made anew only when somebody has come or gone."""
        if self._written is None:
            self._written = json.dumps(self.people(), ensure_ascii=False, separators=(",", ":"))
        return self._written


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
        self.signed_out = signed_out if signed_out is not None else SignedOut(now=now)
        # Numbers are of one life of this process; a page that has others must not compare them.
        self.epoch = secrets.token_urlsafe(9)
        self.now = now
        self._present = {name: Members() for name in self.rooms}
        self._listening: dict[Visitor, None] = {}
        self._sessions: dict[str, dict[Visitor, None]] = {}
        self._tabs: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._tabs.total()

    def tabs(self, user: User) -> int:
        """Return how many connections a user has."""
        return self._tabs[user.id]

    def enter(self, visitor: Visitor) -> None:
        """Note a connection; it is in no room yet, and out again where its session is over."""
        self._sessions.setdefault(visitor.claims.token_id, {})[visitor] = None
        self._tabs[visitor.user.id] += 1
        if visitor.claims in self.signed_out:
            visitor.hang_up(*SIGNED_OUT)

    def listen(self, visitor: Visitor) -> None:
        """Tell a visitor from now on when something is said in a room that it is not in."""
        self._listening[visitor] = None

    def leave(self, visitor: Visitor) -> None:
        """Forget a connection, and tell its rooms where it was the user's last."""
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
        for room in visitor.rooms:
            if self._present[room.id].remove(visitor):
                self._tell_all(room, presence(room, described(visitor.user), here=False))
        visitor.rooms.clear()

    def join(self, visitor: Visitor, request: Join) -> int:
        """Let a visitor into a room and tell what was missed; in it already, just tell.

        Returns how many characters that took.
        """
        room = self._room(request.room)
        crowd = self._present[room.id]
        if room not in visitor.rooms:
            visitor.rooms.append(room)
            if crowd.add(visitor):
                news = presence(room, described(visitor.user), here=True)
                self._tell_all(room, news, without=visitor)
        after = request.after if request.epoch == self.epoch else 0
        lost = room.lost(after) if after else 0  # who is new here has missed nothing
        written = room.written_after(after)
        answer = joined(room, written, epoch=self.epoch, lost=lost, people=crowd.written())
        visitor.tell(answer)
        return len(answer)

    def say(self, visitor: Visitor, request: Say) -> None:
        """Tell everybody in a room; a message that came before, only its sender."""
        room = self._room(request.room, request.id)
        if room not in visitor.rooms:
            raise BadMessage("not-in-room", "join the room before you say something", request.id)
        user = visitor.user
        message, is_new = room.say(user.id, user.name, request.id, request.text, at=self.now())
        if not is_new:
            visitor.tell(said(room, message))
            return
        self._tell_all(room, said(room, message))
        elsewhere, here = activity(room, user=user.id), self._present[room.id].visitors
        for other in self._listening:
            if other not in here:
                other.tell(elsewhere)

    def sign_out(self, claims: Claims) -> int:
        """End a session: close its connections, and let no cookie or ticket of it in any more.

        Returns how many connections were open.
        """
        self.signed_out.add(claims)
        leaving = list(self._sessions.get(claims.token_id, ()))
        for visitor in leaving:
            visitor.hang_up(*SIGNED_OUT)
        return len(leaving)

    def people(self, room: Room) -> list[dict[str, str]]:
        """Return who is in a room, each user once, by name."""
        return self._present[room.id].people()

    def _room(self, name: str, reply_to: str = "") -> Room:
        room = self.rooms.get(name)
        if room is None:
            raise BadMessage("unknown-room", "there is no such room", reply_to)
        return room

    def _tell_all(self, room: Room, text: str, *, without: Visitor | None = None) -> None:
        for visitor in self._present[room.id].visitors:
            if visitor is not without:
                visitor.tell(text)


def described(user: User) -> dict[str, str]:
    """Return a user as others see them."""
    return {"id": user.id, "name": user.name}
