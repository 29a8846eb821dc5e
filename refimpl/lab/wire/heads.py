"""Request and response heads, line by line, with the purpose of each (RFC 6455 4.1, 4.2).

>>> annotate_head(b"GET /chat HTTP/1.1\\r\\nHost: example.org\\r\\n\\r\\n")
GET /chat HTTP/1.1    the request line: method, target, version
Host: example.org     which site is meant
                      the empty line: the head ends here
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refimpl.handshake.printable import printable
from refimpl.lab.text import Text, quoted

if TYPE_CHECKING:
    from refimpl.handshake import Request, Response

PURPOSES = {
    "host": "which site is meant",
    "upgrade": "the protocol to change to",
    "connection": "for the next hop only",
    "sec-websocket-key": "16 random bytes, in base64",
    "sec-websocket-version": "13: the version of RFC 6455",
    "sec-websocket-accept": "made from the key of this request",
    "sec-websocket-protocol": "what the messages mean: offered, or picked",
    "sec-websocket-extensions": "offered, or agreed to",
    "origin": "which page asks; no script can change it",
    "user-agent": "which program is asking",
    "server": "which program answers",
    "date": "when the answer was made",
    "cookie": "sent whichever page asks",
    "set-cookie": "to be sent back from now on",
    "authorization": "who is asking; no browser script can set it here",
    "content-length": "how many bytes of body follow the head",
    "content-type": "what the body is",
    "cache-control": "how long an answer may be kept",
    "pragma": "an older word for Cache-Control",
    "accept-encoding": "compression of a body, not of frames",
    "accept-language": "languages the reader prefers",
    "accept": "kinds of answer that are welcome",
    "transfer-encoding": "how the body is cut in pieces",
    "location": "where to ask instead",
    "retry-after": "when to ask again",
}
WIDTH = 51  # columns for a head's own lines: an accept fits exactly
_HIDDEN = {"sec-websocket-key": "key", "sec-websocket-accept": "accept"}
_PORT = re.compile(r"(?<=[\w\]]):\d{2,5}(?!\d)")
_VERSION = re.compile(r"(?<=/)\d+(\.\d+)*")


def is_head(data: bytes) -> bool:
    """Tell whether the bytes look like the start of a request or response, not like a frame."""
    return bytes(data[:5]) == b"HTTP/" or re.match(rb"[A-Z]{2,10} ", bytes(data[:12])) is not None


def head_bytes(head: bytes | Request | Response) -> bytes:
    """Return the head as bytes on the wire, with its empty line."""
    return bytes(head) if isinstance(head, (bytes, bytearray, memoryview)) else head.serialize()


def head_lines(head: bytes | Request | Response) -> list[str]:
    """Return the head's lines, decoded as Latin-1 and made printable, without the empty one."""
    text = head_bytes(head).partition(b"\r\n\r\n")[0].decode("latin-1")
    return [printable(line) for line in text.split("\r\n")]


def annotate_head(head: bytes | Request | Response, *, exact: bool = True) -> Text:
    """Return the head line by line, each with its purpose.

    exact: False replaces what changes from run to run, as `stable_line` does.
    """
    lines = head_lines(head)
    shown = [line if exact else stable_line(line) for line in lines]
    whole = b"\r\n\r\n" in head_bytes(head)
    width = min(WIDTH, max(map(len, shown)))
    rows = []
    for number, (line, raw) in enumerate(zip(shown, lines, strict=True)):
        words = purpose(raw, first=number == 0)
        if len(line) > width and words:  # too long for one line of a notebook's output
            rows.append(line)
            line = ""
        rows.append(f"{line:<{width}}  {words}".rstrip())
    rows.append(
        f"{'':<{width}}  {'the empty line: the head ends here' if whole else '... more to come'}"
    )
    body = head_bytes(head).partition(b"\r\n\r\n")[2]
    if body:
        rows.append(f"{quoted(body, width - 2)}  the body")
    return Text("\n".join(rows))


def purpose(line: str, *, first: bool = False) -> str:
    """Return the purpose of a head's line, or an empty string for an unknown header."""
    if first and line.startswith("HTTP/"):
        status = line.split(" ")[1] if " " in line else ""
        says = "101 says yes" if status == "101" else "anything but 101 says no"
        return f"the status line; {says}"
    if first:
        return "the request line: method, target, version"
    return PURPOSES.get(line.partition(":")[0].strip().lower(), "")


def stable_line(line: str) -> str:
    """Return a head's line with placeholders for keys, ports, dates and versions of programs.

    >>> stable_line("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    'Sec-WebSocket-Key: <key 24 chars>'
    >>> stable_line("Host: 127.0.0.1:54321")
    'Host: 127.0.0.1:<port>'
    """
    name, colon, value = line.partition(":")
    if not colon or " " in name:
        return line
    value = value.strip(" ")
    lowered = name.lower()
    if lowered in _HIDDEN:
        value = f"<{_HIDDEN[lowered]} {len(value)} chars>"
    elif lowered == "date":
        value = "<date>"
    elif lowered in ("host", "origin", "location", "referer"):
        value = _PORT.sub(":<port>", value)
    elif lowered in ("user-agent", "server"):
        value = _VERSION.sub("<version>", value)
    return f"{name}: {value}"
