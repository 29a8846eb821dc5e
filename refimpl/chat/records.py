"""The frames of each connection, kept for a while, and the endpoint /ws/wire that shows them.

A connection is recorded from its first frame on, because a panel is opened when something has
happened already. What is kept is bounded, in frames and in bytes of each. A panel is a connection
of its own with a ticket of its own, so it never shows itself; it shows its user's connections only.

The engine has to help (`scope["extensions"]["refimpl.wire"]`): under another one nothing is kept.
"""

import asyncio
import base64
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qs

from refimpl.auth.tokens import Claims
from refimpl.chat.limits import MAX_PER_USER, RateLimit, address_of, size_of
from refimpl.chat.lobby import Lobby
from refimpl.chat.outbox import Outbox
from refimpl.chat.visitor import Visitor
from refimpl.concurrency import Slow
from refimpl.middleware.asgi import Receive, Scope, Send, deny
from refimpl.middleware.closable import Connection
from refimpl.middleware.context import current

__all__ = ["Record", "Records", "WireFeed"]

EXTENSION = "refimpl.wire"
LINGER = 5.0  # seconds behind the end of an application: the Close frames come after it

logger = logging.getLogger("refimpl.chat")


class Frame(NamedTuple):
    """One frame as it passed. size: bytes of all of it, of which data may be the beginning."""

    number: int
    direction: str
    at: float
    size: int
    data: bytes

    def as_json(self) -> str:
        """Return the frame as a panel is told of it."""
        return json.dumps(
            {
                "type": "frame",
                "number": self.number,
                "direction": self.direction,
                "at": self.at,
                "size": self.size,
                "bytes": base64.b64encode(self.data).decode(),
            }
        )


@dataclass(slots=True, eq=False)
class Record:
    """What passed on one connection: its last frames, and who listens for more."""

    id: str
    user_id: str
    frames: deque[Frame] = field(default_factory=deque)
    size: int = 0
    count: int = 0
    over: bool = False
    listeners: list[Callable[[str], object]] = field(default_factory=list)

    def tell(self, text: str) -> None:
        """Pass a text on to all panels."""
        for listener in tuple(self.listeners):
            listener(text)


class Records:
    """The records of all connections by name.

    keep: frames of each, keep_size: bytes of them together. longest: bytes of a frame that are
    kept. linger: seconds that a record outlives its application. now: Unix seconds.
    """

    def __init__(
        self,
        *,
        keep: int = 100,
        keep_size: int = 64 * 1024,
        longest: int = 2048,
        linger: float = LINGER,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.keep = keep
        self.keep_size = keep_size
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
        record = Record(secrets.token_urlsafe(16), user_id)
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

    def _saw(self, record: Record, direction: str, data: bytes) -> None:
        """Keep a frame; it becomes JSON only where a panel wants it."""
        record.count += 1
        frame = Frame(record.count, direction, self.now(), len(data), data[: self.longest])
        record.frames.append(frame)
        record.size += len(frame.data)
        while len(record.frames) > self.keep or record.size > self.keep_size:
            record.size -= len(record.frames.popleft().data)
        if record.listeners:
            record.tell(frame.as_json())

    def _end(self, record: Record, stop: Callable[[], None]) -> None:
        del self._records[record.id]
        record.over = True
        record.tell(OVER)
        try:
            stop()
        except Exception:
            logger.exception("the frames of a connection are watched on")


OVER = json.dumps({"type": "over"})


class WireFeed:
    """ASGI endpoint: the frames of `?connection=NAME`, those so far and those to come.

    A panel that reads too slowly misses frames, which it sees by their numbers.
    """

    def __init__(
        self, lobby: Lobby, records: Records, rate_limit: RateLimit, *, limit: int = 2**20
    ) -> None:
        self.lobby = lobby
        self.records = records
        self.rate_limit = rate_limit
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one panel; 404 where there is no such connection, or it is somebody else's."""
        claims = current(Claims)
        names = parse_qs(scope["query_string"].decode("latin-1")).get("connection", [""])
        record = self.records.find(names[0], claims.user.id) if len(names) == 1 else None
        if record is None:
            return await deny(scope, receive, send, 404, b"You have no such connection.\n")
        if self.lobby.tabs(claims.user) >= MAX_PER_USER:
            return await deny(scope, receive, send, 429, b"You have too many connections.\n")
        outbox = Outbox(slow=Slow.SKIP, limit=self.limit)
        visitor = Visitor(claims, outbox, current(Connection).close)
        async with visitor.served(send):
            self.lobby.enter(visitor)  # signing out ends panels too
            try:
                if (await receive())["type"] == "websocket.connect":
                    await send({"type": "websocket.accept"})
                    await self._show(record, visitor, receive, address_of(scope))
            finally:
                self.lobby.leave(visitor)

    async def _show(self, record: Record, visitor: Visitor, receive: Receive, address: str) -> None:
        for frame in record.frames:
            visitor.outbox.put(frame.as_json())
        if record.over:
            visitor.outbox.put(OVER)
        record.listeners.append(visitor.outbox.put)
        try:  # a panel has nothing to say, and is heard no faster than others
            while (message := await receive())["type"] == "websocket.receive":
                size = size_of(message)
                await visitor.pause(self.rate_limit.take(visitor.user.id, address, said=size))
        finally:
            record.listeners.remove(visitor.outbox.put)
