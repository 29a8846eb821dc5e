"""Floor 1, the client's side: RFC 6455 sections 3 and 4.1, the URI, the request, the answer."""

from __future__ import annotations

import pytest

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.handshake import (
    URI,
    Agreement,
    Extension,
    Headers,
    Policy,
    Request,
    Response,
    ResponseReader,
    build_request,
    check_request,
    check_response,
    make_key,
    parse_request,
    parse_response,
    parse_uri,
    read_response,
)
from tests.support import wire
from tests.support.wire import REQUEST_HEADERS, RESPONSE_HEADERS, changed

SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PROTOCOL, EXTENSIONS = "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"


def request(**options: object) -> Request:
    """Return a request to a plain server with the key of the RFC's example."""
    return build_request(parse_uri("ws://server.example.com/chat"), key=SAMPLE_KEY, **options)  # type: ignore[arg-type]


def response(status: int = 101, **changes: object) -> Response:
    """Return the right response to `request()`, with changed header lines."""
    return Response(status, Headers(changed(RESPONSE_HEADERS, **changes)))  # type: ignore[arg-type]


def fails(answer: Response, asked: Request | None = None) -> HandshakeError:
    """Assert that the client refuses the answer; return the error."""
    with pytest.raises(HandshakeError) as caught:
        check_response(asked or request(), answer)
    return caught.value


class TestSection3:
    """URIs."""

    @pytest.mark.rule(23)
    @pytest.mark.parametrize(
        ("text", "uri"),
        [
            ("ws://example.com", URI(False, "example.com", 80, "/")),
            ("wss://example.com", URI(True, "example.com", 443, "/")),
            ("ws://example.com:8080/a/b", URI(False, "example.com", 8080, "/a/b")),
            ("wss://example.com:80/", URI(True, "example.com", 80, "/")),
            ("ws://example.com?x=1", URI(False, "example.com", 80, "/?x=1")),
            ("ws://example.com/a?x=1&y=/b?c", URI(False, "example.com", 80, "/a?x=1&y=/b?c")),
            ("WS://EXAMPLE.com/Path", URI(False, "example.com", 80, "/Path")),
            ("ws://example.com:/", URI(False, "example.com", 80, "/")),
            ("ws://127.0.0.1:9/", URI(False, "127.0.0.1", 9, "/")),
            ("ws://[::1]/", URI(False, "::1", 80, "/")),
            ("wss://[2001:db8::1]:8443/x", URI(True, "2001:db8::1", 8443, "/x")),
            ("ws://[FE80::1%25eth0]/", URI(False, "fe80::1%eth0", 80, "/")),
            ("ws://ex%61mple.com/", URI(False, "example.com", 80, "/")),
            ("ws://example.com/%20a", URI(False, "example.com", 80, "/%20a")),
        ],
    )
    def test_3_uri_parts(self, text: str, uri: URI) -> None:
        assert parse_uri(text) == uri

    @pytest.mark.rule(23)
    @pytest.mark.parametrize("text", ["ws://example.com/#top", "ws://example.com/a?b#", "ws://a#b"])
    def test_3_fragment_is_refused(self, text: str) -> None:
        with pytest.raises(LocalProtocolError):
            parse_uri(text)

    @pytest.mark.rule(23)
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "example.com",
            "http://example.com/",
            "ws:example.com",
            "ws:///path",
            "ws://",
            "ws://:80/",
            "ws://user@example.com/",
            "ws://user:secret@example.com/",
            "ws://[::1/",
            "ws://[nonsense]/",
            "ws://example.com:x/",
            "ws://example.com:65536/",
            "ws://example.com:-1/",
            "ws://exa mple.com/",
            "ws://example.com/a b",
            "ws://example.com/a\r\nX: y",
            "ws://example.com/\0",
            "ws://example.com/a\tb",
            " ws://example.com/",
            "ws://example.com/é",
            "ws://exämple.com/",
            "ws://ex%C3%A4mple.com/",
            "ws://exa%2Fmple.com/",
            "ws://a..example/",
            "ws://[::g]/",
            "ws://[::1%]/",
            "ws://[::1%et/h0]/",
        ],
    )
    def test_3_what_is_no_websocket_uri_is_refused(self, text: str) -> None:
        with pytest.raises(LocalProtocolError) as caught:
            parse_uri(text)
        assert "secret" not in str(caught.value)

    @pytest.mark.rule(26)
    @pytest.mark.parametrize(
        ("text", "host"),
        [
            ("ws://example.com/", "example.com"),
            ("ws://example.com:80/", "example.com"),
            ("wss://example.com:443/", "example.com"),
            ("ws://example.com:443/", "example.com:443"),
            ("wss://example.com:80/", "example.com:80"),
            ("ws://[::1]/", "[::1]"),
            ("ws://[::1]:8080/", "[::1]:8080"),
        ],
    )
    def test_4_1_port_stands_in_host_when_it_is_not_the_default(self, text: str, host: str) -> None:
        uri = parse_uri(text)
        assert uri.host_header == host
        assert build_request(uri, key=SAMPLE_KEY).headers["Host"] == host


