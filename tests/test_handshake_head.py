"""Floor 1, heads: RFC 9112 start and header lines, header lists, limits; bytes in, heads out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.handshake import (
    MAX_HEAD,
    MAX_HEADERS,
    MAX_LINE,
    MAX_START_LINE,
    Headers,
    HeadLimits,
    MultipleValuesError,
    Request,
    Response,
    parse_list,
    parse_request,
    parse_response,
)
from tests.support import wire
from tests.support.wire import REQUEST_HEADERS, REQUEST_LINE, request_head, response_head

END = b"\r\n\r\n"
TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def request(data: bytes) -> Request:
    """Return the request of which data is exactly the head."""
    parsed = parse_request(data)
    assert parsed is not None
    assert parsed[1] == len(data)
    return parsed[0]


def refused(data: bytes, status: int = 400) -> HandshakeError:
    """Assert that the request head is refused with the status; return the error."""
    with pytest.raises(HandshakeError) as caught:
        parse_request(data)
    assert caught.value.status == status
    return caught.value


def with_line(line: bytes) -> bytes:
    """Return a request head that has one more, raw, header line."""
    return request_head().replace(END, b"\r\n" + line + END)


class TestHeaders:
    """RFC 9110 5: names in any case, lines in order, repeated lines kept apart."""

    HEADERS = Headers([("Host", "a"), ("Cookie", "1"), ("cookie", "2"), ("X", "")])

    @pytest.mark.parametrize("name", ["Host", "host", "HOST", "hOsT"])
    def test_5_1_names_compare_in_any_case(self, name: str) -> None:
        assert self.HEADERS[name] == "a"
        assert self.HEADERS.get(name) == "a"
        assert name in self.HEADERS

    def test_5_3_order_and_case_are_kept(self) -> None:
        assert list(self.HEADERS) == [("Host", "a"), ("Cookie", "1"), ("cookie", "2"), ("X", "")]
        assert len(self.HEADERS) == 4

    def test_5_3_repeated_name_is_a_list_or_an_error(self) -> None:
        assert self.HEADERS.get_all("COOKIE") == ["1", "2"]
        with pytest.raises(MultipleValuesError):
            self.HEADERS["Cookie"]
        with pytest.raises(MultipleValuesError):
            self.HEADERS.get("Cookie")

    def test_missing_name_is_none_or_key_error(self) -> None:
        assert self.HEADERS.get("Origin") is None
        assert self.HEADERS.get("Origin", "x") == "x"
        assert self.HEADERS.get_all("Origin") == []
        assert "Origin" not in self.HEADERS
        assert 7 not in self.HEADERS
        with pytest.raises(KeyError):
            self.HEADERS["Origin"]

    def test_empty_value_is_not_missing(self) -> None:
        assert "X" in self.HEADERS
        assert self.HEADERS["X"] == ""
        assert self.HEADERS.get("X", "default") == ""

    def test_both_lookup_errors_are_caught_as_one(self) -> None:
        assert issubclass(MultipleValuesError, LookupError)

    def test_headers_compare_by_their_lines(self) -> None:
        assert Headers([("A", "b")]) == Headers([("A", "b")])
        assert Headers([("A", "b")]) != Headers([("A", "c")])
        assert Headers([("A", "b")]) != [("A", "b")]
        assert repr(Headers([("A", "b")])) == "Headers([('A', 'b')])"

    @pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "\x7f", "\x1b", "€"])
    def test_5_5_value_that_is_no_single_line_is_refused_at_the_call(self, value: str) -> None:
        headers = Headers()
        with pytest.raises(LocalProtocolError):
            headers.add("X", value)
        with pytest.raises(LocalProtocolError):
            Headers([("X", value)])
        assert len(headers) == 0

    @pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "(a)", "é", "a\0", '"a"', "a,b"])
    def test_5_1_name_that_is_no_token_is_refused_at_the_call(self, name: str) -> None:
        with pytest.raises(LocalProtocolError):
            Headers().add(name, "x")

    @pytest.mark.parametrize("value", ["", "a b", "a\tb", "é", "ÿ", "~!,;=\"'"])
    def test_5_5_legal_values_are_kept_as_they_are(self, value: str) -> None:
        headers = Headers([("X", value)])
        assert headers["X"] == value
        assert request(wire.head(REQUEST_LINE, [("X", value)])).headers == headers


class TestSection3:
    """RFC 9112 3: the request line."""

    def test_3_method_target_and_version(self) -> None:
        parsed = request(wire.head("PATCH /a?b=c HTTP/1.0", [("Host", "x")]))
        assert (parsed.method, parsed.target, parsed.version) == ("PATCH", "/a?b=c", "HTTP/1.0")
        assert parsed.headers["host"] == "x"

    def test_3_head_without_headers(self) -> None:
        assert len(request(b"GET / HTTP/1.1" + END).headers) == 0

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b" ",
            b"GET",
            b"GET /",
            b"GET  / HTTP/1.1",
            b"GET / HTTP/1.1 ",
            b" GET / HTTP/1.1",
            b"GET / / HTTP/1.1",
            b"GET\t/\tHTTP/1.1",
            b"GET / http/1.1",
            b"GET / HTTP/11",
            b"GET / HTTP/1.10",
            b"GET / HTTP/x.1",
            b"GET / HTCPCP/1.1",
            b"GET /\x00 HTTP/1.1",
            b"GET /\x7f HTTP/1.1",
            b"GET /\xc3\xa9 HTTP/1.1",
            b"G(T / HTTP/1.1",
            b"GET / HTTP/1.1\r",
            b"\x16\x03\x01\x02\x00\x01",
        ],
    )
    def test_3_malformed_request_line_is_refused(self, line: bytes) -> None:
        refused(line + b"\r\nHost: x" + END)

    def test_3_tls_on_a_plain_port_is_refused_at_the_first_byte(self) -> None:
        assert "TLS" in str(refused(b"\x16"))

    @pytest.mark.parametrize(
        ("target", "path"),
        [
            ("/", "/"),
            ("/chat", "/chat"),
            ("/chat?room=1", "/chat"),
            ("/chat?a=/b?c", "/chat"),
            ("/?", "/"),
            ("http://example.com/chat?room=1", "/chat"),
            ("wss://example.com/chat", "/chat"),
            ("http://example.com", "/"),
            ("http://example.com?x=/y", "/"),
            ("//example.com/chat", "//example.com/chat"),
            ("/http://example.com/x", "/http://example.com/x"),
            ("/a%2Fb", "/a%2Fb"),
        ],
    )
    def test_3_2_path_is_the_target_without_host_and_query(self, target: str, path: str) -> None:
        assert Request(target).path == path


class TestSection5:
    """RFC 9112 2.2 and 5: header lines, and what two readers could read in two ways."""

    @pytest.mark.parametrize("line", [b"X:y", b"X: y", b"X:  y  ", b"X:\ty\t", b"X: \t y"])
    def test_5_1_white_space_around_the_value_is_dropped(self, line: bytes) -> None:
        assert request(with_line(line)).headers["X"] == "y"

    def test_5_value_may_be_empty_or_hold_colons(self) -> None:
        assert request(with_line(b"X:")).headers["X"] == ""
        assert request(with_line(b"X: a:b: c")).headers["X"] == "a:b: c"

    @pytest.mark.parametrize(
        "line",
        [b"Upgrade : x", b"Upgrade\t: x", b" Upgrade: x", b"\tfolded", b" folded", b"no colon"],
    )
    def test_5_1_space_before_colon_and_obs_fold_are_refused(self, line: bytes) -> None:
        refused(with_line(line))

    def test_5_every_byte_in_a_name_is_a_token_byte_or_refused(self) -> None:
        for byte in set(range(256)) - set(b"\r\n:"):
            data = with_line(b"X" + bytes([byte]) + b"Y: z")
            if byte in TOKEN_BYTES:
                assert request(data).headers.get("X" + chr(byte) + "Y") == "z"
            else:
                refused(data)

    def test_5_5_every_byte_in_a_value_is_text_or_refused(self) -> None:
        for byte in set(range(256)) - set(b"\n"):
            data = with_line(b"X: a" + bytes([byte]) + b"b")
            if byte in b"\t" or 0x20 <= byte != 0x7F:
                assert request(data).headers["X"] == "a" + chr(byte) + "b"
            else:
                refused(data)

    @pytest.mark.parametrize("line", [b": value", b":", b"=: value"])
    def test_5_empty_or_wrong_name_is_refused(self, line: bytes) -> None:
        refused(with_line(line))

    @pytest.mark.parametrize(
        "data",
        [
            request_head().replace(b"\r\n", b"\n"),
            request_head().replace(END, b"\n\n"),
            request_head().replace(END, b"\r\n\n"),
            request_head().replace(b"\r\n", b"\n", 1),
            with_line(b"X: a\nY: b"),
            b"GET / HTTP/1.1\n",
        ],
    )
    def test_2_2_bare_lf_is_refused(self, data: bytes) -> None:
        refused(data)

    @pytest.mark.parametrize("line", [b"X: a\rY: b", b"X: a\r", b"X\r: a"])
    def test_2_2_bare_cr_is_refused(self, line: bytes) -> None:
        refused(with_line(line))


class TestLimits:
    """8 and 32 KiB a line, 100 lines, 64 KiB in all: refused before they are complete."""

    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_start_line_of_8_kib(self, over: int) -> None:
        line = f"GET /{'a' * (MAX_START_LINE - len('GET / HTTP/1.1') + over)} HTTP/1.1"
        assert len(line) == MAX_START_LINE + over
        data = wire.head(line, REQUEST_HEADERS)
        if over > 0:
            refused(data, 414)
        else:
            assert request(data).headers["Host"] == "server.example.com"

    @pytest.mark.rule(46)
    @pytest.mark.parametrize("over", [-1, 0])
    def test_start_line_at_the_limit_in_any_pieces(self, over: int) -> None:
        line = f"GET /{'a' * (MAX_START_LINE - len('GET / HTTP/1.1') + over)} HTTP/1.1"
        data = wire.head(line, REQUEST_HEADERS)
        for end in range(MAX_START_LINE - 4, MAX_START_LINE + 4):
            assert parse_request(data[:end]) is None

    def test_start_line_without_end_is_refused_at_once(self) -> None:
        assert parse_request(b"GET /" + b"a" * (MAX_START_LINE - 6)) is None
        refused(b"GET /" + b"a" * MAX_START_LINE, 414)

    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_header_line_of_32_kib(self, over: int) -> None:
        data = with_line(b"X: " + b"a" * (MAX_LINE - 3 + over))
        if over > 0:
            refused(data, 431)
        else:
            assert "X" in request(data).headers

    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_100_headers(self, over: int) -> None:
        lines = [(f"X-{number}", "1") for number in range(MAX_HEADERS + over)]
        data = wire.head(REQUEST_LINE, lines)
        if over > 0:
            refused(data, 431)
        else:
            assert len(request(data).headers) == MAX_HEADERS + over

    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_head_of_64_kib(self, over: int) -> None:
        lines = [("X", "a" * 8000) for _ in range(8)]
        fixed = len(wire.head(REQUEST_LINE, [*lines, ("Y", "")]))
        data = wire.head(REQUEST_LINE, [*lines, ("Y", "b" * (MAX_HEAD - fixed + over))])
        assert len(data) == MAX_HEAD + over
        if over > 0:
            refused(data, 431)
        else:
            assert len(request(data).headers) == 9

    def test_head_without_end_is_refused_at_64_kib(self) -> None:
        data = b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 9
        assert parse_request(data[: MAX_HEAD - 1]) is None
        refused(data[: MAX_HEAD + 1], 431)

    def test_the_limits_are_those_documented(self) -> None:
        assert (MAX_START_LINE, MAX_LINE, MAX_HEADERS) == (8 * 1024, 32 * 1024, 100)
        assert MAX_HEAD == 64 * 1024
        assert HeadLimits() == HeadLimits(max_header_line=MAX_LINE, max_head=MAX_HEAD)

    @pytest.mark.parametrize("canonical", [True, False])
    @pytest.mark.parametrize("limit", [100, 8 * 1024, 60 * 1024, 200 * 1024])
    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_header_line_of_any_limit(self, canonical: bool, limit: int, over: int) -> None:
        limits = HeadLimits(max_header_line=limit, max_head=400 * 1024)
        name = b"X: " if canonical else b"X:"
        data = with_line(name + b"a" * (limit - len(name) + over))
        answer = wire.head("HTTP/1.1 101 Switching", []).replace(END, data[data.index(b"\r\n") :])
        if over > 0:
            with pytest.raises(HandshakeError) as caught:
                parse_request(data, limits=limits)
            assert caught.value.status == 431
            with pytest.raises(HandshakeError) as caught:
                parse_response(answer, limits=limits)
            assert caught.value.status == 0
        else:
            parsed, answered = (
                parse_request(data, limits=limits),
                parse_response(answer, limits=limits),
            )
            assert parsed is not None and answered is not None
            assert parsed[0].headers == answered[0].headers
            assert "X" in parsed[0].headers

    @pytest.mark.parametrize("limit", [400, 64 * 1024, 300 * 1024])
    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_head_of_any_limit(self, limit: int, over: int) -> None:
        limits = HeadLimits(max_header_line=2**20, max_head=limit)
        data = with_line(b"X: " + b"a" * (limit - len(with_line(b"X: ")) + over))
        assert len(data) == limit + over
        if over > 0:
            with pytest.raises(HandshakeError) as caught:
                parse_request(data, limits=limits)
            assert caught.value.status == 431
        else:
            assert parse_request(data, limits=limits) is not None
        assert parse_request(data[: limit - 2], limits=limits) is None

    @pytest.mark.parametrize("name", ["max_header_line", "max_head"])
    @pytest.mark.parametrize("value", [0, -1])
    def test_limit_that_lets_nothing_through_is_refused(self, name: str, value: int) -> None:
        with pytest.raises(ValueError, match=f"got {name}={value}"):
            HeadLimits(**{name: value})


class TestIncremental:
    """Heads in any pieces, at any position, with anything behind them."""

    @pytest.mark.parametrize(
        ("parse", "data"), [(parse_request, request_head()), (parse_response, response_head())]
    )
    def test_every_prefix_needs_more(self, parse: Callable[..., object], data: bytes) -> None:
        for end in range(len(data)):
            assert parse(data[:end]) is None
        assert parse(data) is not None

    @pytest.mark.rule(20)
    @pytest.mark.parametrize("kind", [bytes, bytearray])
    def test_4_2_1_position_after_the_head_keeps_what_follows(self, kind: type) -> None:
        data = kind(b"before" + request_head() + b"\x81\x85after\r\n\r\n")
        parsed = parse_request(data, 6)
        assert parsed is not None
        assert data[parsed[1] :] == b"\x81\x85after\r\n\r\n"
        answer = kind(response_head() + b"\x81\x05Hello")
        parsed_response = parse_response(answer)
        assert parsed_response is not None
        assert answer[parsed_response[1] :] == b"\x81\x05Hello"

    def test_empty_buffer_needs_more(self) -> None:
        assert parse_request(b"") is None
        assert parse_response(b"") is None
        assert parse_request(request_head(), len(request_head())) is None


class TestSerialize:
    """Heads out, and back in again."""

    def test_request_round_trips(self) -> None:
        data = request_head()
        assert request(data).serialize() == data
        assert request(Request("/x", Headers([("A", "ÿ")]), "PUT", "HTTP/1.0").serialize()) == (
            Request("/x", Headers([("A", "ÿ")]), "PUT", "HTTP/1.0")
        )

    def test_response_round_trips(self) -> None:
        data = response_head()
        parsed = parse_response(data)
        assert parsed is not None
        assert parsed[0].serialize() == data

    def test_response_body_follows_the_head(self) -> None:
        data = Response(404, Headers([("Content-Length", "2")]), b"no").serialize()
        assert data == b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"

    @pytest.mark.parametrize("status", [200, 299, 404, 418, 499, 520, 599])
    def test_any_status_can_be_written(self, status: int) -> None:
        line, _, _ = Response(status).serialize().partition(b"\r\n")
        assert line.startswith(b"HTTP/1.1 %d " % status)
        parsed = parse_response(line + END)
        assert parsed is not None
        assert parsed[0].status == status

    @pytest.mark.parametrize(
        "target",
        ["", "a b", "/a\r\nX: y", "/a\0", "/\x7f", "/é", "/a\n", "/ HTTP/1.1\r\n\r\nGET /"],
    )
    def test_target_that_is_no_target_is_refused_at_the_call(self, target: str) -> None:
        with pytest.raises(LocalProtocolError):
            Request(target).serialize()

    @pytest.mark.parametrize("reason", ["a\r\nX: y", "a\n", "\0", "€"])
    def test_reason_that_is_no_reason_is_refused_at_the_call(self, reason: str) -> None:
        with pytest.raises(LocalProtocolError):
            Response(200, reason=reason).serialize()


class TestResponses:
    """RFC 9112 4: the status line, and errors that carry no HTTP status of ours."""

    @pytest.mark.parametrize(
        ("line", "status", "reason"),
        [
            ("HTTP/1.1 101 Switching Protocols", 101, "Switching Protocols"),
            ("HTTP/1.1 404 ", 404, ""),
            ("HTTP/1.1 404", 404, ""),
            ("HTTP/1.0 503 Down", 503, "Down"),
            ("HTTP/1.1 599 \xe9", 599, "\xe9"),
        ],
    )
    def test_4_status_line(self, line: str, status: int, reason: str) -> None:
        parsed = parse_response(wire.head(line, []))
        assert parsed is not None
        assert (parsed[0].status, parsed[0].reason) == (status, reason)

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 99 x" + END,
            b"HTTP/1.1 600 x" + END,
            b"HTTP/1.1 1010 x" + END,
            b"HTTP/1.1 10x y" + END,
            b"HTTP/2 200 x" + END,
            b"ICY 200 OK" + END,
            b"HTTP/1.1 200 a\0b" + END,
            b"HTTP/1.1 101 ok\nUpgrade: x\n\n",
            response_head().replace(b"Upgrade:", b"Upgrade :"),
            response_head(add=[("X", "a" * 33 * 1024)]),
            response_head(add=[("X", "1")] * 200),
            b"HTTP/1.1 200 " + b"a" * 9000,
            b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 9,
        ],
    )
    def test_4_malformed_response_is_refused_with_status_0(self, data: bytes) -> None:
        with pytest.raises(HandshakeError) as caught:
            parse_response(data)
        assert caught.value.status == 0


class TestLists:
    """RFC 9110 5.6.1: comma lists, over repeated lines, with empty elements."""

    @pytest.mark.rule(5)
    @pytest.mark.parametrize(
        ("lines", "elements"),
        [
            ([], []),
            ([""], []),
            (["a"], ["a"]),
            (["a,b"], ["a", "b"]),
            (["a , b", "\tc"], ["a", "b", "c"]),
            ([",", " , a,,b ,"], ["a", "b"]),
            (["a b"], ["a b"]),
        ],
    )
    def test_5_6_1_lists(self, lines: list[str], elements: list[str]) -> None:
        assert parse_list(lines) == elements
