"""Which test stands for which rule of the two RFCs, found without importing any test.

`RULES` is the protocol checklist: 86 rules of RFC 6455 and RFC 7692, each with its section and
the chapter whose code first keeps it. A test claims rules with `@pytest.mark.rule(47)`; `claims()`
reads those marks from the source, so nothing has to be collected. `python -m tests.checklist
--write` puts both together into `refimpl/lab/records/rules.json`, from which the chapters'
odometers are drawn, and a test keeps that file in step.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "refimpl" / "lab" / "records" / "rules.json"

CORE = (1, 2, 3)
"""The chapters of the core without I/O; later ones keep the rules about time and sockets."""


class Rule(NamedTuple):
    """One rule: where it stands, the chapter that keeps it, whether the Autobahn suite tests it."""

    section: str
    chapter: int
    autobahn: bool
    text: str


def _rules() -> dict[int, Rule]:
    """Return the checklist from its table below."""
    rules: dict[int, Rule] = {}
    for line in TABLE.strip().splitlines():
        number, section, chapter, autobahn, text = (part.strip() for part in line.split("|", 4))
        rules[int(number)] = Rule(section, int(chapter), autobahn == "yes", text)
    return rules


# number | section | chapter | tested by Autobahn | rule
TABLE = """
 1|6455 4.2.1  |1|no |the method is GET
 2|6455 4.2.1  |1|no |HTTP/1.1 or higher
 3|6455 4.2.1  |1|no |exactly one Host
 4|6455 4.2.1  |1|no |the Upgrade list contains websocket, in any case
 5|6455 4.2.1  |1|no |the Connection tokens, over repeated lines, contain upgrade, in any case
 6|6455 4.2.1  |1|no |the key is canonical base64 of 16 bytes
 7|6455 4.2.1  |1|no |the key comes exactly once
 8|6455 4.2.1  |1|no |the version is 13, once
 9|6455 4.4    |1|no |a wrong version is answered with the version we speak
