"""Chapter 01: which subprotocol a server picks."""

from collections.abc import Iterable

from refimpl.classroom.checking.cases import UNSET, Case, Exercise, Row, call, raises
from refimpl.classroom.checking.difference import differences
from refimpl.errors import HandshakeError
from refimpl.handshake import Headers

NAME = "Sec-WebSocket-Protocol"
V1, V2, V3 = "v1.notes", "v2.notes", "v3.notes"


def _offer(*lines: str) -> Headers:
    return Headers([("Host", "notes.example.com"), *((NAME, line) for line in lines)])


def _choose(
    name: str, lines: tuple[str, ...], supported: list[str], why: str, **end: object
) -> Case:
    offer = ", ".join(f'("{NAME}", "{line}")' for line in lines)
    return Case(
        name,
        call(),
        drive=lambda function: function(_offer(*lines), list(supported)),
        shown=f"choose_subprotocol(Headers([{offer}]), {supported!r})",
        why=why,
        **end,  # type: ignore[arg-type]
    )


def _explain(case: Case, result: object) -> Iterable[Row]:
    """The usual entry on the difference, unless both are names: then showing both is enough."""
    if case.expect is UNSET or isinstance(result, str | BaseException):
        return []
    return differences(case.expect, result)


CHOOSE_SUBPROTOCOL = Exercise(
    "choose_subprotocol",
    points=3,
    rule="RFC 6455 4.2.2, item 5.5 (choosing), 4.1, item 10 (what may be offered), 11.3.4",
    hints=(
        "First read the offer, all lines as one list, and refuse it where it is broken. Only then "
        "go through the server's own names, and stop at the first that is offered.",
        "RFC 6455 4.1: the elements of the offer must be non-empty strings of token characters, "
        "and all different. `a b` is no token, because of the space. 11.3.4: the header may stand "
        "on several lines, and `chat` + `superchat` is the same as `chat, superchat`.",
        "1. headers.get_all gives the lines, parse_list the elements of all of them.\n"
        "2. Lines, but no element; an element that is no token; one that comes twice: "
        "HandshakeError.\n"
        "3. Return the first of supported that is among the elements, else None.",
    ),
    cases=(
        _choose("the one that both know", (V1,), [V1], "", expect=V1),
        _choose(
            "nothing offered",
            (),
            [V1],
            "no offer is a valid handshake without a subprotocol",
            expect=None,
        ),
        _choose(
            "nothing in common",
            (V3,),
            [V1, V2],
            "then there is no subprotocol; a name that was not offered makes the client hang up",
            expect=None,
        ),
        _choose(
            "two in common",
            (f"{V2}, {V1}",),
            [V1, V2],
            "here the server's order decides, as Policy says: most wanted first",
            expect=V1,
        ),
        _choose(
            "the offer on two lines",
            (V3, V2),
            [V1, V2],
            "several lines are one list: get_all, not get",
            expect=V2,
        ),
        _choose(
            "the same letters in another case",
            ("V1.Notes",),
            [V1],
            "header names compare in any case, the names of subprotocols do not",
            expect=None,
        ),
        _choose(
            "a longer name with ours in it",
            ("v1.notes.beta",),
            [V1],
            "elements are compared whole",
            expect=None,
        ),
        _choose("spaces around", (f" {V3} ,{V1} ",), [V1], "", expect=V1),
        _choose(
            "a name with a space in it",
            ("v2 notes",),
            [V1],
            "a space is in no token; what is malformed is refused, not passed over",
            error=raises(HandshakeError, status=400),
        ),
        _choose(
            "such a name beside a good one",
            (f"{V1}, v2 notes",),
            [V1],
            "an offer that is broken anywhere is refused: judge first, then choose",
            error=raises(HandshakeError, status=400),
        ),
        _choose(
            "a name offered twice",
            (V1, f"{V2}, {V1}"),
            [V1],
            "RFC 6455 4.1: the elements are unique",
            error=raises(HandshakeError, status=400),
        ),
        _choose(
            "an empty offer",
            ("",),
            [V1],
            "a header that is there has an element at least",
            error=raises(HandshakeError, status=400),
        ),
        _choose(
            "a broken offer to a server without subprotocols",
            ("v1 notes",),
            [],
            "whether an offer is well formed does not depend on what the server supports",
            error=raises(HandshakeError, status=400),
        ),
    ),
    explain=_explain,
    replaces="handshake.server.choose_subprotocol",
)
