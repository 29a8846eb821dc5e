"""What waits to be sent on one connection, with a limit and a policy: a hub for ASGI.

`refimpl.concurrency.Hub` asks each connection how much waits for it. An ASGI application has no
connection to ask: its `send` waits where the client reads slowly. So each connection has a box, a
task that empties it, and everybody else only puts in. The policies are the hub's.

>>> box = Outbox(slow=Slow.SKIP, limit=10)
>>> box.put("hello"), box.put("there"), box.put("more"), box.waiting
(True, True, False, 10)
"""

import asyncio
from collections import deque

from refimpl.concurrency import Slow
from refimpl.middleware.asgi import Send

__all__ = ["Outbox"]

LIMIT = 256 * 1024
AT_ONCE = 64  # messages that leave before others get a turn


class Outbox:
    """Text messages on their way to one client.

    limit: characters that may wait. Beyond it, Slow.SKIP leaves a message out; Slow.QUEUE and
    Slow.CLOSE set `overflowed`, take no more, and whoever owns the connection closes it with 1013.
    """

    def __init__(self, *, slow: Slow = Slow.QUEUE, limit: int = LIMIT) -> None:
        self.slow = slow
        self.limit = limit if slow is not Slow.CLOSE else 0
        self.waiting = 0
        self.overflowed = False
        self._stopped = False
        self._texts: deque[str] = deque()
        self._filled = asyncio.Event()
        self._half_empty = asyncio.Event()
        self._half_empty.set()

    def put(self, text: str) -> bool:
        """Let text wait for its turn; return whether there was room. A first one always fits."""
        if self.overflowed or self._stopped:
            return False
        if self.waiting and self.waiting + len(text) > self.limit:
            self.overflowed = self.slow is not Slow.SKIP
            return False
        self._texts.append(text)
        self.waiting += len(text)
        if self.waiting > self.limit // 2:
            self._half_empty.clear()
        self._filled.set()
        return True

    def stop(self) -> None:
        """Take nothing more, and let go of what waits: the connection ends."""
        self._stopped = True
        self._texts.clear()
        self._half_empty.set()

    async def half_empty(self) -> None:
        """Wait until no more than half of what may wait does: time to ask for more."""
        await self._half_empty.wait()

    async def deliver(self, send: Send) -> None:
        """Send what waits, as fast as the client reads, until it is gone or this is cancelled."""
        try:
            while True:
                await self._filled.wait()
                await self._send_all(send)
                self._filled.clear()
        except OSError:
            pass  # the client is gone, and whoever receives is told so

    async def _send_all(self, send: Send) -> None:
        sent = 0
        while self._texts:
            text = self._texts.popleft()
            await send({"type": "websocket.send", "text": text})
            self.waiting -= len(text)
            if self.waiting <= self.limit // 2:
                self._half_empty.set()
            sent += 1
            if sent % AT_ONCE == 0:
                await asyncio.sleep(0)  # a server that takes it all at once never waits
