"""Thirty malformed opening handshakes and the odd ones that are still right, as bytes.

The answer each must get stands beside it. `test_handshake.py` puts them through the parser and the
checks; a test of the server puts the same bytes through a real socket.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.support import wire
from tests.support.wire import REQUEST_HEADERS, REQUEST_LINE, head, request_head


class Bad(NamedTuple):
    """A request head that must be refused with this status and this header (name, value)."""

    number: int
    name: str
    head: bytes
    status: int
    header: tuple[str, str] | None = None


class Good(NamedTuple):
    """A request that must be accepted, with what is pipelined behind its head."""

    name: str
    head: bytes
    behind: bytes = b""


VERSION_13 = ("Sec-WebSocket-Version", "13")
UPGRADE = ("Upgrade", "websocket")
HOST_LINE = b"Host: server.example.com\r\n"
UPGRADE_LINE = b"Upgrade: websocket\r\n"
GOOD_HEAD = request_head()


def changed(**values: str) -> bytes:
    """Return the good head with other values; `connection="close"` changes the Connection line."""
    names = {name.lower().replace("-", "_"): name for name, _ in REQUEST_HEADERS}
    return request_head(replace={names[name]: value for name, value in values.items()})


def added(name: str, value: str) -> bytes:
    """Return the good head with one more line."""
    return request_head(add=[(name, value)])


def dropped(name: str) -> bytes:
    """Return the good head without one of its lines."""
    return request_head(drop=[name])


SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: server.example.com\r\n\r\n"

MALFORMED = [
    Bad(1, "POST", request_head("POST /chat HTTP/1.1"), 405, ("Allow", "GET")),
    Bad(2, "HTTP/1.0", request_head("GET /chat HTTP/1.0"), 505),
    Bad(3, "HTTP/2.0", request_head("GET /chat HTTP/2.0"), 505),
    Bad(4, "no Host", dropped("Host"), 400),
    Bad(5, "two Hosts", added("Host", "other.example.com"), 400),
    Bad(6, "no Upgrade", dropped("Upgrade"), 426, UPGRADE),
    Bad(7, "Upgrade h2c", changed(upgrade="h2c"), 426, UPGRADE),
    Bad(8, "no Connection", dropped("Connection"), 426, UPGRADE),
    Bad(9, "Connection keep-alive", changed(connection="keep-alive"), 426, UPGRADE),
    Bad(10, "no key", dropped("Sec-WebSocket-Key"), 400),
    Bad(11, "key of 15 bytes", changed(sec_websocket_key="dGhlIHNhbXBsZSBub25j"), 400),
    Bad(12, "key not base64", changed(sec_websocket_key="not*base64*not*base64*=="), 400),
    Bad(13, "key not canonical", changed(sec_websocket_key="dGhlIHNhbXBsZSBub25jZR=="), 400),
    Bad(14, "two keys", added("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), 400),
    Bad(15, "no version", dropped("Sec-WebSocket-Version"), 400, VERSION_13),
    Bad(16, "version 8", changed(sec_websocket_version="8"), 426, VERSION_13),
    Bad(17, "version 013", changed(sec_websocket_version="013"), 400, VERSION_13),
    Bad(18, "two versions", added("Sec-WebSocket-Version", "13"), 400),
    Bad(19, "protocol with a space", added("Sec-WebSocket-Protocol", "a b"), 400),
    Bad(20, "protocol twice", added("Sec-WebSocket-Protocol", "chat, chat"), 400),
    Bad(21, "extension without name", added("Sec-WebSocket-Extensions", "; =1"), 400),
    Bad(22, "200 headers", request_head(add=[(f"X-{number}", "1") for number in range(200)]), 431),
    Bad(23, "URI of 9 KB", request_head(f"GET /{'a' * 9216} HTTP/1.1"), 414),
    Bad(24, "header of 33 KB", added("X-Long", "a" * 33 * 1024), 431),
    Bad(25, "obs-fold", GOOD_HEAD.replace(HOST_LINE, HOST_LINE + b" folded\r\n"), 400),
    Bad(26, "space before colon", GOOD_HEAD.replace(b"Upgrade:", b"Upgrade :"), 400),
    Bad(27, "bare LF", GOOD_HEAD.replace(b"\r\n", b"\n"), 400),
    Bad(28, "NUL in a value", added("X-Nul", "a\0b"), 400),
    Bad(29, "Content-Length", added("Content-Length", str(len(SMUGGLED))) + SMUGGLED, 400),
    Bad(29, "Transfer-Encoding", added("Transfer-Encoding", "chunked") + SMUGGLED, 400),
    Bad(30, "foreign Origin", added("Origin", "https://evil.example"), 403),
]

EXTENSIONS = "Sec-WebSocket-Extensions"

STILL_GOOD = [
    Good("plain", GOOD_HEAD),
    Good("Cookie of 16 KiB", added("Cookie", "session=" + "a" * (16 * 1024))),
    Good("Cookie on two lines", request_head(add=[("Cookie", "a=1"), ("Cookie", "b=2")])),
    Good("Upgrade in any case", changed(upgrade="WebSocket")),
    Good("Upgrade in capitals", changed(upgrade="WEBSOCKET")),
    Good("Upgrade in a list", changed(upgrade="h2c, websocket")),
    Good("Connection list", changed(connection="keep-alive, Upgrade")),
    Good("Connection in any case", changed(connection="uPGRADE")),
    Good("Connection on two lines", added("Connection", "keep-alive")),
    Good("absolute-form target", request_head("GET http://server.example.com/chat HTTP/1.1")),
    Good("pipelined frame", GOOD_HEAD, wire.frame(wire.TEXT, b"Hello", key=wire.KEY)),
    *(
        Good(f"deflate offer {offer}", added(EXTENSIONS, f"permessage-deflate; {offer}"))
        for offer in (
            "server_max_window_bits=7",
            "server_max_window_bits=8",
            "server_max_window_bits=9; server_max_window_bits=9",
            "client_max_window_bits=7",
            "client_no_context_takeover=1",
            "unheard_of",
        )
    ),
    Good("unknown extension", added(EXTENSIONS, 'x-webkit-deflate-frame; mode="fast"')),
    Good("names in any case", head(REQUEST_LINE, [(n.upper(), v) for n, v in REQUEST_HEADERS])),
    Good("Origin of the same host", added("Origin", "http://server.example.com")),
]
