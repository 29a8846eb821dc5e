"""A room of `MemoryStore`: its history, who is in it, and which nodes take part.

>>> from refimpl.sessions.store import Limits
>>> room = Room("e1")
>>> room.add("harbour", "m1", b"ahoy", Limits()).number
1
>>> room.enter("node-1.1.a", "ada"), room.enter("node-1.1.b", "ada"), room.leave("node-1.1.a")
(True, False, None)
>>> room.leave("node-1.1.b")
'ada'
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

from refimpl.sessions.records import Message, Position
from refimpl.sessions.store import Limits

__all__ = ["Room"]


@dataclass(slots=True)
class Room:
    """A room. members: connection id to user. users: how many connections each has. presence:
    counts who came first and left last. nodes: the life of each node that takes part."""

    epoch: str
    number: int = 0
    id: str = ""
    kept: deque[Message] = field(default_factory=deque)
    known: OrderedDict[str, int] = field(default_factory=OrderedDict)
    members: dict[str, str] = field(default_factory=dict)
    users: Counter[str] = field(default_factory=Counter)
    presence: int = 0
    nodes: dict[str, int] = field(default_factory=dict)
    used: float = 0.0

    @property
    def head(self) -> Position:
        """The end of the history."""
        return Position(self.epoch, self.number, self.id)

    def enter(self, connection: str, user: str) -> bool:
        """Note a connection; return whether it is its user's first."""
        if connection in self.members:
            return False
        self.members[connection] = user
        self.users[user] += 1
        if self.users[user] > 1:
            return False
        self.presence += 1
        return True

    def leave(self, connection: str) -> str | None:
        """Forget a connection; return its user where it was the last one."""
        user = self.members.pop(connection, None)
        if user is None:
            return None
        self.users[user] -= 1
        if self.users[user]:
            return None
        del self.users[user]
        self.presence += 1
        return user

    def add(self, name: str, id: str, data: bytes, limits: Limits) -> Message:
        """Give a message its number and keep it; return it."""
        self.number, self.id = self.number + 1, id
        message = Message(name, self.number, self.epoch, id, data)
        self.kept.append(message)
        self.known[id] = message.number
        if len(self.kept) > limits.keep:
            self.kept.popleft()
        if len(self.known) > limits.remember:
            self.known.popitem(last=False)
        return message

    def behind(self, after: Position) -> list[Message]:
        """Return the messages behind a place; all that are kept where it is of another history."""
        same = after.epoch == self.epoch and after.number <= self.number
        if same and after.id:
            there = [each.id for each in self.kept if each.number == after.number]
            same = not there or there == [after.id]
        start = after.number if same else 0
        return [each for each in self.kept if each.number > start]
