"""Floor 1, the server's side: RFC 6455 sections 4.2, 4.4, 9.1, 10.2 and 11.3."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import pytest

from refimpl.errors import HandshakeError
from refimpl.handshake import (
    GUID,
    Acceptance,
    Extension,
    Headers,
    Policy,
    Request,
    accept_key,
    check_request,
    has_token,
    is_valid_key,
    make_key,
    parse_extensions,
    parse_request,
    parse_response,
    parse_subprotocols,
    refuse,
    serialize_extension,
)
from tests.support import wire
from tests.support.handshakes import MALFORMED, STILL_GOOD, Bad, Good
from tests.support.wire import ACCEPT, request_head

SAME_ORIGIN = Policy()
SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PROTOCOL, EXTENSIONS = "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"


def answer(data: bytes, policy: Policy = SAME_ORIGIN) -> Acceptance:
    """Return what the server makes of a request head; HandshakeError where it refuses."""
    parsed = parse_request(data)
    assert parsed is not None
    return check_request(parsed[0], policy)


def refused(data: bytes, status: int, policy: Policy = SAME_ORIGIN) -> HandshakeError:
    """Assert that the request is refused with the status, and return the error."""
    with pytest.raises(HandshakeError) as caught:
        answer(data, policy)
    assert caught.value.status == status
    return caught.value


class TestMalformed:
    """The thirty: one HTTP answer each, never a 101, and the connection closes behind it."""

    @pytest.mark.rule(1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 18, 21)
    @pytest.mark.parametrize("bad", MALFORMED, ids=lambda bad: f"{bad.number}-{bad.name}")
    def test_malformed_request_is_refused(self, bad: Bad) -> None:
        error = refused(bad.head, bad.status)
        assert error.reason.replace("-", "").isalnum()
        head, _, body = refuse(error).serialize().partition(b"\r\n\r\n")
        parsed = parse_response(head + b"\r\n\r\n")
        assert parsed is not None
        response = parsed[0]
        assert response.status == bad.status
        assert has_token(response.headers.get_all("Connection"), "close")
        assert response.headers["Content-Length"] == str(len(body))
        assert body
        if bad.header:
            assert has_token(response.headers.get_all(bad.header[0]), bad.header[1])

    @pytest.mark.rule(1, 2, 3, 4, 5, 6, 7, 8)
    def test_each_malformed_request_differs_from_one_that_is_accepted(self) -> None:
        assert answer(request_head()).response.status == 101
        assert {bad.number for bad in MALFORMED} == set(range(1, 31))

    @pytest.mark.rule(4, 5, 17)
    @pytest.mark.parametrize("good", STILL_GOOD, ids=lambda good: good.name)
    def test_unusual_request_is_still_accepted(self, good: Good) -> None:
        accepted = answer(good.head + good.behind)
        assert accepted.response.status == 101
        assert accepted.extension is None
        assert EXTENSIONS not in accepted.response.headers


class TestSection4_2_1:
    """What a request must have."""

    @pytest.mark.rule(1)
    @pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "CONNECT", "OPTIONS", "PRI", "GETS"])
    def test_4_2_1_other_method_gets_405(self, method: str) -> None:
        error = refused(request_head(f"{method} /chat HTTP/1.1"), 405)
        assert ("Allow", "GET") in error.headers

    @pytest.mark.rule(2)
    @pytest.mark.parametrize("version", ["0.9", "1.0", "2.0", "3.0"])
    def test_4_2_1_other_http_version_gets_505(self, version: str) -> None:
        refused(request_head(f"GET /chat HTTP/{version}"), 505)

    @pytest.mark.rule(2)
    def test_4_2_1_later_minor_version_passes(self) -> None:
        assert answer(request_head("GET /chat HTTP/1.2")).response.status == 101

    @pytest.mark.parametrize("target", ["*", "chat", "ftp://x/", "server.example.com:80"])
    def test_4_2_1_target_that_is_no_path_gets_400(self, target: str) -> None:
        refused(request_head(f"GET {target} HTTP/1.1"), 400)

    @pytest.mark.rule(3)
    @pytest.mark.parametrize(
        "host",
        ["", "a b", "a/b", "a@b", "a:b", "a:80:80", "[::1", "::1", "http://a", "a,b\\", "a#"],
    )
    def test_4_2_1_malformed_host_gets_400(self, host: str) -> None:
        refused(request_head(replace={"Host": host}), 400)

    @pytest.mark.rule(3)
    @pytest.mark.parametrize(
        "host", ["a", "a.example:8080", "127.0.0.1", "[::1]", "[::1]:80", "a_b"]
    )
    def test_4_2_1_host_forms_pass(self, host: str) -> None:
        assert answer(request_head(replace={"Host": host})).response.status == 101

    @pytest.mark.rule(4)
    @pytest.mark.parametrize(
        "value", ["websocke", "websockets", "xwebsocket", "web socket", "", "websocket/13"]
    )
    def test_4_2_1_upgrade_is_a_whole_token(self, value: str) -> None:
        error = refused(request_head(replace={"Upgrade": value}), 426)
        assert ("Upgrade", "websocket") in error.headers

    @pytest.mark.rule(5)
    @pytest.mark.parametrize("value", ["upgraded", "no-upgrade", "close", "", "Up grade"])
    def test_4_2_1_connection_is_a_whole_token(self, value: str) -> None:
        refused(request_head(replace={"Connection": value}), 426)

    @pytest.mark.rule(4, 5)
    def test_4_2_1_tokens_are_found_over_repeated_lines(self) -> None:
        lines = [("Connection", "keep-alive"), ("Connection", ",, UPGRADE ,"), ("Upgrade", "h2c")]
        data = request_head(drop=["Connection"], add=lines)
        assert answer(data).response.status == 101

    @pytest.mark.rule(6)
    @pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 32])
    def test_4_2_1_key_has_16_bytes(self, size: int) -> None:
        data = request_head(replace={"Sec-WebSocket-Key": base64.b64encode(bytes(size)).decode()})
        if size == 16:
            assert answer(data).response.status == 101
        else:
            refused(data, 400)

    @pytest.mark.rule(6)
    @pytest.mark.parametrize(
        "key",
        [
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25jZf==",
            "dGhlIHNh bXBsZSBub25jZQ==",
            "=GhlIHNhbXBsZSBub25jZQ==",
            "____IHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZé==",
            "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        ],
    )
    def test_4_2_1_key_is_canonical_base64(self, key: str) -> None:
        assert not is_valid_key(key)
        refused(request_head(replace={"Sec-WebSocket-Key": key}), 400)

    @pytest.mark.rule(6)
    def test_4_2_1_one_of_16_last_letters_is_canonical(self) -> None:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        good = [letter for letter in alphabet if is_valid_key(f"AAAAAAAAAAAAAAAAAAAAA{letter}==")]
        assert good == ["A", "Q", "g", "w"]

    @pytest.mark.rule(8, 9)
    @pytest.mark.parametrize(
        ("version", "status"),
        [
            *((version, 426) for version in ("0", "8", "12", "14", "255")),
            *((version, 400) for version in ("", "013", "13, 8", "13.0", "+13", "-13", "x", "1 3")),
        ],
    )
    def test_4_4_other_version_is_answered_with_ours(self, version: str, status: int) -> None:
        error = refused(request_head(replace={"Sec-WebSocket-Version": version}), status)
        assert ("Sec-WebSocket-Version", "13") in error.headers

    @pytest.mark.rule(21)
    @pytest.mark.parametrize("value", ["5", "0, 0", "00", "-1", "+0", "x", ""])
    def test_4_2_1_request_with_a_body_gets_400(self, value: str) -> None:
        refused(request_head(add=[("Content-Length", value)]), 400)
        refused(request_head(add=[("Transfer-Encoding", value)]), 400)

    def test_4_2_1_content_length_0_is_no_body(self) -> None:
        assert answer(request_head(add=[("Content-Length", "0")])).response.status == 101
        refused(request_head(add=[("Content-Length", "0"), ("Content-Length", "5")]), 400)


class TestSection4_2_2:
    """The 101."""

    @pytest.mark.rule(11)
    def test_1_3_worked_example_of_the_accept_key(self) -> None:
        assert GUID == "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        assert accept_key(SAMPLE_KEY) == ACCEPT == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    @pytest.mark.rule(11)
    def test_4_2_2_accept_key_is_sha1_of_key_and_guid(self) -> None:
        for number in range(50):
            key = base64.b64encode(bytes([number] * 16)).decode()
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            assert accept_key(key) == base64.b64encode(digest).decode()

    @pytest.mark.rule(10, 11, 12)
    def test_4_2_2_101_has_exactly_its_headers(self) -> None:
        response = answer(request_head()).response
        assert sorted(response.headers) == [
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", ACCEPT),
            ("Upgrade", "websocket"),
        ]
        assert response.serialize().startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert response.serialize().endswith(b"\r\n\r\n")

    @pytest.mark.rule(12)
    def test_11_3_3_accept_once_and_never_a_key(self) -> None:
        policy = Policy(subprotocols=["chat"], negotiate=lambda offers: offers[0])
        data = request_head(add=[(PROTOCOL, "chat"), (EXTENSIONS, "x")])
        headers = answer(data, policy).response.headers
        assert headers.get_all("Sec-WebSocket-Accept") == [ACCEPT]
        assert "Sec-WebSocket-Key" not in headers
        for bad in MALFORMED:
            with pytest.raises(HandshakeError) as caught:
                answer(bad.head)
            answered = refuse(caught.value).headers
            assert "Sec-WebSocket-Accept" not in answered
            assert "Sec-WebSocket-Key" not in answered


class TestSubprotocols:
    """RFC 6455 4.2.2 step 5.5 and 11.3.4."""

    @pytest.mark.rule(13)
    @pytest.mark.parametrize(
        ("offered", "supported", "chosen"),
        [
            (None, [], None),
            (None, ["chat"], None),
            ("chat", [], None),
            ("chat", ["other"], None),
            ("chat", ["Chat"], None),
            ("chat", ["chat"], "chat"),
            ("a, b, c", ["c", "b"], "c"),
            ("chat.v1", ["chat"], None),
        ],
    )
    def test_4_2_2_chosen_from_the_offer_or_absent(
        self, offered: str | None, supported: list[str], chosen: str | None
    ) -> None:
        lines = [(PROTOCOL, offered)] if offered else []
        accepted = answer(request_head(add=lines), Policy(subprotocols=supported))
        assert accepted.subprotocol == chosen
        sent = accepted.response.headers.get_all(PROTOCOL)
        assert sent == ([] if chosen is None else [chosen])

    @pytest.mark.rule(14)
    def test_11_3_4_repeated_lines_are_one_list_and_one_line_answers(self) -> None:
        data = request_head(add=[(PROTOCOL, "a, b"), ("X", "y"), (PROTOCOL.lower(), "c")])
        accepted = answer(data, Policy(subprotocols=["c", "a"]))
        assert accepted.response.headers.get_all(PROTOCOL) == ["c"]
        assert parse_subprotocols(["a, b", "c"]) == ["a", "b", "c"]

    @pytest.mark.rule(14)
    def test_11_3_4_the_same_over_two_lines_gets_400(self) -> None:
        refused(request_head(add=[(PROTOCOL, "chat"), (PROTOCOL, "chat")]), 400)

    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_11_3_4_over_100_commas_get_400(self, over: int) -> None:
        value = ",".join(str(number) for number in range(101 + over))
        data = request_head(add=[(PROTOCOL, value)])
        if over > 0:
            refused(data, 400)
        else:
            assert answer(data).response.status == 101

    @pytest.mark.rule(13)
    @pytest.mark.parametrize("value", ["a b", "a;b", "a/b", '"a"', "", ",", "a, (b)", "é", "a=b"])
    def test_4_1_subprotocols_are_tokens(self, value: str) -> None:
        refused(request_head(add=[(PROTOCOL, value)]), 400)


class TestSection9_1:
    """Extensions: a header with a grammar of its own."""

    @pytest.mark.rule(15)
    @pytest.mark.parametrize(
        ("lines", "extensions"),
        [
            ([], []),
            (["a"], [Extension("a")]),
            (["a, b"], [Extension("a"), Extension("b")]),
            (["a", "b"], [Extension("a"), Extension("b")]),
            (["a; x"], [Extension("a", (("x", None),))]),
            (["a; x=1; y"], [Extension("a", (("x", "1"), ("y", None)))]),
            (['a; x="1"'], [Extension("a", (("x", "1"),))]),
            (["a ;x = 1\t;y , b"], [Extension("a", (("x", "1"), ("y", None))), Extension("b")]),
            (["a; x=1; x=2"], [Extension("a", (("x", "1"), ("x", "2")))]),
            (["a,, b,"], [Extension("a"), Extension("b")]),
        ],
    )
    def test_9_1_grammar(self, lines: list[str], extensions: list[Extension]) -> None:
        assert parse_extensions(lines) == extensions
        again = ", ".join(serialize_extension(extension) for extension in extensions)
        assert parse_extensions([again]) == extensions

    @pytest.mark.rule(16)
    @pytest.mark.parametrize(
        "value",
        [
            ";",
            "; =1",
            "a;",
            "a;;b",
            "a; =1",
            "a; x=",
            "a; x=1=2",
            "a b",
            "a; x y",
            "a; x=1 2",
            'a; x="',
            'a; x="1',
            'a; x=1"',
            'a; x="1" 2',
            'a; x=""',
            'a; x="1 2"',
            'a; x="a,b"',
            'a; x="a;b"',
            '"a"',
            "a/b",
            "a; (x)",
            "a; é",
            'a; x="\\"',
        ],
    )
    def test_9_1_malformed_header_gets_400(self, value: str) -> None:
        refused(request_head(add=[(EXTENSIONS, value)]), 400)
        refused(request_head(add=[(EXTENSIONS, "good; x=1"), (EXTENSIONS, value)]), 400)

    @pytest.mark.rule(16)
    @pytest.mark.parametrize("separator", [",", ";"])
    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_9_1_header_with_over_100_parts_gets_400(self, separator: str, over: int) -> None:
        data = request_head(add=[(EXTENSIONS, "x" + f"{separator}y" * (100 + over))])
        if over > 0:
            refused(data, 400)
        else:
            assert answer(data).response.status == 101

    @pytest.mark.rule(17)
    def test_9_1_unknown_extension_is_not_echoed(self) -> None:
        data = request_head(add=[(EXTENSIONS, "unheard-of, x-mux; channels=4")])
        for policy in (Policy(), Policy(negotiate=lambda offers: None)):
            accepted = answer(data, policy)
            assert accepted.extension is None
            assert EXTENSIONS not in accepted.response.headers

    @pytest.mark.rule(15)
    def test_11_3_2_what_was_negotiated_stands_on_one_line(self) -> None:
        seen: list[Sequence[Extension]] = []

        def negotiate(offers: Sequence[Extension]) -> Extension | None:
            seen.append(offers)
            return Extension("b", (("x", "1"), ("y", None)))

        data = request_head(add=[(EXTENSIONS, "a; q=1"), (EXTENSIONS, "b; x, c")])
        accepted = answer(data, Policy(negotiate=negotiate))
        assert [offer.name for offer in seen[0]] == ["a", "b", "c"]
        assert accepted.response.headers.get_all(EXTENSIONS) == ["b; x=1; y"]
        assert accepted.extension == Extension("b", (("x", "1"), ("y", None)))


ORIGINS_REFUSED = [
    "null",
    "",
    "http://evil.example",
    "https://server.example.com",
    "http://server.example.com:8080",
    "http://server.example.com:443",
    "http://server.example.com:0",
    "http://server.example.com.evil.example",
    "http://evil-server.example.com",
    "http://evilserver.example.com",
    "http://example.com",
    "http://sub.server.example.com",
    "http://server.example.com@evil.example",
    "http://evil.example/http://server.example.com",
    "http://evil.example#server.example.com",
    "http://evil.example?server.example.com",
    "http://server.example.com/",
    "http://server.example.com?",
    "http://server.example.com#",
    "http://server.example.com.",
    "http://serv\ter.example.com",
    "http:/server.example.com",
    "http:server.example.com",
    "//server.example.com",
    "server.example.com",
    "ws://server.example.com",
    "file://",
    "http://",
    "http://[::1",
    "http://server.example.com:x",
    "http://server.example.com:99999",
    "http://server.example.com http://evil.example",
    "http://server.example.com, http://evil.example",
]


class TestSection10_2:
    """Origin: which pages may connect. By default those of the server's own origin."""

    @pytest.mark.rule(18)
    @pytest.mark.parametrize("origin", ORIGINS_REFUSED)
    def test_10_2_foreign_origin_gets_403(self, origin: str) -> None:
        refused(request_head(add=[("Origin", origin)]), 403)

    @pytest.mark.rule(18)
    @pytest.mark.parametrize("origin", ORIGINS_REFUSED)
    def test_10_2_foreign_origin_gets_403_with_a_list(self, origin: str) -> None:
        policy = Policy(origins=["http://server.example.com"])
        refused(request_head(add=[("Origin", origin)]), 403, policy)

    @pytest.mark.rule(18)
    @pytest.mark.parametrize(
        ("host", "origin", "secure"),
        [
            ("server.example.com", None, False),
            ("server.example.com", "http://server.example.com", False),
            ("server.example.com", "http://server.example.com:80", False),
            ("server.example.com", "http://SERVER.example.com", False),
            ("Server.Example.com", "http://server.example.com", False),
            ("server.example.com:80", "http://server.example.com", False),
            ("server.example.com:8080", "http://server.example.com:8080", False),
            ("server.example.com", "https://server.example.com", True),
            ("server.example.com:443", "https://server.example.com", True),
            ("[::1]:8080", "http://[::1]:8080", False),
        ],
    )
    def test_10_2_own_origin_and_none_pass(
        self, host: str, origin: str | None, secure: bool
    ) -> None:
        lines = [("Origin", origin)] if origin else []
        data = request_head(replace={"Host": host}, add=lines)
        assert answer(data, Policy(secure=secure)).response.status == 101

    @pytest.mark.rule(18)
    def test_10_2_plain_origin_is_foreign_to_a_secure_server(self) -> None:
        data = request_head(add=[("Origin", "http://server.example.com")])
        refused(data, 403, Policy(secure=True))

    @pytest.mark.rule(18)
    @pytest.mark.parametrize("policy", [Policy(), Policy(origins=["http://server.example.com"])])
    def test_10_2_two_origins_get_403(self, policy: Policy) -> None:
        line = ("Origin", "http://server.example.com")
        refused(request_head(add=[line, ("Origin", "https://evil.example")]), 403, policy)
        refused(request_head(add=[line, line]), 403, policy)

    @pytest.mark.rule(18)
    @pytest.mark.parametrize(
        ("origins", "origin", "welcome"),
        [
            ([], None, False),
            ([], "http://server.example.com", False),
            (["https://a.example"], "https://a.example", True),
            (["https://a.example"], "https://A.example:443", True),
            (["https://a.example"], "http://a.example", False),
            (["https://a.example"], "https://b.example", False),
            (["https://a.example"], "http://server.example.com", False),
            (["https://a.example"], None, False),
            (["https://a.example", None], None, True),
            ([None], "https://a.example", False),
            (["*"], "https://a.example", True),
            (["*"], "null", True),
            (["*"], None, True),
        ],
    )
    def test_10_2_list_of_origins(
        self, origins: list[str | None], origin: str | None, welcome: bool
    ) -> None:
        data = request_head(add=[("Origin", origin)] if origin else [])
        policy = Policy(origins=origins)
        if welcome:
            assert answer(data, policy).response.status == 101
        else:
            refused(data, 403, policy)


