"""Headers on their way out: defaults for an answer."""

from collections.abc import Callable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, call

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
            "two cookies",
            call({"type": START, "headers": [(b"set-cookie", b"a"), (b"set-cookie", b"b")]}, {}),
            expect={"type": START, "headers": [(b"set-cookie", b"a"), (b"set-cookie", b"b")]},
            why="a name may come twice: a dictionary would lose one of them",
        ),
        Case(
            "a longer name that ends alike",
            call({"type": START, "headers": [(b"x-referrer-policy", b"?")]}, DEFAULTS),
            expect={"type": START, "headers": [(b"x-referrer-policy", b"?"), FRAME, REFERRER]},
            why="compare whole names",
        ),
        Case(
            "its own, and empty",
            call({"type": START, "headers": [(b"referrer-policy", b"")]}, DEFAULTS),
            expect={"type": START, "headers": [(b"referrer-policy", b""), FRAME]},
            why="an empty value is a word of the application's too",
        ),
        Case(
            "no defaults",
            call({"type": START, "headers": [(b"a", b"b")]}, {}),
            expect={"type": START, "headers": [(b"a", b"b")]},
        ),
    ),
)
