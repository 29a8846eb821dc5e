"""Request and response heads: the HTTP/1.1 that an opening handshake is made of (RFC 9112).

Only what a WebSocket needs is here: a start line, header lines, and strict limits. Lines end in
CR LF, names are tokens, values contain no control characters. Anything that two programs could read
in different ways is refused, because request smuggling depends on it.

>>> request, end = parse_request(b"GET /chat?room=1 HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n")
>>> request.path, request.headers["host"], end
('/chat', 'example.com', 48)
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.handshake.arguments import as_tuple

__all__ = [
    "MAX_HEAD",
    "MAX_HEADERS",
    "MAX_LINE",
    "MAX_START_LINE",
    "HeadLimits",
    "Headers",
    "MultipleValuesError",
    "Request",
    "Response",
    "parse_request",
    "parse_response",
]

Buffer = bytes | bytearray

MAX_START_LINE = 8 * 1024  # RFC 9112 3: at least 8,000
MAX_LINE = 32 * 1024  # browsers send 16 KiB of cookies and more; proxies add tokens of their own
MAX_HEAD = 64 * 1024
MAX_HEADERS = 100
REASONS = {status.value: status.phrase for status in HTTPStatus}

# Words that nearly every request has, one object each. sys.intern() would be wrong: CPython 3.12
# keeps interned strings for ever, and peers choose the words (500,000 of them kept 47 MB).
KNOWN = {word: word for word in ("GET", "/", "HTTP/1.1")}

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.6.2
FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 5.5, without the obsolete folding
REQUEST_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) (HTTP/[0-9]\.[0-9])")
CANONICAL_LINES = re.compile(
    r"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]++: "
    r"[\x21-\x7e\x80-\xff][\t\x20-\x7e\x80-\xff]*+(?<![\t ]))*+"
)
STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")


class MultipleValuesError(LookupError):
    """A header was read as one value, but came on several lines: use `get_all`."""


class Headers:
    """The header lines of a head, in order; names compare in any case (RFC 9110 section 5.1)."""

    __slots__ = ("text",)

    def __init__(self, lines: Iterable[tuple[str, str]] = (), *, text: str = "") -> None:
        # All lines in one string, each as CR LF and `name: value`. A string for each name and value
        # took 400 bytes more for an idle connection, and a look-up took twice as long.
        if lines:
            pairs = as_tuple("header lines", lines)
            text += "".join([_write_line(name, value) for name, value in pairs])
        self.text = text

    def add(self, name: str, value: str) -> None:
        """Append one line; LocalProtocolError for text that would not stay one line."""
        self.text += _write_line(name, value)

    def get_all(self, name: str) -> list[str]:
        """Return the values of every line of that name, in order."""
        text, wanted, values = self.text, f"\r\n{name}: ".lower(), []
        lowered = text.lower()  # as long as text: Latin-1 has no letter that grows
        found = lowered.find(wanted)
        while found >= 0:
            start = found + len(wanted)
            end = text.find("\r\n", start)
            values.append(text[start:] if end < 0 else text[start:end])
            found = lowered.find(wanted, start)
        return values

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the one value of that name, or default; MultipleValuesError for two lines."""
        values = self.get_all(name)
        if len(values) > 1:
            raise MultipleValuesError(f"got {len(values)} {name} headers, expected one")
        return values[0] if values else default

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and f"\r\n{name}: ".lower() in self.text.lower()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for line in self.text.split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            yield name, value

    def __len__(self) -> int:
        return self.text.count("\r\n")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.text == other.text

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


def _write_line(name: str, value: str) -> str:
    if not TOKEN.fullmatch(name):
        raise LocalProtocolError(f"got header name {name!r}, expected a token (RFC 9110 5.6.2)")
    if not FIELD_VALUE.fullmatch(value):  # a CR LF would start another header
        raise LocalProtocolError(f"got a control character or non-Latin-1 text in {name}")
    return f"\r\n{name}: {value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """How large a head may be, in bytes: each header line, and all of it with its empty line."""

    max_header_line: int = MAX_LINE
    max_head: int = MAX_HEAD

    def __post_init__(self) -> None:
        for name in ("max_header_line", "max_head"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"got {name}={value}, expected a number above 0")


LIMITS = HeadLimits()


@dataclass(frozen=True, slots=True)
class Request:
    """The head of an HTTP request (RFC 9112 section 3)."""

    target: str
    headers: Headers = field(default_factory=Headers)
    method: str = "GET"
    version: str = "HTTP/1.1"

    @property
    def path(self) -> str:
        """The target without scheme, host and query, for routing and permissions."""
        after_host = re.sub(r"^[A-Za-z]+://[^/?#]*", "", self.target).partition("?")[0]
        return after_host or "/"

    def serialize(self) -> bytes:
        """Return the head as it goes over the wire; LocalProtocolError for a bad start line."""
        line = f"{self.method} {self.target} {self.version}"
        if not REQUEST_LINE.fullmatch(line):
            raise LocalProtocolError("got a method or target with a space or control character")
        return _serialize(line, self.headers)


@dataclass(frozen=True, slots=True)
class Response:
    """The head of an HTTP response (RFC 9112 section 4), and the body where there is one."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    reason: str = ""

    def serialize(self) -> bytes:
        """Return head and body as they go over the wire; an empty reason becomes the usual one."""
        reason = self.reason or REASONS.get(self.status, "")
        line = f"HTTP/1.1 {self.status} {reason}"
        if not STATUS_LINE.fullmatch(line):
            raise LocalProtocolError("got a control character in the reason phrase")
        return _serialize(line, self.headers) + self.body


