"""Which endpoint a path means: an attack on a lenient registry, and a strict one."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, call


def _knock(name: str) -> Callable[[Any], object]:
    def drive(sneak: Callable[[str], object]) -> object:
        path = sneak(name)
        if path is ...:
            return path
        if not isinstance(path, str):
            raise Wrong(f"a {type(path).__name__}, where a path is wanted, a str")
        if not path.startswith("/"):
            raise Wrong(f"{path!r}, which does not begin with /")
        if not re.fullmatch(r"[!-~]+", path):
            raise Wrong(f"{path!r}, which cannot stand in a request line: visible ASCII only")
        if name in path:
            raise Wrong(f"{path!r}, which the gate refuses: the name stands in it")
        return unquote(path).rstrip("/").rpartition("/")[2]

    return drive


SNEAK = Exercise(
    "sneak",
    points=2,
    rule='RFC 3986 6.2.2.2 "Percent-Encoding Normalization"',
    hints=(
        "The gate compares text before decoding, the registry after. What looks different before "
        "and is the same after?",
        "RFC 3986 2.1: % and two hexadecimal digits stand for one byte. %61 is `a`, whose number "
        "is 0x61. unquote('/ws/%63hat') is '/ws/chat'.",
        "1. f'%{ord(letter):02x}' encodes one letter.\n"
        "2. Encode every letter of the name, since a short name may also occur in /ws/.\n"
        "3. Put a / before it; what stands before that is yours to choose.",
    ),
    cases=(
        Case(
            "admin", drive=_knock("admin"), shown="knock(sneak('admin'), 'admin')", expect="admin"
        ),
        Case(
            "another name",
            drive=_knock("payroll"),
            shown="knock(sneak('payroll'), 'payroll')",
            expect="payroll",
            why="the name comes as an argument",
        ),
        Case(
            "a name of one letter",
            drive=_knock("w"),
            shown="knock(sneak('w'), 'w')",
            expect="w",
            why="`w` also stands in /ws/: keep that, or anything like it, out of your path",
        ),
        Case("capitals", drive=_knock("DB"), shown="knock(sneak('DB'), 'DB')", expect="DB"),
    ),
)


def _scope(path: str, raw: bytes | None = None, **more: object) -> dict[str, Any]:
    return {"type": "websocket", "path": path, "raw_path": raw or path.encode(), **more}


def _name(name: str, scope: dict[str, Any], expect: str | None, why: str = "") -> Case:
    return Case(name, call(scope, "/ws/"), expect=expect, why=why)


SPELLED = "one endpoint, one spelling: the raw path has to be root, prefix and name as well"
LISTED = "a name has lower-case letters, digits and single hyphens between them, and nothing else"

ENDPOINT_NAME = Exercise(
    "endpoint_name",
    points=3,
    rule="RFC 3986 6.2: two addresses may be the same and look different",
    hints=(
        "Put together what the path has to begin with. The rest is a name, matched as a whole, or "
        "it is nothing. Then ask whether the raw path says the same.",
        "A trace: path '/ws/admin', raw_path b'/ws/%61dmin'. The name would be 'admin', but the "
        "raw path is not b'/ws/admin': None. raw_path b'/ws/chat?x=1' is cut at the ?.",
        "1. before = root + prefix; a path that does not start with it: None.\n"
        "2. name = what is behind; more than 32 characters: None.\n"
        "3. re.fullmatch: a letter, letters and digits, then any number of groups of one hyphen "
        "and letters and digits; or None.\n"
        "4. raw_path there, and its part before ? is not path.encode(): None.\n"
        "5. Else the name.",
    ),
    replaces="middleware.registry.endpoint_name",
    cases=(
        _name("a plain path", _scope("/ws/chat"), "chat"),
        _name("a path elsewhere", _scope("/api/chat"), None, "it has to begin with the prefix"),
        _name("hyphens and a digit", _scope("/ws/live-prices-2"), "live-prices-2"),
        _name("the prefix alone", _scope("/ws/"), None, LISTED),
        _name("a slash in it", _scope("/ws/a/b"), None, LISTED),
        _name("dots", _scope("/ws/../ws/chat"), None, LISTED),
        _name("a dot at the end", _scope("/ws/chat."), None, LISTED),
        _name("a NUL", _scope("/ws/chat\0", b"/ws/chat%00"), None, LISTED),
        _name(
            "a capital letter",
            _scope("/ws/Chat"),
            None,
            "the house allows lower case only: this is not the package's rule",
        ),
        _name("a digit first", _scope("/ws/2chat"), None, "a name begins with a letter"),
        _name("a hyphen first", _scope("/ws/-a"), None, "hyphens stand between, not at an end"),
        _name("a hyphen last", _scope("/ws/a-"), None, "hyphens stand between, not at an end"),
        _name("two hyphens", _scope("/ws/a--b"), None, "single hyphens, one at a time"),
        _name(
            "a line break at the end",
            _scope("/ws/chat\n", b"/ws/chat\n"),
            None,
            "`$` in a pattern also matches before a last line break: use fullmatch",
        ),
        _name(
            "a letter of another alphabet",
            _scope("/ws/c\u0445at", "/ws/c\u0445at".encode()),
            None,
            "that is a Cyrillic letter: \\w, isalpha() and islower() take those of every alphabet",
        ),
        _name("32 characters", _scope("/ws/" + "x" * 32), "x" * 32, "at most 32, so 32 is allowed"),
        _name("33 characters", _scope("/ws/" + "x" * 33), None, "at most 32 characters"),
        _name("an encoded letter", _scope("/ws/admin", b"/ws/%61dmin"), None, SPELLED),
        _name("an encoded slash", _scope("/ws/admin", b"/ws%2fadmin"), None, SPELLED),
        _name(
            "more behind it in the raw path", _scope("/ws/chat", b"/ws/chat/../a"), None, SPELLED
        ),
        _name("an empty raw path", {"path": "/ws/chat", "raw_path": b""}, None, SPELLED),
        Case(
            "a digit of another alphabet",
            call({"path": "/ws/chat\u0663"}, "/ws/"),
            expect=None,
            why="\\d and isdigit() take the digits of every alphabet: say 0-9",
        ),
        Case(
            "a question mark in the path",
            call({"path": "/ws/chat?x"}, "/ws/"),
            expect=None,
            why="in `path` a ? was encoded, and belongs to the name; only the raw path has a query",
        ),
        Case(
            "a prefix with a dot",
            call({"path": "/v1x0/chat"}, "/v1.0/"),
            expect=None,
            why="the prefix is text and no pattern: a dot in it is a dot",
        ),
        Case(
            "outside of its root, and no raw path",
            call({"path": "/ws/chat", "root_path": "/shop"}, "/ws/"),
            expect=None,
            why="the path begins with the root, then comes the prefix",
        ),
        _name(
            "a query with a ? in it",
            _scope("/ws/chat", b"/ws/chat?a=?b"),
            "chat",
            "cut the raw path at the ?, the first one",
        ),
        _name("more before it in the raw path", _scope("/ws/a", b"/%2e/ws/a"), None, SPELLED),
        Case(
            "no raw path",
            call({"path": "/ws/chat"}, "/ws/"),
            expect="chat",
            why="raw_path is optional; without it the path has to do",
        ),
        Case(
            "a raw path of None",
            call({"path": "/ws/chat", "raw_path": None}, "/ws/"),
            expect="chat",
        ),
        _name(
            "a raw path with a query",
            _scope("/ws/chat", b"/ws/chat?room=7"),
            "chat",
            "cut the raw path at the ? before you compare",
        ),
        _name(
            "below a root",
            _scope("/shop/ws/chat", root_path="/shop"),
            "chat",
            "the path begins with the root, then comes the prefix",
        ),
        _name(
            "outside of its root",
            _scope("/ws/chat", root_path="/shop"),
            None,
            "the path begins with the root, then comes the prefix",
        ),
        Case(
            "another prefix",
            call(_scope("/live/chat"), "/live/"),
            expect="chat",
            why="the prefix comes as an argument",
        ),
    ),
)
