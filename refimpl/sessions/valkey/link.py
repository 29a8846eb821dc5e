"""One connection to Valkey: the commands of one turn of the loop in one write, replies in order.

The parser is hiredis, in C; the rest is small enough to be seen through. A general client does much
for each command (pools, retries, hooks, a task that reads); here a command is one future in a
queue. Three things matter more than speed:

- *Cancelling is safe.* A command that was sent will be answered. Whoever waited may be gone; its
  place in the queue stays, so the answer is never given to the next in line.
- *Nothing waits for ever.* No byte for `timeout` seconds while an answer is due: the connection is
  given up, and everybody who waits is told.
- *Nothing grows for ever.* More than `most` commands without an answer are refused, and all of them
  while more than 8 MiB wait for the network.

Messages of channels come on the same connection (RESP3, "pushes") and go to `on_push`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hiredis

from refimpl.sessions.errors import BadAnswer, Busy, StoreUnavailable

__all__ = ["Link", "Push", "Reply", "Word"]

Word = bytes | str
Reply = Any  # what RESP3 has: bytes, int, float, bool, None, list, dict, or a hiredis.ReplyError
Push = Callable[[list[Any]], None]

WRITE_LIMIT = 8 * 2**20  # bytes
CONFIRMED = {b"ssubscribe", b"sunsubscribe"}
NOT_ENOUGH = object()  # what the parser gives when it needs more bytes: no reply is this


@dataclass(slots=True)
class _Subscription:
    """A command that is answered by a push, or by an error in the order of all replies."""

    future: asyncio.Future[Reply]
    kind: bytes
    channel: bytes


_Entry = asyncio.Future[Reply] | _Subscription


class Link(asyncio.Protocol):
    """Commands out, replies in. on_push: takes pushes; on_lost: told once when it is over."""

    def __init__(
        self, *, on_push: Push, on_lost: Callable[[], None], timeout: float, most: int
    ) -> None:
        self._on_push, self._on_lost = on_push, on_lost
        self._timeout, self._most = timeout, most
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=NOT_ENOUGH)
        self._waiting: deque[_Entry] = deque()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._blocked = False
        self._heard = 0  # pieces of data
        self._watch: asyncio.TimerHandle | None = None
        self._error: Exception | None = None

    @property
    def waiting(self) -> int:
        """How many commands have no answer yet."""
        return len(self._waiting)

    def call(self, *words: Word) -> asyncio.Future[Reply]:
        """Send a command; the future's result is its reply, an error reply too.

        Raises StoreUnavailable, at once or out of the future.
        """
        future = self._loop.create_future()
        kind = words[0]
        if kind in ("SSUBSCRIBE", "SUNSUBSCRIBE"):
            name, channel = str(kind).lower().encode(), words[1]
            self._send(words, _Subscription(future, name, _bytes(channel)))
        else:
            self._send(words, future)
        return future

    def close(self, error: Exception | None = None) -> None:
        """End the connection; whoever waits gets the error."""
        self._error = self._error or error
        if self._transport is not None:
            self._transport.abort()

    def _send(self, words: tuple[Word, ...], entry: _Entry) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise StoreUnavailable("the connection to the store is gone; ask again")
        if len(self._waiting) >= self._most or self._blocked:
            waiting = len(self._waiting)
            raise Busy(f"{waiting} commands wait for the store already; ask less, or later")
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(words))  # type: ignore[arg-type]
        self._waiting.append(entry)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout / 2, self._look, self._heard, 1)

    def _flush(self) -> None:
        """Write what gathered during one turn of the loop."""
        out, self._out = self._out, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def _look(self, heard: int, quiet: int) -> None:
        """Give the connection up where nothing was heard twice in a row, and answers are due."""
        self._watch = None
        if not self._waiting:
            return
        if heard != self._heard:
            quiet = 0
        elif quiet >= 2:
            self.close(StoreUnavailable(f"the store said nothing for {self._timeout} s; ask again"))
            return
        self._watch = self._loop.call_later(self._timeout / 2, self._look, self._heard, quiet + 1)

    # --- what the transport calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._transport = transport

    def pause_writing(self) -> None:
        """Refuse commands: the network takes less than is asked."""
        self._blocked = True

    def resume_writing(self) -> None:
        """Take commands again."""
        self._blocked = False

    def data_received(self, data: bytes) -> None:
        """Hand each reply to whoever waited for it, each push to on_push."""
        self._heard += 1
        reader, waiting = self._reader, self._waiting
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not NOT_ENOUGH:
                if type(reply) is hiredis.PushNotification:
                    self._take_push(reply)
                    continue
                entry = waiting.popleft()
                future = entry.future if isinstance(entry, _Subscription) else entry
                if not future.done():
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            wrong = BadAnswer("got bytes that are no RESP3, or an answer that nobody asked for")
            wrong.__cause__ = error
            self.close(wrong)

    def _take_push(self, push: list[Any]) -> None:
        """Pass a message on; a confirmation is the answer to the command that asked for it."""
        if push[0] in CONFIRMED:
            first = self._waiting[0] if self._waiting else None
            if type(first) is _Subscription and first.kind == push[0] and first.channel == push[1]:
                self._waiting.popleft()
                if not first.future.done():
                    first.future.set_result(push)
                return
        self._on_push(push)  # a message, or a channel that moved away to another server

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self._transport = None
        if self._watch is not None:
            self._watch.cancel()
        error = self._error or StoreUnavailable("the connection to the store was lost; ask again")
        while self._waiting:
            entry = self._waiting.popleft()
            future = entry.future if isinstance(entry, _Subscription) else entry
            if not future.done():
                future.set_exception(type(error)(*error.args))
                future.exception()  # marks it as seen: whoever waited for it may be gone
        self._on_lost()


def _bytes(word: Word) -> bytes:
    return word.encode() if isinstance(word, str) else word
