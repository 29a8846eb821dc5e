"""Chapter 00: one exercise of each kind that the series has, as small as it can be."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from refimpl.classroom.checking.cases import Answer, Case, Exercise, Wrong, call
from refimpl.classroom.checking.rendering import quantity, render
from refimpl.errors import ConnectionClosed
from refimpl.lifecycle import ClientConnection, ServerConnection, memory_pipe

Handler = Callable[[ServerConnection], Awaitable[None]]

PATIENCE = 1.0  # seconds for one answer: in memory, one takes microseconds

REPLY_TO = Exercise(
    "reply_to",
    points=1,
    rule='RFC 6455 5.6 "Data Frames": text or binary',
    hints=(
        "A message is text or bytes, and Python can tell them apart. Only text gets something in "
        "front of it.",
        "RFC 6455 5.6: a text frame (opcode 1) carries text, a binary frame (opcode 2) any bytes. "
        'For "Hello" the reply is "echo: Hello", eleven letters, of which "echo: " is six: there '
        "is a space after the colon. For b'\\x89PNG' the reply is b'\\x89PNG'.",
        "1. isinstance(message, str) says whether it is text.\n"
        '2. If so, return "echo: " + message.\n'
        "3. If not, return the message.",
    ),
    cases=(
        Case(
            "one word",
            call("Hello"),
            expect="echo: Hello",
            why='returned is "echo: ", with a space after the colon, then the message',
        ),
        Case("a message without a letter", call(""), expect="echo: "),
        Case(
            "blanks at the end",
            call("two blanks  "),
            expect="echo: two blanks  ",
            why="an echo changes nothing in what it was given",
        ),
        Case(
            "four bytes of a picture",
            call(b"\x89PNG"),
            expect=b"\x89PNG",
            why="bytes are no text: they go back as they came",
        ),
        Case("bytes that look like text", call(b"Hello"), expect=b"Hello"),
    ),
)

SIZE_OF_ANSWER = Answer(
    "size_of_answer",
    points=1,
    rule='RFC 6455 5.2 "Base Framing Protocol"',
    hints=(
        "A frame is a head and what it carries. The dump shows both; the text on its right shows "
        "which is which.",
        "RFC 6455 5.2: the head of a short frame from a server has two bytes. In chapter 00 the "
        "same server answered Hello with 81 0b and eleven letters: (13, 11). And hexadecimal 0b is "
        "11, as 2e is 46.",
        "1. The dump has sixteen bytes a line: three full lines make 48, and none is left over.\n"
        "2. Two of them are head, the two dots or signs before the first letter.\n"
        "3. The answer is a pair: (all bytes, letters).",
    ),
    accepts=(48, 46),
    kind=tuple,
    mistakes={
        (46, 48): "the other way round: all bytes first, then the letters",
        (46, 46): "46 letters, and none of them is the head before them",
        (48, 48): "two of the 48 bytes are the frame's head: they are no letters",
        (48, 40): 'the client sent 40 letters; the answer has "echo: " in front of them',
        (46, 40): "those are the client's frame and its letters; the question is for the answer",
        (13, 11): "that is the first answer; the question is for the second",
        (48, 44): "a head from a server has two bytes; a masking key comes only from clients",
        (42, 40): "a head from a server has two bytes, and the letters are those of the dump",
    },
    otherwise="count all bytes of the dump, then leave out the frame's two bytes of head; the "
    "answer is the pair (all bytes, letters)",
)

NEWS = ("breakfast is ready", "the bus is late", "no school today")


def _since(name: str, items: Sequence[str], number: int, expect: list[str], why: str = "") -> Case:
    return Case(name, call(list(items), number), expect=expect, why=why)


NEWS_SINCE = Exercise(
    "news_since",
    points=1,
    rule="what a client has heard, chapter 00, section 4",
    hints=(
        "The client says how many messages it has. What it lacks is all the others, not the last "
        "one.",
        "Messages are numbered from 0. A client with 1 of 3 has number 0, and lacks 1 and 2. One "
        "with 3 of 3 lacks none, and the answer is an empty list, as the polling server's was: "
        "Content-Length: 0.",
        "1. items[a:] are the items from number a on, to the end.\n"
        "2. The first that the client lacks has the very number that it sends.",
    ),
    cases=(
        _since(
            "nothing heard yet",
            NEWS,
            0,
            list(NEWS),
            "all of them are news to this client, not only the latest",
        ),
        _since("two happened between two questions", NEWS, 1, list(NEWS[1:])),
        _since(
            "all heard",
            NEWS,
            3,
            [],
            "a client that has all of them gets nothing twice: an empty list",
        ),
        _since("the last one missing", NEWS, 2, ["no school today"]),
        _since("nothing happened at all", (), 0, []),
    ),
)


# --- a server's handler ---


async def _visit(handler: Handler, messages: Sequence[str]) -> list[str | bytes]:
    """Return the handler's answers to a visitor who sends these messages, each after an answer."""
    client, server = await memory_pipe()
    handling = asyncio.ensure_future(handler(server))
    try:
        return [await _answer(client, handling, message) for message in messages]
    finally:
        await client.close()
        await _end(handling, server)


