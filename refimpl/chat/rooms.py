"""A room: what was said in it lately, each message with a number, none of them twice.

Numbers go up by one. A page that was away names the last number it has and gets the rest; what is
kept no more is counted, never passed over in silence. A page that is not sure whether its message
arrived sends it again under the same id, and gets the number it has already.

Everything is in this process and ends with it. Nothing here waits, so no other task comes between.

>>> room = Room("harbour", "Harbour", keep=2)
>>> first, new = room.say("ada", "Ada", "m1", "ahoy", at=1.0)
>>> first.seq, new, room.say("ada", "Ada", "m1", "ahoy", at=2.0) == (first, False)
(1, True, True)
>>> for number in range(2, 5):
...     _ = room.say("bob", "Bob", f"m{number}", "ahoy", at=3.0)
>>> [message.seq for message in room.after(1)], room.lost(1)
([3, 4], 1)
"""

import json
from collections import deque
from dataclasses import asdict, dataclass

__all__ = ["Room", "Said"]


@dataclass(frozen=True, slots=True)
class Said:
    """One message. id: the page's own name for it; user, name: who said it; at: Unix seconds."""

    seq: int
    id: str
    user: str
    name: str
    text: str
    at: float


class Room:
    """What was said under one name. keep: messages for those who come back.

    keep_size: characters of them all as JSON: whoever comes must be able to take them at once.
    remember: messages by which one that is sent again is recognised, at least keep.
    """

    def __init__(
        self,
        id: str,
        title: str,
        topic: str = "",
        *,
        keep: int = 200,
        keep_size: int = 64 * 1024,
        remember: int = 2000,
    ) -> None:
        self.id = id
        self.title = title
        self.topic = topic
        self._keep = keep
        self._keep_size = keep_size
        self._kept: deque[Said] = deque()
        self._size = 0
        self._remember = max(keep, remember)
        self._known: dict[tuple[str, str], Said] = {}  # oldest first
        self._last = 0

    @property
    def last(self) -> int:
        """The number of the newest message, 0 before the first."""
        return self._last

    def say(self, user: str, name: str, id: str, text: str, *, at: float) -> tuple[Said, bool]:
        """Return the message with its number, and whether it is new.

        Ids are each user's own: nobody can take another's place by guessing one.
        """
        known = self._known.get((user, id))
        if known is not None:
            return known, False
        self._last += 1
        message = Said(self._last, id, user, name, text, at)
        self._kept.append(message)
        self._size += size_of(message)
        while len(self._kept) > self._keep or self._size > self._keep_size:
            self._size -= size_of(self._kept.popleft())
        self._known[user, id] = message
        if len(self._known) > self._remember:
            del self._known[next(iter(self._known))]
        return message, True

    def after(self, seq: int) -> list[Said]:
        """Return the kept messages with numbers above seq, oldest first."""
        return [message for message in self._kept if message.seq > seq]

    def lost(self, seq: int) -> int:
        """Return how many messages above seq are kept no more."""
        oldest = self._kept[0].seq if self._kept else self._last + 1
        return max(0, oldest - seq - 1)


def size_of(message: Said) -> int:
    """Return how many characters a message takes as JSON: quotes and line breaks count twice."""
    return len(json.dumps(asdict(message), ensure_ascii=False, separators=(",", ":"))) + 1