class TestSection4_1_Request:
    """What the client sends."""

    @pytest.mark.rule(26)
    def test_4_1_request_has_exactly_its_headers(self) -> None:
        assert sorted(request().headers) == sorted(REQUEST_HEADERS)
        assert request().serialize() == wire.head("GET /chat HTTP/1.1", list(request().headers))

    @pytest.mark.rule(26)
    def test_4_1_request_passes_the_servers_checks(self) -> None:
        built = build_request(
            parse_uri("wss://server.example.com:8443/chat?room=1"),
            key=make_key(),
            origin="https://server.example.com:8443",
            subprotocols=["b", "a"],
            extensions=[Extension("x", (("y", "1"), ("z", None))), Extension("w")],
            additional_headers=[("Cookie", "a=b"), ("X-Trace", "1")],
        )
        parsed = parse_request(built.serialize())
        assert parsed is not None
        assert parsed[0] == built
        policy = Policy(subprotocols=["a"], secure=True)
        assert check_request(parsed[0], policy).subprotocol == "a"
        assert built.headers["Origin"] == "https://server.example.com:8443"
        assert built.headers[PROTOCOL] == "b, a"
        assert built.headers[EXTENSIONS] == "x; y=1; z, w"
        assert list(built.headers)[-2:] == [("Cookie", "a=b"), ("X-Trace", "1")]

    @pytest.mark.rule(27)
    @pytest.mark.parametrize(
        "subprotocols", [["a", "a"], [""], ["a b"], ["a,b"], ["a\r\nX: y"], ["é"], ["ok", '"q"']]
    )
    def test_4_1_subprotocols_are_unique_tokens(self, subprotocols: list[str]) -> None:
        with pytest.raises(LocalProtocolError):
            request(subprotocols=subprotocols)

    @pytest.mark.rule(27)
    def test_4_1_one_string_is_no_list_of_subprotocols(self) -> None:
        with pytest.raises(TypeError, match="got subprotocols as one str"):
            request(subprotocols="chat")

    @pytest.mark.rule(26)
    @pytest.mark.parametrize("name", ["Host", "upgrade", "Connection", "Sec-WebSocket-Key"])
    def test_4_1_headers_of_the_handshake_are_not_repeated(self, name: str) -> None:
        with pytest.raises(LocalProtocolError):
            request(additional_headers=[(name, "x")])


