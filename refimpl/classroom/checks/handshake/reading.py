"""Chapter 01: reading recorded heads, and reading keys and header lines strictly."""

import base64
import hashlib

from refimpl.handshake import GUID, parse_request, parse_response
from refimpl.lab import Capture

from ...cases import Answer, Case, Exercise, call

SAID = Capture.load("chromium").sent("client")
HEAD = Capture.load("chromium").decode()[0].wire
ANSWER = Capture.load("chromium").decode()[1].wire

BYTES_BEFORE_HELLO = Answer(
    "bytes_before_hello",
    points=1,
    rule='RFC 9112 2.1 "Message Format"',
    hints=(
        "The first frame begins where the request head ends. So: how long is the head, its last "
        "line end included?",
        "RFC 9112 2.1: a head ends with an empty line. On the wire that is 0d 0a 0d 0a: the end "
        "of the last header line, then the end of a line with nothing in it. The byte behind it "
        "is 81, the first of a text frame.",
        "parse_request(said) gives the request and a position. What is the position of? Or find "
        "the empty line with said.index, and mind that a found position is that of its first "
        "byte.",
    ),
    accepts=len(HEAD),
    mistakes={
        len(HEAD) - 4: "that is where the empty line begins; its four bytes are part of the head",
        len(HEAD) - 2: "two bytes short: the empty line ends in CR LF as well",
        len(HEAD) + 1: "one too many: `before` does not count the frame's own first byte",
        len(SAID): "that is all that the client said, its frames included",
        len(SAID) - len(HEAD): "those are the bytes of the frames; what stands before them?",
        len(HEAD) + len(ANSWER): "the server's answer is not said by the client",
        len(HEAD.splitlines()): "those are lines; the question is about bytes",
    },
    otherwise="the head begins at the first byte and ends with its empty line",
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3

IS_VALID_KEY = Exercise(
    "is_valid_key",
    points=2,
    rule='RFC 6455 4.2.1, item 5; RFC 4648 3.5 "Canonical Encoding"',
    hints=(
        "Decode the key, and look at what you get: is it 16 bytes? Then encode those bytes again: "
        "is it the same text?",
        "RFC 6455 4.2.1: 16 bytes when decoded. RFC 4648 3.5: the bits that are left over are "
        "zero. ...ZQ== ends in Q, 010000: two bits of the last byte, then four zeros. ...ZR== "
        "ends in R, 010001: the same byte, but not the one spelling. And b64decode skips a "
        "character that is no base64, unless you say validate=True.",
        "1. Try to decode with validate=True; it raises ValueError for what is no base64 "
        "(binascii.Error is one): False.\n"
        "2. Not 16 bytes: False.\n"
        "3. Encode the bytes, make text of that, and compare it with the key.",
    ),
    cases=(
        Case("the RFC's own key", call(KEY), expect=True),
        Case("a key of 16 zero bytes", call("AAAAAAAAAAAAAAAAAAAAAA=="), expect=True),
        Case(
            "15 bytes",
            call("dGhlIHNhbXBsZSBub25j"),
            expect=False,
            why="base64, but not of 16 bytes",
        ),
        Case(
            "18 bytes in 24 characters",
            call("dGhlIHNhbXBsZSBub25jZSEh"),
            expect=False,
            why="24 characters can stand for 16, 17 or 18 bytes",
        ),
        Case("an empty key", call(""), expect=False),
        Case(
            "no base64 at all",
            call("not base64"),
            expect=False,
            why="what a peer sends must not make us crash: False, not an error",
        ),
        Case(
            "a letter outside ASCII",
            call("dGhlIHNhbXBsZSBub25jZ\N{LATIN SMALL LETTER E WITH ACUTE}=="),
            expect=False,
            why="for this, b64decode raises a plain ValueError",
        ),
        Case(
            "a star in a good key",
            call("dGhlIHNhbXBs*ZSBub25jZQ=="),
            expect=False,
            why="b64decode skips what is no base64, unless it is told to validate",
        ),
        Case(
            "one letter changed, the same 16 bytes",
            call("dGhlIHNhbXBsZSBub25jZR=="),
            expect=False,
            why="R carries bits that nobody reads; only one spelling of the 16 bytes is canonical",
        ),
    ),
    replaces="handshake.fields.is_valid_key",
)


FIRST_LINE = "GET /room HTTP/1.1"
PLAIN = ("Host: notes.example.com", "Upgrade: websocket", "Connection: Upgrade")
PORT = ("Host: notes.example.com:8080", "Connection: Upgrade")
TWICE = ("Host: a.example", "Connection: keep-alive", "Upgrade: h2c", "Connection: Upgrade")
NEXT_LINE = ("Host: a.example", "Origin: http://a.example\x85Cookie: session=7f3a91")
PREFIX = ("Host: a.example", "Origin-Trial: on", "X-Origin: no", "Origin: http://a.example")
SPACES = ("Host:a.example", "Connection: \t keep-alive, Upgrade \t")


def _values(
    name: str,
    lines: tuple[str, ...],
    wanted: str,
    expect: list[str],
    why: str = "",
    first: str = FIRST_LINE,
) -> Case:
    """A case whose report shows the head's lines, all of them and whole."""
    head = "\r\n".join([first, *lines, "", ""]).encode("latin-1")
    said = "\n".join(f"  {line!r}" for line in (first, *lines))
    return Case(
        name,
        drive=lambda function: function(head, wanted),
        shown=f"header_values(head, {wanted!r}), where the head's lines are\n{said}",
        expect=expect,
        why=why,
    )


HEADER_VALUES = Exercise(
    "header_values",
    points=3,
    rule='RFC 9110 5.1 "Field Names" and 5.3 "Field Order"; RFC 9112 5 "Field Syntax"',
    hints=(
        "Take one line at a time and ask three things: where does a line end, where does its name "
        "end, and when are two names the same?",
        "RFC 9112 5: `Host: notes.example.com:8080` is the name up to the *first* colon, and the "
        "value behind it. RFC 9110 5.1: `host` is the same name as `Host`, and `Origin-Trial` is "
        "not the same as `Origin`. A line ends at 0d 0a and nowhere else.",
        "1. Split the text at CR LF, and leave out the first line and the empty ones.\n"
        "2. partition each line at its first colon.\n"
        "3. Compare the whole name in lower case, and keep the value without spaces and tabs "
        "around.",
    ),
    cases=(
        _values("a header that is there", PLAIN, "Upgrade", ["websocket"]),
        _values("a header that is not there", PLAIN, "Origin", []),
        _values(
            "a name in lower case",
            PLAIN,
            "host",
            ["notes.example.com"],
            "names compare in any case; Node.js writes all of them in lower case",
        ),
        _values(
            "a value with a colon in it",
            PORT,
            "Host",
            ["notes.example.com:8080"],
            "only the first colon ends the name",
        ),
        _values(
            "two lines of one name",
            TWICE,
            "Connection",
            ["keep-alive", "Upgrade"],
            "each line is a value, in order",
        ),
        _values(
            "names that begin or end alike",
            PREFIX,
            "Origin",
            ["http://a.example"],
            "a name is compared whole",
        ),
        _values(
            "byte 85 in a value",
            NEXT_LINE,
            "Cookie",
            [],
            "for str.splitlines it ends a line, for HTTP it does not: nobody sent a Cookie",
        ),
        _values(
            "tabs and spaces around a value",
            SPACES,
            "Connection",
            ["keep-alive, Upgrade"],
            "space around a value is not part of it; the list is taken apart later",
        ),
        _values("no space behind the colon", SPACES, "Host", ["a.example"]),
        _values(
            "a colon in the request line",
            ("Host: a.example",),
            "GET http",
            [],
            "the request line is no header",
            first="GET http://a.example/ HTTP/1.1",
        ),
    ),
)


def _accepts() -> dict[str, str]:
    """What servers with one mistake each would have answered in the recording."""
    request = parse_request(Capture.load("wrong_accept").decode()[0].wire)
    assert request is not None
    key = request[0].headers["Sec-WebSocket-Key"]
    made = {
        "a": hashlib.sha1(key.encode()).digest(),
        "b": hashlib.sha1((GUID + key).encode()).digest(),
        "c": hashlib.sha1(base64.b64decode(key) + GUID.encode()).digest(),
        "d": hashlib.sha1((key + GUID).encode()).hexdigest().encode(),
        "e": hashlib.sha256((key + GUID).encode()).digest(),
    }
    return {letter: base64.b64encode(value).decode() for letter, value in made.items()}


def _recorded() -> str:
    response = parse_response(Capture.load("wrong_accept").decode()[1].wire)
    assert response is not None
    return response[0].headers["Sec-WebSocket-Accept"]


BY_MISTAKE = _accepts()
WRONG_ACCEPT = _recorded()
RIGHT = next(letter for letter, accept in BY_MISTAKE.items() if accept == WRONG_ACCEPT)

SERVER_MISTAKE = Answer(
    "server_mistake",
    points=2,
    rule='RFC 6455 4.2.2, item 5.4: "the value ... concatenated with the string"',
    hints=(
        "You know how the accept ought to be made. Make it in each of the five wrong ways, from "
        "the recorded key, and see which one gives the recorded accept.",
        "RFC 6455 1.3: the key dGhlIHNhbXBsZSBub25jZQ== and the GUID are put together as text, 24 "
        "and 36 characters; SHA-1 makes 20 bytes of them, b3 7a 4f 2c ...; base64 makes 28 "
        "characters of those. Before you calculate, count: how many characters has the recorded "
        "accept? Two of the five ways give another length.",
        "1. Take the key out of the request and the accept out of the response.\n"
        "2. For each way write the line with hashlib and base64 (b64decode gives the key's "
        "bytes).\n"
        "3. The letter is that of the line whose result equals the recorded accept.",
    ),
    accepts=RIGHT,
    mistakes={
        letter: f"then the accept would begin with {accept[:6]} and have {len(accept)} characters; "
        f"the recorded one begins with {WRONG_ACCEPT[:6]} and has {len(WRONG_ACCEPT)}"
        for letter, accept in BY_MISTAKE.items()
        if letter != RIGHT
    },
    otherwise="the answer is one of the letters a to e, as text",
)
