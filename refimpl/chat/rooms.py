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
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice

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

    def as_json(self) -> str:
        """Return the message as JSON, on one line."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))


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
        self._kept: deque[tuple[Said, str]] = deque()  # with its JSON, which is made once
        self._size = 0
        self._remember = max(keep, remember)
        self._known: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        self._last = 0

    @property
    def last(self) -> int:
        """The number of the newest message, 0 before the first."""
        return self._last

    def say(self, user: str, name: str, id: str, text: str, *, at: float) -> tuple[Said, bool]:
        """Return the message with its number, and whether it is new.

        Ids are each user's own: nobody can take another's place by guessing one. One that is known
        and no longer kept comes back with its number, its time and the words that came with it now.
        """
        if (user, id) in self._known:
            seq, at = self._known[user, id]
            return self._find(seq) or Said(seq, id, user, name, text, at), False
        self._last += 1
        message = Said(self._last, id, user, name, text, at)
        self._add(message)
        self._known[user, id] = message.seq, at
        if len(self._known) > self._remember:
            self._known.popitem(last=False)
        return message, True

    def _add(self, message: Said) -> None:
        """Keep a message, and let go of the oldest that are too many or too long together."""
        written = message.as_json()
        self._kept.append((message, written))
        self._size += len(written) + 1
        while len(self._kept) > self._keep or self._size > self._keep_size:
            self._size -= len(self._kept.popleft()[1]) + 1

    def _find(self, seq: int) -> Said | None:
        """Return a message that is kept, by its number."""
        at = seq - self._oldest
        return self._kept[at][0] if 0 <= at < len(self._kept) else None

    @property
    def _oldest(self) -> int:
        """The number of the oldest message that is kept."""
        return self._last + 1 - len(self._kept)

    def after(self, seq: int) -> list[Said]:
        """Return the kept messages with numbers above seq, oldest first."""
        return [message for message, _ in self._behind(seq)]

    def written_after(self, seq: int) -> list[str]:
        """Return the same messages as JSON."""
        return [written for _, written in self._behind(seq)]

    def _behind(self, seq: int) -> Iterator[tuple[Said, str]]:
        return islice(self._kept, max(0, seq + 1 - self._oldest), None)

    def lost(self, seq: int) -> int:
        """Return how many messages above seq are no longer kept."""
        return max(0, self._oldest - seq - 1)
