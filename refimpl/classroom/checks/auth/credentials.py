"""Exactly one credential in a request."""

from refimpl.auth import AuthError
from refimpl.classroom.checking.cases import Case, Exercise, call, raises

# Like a real one: letters of both cases, and the first one also occurs in "bearer.".
TOKEN = "eyJhbGci.eyJzdWIi.Xy-Z"
TWO = raises(AuthError, status=400)
MALFORMED = TWO
REAL = "a browser drops a connection whose offer is not answered, and a token is never echoed"

WORD = "a secret is one word: nothing, or two of them, is malformed"

ONE = (
    Case("nothing", call("", [], []), expect=None),
    Case("a ticket", call("room=7&ticket=abc", [], []), expect=("ticket", "abc")),
    Case(
        "a subprotocol",
        call("", ["chat.v1", f"bearer.{TOKEN}"], []),
        expect=("subprotocol", TOKEN),
        why="the token is all that follows the first dot, dots included (lstrip takes "
        "letters, removeprefix a prefix)",
    ),
    Case(
        "a header",
        call("", [], [f"Bearer {TOKEN}"]),
        expect=("authorization", TOKEN),
        why="the scheme compares in any case, the token does not: return it as it came",
    ),
    Case(
        "a scheme in another case",
        call("", [], [f"bEARER {TOKEN}"]),
        expect=("authorization", TOKEN),
        why="schemes compare in any case, RFC 9110 11.1",
    ),
)

NONE = (
    Case("other parameters only", call("tickets=1&room=7", ["chat.v1"], []), expect=None),
    Case(
        "a name that is alike",
        call("Ticket=a", [], []),
        expect=None,
        why="names in a query compare exactly",
    ),
    Case(
        "bearer. in the middle",
        call("", ["v1", "chat.bearer.x"], []),
        expect=None,
        why="a token's protocol begins with bearer.",
    ),
)

TWICE = (
    Case(
        "a ticket and a header",
        call("ticket=abc", [], ["Bearer x.y.z"]),
        error=TWO,
        why="two credentials: a proxy may look at one, the application at the other",
    ),
    Case(
        "the same in two places",
        call("ticket=abc", ["chat.v1", "bearer.abc"], []),
        error=TWO,
        why="two equal credentials are two",
    ),
    Case(
        "two tickets",
        call("ticket=a&ticket=b", [], []),
        error=TWO,
        why="a dict keeps one of them: parse_qsl gives all",
    ),
    Case(
        "the same ticket twice",
        call("ticket=a&ticket=a", [], []),
        error=TWO,
        why="two equal credentials are two, in one place as well: a set would make one of them",
    ),
    Case("two header lines", call("", [], ["Bearer a", "Bearer b"]), error=TWO),
    Case(
        "the same line twice",
        call("", [], ["Bearer a", "Bearer a"]),
        error=TWO,
        why="two equal credentials are two, in one place as well",
    ),
    Case("two tokens offered", call("", ["v1", "bearer.a", "bearer.b"], []), error=TWO),
    Case(
        "a name in disguise",
        call("ticket=a&%74icket=b", [], []),
        error=TWO,
        why="%74 is t: the code after us decodes it, so we must too",
    ),
)

BAD = (
    Case("a token and no protocol", call("", ["bearer.x.y.z"], []), error=MALFORMED, why=REAL),
    Case(
        "another scheme",
        call("", [], ["Basic YTpi"]),
        error=MALFORMED,
        why="a credential that we cannot read is refused, not overlooked",
    ),
    Case(
        "a scheme that begins alike",
        call("", [], ["BearerX y"]),
        error=MALFORMED,
        why="the scheme is the whole first word",
    ),
    Case("two words", call("", [], ["Bearer a b"]), error=MALFORMED, why=WORD),
    Case("no word", call("", [], ["Bearer "]), error=MALFORMED, why=WORD),
    Case("a scheme alone", call("", [], ["Bearer"]), error=MALFORMED, why=WORD),
    Case("an empty token offered", call("", ["v1", "bearer."], []), error=MALFORMED, why=WORD),
    Case(
        "an empty ticket",
        call("room=7&ticket=", [], []),
        error=MALFORMED,
        why="parse_qsl leaves empty values out, unless keep_blank_values=True",
    ),
)

ONE_CREDENTIAL = Exercise(
    "one_credential",
    points=3,
    rule="RFC 6750 2: one method of sending a token in each request",
    hints=(
        "Collect all that you find, from all places, into one list. Only then count.",
        "RFC 6750, 2: a client uses no more than one method in each request. ticket=a&ticket=b "
        "are two. So are a ticket and an Authorization, even with the same word in them.",
        "1. found = []; parse_qsl(query, keep_blank_values=True) gives pairs, every one named "
        "ticket is one.\n"
        "2. Every protocol that begins with 'bearer.' is one; if there is one and no other "
        "protocol beside it, refuse.\n"
        "3. Every Authorization line is split at its first space: the scheme, in any case, must "
        "be bearer.\n"
        "4. A secret that is empty, or has a space in it: refuse.\n"
        "5. Two or more: refuse. Else the only one, or None.",
    ),
    cases=(*ONE, *NONE, *TWICE, *BAD),
)
