"""Reading: what a token says, and which line gives a foreign page away."""

import base64
import json

from refimpl.classroom.checking.cases import Answer, Case, Exercise, call


def _token(claims: dict[str, object]) -> str:
    """Return an unsigned token with these claims; nobody here looks at the signature."""
    parts = [
        json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "HS256"}, claims)
    ]
    spelled = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"sig")]
    return ".".join(spelled)


_LONGER: dict[str, object] = {"sub": "ada", "exp": 1800000900}
_WORDS: dict[str, object] = {"sub": "ada", "admin": False, "tenant": None}
_URL_SAFE: dict[str, object] = {"sub": "ada", "say": "?>?>?>~~"}

CLAIMS_OF = Exercise(
    "claims_of",
    points=1,
    rule="RFC 7515 2 and 7.1: three parts, each in base64url without padding",
    hints=(
        "The claims stand between the two dots. base64 wants its text in fours: how many "
        "characters are missing?",
        "RFC 7515, appendix C: eyJhIjoxfQ has 10 characters, so two = are missing: eyJhIjoxfQ== "
        'is {"a":1}. base64.urlsafe_b64decode knows - and _, which stand for + and /.',
        "1. part = the second of token.split('.').\n"
        "2. Append '=' until the length is a multiple of 4.\n"
        "3. json.loads of base64.urlsafe_b64decode(part).",
    ),
    cases=(
        Case(
            "claims that need no padding",
            call(_token(_LONGER)),
            expect=_LONGER,
            why="the claims are the part between the two dots, read as JSON",
        ),
        Case("one = is missing", call(_token({"sub": "adam"})), expect={"sub": "adam"}),
        Case(
            "two = are missing",
            call(_token({"sub": "ada"})),
            expect={"sub": "ada"},
            why="base64 comes in fours; put back what RFC 7515 leaves out",
        ),
        Case(
            "characters of base64url",
            call(_token(_URL_SAFE)),
            expect=_URL_SAFE,
            why="- and _ stand for + and /: urlsafe_b64decode",
        ),
        Case(
            "false and null",
            call(_token(_WORDS)),
            expect=_WORDS,
            why="it is JSON and not Python; and eval would run whatever a stranger wrote there",
        ),
    ),
)

TELL_TALE = Answer(
    "tell_tale",
    points=1,
    rule='RFC 6455 10.2 "Origin Considerations"',
    hints=(
        "Which line does the browser write by itself, and about the page rather than about the "
        "user or the server?",
        "RFC 6454, 7: a browser says where a request comes from as scheme://host. Compare the "
        "host that is asked with every other host that is named in the request.",
        "1. Find the host that is asked for.\n"
        "2. Find the line that names another host.\n"
        "3. The name of that line, in front of its colon, is the answer.",
    ),
    accepts=lambda value: isinstance(value, str) and value.strip(": ").lower() == "origin",
    kind=str,
    mistakes={
        "Cookie": "the browser sends the user's cookie whichever page asks: that is the attack",
        "Host": "Host names the server that is asked; the attacker wants just that one",
        "Sec-WebSocket-Key": "sixteen random bytes, new for each connection: they say nothing",
        "User-Agent": "that is the user's own browser, and the victim's",
        "Upgrade": "every WebSocket handshake has it",
    },
    otherwise="the name of one header line, as 'Host' or 'Cookie' is one",
)