async def _answer(
    client: ClientConnection, handling: asyncio.Future[None], message: str
) -> str | bytes:
    """Return what comes back for a message; raise what the handler raised, or Wrong."""
    await client.send(message)
    answer = asyncio.ensure_future(client.recv())
    waiting: set[asyncio.Future[object]] = {answer, handling}  # type: ignore[arg-type]
    await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    if answer.done():
        return answer.result()
    answer.cancel()
    with suppress(asyncio.CancelledError):
        await answer
    if handling.done():
        handling.result()  # raises what it raised
        raise Wrong(f"the handler returned before it answered {render(message)}")
    raise Wrong(f"no answer to {render(message)} within {PATIENCE:g} s")


async def _end(handling: asyncio.Future[None], server: ServerConnection) -> None:
    """Give the handler a moment to notice that its visitor is gone, then end it."""
    await asyncio.wait([handling], timeout=PATIENCE)
    ended = handling.done()
    handling.cancel()
    with suppress(asyncio.CancelledError, ConnectionClosed):
        await handling
    await server.close()
    if not ended:
        raise Wrong("the visitor left, and the handler does not end")


def _visits(name: str, *visits: Sequence[str], expect: list[str], why: str = "") -> Case:
    async def drive(handler: Handler) -> list[str | bytes]:
        answers = []
        for messages in visits:
            answers += await _visit(handler, messages)
        return answers

    sent = "; ".join(", ".join(map(render, messages)) or "nothing" for messages in visits)
    shown = f"{quantity(len(visits), 'visitor')}, sending {sent}"
    return Case(name, drive=drive, shown=shown, expect=expect, why=why)


NUMBERED_ECHO = Exercise(
    "numbered_echo",
    points=2,
    rule="one call of the handler for each connection",
    hints=(
        "The handler is called once for each visitor, and lives as long as the visit. So a "
        "variable inside it belongs to one visitor.",
        "RFC 6455 5.4 keeps messages in order and gives them no numbers, so the count is yours. A "
        "visitor who sends Hello and again gets '1: Hello' and '2: again'; the next visitor's "
        "first answer begins with 1 again.",
        "1. number = 0, in front of the loop and inside the function.\n"
        "2. async for message in websocket: add one to it.\n"
        '3. await websocket.send(f"{number}: {message}").',
    ),
    cases=(
        _visits(
            "one message", ["Hello"], expect=["1: Hello"], why="each visitor is counted from 1"
        ),
        _visits(
            "two visitors, one after the other",
            ["Hello"],
            ["hi"],
            expect=["1: Hello", "1: hi"],
            why="each visitor is counted from 1: the number belongs to one call of the handler",
        ),
        _visits(
            "three messages",
            ["a", "b", "c"],
            expect=["1: a", "2: b", "3: c"],
            why="the loop goes on, and counts, until the visitor leaves",
        ),
        _visits("a visitor who says nothing", [], ["Hello"], expect=["1: Hello"]),
    ),
    is_async=True,
)

EXERCISES = (REPLY_TO, SIZE_OF_ANSWER, NEWS_SINCE, NUMBERED_ECHO)
