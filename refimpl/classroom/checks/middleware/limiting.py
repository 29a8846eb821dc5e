"""A whole middleware: it admits `limit` requests at a time, and refuses the others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong

Message = dict[str, Any]
Middleware = Callable[[Any, int], Any]
Story = Callable[["House"], Awaitable[object]]

BUSY: dict[str, list[Message]] = {
    kind: [
        {"type": f"{before}.start", "status": 503, "headers": [(b"retry-after", b"1")]},
        {"type": f"{before}.body", "body": b"busy"},
    ]
    for kind, before in (("http", "http.response"), ("websocket", "websocket.http.response"))
}
SERVED = [{"type": "served"}]


class Visit:
    """One request: what was sent to it, and how it ended."""

    def __init__(self, house: "House", kind: str) -> None:
        self.sent: list[Message] = []
        self.heard = 0
        self.slow = False
        self.leave = asyncio.Event()
        self.scope = {"type": kind}
        self.house = house

    async def receive(self) -> Message:
        """Return the only message."""
        self.heard += 1
        if self.slow:
            await self.leave.wait()
        return {"type": f"{self.scope['type']}.connect"}

    async def send(self, message: Message) -> None:
        """Note a message."""
        self.sent.append(message)

    async def come(self) -> "Visit":
        """Send the request, and wait until all tasks are idle."""
        self.knock()
        await settle()
        return self

    def knock(self) -> None:
        """Send the request, and do not wait."""
        waiting = self.house.door(self.scope, self.receive, self.send)
        if not isinstance(waiting, Awaitable):
            raise Wrong("what at_most returns is a plain function; an async one is wanted")
        self.task = asyncio.ensure_future(waiting)
        self.house.tasks.append(self.task)

    async def go(self) -> None:
        """Let the application finish with this request."""
        self.leave.set()
        await settle()


class House:
    """An application inside the learner's middleware; it holds each request until `go`."""

    def __init__(self, at_most: Middleware, limit: int) -> None:
        self.tasks: list[asyncio.Future[Any]] = []
        self.fails = False
        self.door = at_most(self.application, limit)
        self.visits: dict[int, Visit] = {}

    def visit(self, kind: str = "http") -> Visit:
        """Make a request that is not sent yet."""
        made = Visit(self, kind)
        self.visits[id(made.scope)] = made
        return made

    async def application(self, scope: Message, receive: Any, send: Any) -> None:
        """Hold the request until it may go, or raise."""
        visit = self.visits.get(id(scope))
        if visit is None or (receive, send) != (visit.receive, visit.send):
            raise Wrong("the application got other objects than the middleware")
        await send(SERVED[0])
        await visit.leave.wait()
        if self.fails:
            raise ZeroDivisionError

    async def close(self) -> None:
        """End whatever is still there."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def settle() -> None:
    """Give every task enough turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


def _told(limit: int, story: Story) -> Callable[[Middleware], object]:
    """Return a drive that runs a story with that limit."""

    async def play(at_most: Middleware) -> object:
        house = House(at_most, limit)
        if house.door is ...:
            return ...
        if not callable(house.door):
            raise Wrong(f"a {type(house.door).__name__}, where an async function is wanted")
        try:
            return await story(house)
        finally:
            await house.close()

    return lambda at_most: asyncio.run(play(at_most))


def fate(visit: Visit) -> object:
    """Return the outcome of a request in a word, or else the messages that it was sent."""
    if visit.task.done() and not visit.task.cancelled():
        error = visit.task.exception()
        if isinstance(error, Wrong):
            raise error
        if error is not None and not isinstance(error, ZeroDivisionError):
            raise error
    if visit.sent == BUSY.get(visit.scope["type"]):
        return "refused"
    if visit.sent == SERVED:
        return "inside" if not visit.task.done() else "served"
    return visit.sent or "left waiting"


def _all(*kinds: str) -> Story:
    async def story(house: House) -> object:
        return [fate(await house.visit(kind).come()) for kind in kinds]

    return story


async def _again(house: House) -> object:
    first = await house.visit().come()
    second = await house.visit().come()
    await first.go()
    return [fate(each) for each in (first, second, await house.visit().come())]


async def _failing(house: House) -> object:
    first = await house.visit().come()
    house.fails = True
    await first.go()
    if not first.task.done() or first.task.exception() is None:
        raise Wrong("the error of the application never came up")
    return fate(await house.visit().come())


async def _cancelled(house: House) -> object:
    first = await house.visit("websocket").come()
    first.task.cancel()
    await settle()
    return fate(await house.visit("websocket").come())


