"""A ticket that works once, in a store that is far away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ...cases import Case, Exercise, Wrong

Take = Callable[["FarStore", str], Awaitable[object]]


class FarStore:
    """A store behind a network: each call takes a turn of the loop, and is one step over there."""

    def __init__(self, **values: str) -> None:
        self._values = dict(values)

    async def get(self, key: str) -> str | None:
        """Return the value, or None."""
        await asyncio.sleep(0)
        return self._values.get(key)

    async def delete(self, key: str) -> bool:
        """Remove the key; return whether it was there."""
        await asyncio.sleep(0)
        return self._values.pop(key, None) is not None


def _takers(count: int, *, ticket: str = "t1") -> Callable[[Take], Any]:
    """Let so many take the ticket at once; return what they got, sorted."""

    async def drive(take_once: Take) -> object:
        store = FarStore(t1="ada", t2="eve")
        got = await asyncio.gather(*(take_once(store, ticket) for _ in range(count)))
        if any(each is ... for each in got):
            return ...
        if strange := [each for each in got if each not in ("ada", None)]:
            raise Wrong(f"{strange[0]!r} for somebody, neither the value nor None")
        lucky = sum(each == "ada" for each in got)
        if count > 1:
            return f"{lucky} got in"
        if "t2" not in store._values:
            raise Wrong("a store without the other ticket, t2, which nobody had taken")
        return got[0]

    return drive


async def _twice(take_once: Take) -> object:
    store = FarStore(t1="ada")
    return [await take_once(store, "t1"), await take_once(store, "t1")]


TAKE_ONCE = Exercise(
    "take_once",
    points=2,
    is_async=True,
    rule="a ticket works once: look and take away in one step",
    hints=(
        "Where can another task come between? Which of the store's two calls tells you that it "
        "was *you* who took the ticket away?",
        "A trace: A get -> 'ada'; B get -> 'ada'; A delete -> True; B delete -> False. Both know "
        "the value. One of them was told False.",
        "1. Get the value, as before.\n"
        "2. Await delete, and keep what it returns.\n"
        "3. Return the value if delete said True, else None.",
    ),
    cases=(
        Case("one taker", drive=_takers(1), shown="take_once(store, 't1')", expect="ada"),
        Case(
            "a ticket that is unknown",
            drive=_takers(1, ticket="t9"),
            shown="take_once(store, 't9')",
            expect=None,
        ),
        Case(
            "one after the other",
            drive=_twice,
            shown="take_once(store, 't1') twice",
            expect=["ada", None],
        ),
        Case(
            "two at once",
            drive=_takers(2),
            shown="gather(take_once(store, 't1'), take_once(store, 't1'))",
            expect="1 got in",
            why="between get and delete the other one gets it too; only delete tells who was first",
        ),
        Case(
            "fifty at once",
            drive=_takers(50),
            shown="gather(*[take_once(store, 't1')] * 50)",
            expect="1 got in",
        ),
    ),
)
