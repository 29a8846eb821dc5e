"""Nodes whose people are lists: what a tab was told, in order, as events."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from refimpl.sessions import (
    START,
    Connection,
    Joined,
    Message,
    Node,
    Position,
    Presence,
    Resync,
    Store,
    StoreState,
)


class Tab:
    """What one tab of a browser was told, and what it makes of it: its place, and doubles."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.closed: tuple[int, str] | None = None

    def hear(self, event: Any) -> None:
        self.events.append(event)

    @property
    def ids(self) -> list[str]:
        """The ids of the messages, doubles too."""
        return [event.id for event in self.events if isinstance(event, Message)]

    @property
    def place(self) -> Position:
        """The place to come back to."""
        places = [
            event.position for event in self.events if isinstance(event, Message | Joined | Resync)
        ]
        return places[-1] if places else START

    @property
    def missing(self) -> int:
        """How many messages it was told that it lacks."""
        return sum(each.missing for each in self.events if isinstance(each, Joined | Resync))

    @property
    def resyncs(self) -> list[Resync]:
        return [event for event in self.events if isinstance(event, Resync)]

    @property
    def presence(self) -> list[tuple[str, bool]]:
        return [(each.user, each.here) for each in self.events if isinstance(each, Presence)]

    @property
    def degraded(self) -> list[bool]:
        return [each.degraded for each in self.events if isinstance(each, StoreState)]


class Failures(logging.Handler):
    """Collects what was logged as an error: a node goes on after one, a test must not."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.getMessage()}: {record.exc_info}")


def deliver(tabs: Collection[Tab], event: Any) -> None:
    for tab in tabs:
        tab.hear(event)


def close(tab: Tab, code: int, reason: str) -> None:
    tab.closed = code, reason


@asynccontextmanager
async def node_on(store: Store, name: str, *, compare: float = 0.05) -> AsyncIterator[Node[Tab]]:
    node = Node[Tab](
        store,
        name,
        deliver=deliver,
        close=close,
        render=lambda event: event,  # type: ignore[arg-type,return-value]
        compare=compare,
    )
    failures = Failures()
    logging.getLogger("refimpl.sessions").addHandler(failures)
    try:
        async with node:
            yield node
    finally:
        logging.getLogger("refimpl.sessions").removeHandler(failures)
    assert failures.messages == []


async def seat(
    node: Node[Tab], user: str, room: str = "harbour", *, after: Position = START
) -> tuple[Connection, Tab]:
    """Let a user in, and into a room."""
    tab = Tab()
    connection = await node.connect(user, tab)
    await node.join(connection, room, after=after)
    return connection, tab