class TestSection4_1_Response:
    """What the client checks before a single byte of data (the order of the RFC's list)."""

    @pytest.mark.rule(29, 30, 31)
    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"replace": {"Upgrade": "WebSocket"}},
            {"replace": {"Upgrade": "h2c, websocket"}},
            {"replace": {"Connection": "keep-alive, UPGRADE"}},
            {"add": [("Connection", "keep-alive")]},
            {"add": [("Server", "x"), ("Set-Cookie", "a=b")]},
        ],
    )
    def test_4_1_right_response_opens(self, changes: dict[str, object]) -> None:
        assert check_response(request(), response(**changes)) == Agreement(None, None)

    @pytest.mark.rule(28)
    @pytest.mark.parametrize("status", [100, 200, 204, 301, 307, 401, 403, 404, 426, 500, 503])
    def test_4_1_anything_but_101_fails_and_stays_readable(self, status: int) -> None:
        answer = Response(status, Headers([("Retry-After", "7"), ("A", "b")]), b"why not", "No")
        error = fails(answer)
        assert (error.status, error.body) == (status, b"why not")
        assert error.headers == (("Retry-After", "7"), ("A", "b"))

    @pytest.mark.rule(28)
    def test_4_1_101_of_http_1_0_fails(self) -> None:
        with pytest.raises(HandshakeError):
            parsed = parse_response(wire.response_head("HTTP/1.0 101 Switching Protocols"))
            assert parsed is not None
            check_response(request(), parsed[0])

    @pytest.mark.rule(29)
    @pytest.mark.parametrize("value", [None, "", "h2c", "websockets", "web socket"])
    def test_4_1_wrong_upgrade_fails(self, value: str | None) -> None:
        self.fails_with("Upgrade", value)

    @pytest.mark.rule(30)
    @pytest.mark.parametrize("value", [None, "", "close", "keep-alive", "upgraded"])
    def test_4_1_wrong_connection_fails(self, value: str | None) -> None:
        self.fails_with("Connection", value)

    @pytest.mark.rule(31)
    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            SAMPLE_KEY,
            wire.ACCEPT.lower(),
            wire.ACCEPT[:-1],
            wire.ACCEPT + ", " + wire.ACCEPT,
            "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=",
        ],
    )
    def test_4_1_wrong_accept_fails(self, value: str | None) -> None:
        self.fails_with("Sec-WebSocket-Accept", value)

    @pytest.mark.rule(31)
    def test_4_1_repeated_accept_fails(self) -> None:
        fails(response(add=[("Sec-WebSocket-Accept", wire.ACCEPT)]))

    @pytest.mark.rule(32)
    @pytest.mark.parametrize(
        ("offered", "line"),
        [
            ([], "x"),
            ([Extension("a")], "x"),
            ([Extension("a")], "a, x"),
            ([Extension("a")], "a, a"),
            ([Extension("a")], "a;"),
            ([Extension("a")], "; =1"),
        ],
    )
    def test_4_1_extension_that_was_not_offered_fails(
        self, offered: list[Extension], line: str
    ) -> None:
        fails(response(add=[(EXTENSIONS, line)]), request(extensions=offered))

    @pytest.mark.rule(32)
    def test_4_1_extension_that_was_offered_is_agreed(self) -> None:
        asked = request(extensions=[Extension("a"), Extension("b")])
        answer = response(add=[(EXTENSIONS, "b; x=1")])
        agreed = Extension("b", (("x", "1"),))
        seen: list[tuple[Extension, Extension]] = []
        agreement = check_response(asked, answer, lambda *pair: seen.append(pair))
        assert agreement == Agreement(None, agreed)
        assert seen == [(Extension("b"), agreed)]
        assert check_response(asked, answer).extension == agreed

    @pytest.mark.rule(32)
    def test_4_1_parameters_that_were_not_offered_fail(self) -> None:
        def agree(offer: Extension, extension: Extension) -> None:
            raise HandshakeError("got another parameter", reason="extension")

        asked = request(extensions=[Extension("a")])
        with pytest.raises(HandshakeError) as caught:
            check_response(asked, response(add=[(EXTENSIONS, "a; x")]), agree)
        assert (caught.value.status, caught.value.reason) == (101, "extension")

    @pytest.mark.rule(33)
    @pytest.mark.parametrize(
        ("offered", "lines"),
        [
            ([], ["chat"]),
            ([], [""]),
            (["a"], ["b"]),
            (["a"], [""]),
            (["a", "b"], ["a, b"]),
            (["a", "b"], ["a", "b"]),
            (["a"], ["a", "a"]),
            (["a"], ["A"]),
            (["a"], ["a b"]),
        ],
    )
    def test_4_1_subprotocol_that_was_not_offered_fails(
        self, offered: list[str], lines: list[str]
    ) -> None:
        added = [(PROTOCOL, line) for line in lines]
        fails(response(add=added), request(subprotocols=offered))

    @pytest.mark.rule(33)
    @pytest.mark.parametrize("chosen", ["a", "b", None])
    def test_4_1_subprotocol_that_was_offered_is_agreed(self, chosen: str | None) -> None:
        added = [(PROTOCOL, chosen)] if chosen else []
        agreement = check_response(request(subprotocols=["a", "b"]), response(add=added))
        assert agreement == Agreement(chosen, None)

    def fails_with(self, name: str, value: str | None) -> None:
        """Assert that the response fails once its line of that name is changed, or gone."""
        answer = response(drop=[name]) if value is None else response(replace={name: value})
        assert fails(answer).status == 101


CHUNKED = [("Transfer-Encoding", "chunked")]


