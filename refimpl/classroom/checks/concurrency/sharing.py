"""Shared by many: ages in a pool, places that get lost, and a policy for slow members."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, call


def _chances(*numbers: float) -> Callable[[], float]:
    stream: Iterator[float] = itertools.cycle(numbers)
    return lambda: next(stream)


def _aged(count: int, *numbers: float, lifetime: int = 1000) -> Callable[[Any], object]:
    """Call the learner's function with dice that give these numbers; ages to 3 places."""

    def drive(ages: Callable[..., Any]) -> object:
        found = ages(count, lifetime, _chances(*numbers))
        if not isinstance(found, list):
            return found
        if not all(isinstance(each, int | float) for each in found):
            raise Wrong("something in the list that is no number")
        return [round(each, 3) + 0.0 for each in found]

    return drive


AGES = Exercise(
    "ages",
    points=2,
    rule="each connection draws its own jitter: with a common age all end together",
    hints=(
        "Are the ages different from one another? Count how often the dice are rolled.",
        "A trace with chances 0, 0.5, 1 and a lifetime of 1,000: the ages are 1000, 950, 900.",
        "1. For each of the count connections call chance() once.\n"
        "2. Its age is lifetime less a tenth of lifetime times that number.\n"
        "3. Return all of them as a list.",
    ),
    cases=(
        Case(
            "one connection, chance 0",
            drive=_aged(1, 0.0),
            shown="ages(1, 1000, chance)",
            expect=[1000.0],
        ),
        Case(
            "chances 0, 0.5 and 1",
            drive=_aged(3, 0.0, 0.5, 1.0),
            shown="ages(3, 1000, chance)",
            expect=[1000.0, 950.0, 900.0],
            why="each one rolls the dice for itself, and loses at most a tenth",
        ),
        Case("no connection", drive=_aged(0, 0.5), shown="ages(0, 1000, chance)", expect=[]),
        Case(
            "six, with other chances",
            drive=_aged(6, 0.25, 0.75),
            shown="ages(6, 1000, chance)",
            expect=[975.0, 925.0] * 3,
        ),
        Case(
            "a lifetime of four seconds",
            drive=_aged(3, 0.0, 0.5, 0.75, lifetime=4),
            shown="ages(3, 4, chance)",
            expect=[4.0, 3.8, 3.7],
            why="rounded to whole seconds, short lives are all alike again",
        ),
    ),
)


class NaivePool:
    """The pool of the exercise: it loses a place whenever a block ends badly."""

    def __init__(self, size: int) -> None:
        self.free = size
        self.holders = self.lent = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[str]:
        """Lend a place."""
        if not self.free:
            raise TimeoutError("no place came free")
        self.free -= 1
        self.lent += 1
        self.holders += 1
        try:
            yield "a connection"
        finally:
            self.holders -= 1
        self.free += 1


def _starved(size: int) -> Callable[[Any], Any]:
    async def drive(starve: Callable[[NaivePool], Coroutine[Any, Any, object]]) -> object:
        pool, before = NaivePool(size), asyncio.all_tasks()
        if (result := await starve(pool)) is ...:
            return result
        if alive := asyncio.all_tasks() - before:
            if all(task.cancelling() for task in alive):
                raise Wrong("tasks of yours were cancelled and have not ended yet: await them")
            raise Wrong("a task of yours is still alive")
        if pool.holders:
            raise Wrong(f"{pool.holders} of the places are still held: anybody can do that")
        if pool.lent < size - pool.free:
            raise Wrong("a pool whose places were never lent: use acquire(), do not set free")
        return pool.free

    return drive


STARVE = Exercise(
    "starve",
    points=3,
    is_async=True,
    rule="what must happen on every way out belongs in a finally",
    hints=(
        "Find the line that gives the place back. On which way out of the block is it not reached?",
        "A trace: free 3; acquire, free 2; an exception in the block; the finally runs, the line "
        "after it does not; free is still 2, and nobody holds anything.",
        "1. As long as the pool has a free place:\n"
        "2. acquire one, and raise an error of your own inside the block;\n"
        "3. catch it outside of the block.",
    ),
    cases=(
        Case(
            "a pool of one",
            drive=_starved(1),
            shown="starve(NaivePool(1))",
            expect=0,
            why="a block that ends well gives its place back, and break or return end it well too",
        ),
        Case(
            "a pool of five",
            drive=_starved(5),
            shown="starve(NaivePool(5))",
            expect=0,
            why="each block that ends badly costs one place",
        ),
        Case("a pool of forty", drive=_starved(40), shown="starve(NaivePool(40))", expect=0),
    ),
)

DECIDE = Exercise(
    "decide",
    points=2,
    rule="every buffer has a limit, and a policy for when it is full",
    hints=(
        "First ask whether the member is slow at all. Only then does the policy matter.",
        "A trace with write_limit 100 and limit 1000: waiting 100 is not slow, send. Waiting 101 "
        "is: SKIP skips, CLOSE closes, QUEUE sends. Waiting 1001: QUEUE closes.",
        "1. waiting at most write_limit: send.\n"
        "2. SKIP: skip.\n"
        "3. QUEUE and waiting at most limit: send.\n"
        "4. Whatever is left: close.",
    ),
    cases=(
        Case(
            "nothing waits",
            call(0, 100, "CLOSE", 1000),
            expect="send",
            why="a member that keeps up is sent everything, under every policy",
        ),
        Case(
            "slow, SKIP",
            call(500, 100, "SKIP", 1000),
            expect="skip",
            why="more than write_limit wait, so the policy decides",
        ),
        Case(
            "slow, CLOSE",
            call(500, 100, "CLOSE", 1000),
            expect="close",
            why="more than write_limit wait, so the policy decides",
        ),
        Case(
            "slow, QUEUE, within the limit",
            call(500, 100, "QUEUE", 1000),
            expect="send",
            why="QUEUE lets messages wait, as long as no more than limit do",
        ),
        Case(
            "slow, QUEUE, beyond the limit",
            call(1001, 100, "QUEUE", 1000),
            expect="close",
            why="beyond limit the queue is full, and QUEUE parts with the member",
        ),
        Case(
            "just not slow",
            call(100, 100, "SKIP", 1000),
            expect="send",
            why="no more than write_limit wait: not slow",
        ),
        Case("just slow", call(101, 100, "CLOSE", 1000), expect="close"),
        Case(
            "just within the limit",
            call(1000, 100, "QUEUE", 1000),
            expect="send",
            why="no more than limit wait",
        ),
        Case(
            "SKIP beyond the limit",
            call(5000, 100, "SKIP", 1000),
            expect="skip",
            why="only QUEUE has the limit: with SKIP the member stays",
        ),
        Case(
            "a limit below write_limit",
            call(50, 100, "QUEUE", 10),
            expect="send",
            why="the member is not slow, so no policy is asked",
        ),
    ),
)
