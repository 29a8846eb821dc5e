"""The frames of each connection, kept for a while, and the endpoint /ws/wire that shows them.

A connection is recorded from its first frame on, because a panel is opened when something has
happened already. What is kept is bounded, in frames and in bytes of each. A panel is a connection
of its own with a ticket of its own, so it never shows itself; it shows its user's connections only.

The engine has to help (`scope["extensions"]["refimpl.wire"]`): under another one nothing is kept.
"""

import asyncio
import base64
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from refimpl.auth import Claims
from refimpl.chat.lobby import HangUp, Lobby, Visitor
from refimpl.chat.outbox import Outbox
from refimpl.concurrency import Slow
from refimpl.middleware.asgi import Receive, Scope, Send, deny
from refimpl.middleware.context import User, current
from refimpl.middleware.session import Connection

__all__ = ["Record", "Records", "WireFeed"]

EXTENSION = "refimpl.wire"
LINGER = 5.0  # seconds behind the end of an application: the Close frames come after it


@dataclass(slots=True, eq=False)
class Record:
    """What passed on one connection: JSON texts of its last frames, and who listens for more."""

    id: str
    user_id: str
    frames: deque[str]
    count: int = 0
    over: bool = False
    listeners: list[Callable[[str], object]] = field(default_factory=list)

    def tell(self, text: str) -> None:
        """Pass a text on to all panels."""
        for listener in tuple(self.listeners):
            listener(text)


class Records:
    """The records of all connections by name.

    keep: frames of each. longest: bytes of a frame that are kept. now: Unix seconds.
    """

    def __init__(
        self,
        *,
        keep: int = 100,
        longest: int = 2048,
        linger: float = LINGER,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.keep = keep
        self.longest = longest
        self.linger = linger
        self.now = now
        self._records: dict[str, Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    @contextmanager
    def record(self, scope: Scope, user_id: str) -> Iterator[Record | None]:
        """Record this connection in the block and a moment longer; None where no engine helps."""
        extension = (scope.get("extensions") or {}).get(EXTENSION)
        if extension is None:
            yield None
            return
        # Nobody can guess the name, and who learns it has to be the same user as well.
        record = Record(secrets.token_urlsafe(16), user_id, deque(maxlen=self.keep))
        self._records[record.id] = record
        stop = extension["observe"](lambda direction, frame: self._saw(record, direction, frame))
        try:
            yield record
        finally:
            asyncio.get_running_loop().call_later(self.linger, self._end, record, stop)

    def find(self, id: str, user_id: str) -> Record | None:
        """Return a record by name, if it is of this user's connection."""
        record = self._records.get(id)
        return record if record is not None and record.user_id == user_id else None

    def _saw(self, record: Record, direction: str, frame: bytes) -> None:
        record.count += 1
        text = json.dumps(
            {
                "type": "frame",
                "number": record.count,
                "direction": direction,
                "at": self.now(),
                "size": len(frame),
                "bytes": base64.b64encode(frame[: self.longest]).decode(),
            }
        )
        record.frames.append(text)
        record.tell(text)

    def _end(self, record: Record, stop: Callable[[], None]) -> None:
        stop()
        del self._records[record.id]
        record.over = True
        record.tell(OVER)


OVER = json.dumps({"type": "over"})


class WireFeed:
    """ASGI endpoint: the frames of `?connection=NAME`, those so far and those to come.

    A panel that reads too slowly misses frames, which it sees by their numbers.
    """

    def __init__(self, lobby: Lobby, records: Records, *, limit: int = 2**20) -> None:
        self.lobby = lobby
        self.records = records
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one panel; 404 where there is no such connection, or it is somebody else's."""
        names = parse_qs(scope["query_string"].decode("latin-1")).get("connection", [""])
        record = self.records.find(names[0], current(User).id) if len(names) == 1 else None
        if record is None:
            return await deny(scope, receive, send, 404, b"You have no such connection.\n")
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        await self._show(record, receive, send)

    async def _show(self, record: Record, receive: Receive, send: Send) -> None:
        outbox = Outbox(slow=Slow.SKIP, limit=self.limit)
        for text in record.frames:
            outbox.put(text)
        if record.over:
            outbox.put(OVER)
        record.listeners.append(outbox.put)
        claims, hang_up = current(Claims), HangUp(current(Connection).close)
        visitor = Visitor(claims, outbox, hang_up)
        delivering = asyncio.create_task(outbox.deliver(send))
        try:
            self.lobby.enter(visitor)  # signing out ends panels too
            while (await receive())["type"] == "websocket.receive":
                pass  # a panel has nothing to say
        finally:
            self.lobby.leave(visitor)
            record.listeners.remove(outbox.put)
            delivering.cancel()
            await asyncio.wait([delivering, *hang_up.tasks])
