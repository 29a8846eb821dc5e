"""How the store asks: scripts by their hash, answers by their word, channels by their room."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import hiredis

from refimpl.sessions.errors import BadAnswer, Fenced, NewerStore
from refimpl.sessions.store import Listener
from refimpl.sessions.valkey.endpoint import Address, Endpoint
from refimpl.sessions.valkey.link import Reply, Word
from refimpl.sessions.valkey.routing import Router
from refimpl.sessions.valkey.scripts import SCRIPTS, Script
from refimpl.sessions.valkey.subscriptions import Subscriptions

__all__ = ["Calls"]

AT_ONCE = 200  # commands that a sweep, or a registering, has under way

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger("refimpl.sessions")


class Calls:
    """Commands, scripts and subscriptions of one store.

    Raises SessionsError of all kinds, and nothing else, whatever the store answers.
    """

    def __init__(self, url: str, *, timeout: float, most: int) -> None:
        self.listeners: list[Listener] = []
        self.subscriptions = Subscriptions()
        self.router = self.subscriptions.router = Router(
            Address.parse(url),
            prepare=[("SCRIPT", "LOAD", script.text) for script in SCRIPTS.values()],
            on_push=self.subscriptions.take,
            on_ready=self._ready,
            on_moved=self.subscriptions.moved,
            on_state=self._state,
            timeout=timeout,
            most=most,
        )
        self._started = False

    async def start(self) -> None:
        """Wait for the first connection."""
        await self.router.start()
        self._started = True

    async def stop(self) -> None:
        """End all connections."""
        await self.subscriptions.stop()
        await self.router.stop()

    def tell(self, within_reach: bool) -> None:
        """Tell the listeners how it stands with the store."""
        for listener in tuple(self.listeners):
            try:
                listener(within_reach)
            except Exception:
                logger.exception("a listener failed")

    async def command(self, *words: Word) -> Reply:
        """Return the reply to a command whose second word is its key."""
        key = words[1]
        return await self.router.ask(key.encode() if isinstance(key, str) else key, *words)

    async def run(self, name: str, keys: Sequence[bytes], *arguments: Word) -> Reply:
        """Return what a script answered; raise what its word says. An UNKNOWN is returned."""
        script = SCRIPTS[name]
        words = (b"EVALSHA", script.sha, str(len(keys)), *keys, *arguments)
        reply = await self.router.ask(keys[0], *words)
        if isinstance(reply, hiredis.ReplyError):
            reply = await self._bring(script, keys, arguments)
        if type(reply) is bytes:
            return _word(reply)
        return reply

    async def _bring(
        self, script: Script, keys: Sequence[bytes], arguments: Iterable[Word]
    ) -> Reply:
        """Run a script that the server does not know, by its text."""
        words = (b"EVAL", script.text, str(len(keys)), *keys, *arguments)
        reply = await self.router.ask(keys[0], *words)
        if isinstance(reply, hiredis.ReplyError):
            raise BadAnswer(f"got {str(reply)[:100]!r} for the text of a script")
        return reply

    async def all(self, function: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
        """Return the results of a function for many items, a bounded number of them at a time."""
        waiting, results = list(items), []
        for start in range(0, len(waiting), AT_ONCE):
            results += await asyncio.gather(*map(function, waiting[start : start + AT_ONCE]))
        return results

    def _ready(self, endpoint: Endpoint) -> None:
        self.subscriptions.ready(endpoint)
        if self._started and not self.router.degraded:
            self.tell(True)

    def _state(self, degraded: bool) -> None:
        self.tell(not degraded)


def _word(answer: bytes) -> bytes:
    """Return a script's word; raise those that are refusals."""
    if answer == b"FENCED":
        raise Fenced("the store says that this life of the node is over; begin a new one")
    if answer == b"VERSION":
        raise NewerStore("a newer release wrote this; upgrade this node")
    return answer
