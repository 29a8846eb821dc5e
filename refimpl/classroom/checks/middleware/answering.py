"""Headers on their way out: defaults for an answer, and a name in every answer."""

import copy
from collections.abc import Callable, Coroutine
from typing import Any

from refimpl.middleware.context import RequestID

from ...cases import Case, Exercise, Wrong, call

Message = dict[str, Any]
START = "http.response.start"
DEFAULTS = {"x-frame-options": "DENY", "referrer-policy": "same-origin"}
FRAME, REFERRER = (b"x-frame-options", b"DENY"), (b"referrer-policy", b"same-origin")


def _twice(function: Callable[..., Any]) -> object:
    message = {"type": START, "headers": [(b"x-a", b"b")]}
    first, second = function(message, DEFAULTS), function(message, DEFAULTS)
    if isinstance(first, dict) and first is message:
        raise Wrong("the very dictionary that was passed in, not a new one")
    if len(message["headers"]) > 1:
        raise Wrong(f"the right headers, but the message's own list has {len(message['headers'])}")
    return second


WITH_DEFAULTS = Exercise(
    "with_defaults",
    points=2,
    rule="RFC 9110 5.1: field names are case-insensitive; and the message is the application's",
    hints=(
        "Which of these may decide that a default is there already: its value, its name, the "
        "name's case? And whose list is it that grows?",
        "RFC 9110 5.1: X-Frame-Options and x-frame-options are one name. An answer with "
        "(b'X-Frame-Options', b'SAMEORIGIN') gets no second one, and keeps its spelling.",
        "1. own = a copy of the message's list, empty where there is none.\n"
        "2. known = the lower-case names in it.\n"
        "3. Append each default whose encoded name is not known.\n"
        "4. Return {**message, 'headers': own}.",
    ),
    replaces="middleware.headers.with_defaults",
    cases=(
        Case(
            "no headers of its own",
            call({"type": START, "headers": []}, DEFAULTS),
            expect={"type": START, "headers": [FRAME, REFERRER]},
        ),
        Case(
            "other headers",
            call({"type": START, "status": 200, "headers": [(b"X-A", b"b")]}, DEFAULTS),
            expect={"type": START, "status": 200, "headers": [(b"X-A", b"b"), FRAME, REFERRER]},
            why="its own pairs first and as they were, then the defaults",
        ),
        Case(
            "sets one of them itself",
            call({"type": START, "headers": [(b"x-frame-options", b"SAMEORIGIN")]}, DEFAULTS),
            expect={"type": START, "headers": [(b"x-frame-options", b"SAMEORIGIN"), REFERRER]},
            why="the application's own word wins: compare names, not pairs",
        ),
        Case(
            "sets one in another case",
            call({"type": START, "headers": [(b"X-Frame-Options", b"SAMEORIGIN")]}, DEFAULTS),
            expect={"type": START, "headers": [(b"X-Frame-Options", b"SAMEORIGIN"), REFERRER]},
            why="names are the same without regard to case; the pair itself stays as it was",
        ),
        Case(
            "a message without headers",
            call({"type": START}, DEFAULTS),
            expect={"type": START, "headers": [FRAME, REFERRER]},
            why="ASGI allows that: headers are optional",
        ),
        Case(
            "the same message twice",
            drive=_twice,
            shown="with_defaults(message, defaults), twice",
            expect={"type": START, "headers": [(b"x-a", b"b"), FRAME, REFERRER]},
            why="the list in the message is the application's: copy it, or it grows each time",
        ),
        Case(
            "no defaults",
            call({"type": START, "headers": [(b"a", b"b")]}, {}),
            expect={"type": START, "headers": [(b"a", b"b")]},
        ),
    ),
)