10|6455 4.2.2  |1|no |the 101 carries Upgrade and Connection
11|6455 4.2.2  |1|no |the accept value is base64(SHA-1(key + GUID))
12|6455 11.3.3 |1|no |the accept value comes once, the key never in a response
13|6455 4.2.2  |1|no |the subprotocol is one of those offered, or the header is absent
14|6455 11.3.4 |1|no |repeated subprotocol lines form one list; the response has one line
15|6455 11.3.2 |1|no |extensions only from the offer; the response has one line
16|6455 9.1    |1|no |a malformed extension header fails the handshake
17|6455 9.1    |1|no |an unknown extension is not echoed
18|6455 10.2   |1|no |a foreign Origin gets 403
19|6455 4.2.2  |1|no |an unknown resource gets 404
20|6455 4.2.1  |3|no |frames in the same read as the request head are kept
21|6455 4.2.2  |5|no |a refusal is an HTTP error, never a 101, and closes the connection
22|6455 4.2.2  |5|no |over wss the TLS handshake comes first
23|6455 3      |1|no |the URI has no fragment; default ports; IPv6 literals
24|6455 4.1    |6|no |at most one connection per host and address is connecting at a time
25|6455 4.1    |1|no |the key is 16 fresh random bytes
26|6455 4.1    |1|no |the request has its headers; the port in Host when it is not the default
27|6455 4.1    |1|no |the subprotocols offered are unique tokens
28|6455 4.1    |1|no |anything but 101 does not open, and stays readable
29|6455 4.1    |1|no |a response with a wrong Upgrade fails
30|6455 4.1    |1|no |a response with a wrong Connection fails
31|6455 4.1    |1|no |a response with a wrong or repeated accept value fails
32|6455 4.1    |1|no |a response with an extension that was not offered fails
33|6455 4.1    |1|no |a response with a subprotocol that was not offered fails
34|6455 4.1    |3|no |no data before the handshake is validated
35|6455 4.1    |5|no |a bad certificate fails
36|6455 5.1    |2|no |a server fails the connection on an unmasked frame
37|6455 5.1    |2|no |a client fails the connection on a masked frame
38|6455 5.3    |3|no |a client masks every frame
39|6455 5.3    |3|no |each frame has a new unpredictable masking key
40|6455 5.1    |3|no |a server never masks
41|6455 5.2    |2|yes|RSV bits without an extension fail
42|6455 5.2    |2|yes|opcodes 3-7 and B-F fail
43|6455 5.2    |2|no |the length is in its minimal form
44|6455 5.2    |2|no |the top bit of the 64-bit length is 0
45|6455 5.2    |2|yes|lengths 0, 125, 126, 65535, 65536 round-trip
46|6455 5.2    |2|yes|any chunking of the bytes gives the same events
47|6455 10.4   |2|no |the size limit is enforced on the header, before anything is allocated
48|6455 5.5    |2|yes|control frames are not fragmented
49|6455 5.5    |2|yes|control payloads have at most 125 bytes
50|6455 5.4    |3|yes|a control frame between fragments is handled at once
51|6455 5.4    |3|yes|an orphan continuation fails
52|6455 5.4    |3|yes|a new data opcode inside a fragmented message fails
53|6455 5.4    |3|yes|the type comes from the first frame; order is kept
54|6455 5.4    |3|no |empty fragments are legal and counted
55|6455 5.4    |3|yes|fragmented and unfragmented mean the same
56|6455 5.5.3  |3|yes|a Pong echoes the payload of the Ping
57|6455 5.5.3  |3|yes|an unsolicited Pong is ignored
58|6455 5.5.3  |3|yes|of several pending Pings the latest is answered
59|6455 5.5.1  |3|no |nothing is sent after Close
60|6455 5.5.1  |3|yes|a close body of one byte fails
61|6455 7.4    |3|yes|only registered and private close codes are accepted
62|6455 7.4.1  |3|no |1005, 1006 and 1015 are never sent
63|6455 5.5.1  |3|yes|the reason is UTF-8 of at most 123 bytes
64|6455 5.5.1  |3|yes|Close is answered once
65|6455 1.4    |3|yes|data after Close is discarded
66|6455 7.1.1  |5|no |the server drops the TCP connection first
67|6455 7.1.1  |5|no |closing has one total deadline
68|6455 7.1.5  |3|no |no Close received is 1006, an empty one 1005
69|6455 7.1.7  |3|yes|nothing is processed after failing the connection
70|6455 7.1.7  |3|no |an end of stream inside a frame gives no partial message
71|6455 7.2.3  |5|no |reconnecting waits a random time first, then exponentially longer
72|6455 8.1    |3|yes|the whole text message is valid UTF-8
73|6455 8.1    |3|yes|a code point may be split across fragments
74|6455 8.1    |3|yes|overlongs, surrogates, beyond U+10FFFF, 5- and 6-byte forms fail
75|6455 8.1    |3|yes|a truncated tail at the end of the message fails
76|6455 8.1    |3|yes|it fails on the first byte that cannot continue
77|7692 5.1    |3|no |the server declines bad offers
78|7692 5.1    |3|no |the client fails on bad responses
79|7692 7.1.2  |3|no |window bits are 8-15, agreed as offered
80|7692 7.1.1  |3|yes|no_context_takeover resets the window
81|7692 6      |3|no |RSV1 on a control or continuation frame fails
82|7692 6      |3|no |messages with RSV1 clear are still accepted
83|7692 7.2.1  |3|yes|the tail 00 00 FF FF is stripped and put back
84|7692 7.2.3.4|3|no |a block with BFINAL set is accepted
85|7692 8      |3|no |a corrupt stream fails; UTF-8 is checked after inflating; inflating is capped
86|7692 6      |3|no |RSV1 without negotiation fails, both roles
"""

RULES = _rules()


def claims(root: Path = HERE) -> dict[int, list[str]]:
    """Return, for each rule number, the ids of the tests that carry it, in order of file and line.

    A mark on a class counts for all of its tests. An id reads as pytest's without parameters:
    `tests/test_framing.py::TestSection5_2::test_5_2_reserved_opcode_fails`.
    """
    found: dict[int, list[str]] = {}
    for path in sorted(root.rglob("test_*.py")):
        place = f"tests/{path.relative_to(root).as_posix()}"
        _walk(ast.parse(path.read_text(encoding="utf-8")), place, set(), found)
    return dict(sorted(found.items()))


def _walk(node: ast.AST, place: str, inherited: set[int], found: dict[int, list[str]]) -> None:
    """Add the claims of the classes and tests directly inside node."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            _walk(child, f"{place}::{child.name}", inherited | _marks(child), found)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and child.name.startswith(
            "test"
        ):
            for number in sorted(inherited | _marks(child)):
                found.setdefault(number, []).append(f"{place}::{child.name}")


def _marks(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    """Return the numbers in the `@pytest.mark.rule(...)` decorators of one class or function."""
    numbers: set[int] = set()
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.rule":
            numbers.update(ast.literal_eval(argument) for argument in decorator.args)
    return numbers


def table(root: Path = HERE) -> str:
    """Return the text of rules.json: the rules, each with the tests that claim it."""
    claimed = claims(root)
    rules = [
        {"number": number, **rule._asdict(), "tests": claimed.get(number, [])}
        for number, rule in RULES.items()
    ]
    return json.dumps({"rules": rules}, indent=1, ensure_ascii=False) + "\n"


def odometer(chapter: int, data: Path = DATA) -> tuple[int, int]:
    """Return how many rules chapters 1 to this one keep with a test, and how many there are."""
    rules = json.loads(data.read_text(encoding="utf-8"))["rules"]
    kept = [rule for rule in rules if rule["chapter"] <= chapter and rule["tests"]]
    return len(kept), len(rules)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        DATA.write_text(table(), encoding="utf-8")
    for last in range(1, 7):
        print(f"chapters 1..{last}: {odometer(last)[0]:2d} of {odometer(last)[1]} rules")
