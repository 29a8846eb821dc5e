"""Chapter 01: reading recorded heads, and reading header lines strictly."""

from refimpl.classroom.checking.cases import Answer, Case, Exercise
from refimpl.lab import Capture

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
        "of the last header line, then the end of a line with nothing in it. The byte after it "
        "is 81, the first of a text frame.",
        "parse_request(said) gives the request and a position. What is the position of? Or find "
        "the empty line with said.index, and mind that a found position is that of its first "
        "byte.",
    ),
    accepts=len(HEAD),
    mistakes={
        len(HEAD) - 4: "that is where the empty line begins; its four bytes are part of the head",
        len(HEAD) - 2: "two bytes short: the empty line ends in CR LF as well",
        len(HEAD) - 1: "that is the position of the head's last byte; positions count from 0",
        len(HEAD) + 1: "one too many: `before` does not count the frame's own first byte",
        len(SAID): "that is all that the client said, its frames included",
        len(SAID) - len(HEAD): "those are the bytes of the frames; what stands before them?",
        len(HEAD) + len(ANSWER): "the server's answer is not said by the client",
        len(HEAD.splitlines()): "those are lines; the question is about bytes",
    },
    otherwise="the head begins at the first byte and ends with its empty line",
)

FIRST_LINE = "GET /room HTTP/1.1"
PLAIN = ("Host: notes.example.com", "Upgrade: websocket", "Connection: Upgrade")
PORT = ("Host: notes.example.com:8080", "Connection: Upgrade")
TWICE = ("Host: a.example", "Connection: keep-alive", "Upgrade: h2c", "Connection: Upgrade")
ACCENT = ("Host: a.example", "X-Room: caf\xe9")
NEXT_LINE = ("Host: a.example", "Origin: http://a.example\x85Cookie: session=7f3a91")
PREFIX = ("Host: a.example", "Origin-Trial: on", "X-Origin: no", "Origin: http://a.example")
NO_BREAK = ("Host: a.example", "X-Room: 7\xa0")
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
        "value after it. RFC 9110 5.1: `host` is the same name as `Host`, and `Origin-Trial` is "
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
            "byte e9 in a value",
            ACCENT,
            "X-Room",
            ["caf\xe9"],
            "a head is bytes of no known encoding; latin-1 gives each byte one character",
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
        _values(
            "byte a0 at the end of a value",
            NO_BREAK,
            "X-Room",
            ["7\xa0"],
            'strip() takes more than spaces and tabs away: say which, strip(" \\t")',
        ),
        _values("no space after the colon", SPACES, "Host", ["a.example"]),
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
