"""Chapter 01: an Origin check that is fooled."""

from collections.abc import Awaitable, Callable

from websockets.exceptions import InvalidStatus

from refimpl import Request, Response, ServerConnection, serve
from refimpl.classroom.checking.cases import Case, Exercise, Wrong, call, raises
from refimpl.handshake.server import ORIGIN

Steal = Callable[[str, str], Awaitable[object]]

HOME = "http://notes.example.com"
OWNED = "evil-example.com"
NOTES = {
    "session=7f3a91": "the alarm code is 2580",
    "session=c0ffee": "the key is under the mat",
}


def naive_admits(origin: str) -> bool:
    """Whether the naive server of exercise 6 lets a page of this origin in."""
    return origin.startswith("http://notes.example.com") and origin.endswith("example.com")


async def _notes(websocket: ServerConnection) -> None:
    assert websocket.request is not None
    cookie = websocket.request.headers.get("Cookie") or ""
    await websocket.send(NOTES.get(cookie, "sign in first"))


async def _against(steal: Steal, cookie: str, *, mended: bool = False) -> object:
    """The result of the learner's function against a server of ours; Wrong if it is no attack."""
    seen: list[str | None] = []

    def gate(connection: ServerConnection, request: Request) -> Response | None:
        origin = request.headers.get("Origin")
        seen.append(origin)
        if mended or naive_admits(origin or ""):
            return None
        return connection.respond(403, "foreign Origin\n")

    origins = None if mended else ["*"]
    async with serve(_notes, "127.0.0.1", origins=origins, process_request=gate) as server:
        uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            note = await steal(uri, cookie)
        except InvalidStatus:
            if mended:
                raise
            raise Wrong(_refused(seen[-1])) from None
    if note is ...:  # not attempted
        return note
    if not mended:
        _judge_page(seen)
    if note == "sign in first":
        raise Wrong("'sign in first': the browser would have sent the user's cookie along")
    return note


def _refused(origin: str | None) -> str:
    if origin is None:
        return "403: a browser always says Origin, and the server insists on it"
    if not origin.startswith(HOME):
        return f"403 for {origin}: it does not start with {HOME}"
    return f"403 for {origin}: it does not end with example.com"


def _judge_page(seen: list[str | None]) -> None:
    """Raise Wrong unless the page is at an origin that the attacker can have."""
    if not seen:
        raise Wrong("no connection: the server was never asked")
    origin = seen[-1] or ""
    match = ORIGIN.fullmatch(origin)
    if match is None:
        raise Wrong(f"a page at {origin}; an origin is scheme://host[:port] in lower case, no path")
    host = match[2]
    if host != OWNED and not host.endswith(f".{OWNED}"):
        raise Wrong(
            f"a page at {origin}, which is not yours: you own {OWNED} and all names below it"
        )


def _riding(cookie: str, *, mended: bool = False) -> Callable[[Steal], Awaitable[object]]:
    async def drive(steal: Steal) -> object:
        return await _against(steal, cookie, mended=mended)

    return drive


FIRST, SECOND = NOTES

STEAL = Exercise(
    "steal",
    points=3,
    rule='RFC 6455 10.2 "Origin Considerations"; RFC 6454 5 "Comparing Origins"',
    hints=(
        "Both halves of the check are right about the text, and neither looks at where a name "
        "ends. You may put any words in front of a domain that is yours.",
        "RFC 6454 4: the origin of http://a.b.c/page is http://a.b.c, scheme, host and port. A "
        "host is read from its end: in a.b.c, c belongs to a registry, b.c to whoever registered "
        "it, and a.b.c is that owner's choice. Yours is evil-example.com. What does it end with? "
        "And what may you put before it?",
        "1. Build an origin that starts with http://notes.example.com and goes on with a dot and "
        "your own domain.\n"
        "2. Open the WebSocket as the browser would: connect with that origin, and with the "
        "cookie as an additional header.\n"
        "3. Return what recv gives.",
    ),
    cases=(
        Case(
            "the naive server",
            call(),
            drive=_riding(FIRST),
            shown=f"await steal('ws://127.0.0.1:...', {FIRST!r})",
            expect=NOTES[FIRST],
        ),
        Case(
            "another user who opens your page",
            call(),
            drive=_riding(SECOND),
            shown=f"await steal('ws://127.0.0.1:...', {SECOND!r})",
            expect=NOTES[SECOND],
            why="the page rides on whichever cookie the browser holds",
        ),
        Case(
            "a server that compares whole origins",
            call(),
            drive=_riding(FIRST, mended=True),
            shown=f"await steal('ws://127.0.0.1:...', {FIRST!r})",
            error=raises(InvalidStatus),
            why="against check_origin the attack must fail, and connect must be let say so",
        ),
    ),
    is_async=True,
)
