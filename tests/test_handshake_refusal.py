"""Saying no over HTTP: whatever a refusal holds, the client gets one answer that can be written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.handshake import Headers, Request, Response, has_token, parse_response, refuse
from tests.support import wire

Refusal = HandshakeError | Response

BAD_LINES = {
    "line break in a value": [("X", "a\r\nSet-Cookie: b=c")],
    "line feed in a value": [("X", "a\nb")],
    "NUL in a value": [("X", "a\0b")],
    "non-Latin-1 value": [("X", "€")],
    "lone surrogate": [("X", "\ud800")],
    "space in a name": [("X Y", "a")],
    "empty name": [("", "a")],
    "line break in a name": [("X\r\nY", "a")],
    "no text": [("X", 7)],
    "no name": [(None, "a")],
    "no pair": [("X",)],
    "three of them": [("X", "a", "b")],
    "one str": "X: a",
}


def whole(answer: Response) -> tuple[Response, bytes]:
    """Return what a client reads of an answer: head and body, nothing behind them."""
    data = answer.serialize()
    parsed = parse_response(data)
    assert parsed is not None
    return parsed[0], data[parsed[1] :]


def assert_ends(answer: Response) -> None:
    """Assert that an answer is one response, of known length, behind which the connection ends."""
    head, body = whole(answer)
    assert 200 <= head.status <= 599
    assert has_token(head.headers.get_all("Connection"), "close")
    assert not has_token(head.headers.get_all("Connection"), "keep-alive")
    assert "Transfer-Encoding" not in head.headers
    if head.status in (204, 304):
        assert (body, head.headers.get_all("Content-Length")) == (b"", [])
    else:
        assert head.headers.get_all("Content-Length") == [str(len(body))]


def as_error(lines: object) -> Refusal:
    return HandshakeError("got no token", status=401, headers=lines)  # type: ignore[arg-type]


def as_response(lines: object) -> Refusal:
    return Response(401, lines, b"no")  # type: ignore[arg-type]


class TestWhatMayNotTravel:
    """A mistake of the application is answered with 500, never with silence."""

    @pytest.mark.parametrize("kind", [as_error, as_response])
    @pytest.mark.parametrize("name", BAD_LINES)
    def test_bad_header_gets_500(self, name: str, kind: Callable[[object], Refusal]) -> None:
        mistakes: list[Exception] = []
        answer = refuse(kind(BAD_LINES[name]), on_mistake=mistakes.append)
        assert_ends(answer)
        assert (answer.status, len(mistakes)) == (500, 1)
        assert b"Set-Cookie" not in answer.serialize()

    @pytest.mark.parametrize("name", BAD_LINES)
    def test_nobody_has_to_hear_of_the_mistake(self, name: str) -> None:
        assert refuse(as_error(BAD_LINES[name])).status == 500

    @pytest.mark.parametrize("status", [-1, 0, 1, 99, 100, 101, 199, 600, 1000, 401.5, None, "401"])
    def test_status_that_is_no_refusal_gets_500(self, status: object) -> None:
        for refusal in (
            HandshakeError("no", status=status),  # type: ignore[arg-type]
            Response(status, Headers()),  # type: ignore[arg-type]
        ):
            mistakes: list[Exception] = []
            answer = refuse(refusal, on_mistake=mistakes.append)
            assert_ends(answer)
            assert (answer.status, len(mistakes)) == (500, 1)

    @pytest.mark.parametrize(
        "refusal",
        [
            HandshakeError("no", body="text"),  # type: ignore[arg-type]
            Response(401, Headers(), "text"),  # type: ignore[arg-type]
            Response(401, Headers(), None),  # type: ignore[arg-type]
            Response(401, Headers(text="\r\nX: a\r\n\r\nGET / HTTP/1.1")),
            Response(401, Headers(text="\r\nX: \ud800")),
            Response(401, reason="a\r\nX: b"),
            Response(401, reason="\ud800"),
        ],
    )
    def test_body_or_reason_that_may_not_travel_gets_500(self, refusal: Refusal) -> None:
        answer = refuse(refusal)
        assert_ends(answer)
        assert answer.status == 500
        assert b"GET" not in answer.serialize()

    @pytest.mark.parametrize("refusal", [None, "no", 401, Request("/"), ValueError("no")])
    def test_what_is_no_refusal_at_all_gets_500(self, refusal: object) -> None:
        answer = refuse(refusal)  # type: ignore[arg-type]
        assert_ends(answer)
        assert answer.status == 500

    def test_message_of_any_letters_is_a_body(self) -> None:
        answer = refuse(HandshakeError("got \ud800 é € \r\n\r\n", status=400))
        assert_ends(answer)
        assert (answer.status, answer.body) == (
            400,
            b"got \\ud800 \xc3\xa9 \xe2\x82\xac \r\n\r\n\n",
        )


class TestFraming:
    """RFC 9112 6, RFC 9110 7.6.1: how long the answer is, and that it is the last, we say."""

    PASSED_ON = (
        ("Connection", "keep-alive, X-Trace"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "100000"),
        ("TE", "trailers"),
        ("Trailer", "X-Sum"),
        ("Upgrade", "h2c"),
        ("X-Kept", "yes"),
    )

    @pytest.mark.parametrize("status", [200, 204, 304, 401, 404, 426, 503])
    @pytest.mark.parametrize("body", [b"", b"no"])
    def test_6_headers_of_another_connection_stay_behind(self, status: int, body: bytes) -> None:
        for refusal in (
            HandshakeError("no", status=status, headers=self.PASSED_ON, body=body),
            Response(status, Headers(self.PASSED_ON), body),
        ):
            answer = refuse(refusal)
            assert_ends(answer)
            assert (answer.status, answer.headers["X-Kept"]) == (status, "yes")
            for name in ("Keep-Alive", "Proxy-Connection", "TE", "Trailer"):
                assert name not in answer.headers

    def test_a_refusal_of_another_server_can_be_passed_on(self) -> None:
        chunked = [("Transfer-Encoding", "chunked"), ("X", "y")]
        parsed = parse_response(wire.head("HTTP/1.1 403 No", chunked))
        assert parsed is not None
        lines = tuple(parsed[0].headers)
        answer = refuse(HandshakeError("no", status=403, headers=lines, body=b"no"))
        assert_ends(answer)
        assert whole(answer)[1] == b"no"

    @pytest.mark.parametrize("lines", [[], [("Upgrade", "websocket")], [("upgrade", "h2c")]])
    def test_15_5_22_426_always_names_the_upgrade(self, lines: list[tuple[str, str]]) -> None:
        for refusal in (
            HandshakeError("no", status=426, headers=lines),
            Response(426, Headers(lines)),
        ):
            answer = refuse(refusal)
            assert answer.headers.get_all("Upgrade") == ["websocket"]
            assert has_token(answer.headers.get_all("Connection"), "Upgrade")
            assert_ends(answer)

    def test_type_of_a_body_is_the_applications(self) -> None:
        answer = refuse(HandshakeError("no", headers=[("content-type", "a/b")], body=b"{}"))
        assert answer.headers.get_all("Content-Type") == ["a/b"]
        assert refuse(HandshakeError("no")).headers["Content-Type"].startswith("text/plain")
        assert "Content-Type" not in refuse(Response(200, Headers(), b"?")).headers

    def test_reason_phrase_and_body_of_a_response_stay(self) -> None:
        head, body = whole(refuse(Response(404, Headers([("X", "y")]), b"gone", "Nothing here")))
        assert (head.reason, body, head.headers["X"]) == ("Nothing here", b"gone", "y")

    def test_the_refusal_itself_is_left_as_it_was(self) -> None:
        response = Response(404, Headers(self.PASSED_ON), b"gone")
        before = Response(404, Headers(self.PASSED_ON), b"gone")
        refuse(response)
        assert response == before


def test_headers_raise_at_the_call() -> None:
    with pytest.raises(LocalProtocolError):
        Headers([("X", "a\r\nb")])
