"""A ticket that works once, in a store that is far away."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong

Take = Callable[["FarStore", str], Awaitable[object]]


class FarStore:
    """A store behind a network: each call takes a turn of the loop, and is atomic there.

    rival: another server has the ticket as well, and takes it as soon as it is read here.
    """

    def __init__(self, values: dict[str, str], *, rival: bool = False) -> None:
        self.first = ""  # of our calls
        self._values = dict(values)
        self._rival = rival

    async def get(self, key: str) -> str | None:
        """Return the value, or None."""
        self.first = self.first or "get"
        await asyncio.sleep(0)
        value = self._values.get(key)
        if self._rival:
            self._values.pop(key, None)
        return value

    async def delete(self, key: str) -> bool:
        """Remove the key; return whether it was there."""
        self.first = self.first or "delete"
        await asyncio.sleep(0)
        return self._values.pop(key, None) is not None

    def __contains__(self, key: object) -> bool:
        return key in self._values


_numbers = itertools.count(1)


def _ticket() -> str:
    """Return the name of a new ticket, because an answer may remember the old ones."""
    return f"ticket-{next(_numbers)}"


async def _one(take_once: Take) -> object:
    """Take a ticket from a store that holds another one too."""
    ticket, other = _ticket(), _ticket()
    store = FarStore({ticket: "ada", other: "eve"})
    got = await take_once(store, ticket)
    if got is None and store.first == "delete":
        raise Wrong("None: delete was there first, and nothing was left that get could return")
    if got is not None and got != "ada":
        raise Wrong(f"{got!r}, neither the value nor None")
    if other not in store:
        raise Wrong("a store without the other ticket, which nobody had taken")
    return got


async def _unknown(take_once: Take) -> object:
    return await take_once(FarStore({_ticket(): "ada"}), _ticket())


async def _twice(take_once: Take) -> object:
    ticket = _ticket()
    store = FarStore({ticket: "ada"})
    return [await take_once(store, ticket), await take_once(store, ticket)]


async def _against_a_rival(take_once: Take) -> object:
    ticket = _ticket()
    return await take_once(FarStore({ticket: "ada"}, rival=True), ticket)


def _takers(count: int) -> Callable[[Take], Any]:
    """Let `count` calls take one ticket at once; return how many got its value."""

    async def drive(take_once: Take) -> object:
        ticket = _ticket()
        store = FarStore({ticket: "ada"})
        got = await asyncio.gather(*(take_once(store, ticket) for _ in range(count)))
        if strange := [each for each in got if each not in ("ada", None)]:
            raise Wrong(f"{strange[0]!r} for somebody, neither the value nor None")
        return sum(each == "ada" for each in got)

    return drive


def _just_one(lucky: object) -> bool:
    if lucky != 1:
        raise Wrong(f"{lucky} got in")
    return True


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
        Case("one taker", drive=_one, shown="take_once(store, ticket)", expect="ada"),
        Case(
            "a ticket that is unknown",
            drive=_unknown,
            shown="take_once(store, another ticket)",
            expect=None,
        ),
        Case(
            "one after the other",
            drive=_twice,
            shown="take_once(store, ticket) twice",
            expect=["ada", None],
        ),
        Case(
            "two at once",
            drive=_takers(2),
            shown="gather(take_once(store, ticket), take_once(store, ticket))",
            holds=_just_one,
            wanted="1 got in",
            why="between get and delete the other one gets it too; only delete tells who was first",
        ),
        Case(
            "another server was faster",
            drive=_against_a_rival,
            shown="take_once(store, ticket), and between get and delete another server takes it",
            expect=None,
            why="a lock or a list is in one server, but all servers share the tickets: only what "
            "delete returns is the same truth for all of them",
        ),
        Case(
            "fifty at once",
            drive=_takers(50),
            shown="gather(*[take_once(store, ticket)] * 50)",
            holds=_just_one,
            wanted="1 got in",
        ),
    ),
)
