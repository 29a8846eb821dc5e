"""One room's messages as they come to one node: which is the next, and which shows a loss.

Pub/sub forgets who was not listening. Numbers make that visible: the next message has the number
behind the last one's, and every other number says something.

>>> feed = Feed(Position("e1", 7, "m7"), remember=100)
>>> feed.take(Message("harbour", 8, "e1", "m8", b""))
<Verdict.NEXT: 'the next one'>
>>> feed.take(Message("harbour", 10, "e1", "m10", b""))
<Verdict.GAP: 'some are missing, or the history is another one'>
>>> feed.take(Message("harbour", 8, "e1", "m8", b""))
<Verdict.REPEATED: 'it came before'>
"""

from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum

from refimpl.sessions.records import History, Message, Position

__all__ = ["Feed", "Verdict"]


class Verdict(Enum):
    """What a message is to a feed."""

    NEXT = "the next one"
    REPEATED = "it came before"
    GAP = "some are missing, or the history is another one"


class Feed:
    """The place up to which a node has a room's messages, and the ids of the last ones.

    ids: of messages up to the place. remember: how many ids, more than a room keeps messages.
    """

    def __init__(self, position: Position, ids: Iterable[str] = (), *, remember: int) -> None:
        self.position = position
        self._remember = remember
        self._ids: OrderedDict[str, None] = OrderedDict.fromkeys(ids)

    def take(self, message: Message) -> Verdict:
        """Judge a message as it comes; the next one moves the place on."""
        place = self.position
        if message.epoch != place.epoch or message.number > place.number + 1:
            return Verdict.GAP
        if message.number == place.number + 1:
            self.position = message.position
            return Verdict.NEXT if self._note(message.id) else Verdict.REPEATED
        return Verdict.REPEATED if message.id in self._ids else Verdict.GAP

    def fill(self, history: History) -> list[Message]:
        """Take a page of history behind the place; return the messages that did not come before.

        Of another epoch every message may be new, so only ids tell.
        """
        same = history.epoch == self.position.epoch
        fresh = [
            message
            for message in history.messages
            if (not same or message.number > self.position.number) and self._note(message.id)
        ]
        self.position = history.position
        return fresh

    def is_behind(self, head: Position, seen: Position) -> bool:
        """Whether the head of a room says that this feed lacks something, or has what is lost.

        seen: the feed's place when the head was asked for; a head before it went backwards.
        """
        if head.epoch != self.position.epoch or head.number > self.position.number:
            return True
        if seen.epoch == head.epoch and head.number < seen.number:
            return True
        same = head.number == self.position.number
        return same and "" not in (head.id, self.position.id) and head.id != self.position.id

    def _note(self, id: str) -> bool:
        """Note a message's id; return whether it is new."""
        if id in self._ids:
            return False
        self._ids[id] = None
        if len(self._ids) > self._remember:
            self._ids.popitem(last=False)
        return True