class TestRefusal:
    """What goes back when the answer is no."""

    @pytest.mark.rule(19, 21)
    def test_4_2_2_unknown_resource_gets_404(self) -> None:
        response = refuse(HandshakeError("got an unknown path", status=404, reason="not-found"))
        assert response.status == 404
        assert has_token(response.headers.get_all("Connection"), "close")
        assert b"got an unknown path" in response.body

    @pytest.mark.rule(21)
    def test_4_2_2_own_headers_and_body_are_sent(self) -> None:
        headers = [("WWW-Authenticate", "Bearer"), ("Content-Type", "application/json")]
        error = HandshakeError("no", status=401, reason="token", headers=headers, body=b"{}")
        response = refuse(error)
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers.get_all("Content-Type") == ["application/json"]
        assert (response.body, response.headers["Content-Length"]) == (b"{}", "2")

    @pytest.mark.rule(21)
    def test_15_5_22_426_names_the_upgrade_and_closes(self) -> None:
        response = refuse(refused(request_head(drop=["Upgrade"]), 426))
        assert response.headers["Upgrade"] == "websocket"
        assert has_token(response.headers.get_all("Connection"), "Upgrade")
        assert has_token(response.headers.get_all("Connection"), "close")

    def test_refusal_repeats_nothing_secret(self) -> None:
        line = ("Authorization", "Bearer SECRET")
        for head in (
            request_head("POST /?token=SECRET HTTP/1.1", add=[line]),
            request_head(replace={"Sec-WebSocket-Key": "SECRET"}, add=[line]),
            request_head(add=[line, ("X", "SECRET\0")]),
            request_head(add=[(PROTOCOL, "bearer.SECRET, bearer.SECRET")]),
            request_head(add=[("Origin", "https://SECRET.example")]),
            b"SECRET\r\n\r\n",
        ):
            with pytest.raises(HandshakeError) as caught:
                answer(head)
            assert b"SECRET" not in refuse(caught.value).serialize()


class TestKeys:
    """RFC 6455 4.1: the client's nonce."""

    @pytest.mark.rule(25)
    def test_4_1_key_is_16_random_bytes_in_base64(self) -> None:
        asked: list[int] = []

        def random_bytes(count: int) -> bytes:
            asked.append(count)
            return b"the sample nonce"[:count]

        assert make_key(random_bytes) == SAMPLE_KEY
        assert asked == [16]

    @pytest.mark.rule(25)
    def test_4_1_keys_are_fresh_and_valid(self) -> None:
        keys = {make_key() for _ in range(100)}
        assert len(keys) == 100
        assert all(is_valid_key(key) for key in keys)


def test_request_made_by_hand_is_checked_like_one_parsed() -> None:
    request = Request("/chat", Headers(wire.REQUEST_HEADERS))
    assert check_request(request).response == answer(request_head()).response
