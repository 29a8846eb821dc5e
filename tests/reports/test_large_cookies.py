"""Cookies as browsers and proxies send them: large, and on several lines.

streamlit#15492: behind a proxy that signs people in, the Cookie line outgrew the 8,192 bytes that
the server's WebSocket handshake took, and no setting could change that. The same request is
split by some proxies: HTTP/2 sends a field line a cookie (RFC 9113 8.2.3).
"""

from __future__ import annotations

import pytest

from refimpl.auth import AuthError, Source, find_credential
from refimpl.errors import HandshakeError
from refimpl.handshake import Headers, HeadLimits, check_request, parse_request
from tests.support.wire import request_head

KIB = 1024


def status(head: bytes, limits: HeadLimits | None = None) -> int:
    """Return the status that a server answers a head with."""
    try:
        parsed = parse_request(head, limits=limits or HeadLimits())
        assert parsed is not None
        return check_request(parsed[0]).response.status
    except HandshakeError as error:
        return error.status


@pytest.mark.parametrize("size", [9_000, 16 * KIB, 30 * KIB])
def test_a_large_cookie_is_taken_by_default(size: int) -> None:
    assert status(request_head(add=[("Cookie", "s=" + "a" * size)])) == 101


def test_the_limits_can_be_raised_and_lowered() -> None:
    head = request_head(add=[("Cookie", "s=" + "a" * 60 * KIB), ("X-Token", "b" * 60 * KIB)])
    assert status(head) == 431
    assert status(head, HeadLimits(max_header_line=64 * KIB)) == 431
    assert status(head, HeadLimits(max_header_line=64 * KIB, max_head=128 * KIB)) == 101
    assert status(request_head(), HeadLimits(max_header_line=10)) == 431
    assert status(request_head(), HeadLimits(max_head=100)) == 431


@pytest.mark.parametrize("name", ["Cookie", "X-Forwarded-For", "Via", "Accept-Language"])
def test_lines_that_are_lists_may_be_repeated(name: str) -> None:
    assert status(request_head(add=[(name, "a=1"), (name, "b=2"), (name, "c=3")])) == 101


@pytest.mark.parametrize("at", [0, 1, 2])
def test_9113_8_2_3_the_session_is_found_on_any_line(at: int) -> None:
    lines = [("Cookie", "a=1"), ("Cookie", "b=2; c=3"), ("Cookie", "d=4")]
    name, value = lines[at]
    lines[at] = name, f"{value}; __Host-session=e30.e30.c2ln"
    found = find_credential(Headers(lines))
    assert found is not None
    assert (found.source, found.secret) == (Source.COOKIE, "e30.e30.c2ln")


def test_two_sessions_on_two_lines_are_two() -> None:
    session = ("Cookie", "__Host-session=e30.e30.c2ln")
    with pytest.raises(AuthError) as caught:
        find_credential(Headers([session, session]))
    assert (caught.value.status, caught.value.reason) == (400, "two")
