"""What an engine's answer says as HTTP, and requests to ask it with."""

from __future__ import annotations

from tests.support import wire

START = "websocket.http.response.start"


BODY = "websocket.http.response.body"


def head_of(answer: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """Return the status line, the headers by lower-case name, and the body of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    pairs = (each.decode("latin-1").partition(": ") for each in lines)
    return line, {name.lower(): value for name, _, value in pairs}, body


def request(target: str, *more: tuple[str, str]) -> bytes:
    return wire.request_head(f"GET {target} HTTP/1.1", add=more)