def _serialize(start_line: str, headers: Headers) -> bytes:
    return f"{start_line}{headers.text}\r\n\r\n".encode("latin-1")


def parse_request(
    buffer: Buffer, position: int = 0, *, searched: int = 0, limits: HeadLimits = LIMITS
) -> tuple[Request, int] | None:
    """Return the request head at position and the position after it, or None for more bytes.

    searched: how many bytes of the head an earlier call has searched for its end. Without it, 64
    KiB fed byte by byte cost over a second.

    Raises HandshakeError with the status to answer: 414 for a start line of more than
    MAX_START_LINE bytes, 431 for a header line or a head beyond the limits and for more than
    MAX_HEADERS lines, else 400.
    """
    if position < len(buffer) and not 0x41 <= buffer[position] <= 0x5A:  # a method begins A-Z
        found = "TLS, expected plain HTTP" if buffer[position] == 0x16 else "no HTTP request"
        raise HandshakeError(f"got {found} (RFC 9112 3)", reason="not-http")
    end = _find_end(buffer, position, searched, limits.max_head, long_start=414)
    if end is None:
        return None
    start_line, lines = _split_head(buffer, position, end)
    match = REQUEST_LINE.fullmatch(start_line)
    if match is None:
        raise HandshakeError("got a malformed request line (RFC 9112 3)", reason="request-line")
    method, target, version = (KNOWN.get(word, word) for word in match.groups())
    return Request(target, parse_headers(lines, limits), method, version), end


def parse_response(
    buffer: Buffer, position: int = 0, *, searched: int = 0, limits: HeadLimits = LIMITS
) -> tuple[Response, int] | None:
    """Return the response head at position and the position after it, or None for more bytes.

    searched: as for `parse_request`. The body is not read here: the bytes behind a 101 are frames.
    Raises HandshakeError, status 0.
    """
    try:
        end = _find_end(buffer, position, searched, limits.max_head, long_start=431)
        if end is None:
            return None
        start_line, lines = _split_head(buffer, position, end)
        match = STATUS_LINE.fullmatch(start_line)
        if match is None or match.group(1, 2) == ("0", "101"):  # HTTP/1.0 cannot switch protocols
            raise HandshakeError("got a malformed status line (RFC 9112 4)", reason="status-line")
        _, status, reason = match.groups()
        return Response(int(status), parse_headers(lines, limits), reason=reason or ""), end
    except HandshakeError as error:
        raise HandshakeError(str(error), status=0, reason=error.reason) from error


def _split_head(buffer: Buffer, position: int, end: int) -> tuple[str, str]:
    """Return the start line of a whole head, and its header lines, each behind a CR LF."""
    head = buffer[position : end - 4].decode("latin-1")
    start_line, _, _ = head.partition("\r\n")
    return start_line, head[len(start_line) :]


def parse_headers(text: str, limits: HeadLimits = LIMITS) -> Headers:
    """Return the header lines of text, each behind a CR LF, each checked (RFC 9112 section 5).

    Nearly every head has the form that `Headers` keeps, with one space after each colon, and is
    taken as it is: 4 us for the fourteen lines of a browser, 17 us line by line.
    """
    if (count := text.count("\r\n")) > MAX_HEADERS:
        message = f"got {count} header lines, expected at most {MAX_HEADERS}"
        raise HandshakeError(message, status=431, reason="too-many-headers")
    longest = limits.max_header_line
    if len(text) <= longest and CANONICAL_LINES.fullmatch(text):
        return Headers(text=text)
    return Headers(parse_header_line(line, longest) for line in text.split("\r\n")[1:])


def parse_header_line(line: str, longest: int = MAX_LINE) -> tuple[str, str]:
    """Return the name and value of one header line; HandshakeError with 400 or 431."""
    if len(line) > longest:
        message = f"got a header line of {len(line)} bytes, expected at most {longest}"
        raise HandshakeError(message, status=431, reason="long-header")
    name, colon, value = line.partition(":")
    if not colon or not TOKEN.fullmatch(name):
        # A space before the colon, or a folded line, which begins with a space (RFC 9112 5.1, 5.2).
        raise HandshakeError("got a header line that is not `name: value`", reason="header-line")
    value = value.strip(" \t")
    if not FIELD_VALUE.fullmatch(value):
        raise HandshakeError(f"got a control character in {name}", reason="control-character")
    return name, value


def _find_end(
    buffer: Buffer, position: int, searched: int, max_head: int, *, long_start: int
) -> int | None:
    """Return the position after the head's empty line, or None if it has not come.

    Limits and bare LFs are checked here, because a head that breaks them may never end.
    """
    unseen = position + max(0, searched - 3)  # the end may lie across two reads
    found = buffer.find(b"\r\n\r\n", unseen, position + max_head)
    end = len(buffer) if found < 0 else found + 4
    last = buffer.rfind(b"\n", unseen, end)  # a head with bare LFs would never end
    if last >= 0 and buffer[max(position, last - 1)] != 0x0D:
        raise HandshakeError(
            "got LF, expected CR LF to end a line (RFC 9112 2.2)", reason="bare-lf"
        )
    longest = position + MAX_START_LINE
    if end > longest and buffer.find(b"\r", position, longest + 1) < 0:
        message = f"got a start line of over {MAX_START_LINE} bytes"
        raise HandshakeError(message, status=long_start, reason="long-start-line")
    if found < 0 and end - position >= max_head:
        message = f"got a head of over {max_head} bytes"
        raise HandshakeError(message, status=431, reason="long-head")
    return None if found < 0 else end