class TestReading:
    """RFC 9112 6.3: how much of an answer is read, so that the caller can see it (4.1)."""

    ACCEPTED = wire.response_head()

    @staticmethod
    def refusal(lines: list[tuple[str, str]], received: bytes, ended: bool) -> bytes | None:
        """Return the body that the caller gets to see of a 503, None while more is needed."""
        data = wire.head("HTTP/1.1 503 Busy", [*lines, ("Retry-After", "7")]) + received
        try:
            assert read_response(request(), data, ended=ended) is None
        except HandshakeError as error:
            assert error.status == 503
            assert ("Retry-After", "7") in error.headers
            return error.body
        return None

    @pytest.mark.rule(28)
    @pytest.mark.parametrize(
        ("lines", "received", "ended", "body"),
        [
            ([("Content-Length", "4")], b"", False, None),
            ([("Content-Length", "4")], b"abc", False, None),
            ([("Content-Length", "4")], b"abcd", False, b"abcd"),
            ([("Content-Length", "4")], b"abcdef", False, b"abcd"),
            ([("Content-Length", "4")], b"abc", True, b"abc"),
            ([("Content-Length", "0")], b"", False, b""),
            ([], b"abc", False, None),
            ([], b"abc", True, b"abc"),
            ([("Content-Length", "x")], b"abc", True, b"abc"),
            ([("Content-Length", "1"), ("Content-Length", "2")], b"abc", True, b"abc"),
            ([("Content-Length", "9" * 5000)], b"abc", True, b"abc"),
            (CHUNKED, b"", False, None),
            (CHUNKED, b"2\r\nno\r\n1;x=y", False, None),
            (CHUNKED, b"2\r\nno\r\n1;x=y\r\n!\r\n0\r\n", False, b"no!"),
            (CHUNKED, b"2\r\nno", True, b"no"),
            (CHUNKED, b"zz\r\n", False, b""),
            (CHUNKED, b"1\r\nx\r\n" * 20_000, False, None),
            (CHUNKED, b"1\r\nx\r\n" * 30_000, False, b"x" * 30_000),
            (CHUNKED, b"1" * 140_000, False, b""),
        ],
    )
    def test_6_3_body(
        self, lines: list[tuple[str, str]], received: bytes, ended: bool, body: bytes | None
    ) -> None:
        assert self.refusal(lines, received, ended) == body

    def test_7_1_chunks_in_pieces_of_one_byte(self) -> None:
        data = wire.head("HTTP/1.1 503 Busy", CHUNKED) + b"3\r\nnot\r\n4;x\r\n now\r\n0\r\n"
        reader = ResponseReader(request())
        for end in range(len(data)):
            assert reader.read(data[:end]) is None
        with pytest.raises(HandshakeError) as caught:
            reader.read(data)
        assert caught.value.body == b"not now"

    @pytest.mark.parametrize("count", [1, 10, 11])
    def test_9110_15_2_interim_responses_are_skipped(self, count: int) -> None:
        data = wire.head("HTTP/1.1 103 Hint", [("Link", "</a.css>")]) * count + self.ACCEPTED
        if count <= 10:
            found = read_response(request(), data)
            assert found is not None
            assert (found[0].status, found[2]) == (101, len(data))
        else:
            with pytest.raises(HandshakeError) as caught:
                read_response(request(), data)
            assert (caught.value.status, caught.value.reason) == (0, "interim")

    def test_6_3_a_204_has_no_body(self) -> None:
        with pytest.raises(HandshakeError) as refused:
            read_response(request(), wire.head("HTTP/1.1 204 No", []))
        assert refused.value.body == b""

    @pytest.mark.rule(28)
    @pytest.mark.parametrize("lines", [[], [("Content-Length", "1000000000")]])
    def test_6_3_body_is_cut_at_64_kib(self, lines: list[tuple[str, str]]) -> None:
        limit = 64 * 1024
        assert self.refusal(lines, bytes(limit - 1), False) is None
        for size in (limit, limit + 1):
            assert self.refusal(lines, bytes(size), False) == bytes(limit)

    @pytest.mark.rule(20, 34)
    @pytest.mark.parametrize("kind", [bytes, bytearray])
    def test_4_1_frames_behind_a_101_are_no_body(self, kind: type) -> None:
        data = kind(self.ACCEPTED + wire.frame(wire.TEXT, b"Hello"))
        found = read_response(request(), data)
        assert found is not None
        answer, agreement, position = found
        assert (answer.status, answer.body, agreement) == (101, b"", Agreement())
        assert data[position:] == wire.frame(wire.TEXT, b"Hello")

    @pytest.mark.rule(34)
    def test_4_1_every_prefix_needs_more(self) -> None:
        for end in range(len(self.ACCEPTED)):
            assert read_response(request(), self.ACCEPTED[:end]) is None

    @pytest.mark.rule(28)
    @pytest.mark.parametrize("end", [0, 1, 20, len(ACCEPTED) - 1])
    def test_4_1_end_of_stream_inside_the_head_fails(self, end: int) -> None:
        with pytest.raises(HandshakeError) as caught:
            read_response(request(), self.ACCEPTED[:end], ended=True)
        assert caught.value.status == 0

    @pytest.mark.rule(32)
    def test_4_1_parameters_are_judged_by_the_extension(self) -> None:
        def agree(offer: Extension, extension: Extension) -> None:
            raise HandshakeError("got another parameter", reason="extension")

        asked = request(extensions=[Extension("a")])
        data = wire.response_head(add=[(EXTENSIONS, "a; x")])
        with pytest.raises(HandshakeError):
            read_response(asked, data, agree=agree)
        assert read_response(asked, data) is not None
