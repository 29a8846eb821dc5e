"""Sharded channels: who listens to which, and listening again after every loss.

A channel lives in the slot of its name, so its messages cross one shard and not the whole cluster.
What was sent while nobody listened is gone, and nobody is told later: therefore each return to a
channel is a `Recheck` for those who listen.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from refimpl.sessions.errors import SessionsError
from refimpl.sessions.valkey.endpoint import Endpoint
from refimpl.sessions.valkey.routing import Router

__all__ = ["Subscriptions"]

logger = logging.getLogger("refimpl.sessions")

Listener = Callable[[bytes | None], None]
"""Takes the payload of a message, or None: messages may have been missed."""


@dataclass(slots=True)
class _Channel:
    """Who listens, and the server that confirmed it; None where none has yet, or it was lost."""

    listeners: list[Listener] = field(default_factory=list)
    confirmed_by: Endpoint | None = None


class Subscriptions:
    """The channels that this process listens to. `router` has to be set before the first use."""

    router: Router

    def __init__(self) -> None:
        self._channels: dict[bytes, _Channel] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, name: bytes, listener: Listener) -> None:
        """Listen to a channel; when this returns, nothing sent from now on is missed.

        Raises SessionsError, and then does not listen.
        """
        channel = self._channels.setdefault(name, _Channel())
        channel.listeners.append(listener)
        try:
            if channel.confirmed_by is None:
                await self._subscribe(name, channel)
        except BaseException:
            self.remove(name, listener)
            raise

    def remove(self, name: bytes, listener: Listener) -> None:
        """Listen no more."""
        channel = self._channels.get(name)
        if channel is None or listener not in channel.listeners:
            return
        channel.listeners.remove(listener)
        if not channel.listeners:
            del self._channels[name]
            try:
                self.router.call(name, "SUNSUBSCRIBE", name)
            except SessionsError:
                pass  # without a connection there is no subscription

    async def stop(self) -> None:
        """End what still runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stand(self) -> bool:
        """Whether all channels are listened to on a connection that stands."""
        return all(
            channel.confirmed_by is not None and channel.confirmed_by.link is not None
            for channel in self._channels.values()
        )

    def take(self, push: list[Any]) -> None:
        """Take a push of any server."""
        if push[0] == b"smessage":
            if channel := self._channels.get(push[1]):
                self._tell(channel, push[2])
        elif push[0] == b"sunsubscribe" and (channel := self._channels.get(push[1])):
            channel.confirmed_by = None  # its slot moved away
            self._start(self._resume(push[1]))

    def ready(self, endpoint: Endpoint) -> None:
        """A new connection: whatever was listened to on the old one has to be asked for again."""
        for name, channel in self._channels.items():
            if channel.confirmed_by is endpoint or self.router.owner(name) is endpoint:
                channel.confirmed_by = None
                self._start(self._resume(name))

    def moved(self) -> None:
        """The slots have new owners: go where the channels are now."""
        for name, channel in self._channels.items():
            if channel.confirmed_by is not self.router.owner(name):
                channel.confirmed_by = None
                self._start(self._resume(name))

    async def _subscribe(self, name: bytes, channel: _Channel) -> None:
        await self.router.ask(name, "SSUBSCRIBE", name)
        channel.confirmed_by = self.router.owner(name)

    async def _resume(self, name: bytes) -> None:
        """Listen again, and tell who listens that something may be missing."""
        channel = self._channels.get(name)
        if channel is None:
            return
        try:
            await self._subscribe(name, channel)
        except SessionsError:
            return  # the next connection, or the next map, asks again
        self._tell(channel, None)

    def _tell(self, channel: _Channel, payload: bytes | None) -> None:
        for listener in tuple(channel.listeners):
            try:
                listener(payload)
            except Exception:  # it would end the connection, and with it everybody's news
                logger.exception("a listener failed")

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