def _finish(waiting: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that has nothing to wait for."""
    try:
        waiting.send(None)
    except StopIteration:
        return
    waiting.close()
    raise Wrong("a function that waits for something else than send")


def _passed(*messages: Message) -> Callable[[Any], object]:
    """Send messages through the learner's wrapper; return what came out behind it."""

    def drive(stamped: Callable[..., Any]) -> object:
        out: list[Message] = []

        async def send(message: Message) -> None:
            out.append(message)

        wrapped: Any = stamped(send, RequestID("r-7"))
        if wrapped is ...:
            return ...
        if isinstance(wrapped, Coroutine):
            wrapped.close()
            raise Wrong("a coroutine: return the function itself, not a call of it")
        if not callable(wrapped):
            raise Wrong(f"a {type(wrapped).__name__}, where an async function is wanted")
        for message in copy.deepcopy(list(messages)):
            before = copy.deepcopy(message)
            waiting = wrapped(message)
            if not isinstance(waiting, Coroutine):
                raise Wrong("a plain function, where an async one is wanted")
            _finish(waiting)
            if message != before:
                raise Wrong("the message that came in was changed")
        return out

    return drive


OWN = (b"x-request-id", b"r-7")
ACCEPT = "websocket.accept"
DENIAL = "websocket.http.response.start"


def _stamp(name: str, message: Message, out: Message, why: str = "") -> Case:
    return Case(
        name, drive=_passed(message), shown=f"await stamped(send, RequestID('r-7'))({message})",
        expect=[out], why=why,
    )  # fmt: skip


STAMPED = Exercise(
    "stamped",
    points=3,
    rule='ASGI 3.0, "HTTP & WebSocket": a middleware changes messages by wrapping send',
    hints=(
        "Define an async function inside, which looks at the message, perhaps makes a changed "
        "copy, and awaits send. Return the function, not a call of it.",
        "A trace: {'type': 'websocket.accept'} goes in, {'type': 'websocket.accept', 'headers': "
        "[(b'x-request-id', b'r-7')]} comes out; {'type': 'websocket.send', 'text': 'x'} comes "
        "out as it went in.",
        "1. async def inner(message): ...; return inner.\n"
        "2. For the three types: others = the pairs whose lower-case name is another.\n"
        "3. message = {**message, 'headers': [*others, own]}.\n"
        "4. await send(message), in every case.",
    ),
    replaces="middleware.context.stamped",
    cases=(
        _stamp(
            "an HTTP answer",
            {"type": START, "status": 200, "headers": [(b"x-a", b"b")]},
            {"type": START, "status": 200, "headers": [(b"x-a", b"b"), OWN]},
        ),
        _stamp(
            "an acceptance",
            {"type": ACCEPT, "headers": []},
            {"type": ACCEPT, "headers": [OWN]},
            "three types of message begin an answer, not only HTTP's",
        ),
        _stamp(
            "a denial",
            {"type": DENIAL, "status": 404, "headers": []},
            {"type": DENIAL, "status": 404, "headers": [OWN]},
            "three types of message begin an answer, and this is the third",
        ),
        _stamp(
            "no headers at all",
            {"type": ACCEPT},
            {"type": ACCEPT, "headers": [OWN]},
            "headers are optional in ASGI",
        ),
        _stamp(
            "one of that name already",
            {"type": ACCEPT, "headers": [(b"X-Request-ID", b"other"), (b"X-A", b"b")]},
            {"type": ACCEPT, "headers": [(b"X-A", b"b"), OWN]},
            "another pair of that name, in whatever case, goes; pairs of other names stay",
        ),
        _stamp(
            "a text",
            {"type": "websocket.send", "text": "hello"},
            {"type": "websocket.send", "text": "hello"},
            "all other messages pass as they are",
        ),
        Case(
            "a whole answer",
            drive=_passed({"type": START, "status": 200}, {"type": "http.response.body"}),
            shown="a start and a body, one after the other",
            expect=[
                {"type": START, "status": 200, "headers": [OWN]},
                {"type": "http.response.body"},
            ],
        ),
    ),
)
