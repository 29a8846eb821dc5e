"""The rules for where a credential may be, one class each (9 to 12), and malformed tokens."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.auth import AuthError, Credential, Key, Source, Tickets, cookie_header
from refimpl.auth.credentials import (
    COOKIE,
    find_credential,
    without_credentials,
    without_secrets,
)
from refimpl.handshake import Headers
from tests.support.signing import (
    HEADER,
    SECRET,
    encode,
    forge,
    unsigned,
    verifier,
)


def refused(token: str, reason: str, **options: object) -> AuthError:
    """Assert that a token is refused with 401 for this reason, and return the error."""
    with pytest.raises(AuthError) as caught:
        verifier(**options).verify(token)
    assert (caught.value.reason, caught.value.status) == (reason, 401)
    assert token not in f"{caught.value}{caught.value!r}{caught.value.body!r}"
    assert caught.value.__context__ is None  # what PyJWT raised holds parts of the token
    return caught.value


def test_the_token_that_all_forgeries_differ_from_is_accepted() -> None:
    assert verifier().verify(forge()).user.id == "ada"


class TestRule9ExactlyOne:
    PLACES: ClassVar[dict[str, tuple[str, list[tuple[str, str]]]]] = {
        "ticket": ("ticket=abc", []),
        "cookie": ("", [("Cookie", f"{COOKIE}=abc")]),
        "subprotocol": ("", [("Sec-WebSocket-Protocol", "chat, bearer.abc")]),
        "authorization": ("", [("Authorization", "Bearer abc")]),
    }

    @pytest.mark.parametrize("one", PLACES)
    def test_9_one_is_found(self, one: str) -> None:
        query, lines = self.PLACES[one]
        credential = find_credential(Headers(lines), query)
        assert credential is not None
        assert credential.secret == "abc"

    @pytest.mark.parametrize("one", PLACES)
    @pytest.mark.parametrize("other", PLACES)
    def test_9_two_are_refused_even_if_they_are_the_same(self, one: str, other: str) -> None:
        queries = [self.PLACES[place][0] for place in (one, other)]
        lines = [line for place in (one, other) for line in self.PLACES[place][1]]
        with pytest.raises(AuthError) as caught:
            find_credential(Headers(lines), "&".join(filter(None, queries)))
        assert (caught.value.reason, caught.value.status) == ("two", 400)

    @pytest.mark.parametrize(
        ("query", "lines"),
        [
            ("ticket=a&x=1&ticket=b", []),
            ("ticket=a&%74icket=b", []),
            ("", [("Cookie", f"{COOKIE}=a; x=1; {COOKIE}=b")]),
            ("", [("Cookie", f"{COOKIE}=a; x=1"), ("Cookie", f"{COOKIE}=b")]),
            ("", [("Sec-WebSocket-Protocol", "chat, bearer.a, bearer.b")]),
            (
                "",
                [
                    ("Sec-WebSocket-Protocol", "chat, bearer.a"),
                    ("Sec-WebSocket-Protocol", "bearer.b"),
                ],
            ),
        ],
    )
    def test_9_doubled_in_one_place_is_refused(
        self, query: str, lines: list[tuple[str, str]]
    ) -> None:
        with pytest.raises(AuthError) as caught:
            find_credential(Headers(lines), query)
        assert (caught.value.reason, caught.value.status) == ("two", 400)


class TestRule10Subprotocol:
    def test_10_token_is_found_beside_a_real_protocol(self) -> None:
        offer = Headers([("Sec-WebSocket-Protocol", f"chat.v1, bearer.{forge()}")])
        credential = find_credential(offer)
        assert credential is not None
        assert verifier().verify(credential.secret).user.id == "ada"

    def test_10_token_alone_is_refused(self) -> None:
        with pytest.raises(AuthError) as caught:
            find_credential(Headers([("Sec-WebSocket-Protocol", f"bearer.{forge()}")]))
        assert (caught.value.reason, caught.value.status) == ("no-real-protocol", 400)

    def test_10_application_never_sees_what_it_could_echo(self) -> None:
        lines = [(b"Sec-WebSocket-Protocol", b"bearer.abc, chat.v1 ,  chat.v2")]
        assert without_credentials(lines) == [(b"Sec-WebSocket-Protocol", b"chat.v1, chat.v2")]


PIECES = [
    *(
        "ticket",
        "token",
        "access_token",
        "%74icket",
        "t%69ck%65t",
        "ti%63ket",
        "toke%6E",
        "toke%6e",
    ),
    *("access%5Ftoken", "TICKET", "tickets", "xtoken", "room", "%", "%7", "%zz", "%00", "%C3%A9"),
    *("&", "&", "&", "=", "=", "+", ";", "?", "#", "abc", "e30.e30.c2ln", " ", "\n", "\xe9"),
]
QUERIES = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


class TestRule11QueryCarriesTicketsOnly:
    @pytest.mark.parametrize("name", ["token", "access_token", "%74oken"])
    def test_11_token_in_the_query_is_refused(self, name: str) -> None:
        with pytest.raises(AuthError) as caught:
            find_credential(Headers(), f"{name}={forge()}")
        assert (caught.value.reason, caught.value.status) == ("token-in-url", 400)

    async def test_11_token_is_no_ticket(self) -> None:
        tickets = Tickets()
        with pytest.raises(AuthError) as caught:
            await tickets.redeem(forge())
        assert caught.value.reason == "ticket"

    def test_11_credential_is_in_no_repr(self) -> None:
        credential = Credential(Source.TICKET, "abc123")
        assert "abc123" not in f"{credential} {credential!r} {[credential]}"
        assert "\\x1f" not in repr(Key("k1", "HS256", SECRET))

    @given(QUERIES)
    def test_11_query_is_read_as_the_application_reads_it(self, query: str) -> None:
        pairs = parse_qsl(query, keep_blank_values=True)
        tickets = [value for name, value in pairs if name == "ticket"]
        never = [name for name, _ in pairs if name in ("token", "access_token")]
        try:
            found = find_credential(Headers(), query)
        except AuthError as error:
            reasons = {"two": len(tickets) > 1, "token-in-url": bool(never)}
            assert reasons.get(error.reason, bool(tickets))
        else:
            assert (never, tickets) == ([], [found.secret] if found else [])

    @given(QUERIES)
    def test_11_what_the_application_sees_has_no_secret_and_all_else(self, query: str) -> None:
        seen = without_secrets(query)
        pairs = parse_qsl(query, keep_blank_values=True)
        kept = [pair for pair in pairs if pair[0] not in ("ticket", "token", "access_token")]
        assert parse_qsl(seen, keep_blank_values=True) == kept
        assert without_secrets(seen) == seen
        if kept == pairs:
            assert seen == query


class TestRule12Cookies:
    def test_12_cookie_has_every_lock(self) -> None:
        value = cookie_header("abc", 900)
        first, *attributes = value.split("; ")
        assert first == "__Host-session=abc"
        assert set(attributes) == {
            "Max-Age=900",
            "Path=/",
            "Secure",
            "HttpOnly",
            "SameSite=Strict",
        }

    def test_12_signing_out_empties_it(self) -> None:
        assert cookie_header("abc", 0).startswith("__Host-session=; Max-Age=0; Path=/; Secure")

    @pytest.mark.parametrize("name", ["session", "__Secure-session", "__host-session", ""])
    def test_12_name_without_the_prefix_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="begins with __Host-"):
            cookie_header("abc", 900, name)

    @pytest.mark.parametrize("token", ["a;b", "a b", "a\r\nSet-Cookie: x=y", "", "a,b", "ä"])
    def test_12_nothing_can_be_added_to_it(self, token: str) -> None:
        with pytest.raises(AuthError):
            cookie_header(token, 900)

    @pytest.mark.parametrize(
        "line",
        ["__Host-session2=a", "x__Host-session=a", "__host-session=a", "x=__Host-session=a", ""],
    )
    def test_12_name_is_exact(self, line: str) -> None:
        assert find_credential(Headers([("Cookie", line)])) is None


class TestMalformedTokens:
    @pytest.mark.parametrize(
        "token",
        [
            "",
            ".",
            "..",
            "...",
            "a.b",
            "a.b.c",
            "a.b.c.d",
            "e30.e30.e30",
            "ä.ö.ü",
            "\ud800.a.b",
            encode(b"not json") + ".e30.e30",
            encode([]) + ".e30.e30",
            encode(HEADER) + ".e30",
            forge() + "=",
            forge().replace(".", "..", 1),
            " " + forge(),
            "[" * 4000,
            encode(b"[" * 5000) + ".e30.e30",
        ],
    )
    def test_no_jwt_is_refused(self, token: str) -> None:
        with pytest.raises(AuthError) as caught:
            verifier().verify(token)
        assert caught.value.status in (400, 401)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_every_flipped_bit_of_the_signed_part_is_seen(self) -> None:
        token = forge()
        for at in range(0, len(token) - 1, 7):
            if token[at] != ".":
                forged = token[:at] + chr(ord(token[at]) ^ 1) + token[at + 1 :]
                with pytest.raises(AuthError):
                    verifier().verify(forged)

    @pytest.mark.parametrize("payload", [[], "x", 1, None])
    def test_claims_that_are_no_object_are_refused(self, payload: object) -> None:
        import hashlib
        import hmac

        signed = f"{encode(HEADER)}.{encode(payload)}"
        mac = hmac.new(SECRET, signed.encode(), hashlib.sha256).digest()
        refused(f"{signed}.{encode(mac)}", "malformed-token")

    def test_all_forgeries_get_one_answer(self) -> None:
        forgeries = [
            unsigned(),
            forge(secret=bytes(32)),
            forge(header={"kid": "k9"}),
            forge(claims={"aud": "x"}),
            forge(drop=("exp",)),
            "a.b.c",
        ]
        answers = set()
        for token in forgeries:
            with pytest.raises(AuthError) as caught:
                verifier().verify(token)
            answers.add((caught.value.status, caught.value.body, caught.value.headers))
        assert len(answers) == 1