async def _connects(house: House) -> object:
    await house.visit("websocket").come()
    refused = await house.visit("websocket").come()
    return fate(refused), f"receive awaited {refused.heard} times"


async def _at_once(house: House) -> object:
    visits = [house.visit() for _ in range(5)]
    for visit in visits:
        visit.knock()
    await settle()
    return [fate(visit) for visit in visits]


async def _slow_refusal(house: House) -> object:
    first = await house.visit("websocket").come()
    second = house.visit("websocket")
    second.slow = True
    await second.come()
    await first.go()
    return fate(await house.visit("websocket").come())


def _neighbours(at_most: Middleware) -> object:
    async def play() -> object:
        houses = [House(at_most, 1), House(at_most, 1)]
        try:
            return [fate(await house.visit().come()) for house in houses]
        finally:
            for house in houses:
                await house.close()

    return asyncio.run(play())


AT_MOST = Exercise(
    "at_most",
    points=4,
    rule="ASGI 3.0: a middleware is an application that holds another one",
    hints=(
        "Keep a number beside the inner function, outside of it, so that all requests share it. "
        "Ask it, raise it, hand on, and lower it on every way out.",
        "A trace with limit 1: A comes, 0 inside, so in it goes and 1 are inside. B comes, 1 is "
        "not below 1: refused. A's application raises: the finally lowers to 0. C goes in.",
        "1. inside = 0 in at_most; `nonlocal inside` in the async function.\n"
        "2. Neither http nor websocket: return await app(scope, receive, send).\n"
        "3. inside >= limit: for a websocket await receive(), then send the two messages, return.\n"
        "4. inside += 1; try: await app(scope, receive, send); finally: inside -= 1.",
    ),
    cases=(
        Case("one, limit 1", drive=_told(1, _all("http")), shown="A comes", expect=["inside"]),
        Case(
            "two, limit 1",
            drive=_told(1, _all("http", "http")),
            shown="A comes, B comes",
            expect=["inside", "refused"],
            why="refused at once, with exactly these two messages; nobody waits for a place",
        ),
        Case(
            "three, limit 2",
            drive=_told(2, _all("http", "http", "http")),
            shown="A, B, C come",
            expect=["inside", "inside", "refused"],
            why="as long as fewer than limit are inside",
        ),
        Case(
            "a WebSocket too many",
            drive=_told(1, _connects),
            shown="A and B come, both WebSockets",
            expect=("refused", "receive awaited 1 times"),
            why="a WebSocket is denied with messages of its own, after its connect was received",
        ),
        Case(
            "pages and sockets share the places",
            drive=_told(1, _all("websocket", "http")),
            shown="A comes, a WebSocket; B comes, HTTP",
            expect=["inside", "refused"],
            why="one count for both kinds",
        ),
        Case(
            "one leaves, one comes",
            drive=_told(1, _again),
            shown="A comes, B comes, A leaves, C comes",
            expect=["served", "refused", "inside"],
            why="a place is free again when the application has ended with it",
        ),
        Case(
            "the application raises",
            drive=_told(1, _failing),
            shown="A comes, its application raises, B comes",
            expect="inside",
            why="however it ends, the place is free again: that is what finally is for",
        ),
        Case(
            "cancelled inside",
            drive=_told(1, _cancelled),
            shown="A comes, is cancelled, B comes",
            expect="inside",
            why="CancelledError is no Exception: only finally meets every way out",
        ),
        Case(
            "five at once, limit 1",
            drive=_told(1, _at_once),
            shown="A, B, C, D and E come in the same turn",
            expect=["inside"] + ["refused"] * 4,
            why="between the question and the counting nothing may be awaited: others come there",
        ),
        Case(
            "one that is refused, slowly",
            drive=_told(1, _slow_refusal),
            shown="A comes, B is refused and slow to connect, A leaves, C comes",
            expect="inside",
            why="a refused request takes no place, however long the refusal takes",
        ),
        Case(
            "the lifespan",
            drive=_told(1, _all("lifespan", "http")),
            shown="the lifespan begins, A comes",
            expect=["inside", "inside"],
            why="the lifespan is handed on, and not counted: it would take a place for ever",
        ),
        Case(
            "limit 0",
            drive=_told(0, _all("http", "lifespan")),
            shown="A comes, the lifespan begins",
            expect=["refused", "inside"],
            why="all places are taken, but the lifespan needs none",
        ),
        Case(
            "two middlewares",
            drive=_neighbours,
            shown="A comes to one at_most(...), B to another",
            expect=["inside", "inside"],
            why="each call of at_most has a count of its own",
        ),
    ),
)
