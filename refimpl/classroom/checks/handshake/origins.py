"""Chapter 01: an Origin check with patterns."""

import copy

from refimpl.classroom.checking.cases import Case, Exercise, call, raises
from refimpl.errors import HandshakeError
from refimpl.handshake import Headers, Policy

HOME = "http://notes.example.com"
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
        drive=lambda function: function(*copy.deepcopy((headers, policy))),
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
        _origin(
            "a foreign page",
            ["http://evil.example"],
            OWN,
            "without a list, the server's own origin is the only one that may come",
            welcome=False,
        ),
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
        _origin(
            "the own page, and an empty list",
            [HOME],
            Policy(origins=[]),
            "an empty list is a list, and admits nobody; only None stands for the own origin",
            welcome=False,
        ),
        _origin(
            "no Origin, and no None in the list",
            [],
            LISTED,
            "where there is a list, a client without Origin needs None in it",
            welcome=False,
        ),
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
            "a sub-domain over plain http, at the port of https",
            ["http://pages.example.com:443"],
            PATTERN,
            "a port does not make a scheme: compare both",
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
            "null, and null in the list",
            ["null"],
            Policy(origins=["null"]),
            "parse_origin gives None for both, but two pages without an origin are not the same",
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
