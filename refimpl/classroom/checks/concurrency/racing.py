"""A race: the first good answer, and no task left behind."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, raises

SILENT = object()


class Servers:
    """Made-up servers that answer, fail or stay silent, and note how each call ends."""

    def __init__(self) -> None:
        self.begun = 0
        self.running: set[asyncio.Task[Any]] = set()
        self.never = asyncio.Event()

    def server(self, answer: object, *, turns: int = 0) -> Callable[[], Awaitable[object]]:
        """A call that returns the answer, raises it if it is an error, or never ends for SILENT."""

        async def ask() -> object:
            task = asyncio.current_task()
            assert task is not None
            self.begun += 1
            self.running.add(task)
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
                if answer is SILENT:
                    await self.never.wait()
                if isinstance(answer, Exception):
                    raise answer
                return answer
            finally:
                for _ in range(2 if answer is SILENT else 0):
                    await asyncio.sleep(0)  # cleaning up takes a few turns
                self.running.discard(task)

        return ask

    def complain(self, count: int) -> None:
        """Raise Wrong if a call still runs, or if not all were begun."""
        if self.running and all(task.cancelling() for task in self.running):
            raise Wrong("calls that were cancelled, but still ran when first_good was done")
        if self.running:
            raise Wrong("calls that nobody had cancelled, and still ran when first_good was done")
        if self.begun < count:
            raise Wrong(f"only {self.begun} of {count} calls were begun")


Race = Callable[[list[Callable[[], Awaitable[object]]]], Coroutine[Any, Any, object]]
ERROR = ConnectionRefusedError("refused")
SWALLOWS = "`except BaseException` and a bare `except` do that, `except Exception` does not"


def _race(*answers: tuple[object, int]) -> Callable[[Race], Any]:
    """Let the learner's function ask servers with these (answer, turns until it comes)."""

    async def drive(first_good: Race) -> object:
        servers = Servers()
        calls = [servers.server(answer, turns=turns) for answer, turns in answers]
        try:
            async with asyncio.timeout(1):
                result = await first_good(calls)
        except TimeoutError:
            raise Wrong("no answer for a whole second: it waits for a server that is silent") from (
                None
            )
        except Exception:
            servers.complain(len(calls))
            raise
        if result is ...:
            return result
        servers.complain(len(calls))
        return result

    return drive


async def _cancelled(first_good: Race) -> object:
    servers = Servers()
    task = asyncio.ensure_future(first_good([servers.server(SILENT), servers.server(SILENT)]))
    for _ in range(5):
        await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait([task], timeout=1)
    if not task.cancelled():
        how = "ended, but not as cancelled" if task.done() else "still ran a second later"
        raise Wrong(f"first_good {how}: its CancelledError was caught; {SWALLOWS}")
    servers.complain(2)
    return "cancelled"


async def _one_among_failures(first_good: Race) -> object:
    """Let forty fail in the turn in which one answers; a set gives them in any order."""
    result: object = None
    for _ in range(3):
        result = await _race(*[(ERROR, 0)] * 40, ("B", 0))(first_good)
        if result != "B":
            break
    return result


FIRST_GOOD = Exercise(
    "first_good",
    points=4,
    is_async=True,
    rule="code that returns early cancels the tasks it made, and waits for their end",
    hints=(
        "Make a task for each call. Take them as they finish; an error is no answer, so take the "
        "next. And on every way out: cancel, then wait.",
        "A trace with three servers: B fails in turn 1, A answers in turn 3, C is silent. B's "
        "error is passed over, A's answer is the result, C is cancelled, needs two turns to tidy "
        "up, and only then first_good returns.",
        "1. tasks = a task for each call().\n"
        "2. try: for each of asyncio.as_completed(tasks), await it; return the first result, go "
        "on after an Exception; after the loop raise ConnectionError.\n"
        "3. finally: cancel all tasks, then await asyncio.gather(*tasks, return_exceptions=True).",
    ),
    cases=(
        Case("one server", drive=_race(("A", 0)), shown="first_good([A])", expect="A"),
        Case(
            "two, and the second is faster",
            drive=_race(("A", 20), ("B", 1)),
            shown="first_good([A, B])",
            expect="B",
            why="ask all at once, take the first answer; then cancel the rest and wait for them",
        ),
        Case(
            "the fastest one fails",
            drive=_race((ERROR, 0), ("B", 3)),
            shown="first_good([fails, B])",
            expect="B",
            why="an error is no answer: wait for the next",
        ),
        Case(
            "one is silent for ever",
            drive=_race((SILENT, 0), ("B", 3)),
            shown="first_good([silent, B])",
            expect="B",
            why="the silent one has to be cancelled, and cancelling only asks: wait for its end",
        ),
        Case(
            "all fail",
            drive=_race((ValueError("no"), 0), (ERROR, 2), (ValueError("no"), 4)),
            shown="first_good([fails, fails, fails])",
            error=raises(ConnectionError),
            why="whatever the calls' own errors are, the caller hears a ConnectionError",
        ),
        Case(
            "one fails, one is silent, one answers",
            drive=_race((ERROR, 0), (SILENT, 0), ("B", 3)),
            shown="first_good([fails, silent, B])",
            expect="B",
            why="wait for the end of every one: gather without return_exceptions=True ends at the "
            "first error, and waits for nobody after it",
        ),
        Case(
            "forty fail in the very turn in which one answers",
            drive=_one_among_failures,
            shown="first_good([fails, ..., fails, B])",
            expect="B",
            why="several may be done at once: look at all of them, not at one of the set",
        ),
        Case(
            "an answer that is False in an if",
            drive=_race((0, 0), ("B", 5)),
            shown="first_good([answers 0, B])",
            expect=0,
            why="0 is an answer",
        ),
        Case(
            "an answer that is None",
            drive=_race((None, 0), ("B", 5)),
            shown="first_good([answers None, B])",
            expect=None,
            why="None is an answer too: a call that raises nothing has succeeded",
        ),
        Case(
            "cancelled while both are silent",
            drive=_cancelled,
            shown="cancel first_good([silent, silent])",
            expect="cancelled",
            why="the tasks must end on this way out too: that is what finally is for",
        ),
    ),
)
