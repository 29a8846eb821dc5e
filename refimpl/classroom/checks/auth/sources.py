"""Exactly one credential in a request."""

from refimpl.auth import AuthError

from ...cases import Case, Exercise, call, raises

TWO = raises(AuthError, status=400)
REAL = "a browser drops a connection whose offer is not answered, and a token is never echoed"

ONE_CREDENTIAL = Exercise(
    "one_credential",
    points=3,
    rule="RFC 6750 2: one method of sending a token in each request",
    hints=(
        "Collect all that you find, from all places, into one list. Only then count.",
        "RFC 6750, 2: a client uses no more than one method in each request. ticket=a&ticket=b "
        "are two. So are a ticket and an Authorization, even with the same word in them.",
        "1. found = []; parse_qsl(query) gives pairs, every one named ticket is one.\n"
        "2. Every protocol that begins with 'bearer.' is one; if there is one and no other "
        "protocol beside it, refuse.\n"
        "3. Every Authorization line is split at its first space: the scheme, in any case, must "
        "be bearer.\n"
        "4. Two or more: refuse. Else the only one, or None.",
    ),
    cases=(
        Case("nothing", call("", [], []), expect=None),
        Case("a ticket", call("room=7&ticket=abc", [], []), expect=("ticket", "abc")),
        Case(
            "a subprotocol",
            call("", ["chat.v1", "bearer.x.y.z"], []),
            expect=("subprotocol", "x.y.z"),
            why="behind the first dot all of it is the token, dots included",
        ),
        Case("a header", call("", [], ["Bearer x.y.z"]), expect=("authorization", "x.y.z")),
        Case(
            "a scheme in another case",
            call("", [], ["bEARER x.y.z"]),
            expect=("authorization", "x.y.z"),
            why="schemes compare in any case, RFC 9110 11.1",
        ),
        Case("other parameters only", call("tickets=1&room=7", ["chat.v1"], []), expect=None),
        Case(
            "a ticket and a header",
            call("ticket=abc", [], ["Bearer x.y.z"]),
            error=TWO,
            why="two credentials: a proxy may look at one, the application at the other",
        ),
        Case(
            "the same twice",
            call("ticket=abc", ["chat.v1", "bearer.abc"], []),
            error=TWO,
            why="two that agree are two",
        ),
        Case(
            "two tickets",
            call("ticket=a&ticket=b", [], []),
            error=TWO,
            why="a dict keeps one of them: parse_qsl gives all",
        ),
        Case("two header lines", call("", [], ["Bearer a", "Bearer b"]), error=TWO),
        Case("two tokens offered", call("", ["v1", "bearer.a", "bearer.b"], []), error=TWO),
        Case("a token and no protocol", call("", ["bearer.x.y.z"], []), error=TWO, why=REAL),
        Case(
            "another scheme",
            call("", [], ["Basic YTpi"]),
            error=raises(AuthError),
            why="a credential that we cannot read is refused, not overlooked",
        ),
        Case(
            "a name in disguise",
            call("ticket=a&%74icket=b", [], []),
            error=TWO,
            why="%74 is t: whoever reads it behind us decodes it, so we do",
        ),
    ),
)
