"""Chapter 01: an Origin check that is fooled, and one with patterns that is not."""

from collections.abc import Awaitable, Callable

from websockets.exceptions import InvalidStatus

from refimpl import Request, Response, ServerConnection, serve
from refimpl.errors import HandshakeError
from refimpl.handshake import Headers, Policy
from refimpl.handshake.server import ORIGIN

from ...cases import Case, Exercise, Wrong, call, raises

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
    """What the learner's function returns against a server of ours; Wrong where it is no attack."""
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
    """Raise Wrong unless the page lies where the attacker may put one."""
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

WELCOME = "None, for this page is welcome"
PATTERN = Policy(origins=["https://*.example.com"])
PORT_PATTERN = Policy(origins=["https://*.example.com:8443"])
LISTED = Policy(origins=["https://notes.example.com"])
OWN = Policy()


def _origin(
    name: str, origins: list[str], policy: Policy, why: str = "", *, welcome: bool, host: str = ""
) -> Case:
    host = host or "notes.example.com"
    headers = Headers([("Host", host), *(("Origin", origin) for origin in origins)])
    secure = ", secure=True" if policy.secure else ""
    said = ", ".join(f'("Origin", "{origin}")' for origin in origins)
    lines = f'("Host", "{host}")' + (f", {said}" if said else "")
    return Case(
        name,
        call(),
        drive=lambda function: function(headers, policy),
        shown=f"check_origin(Headers([{lines}]), Policy(origins={policy.origins!r}{secure}))",
        why=why,
        **(
            {"expect": None, "wanted": WELCOME}
            if welcome
            else {"error": raises(HandshakeError, status=403)}
        ),
    )


CHECK_ORIGIN = Exercise(
    "check_origin",
    points=4,
    rule='RFC 6455 10.2 "Origin Considerations"; RFC 6454 5 "Comparing Origins"',
    hints=(
        "Turn every case into the same question: does this entry of the list admit this origin? A "
        "policy without a list is a list too: None, and the server's own origin.",
        "RFC 6454 5: equal scheme, host and port. parse_origin('https://a.example.com') is "
        "('https', 'a.example.com', 443), and of 'null' it is None. The pattern "
        "https://*.example.com without its `*.` is ('https', 'example.com', 443): the same scheme "
        "and port, and a host that ends with a dot and `example.com`.",
        "1. Two Origin lines: refuse. No line: the origin is None.\n"
        "2. No list: take [None, scheme://Host], with https where policy.secure says so.\n"
        "3. For each entry: `*` admits all; None admits only None; both parsed and neither None, "
        "an exact entry admits an equal triple, a pattern one whose host ends with `.` and its "
        "own.\n"
        "4. No entry admitted it: HandshakeError with status 403.",
    ),
    cases=(
        _origin("the server's own page", [HOME], OWN, welcome=True),
        _origin("a foreign page", ["http://evil.example"], OWN, welcome=False),
        _origin("no Origin, no list", [], OWN, "this is no browser", welcome=True),
        _origin(
            "over TLS, the page of plain http",
            [HOME],
            Policy(secure=True),
            "policy.secure says that we are https://; another scheme is another origin",
            welcome=False,
        ),
        _origin(
            "the Host's port",
            ["http://notes.example.com:8080"],
            OWN,
            "Host carries the port, and the origin has the same",
            welcome=True,
            host="notes.example.com:8080",
        ),
        _origin(
            "an entry of the list, spelt otherwise",
            ["https://Notes.Example.com:443"],
            LISTED,
            "parse_origin takes care of case and of the default port; compare what it returns",
            welcome=True,
        ),
        _origin(
            "the own page, but not in the list",
            ["http://notes.example.com"],
            LISTED,
            "where there is a list, only the list counts",
            welcome=False,
        ),
        _origin("no Origin, and no None in the list", [], LISTED, welcome=False),
        _origin("no Origin, and None in the list", [], Policy(origins=[None]), welcome=True),
        _origin("anything, and * in the list", ["null"], Policy(origins=["*"]), welcome=True),
        _origin("a sub-domain of a pattern", ["https://pages.example.com"], PATTERN, welcome=True),
        _origin(
            "a sub-domain of a sub-domain", ["https://a.pages.example.com"], PATTERN, welcome=True
        ),
        _origin(
            "the pattern's own domain",
            ["https://example.com"],
            PATTERN,
            "* stands for one name at least",
            welcome=False,
        ),
        _origin(
            "a domain that ends alike",
            ["https://evil-example.com"],
            PATTERN,
            "the dot before example.com belongs to the comparison",
            welcome=False,
        ),
        _origin(
            "a domain that begins alike",
            ["https://pages.example.com.evil.example"],
            PATTERN,
            "a host is read from its end",
            welcome=False,
        ),
        _origin(
            "a sub-domain over plain http",
            ["http://pages.example.com"],
            PATTERN,
            "a pattern has a scheme too: a page of plain http can be faked on the way",
            welcome=False,
        ),
        _origin(
            "a sub-domain at another port",
            ["https://pages.example.com:8443"],
            PATTERN,
            "a pattern without a port means the scheme's default port",
            welcome=False,
        ),
        _origin(
            "a pattern with a port", ["https://pages.example.com:8443"], PORT_PATTERN, welcome=True
        ),
        _origin(
            "null",
            ["null"],
            PATTERN,
            "what parse_origin cannot read is no origin, and is equal to nothing",
            welcome=False,
        ),
        _origin(
            "two Origin lines",
            [HOME, HOME],
            Policy(origins=["*"]),
            "two lines are refused before anything is compared: which one would you believe?",
            welcome=False,
        ),
    ),
    replaces="handshake.server.check_origin",
)
