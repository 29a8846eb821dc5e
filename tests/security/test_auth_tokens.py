"""The rules for tokens themselves, 1 to 8, one class each; 14 to 16 belong to later chapters."""

from __future__ import annotations

import asyncio
import json

import pytest

from refimpl.auth import AuthError, Credential, Issuer, Key, Keyring, Source, Tickets
from refimpl.auth.credentials import (
    MAX_CREDENTIAL,
)
from refimpl.auth.tickets import MemoryStore
from refimpl.auth.tokens import check_signature
from tests.support.signing import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    SECRET,
    Clock,
    encode,
    forge,
    issuer,
    keyring,
    pem_pair,
    signed_with,
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


class TestRule1AlgorithmFixedPerKid:
    @pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
    def test_1_none_is_refused(self, alg: str) -> None:
        refused(unsigned(alg), "algorithm")

    def test_1_none_with_a_signature_is_refused(self) -> None:
        refused(forge(header={"alg": "none"}), "algorithm")

    def test_1_another_hmac_than_the_keys_is_refused(self) -> None:
        refused(forge(header={"alg": "HS512"}, digest="sha512"), "algorithm")

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    def test_1_public_key_as_hmac_secret_is_refused(self, algorithm: str) -> None:
        private, public = pem_pair(algorithm)
        keys = Keyring(Key("k1", algorithm, public))
        assert verifier(keys=keys).verify(signed_with(private, algorithm)).user.id == "ada"
        refused(forge(secret=public), "algorithm", keys=keys)
        refused(forge(header={"alg": algorithm}, secret=public), "signature", keys=keys)

    def test_1_asymmetric_token_where_the_kid_is_hmac_is_refused(self) -> None:
        refused(signed_with(pem_pair("RS256")[0], "RS256"), "algorithm")

    @pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c"])
    def test_1_token_that_brings_its_own_key_is_refused(self, name: str) -> None:
        refused(forge(header={name: "https://evil.example/keys"}), "header")

    @pytest.mark.parametrize("crit", [["exp"], ["b64"], ["x"], [], "exp", None])
    def test_1_crit_is_refused(self, crit: object) -> None:
        with pytest.raises(AuthError) as caught:
            verifier().verify(forge(header={"crit": crit, "x": 1}))
        assert caught.value.reason in ("header", "malformed-token")

    @pytest.mark.parametrize("value", [True, False, None])
    def test_1_b64_is_refused(self, value: object) -> None:
        with pytest.raises(AuthError):
            verifier().verify(forge(header={"b64": value}))

    @pytest.mark.parametrize("alg", [None, 1, ["HS256"], {"HS256": 1}, "hs256", "HS256 "])
    def test_1_alg_is_compared_strictly(self, alg: object) -> None:
        refused(forge(header={"alg": alg}), "algorithm")

    def test_1_signature_counts_for_the_keys_algorithm_alone(self) -> None:
        token = forge(header={"alg": "HS512"}, digest="sha512")
        with pytest.raises(AuthError) as caught:
            check_signature(token, Key("k1", "HS256", SECRET), issuer=ISSUER, audience=AUDIENCE)
        assert caught.value.reason == "malformed-token"

    def test_1_missing_alg_is_refused(self) -> None:
        refused(forge(drop=("alg",)), "algorithm")


class TestRule2RequiredClaims:
    @pytest.mark.parametrize("name", ["exp", "iat", "jti", "iss", "aud", "sub"])
    def test_2_missing_claim_is_refused(self, name: str) -> None:
        refused(forge(drop=(name,)), "missing-claim")

    @pytest.mark.parametrize("name", ["exp", "iat", "jti", "iss", "aud", "sub"])
    def test_2_null_claim_is_refused(self, name: str) -> None:
        refused(forge(claims={name: None}), "missing-claim")

    @pytest.mark.parametrize("name", ["exp", "iat"])
    @pytest.mark.parametrize("value", ["1800000900", True, [1], {}, 10**400, -(2**53)])
    def test_2_time_that_is_no_time_is_refused(self, name: str, value: object) -> None:
        refused(forge(claims={name: value}), "claims")

    @pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
    @pytest.mark.parametrize("value", [float("inf"), float("nan")])
    def test_2_time_that_is_not_even_json_is_refused(self, name: str, value: object) -> None:
        refused(forge(claims={name: value}), "malformed-token")

    @pytest.mark.parametrize("value", ["soon", 10**400, False])
    def test_2_nbf_that_is_no_time_is_refused(self, value: object) -> None:
        refused(forge(claims={"nbf": value}), "claims")

    @pytest.mark.parametrize("name", ["sub", "jti"])
    def test_2_empty_name_is_refused(self, name: str) -> None:
        refused(forge(claims={name: ""}), "claims")

    @pytest.mark.parametrize("claims", [{"roles": "admin"}, {"roles": [1]}, {"name": 1}])
    def test_2_claim_of_another_type_is_refused(self, claims: dict[str, object]) -> None:
        refused(forge(claims=claims), "claims")

    def test_2_sub_of_another_type_is_refused(self) -> None:
        refused(forge(claims={"sub": 7}), "malformed-token")


class TestRule3IssuerAudienceType:
    @pytest.mark.parametrize("iss", [ISSUER + "/", ISSUER.upper(), "id.example", [ISSUER], 1])
    def test_3_issuer_is_exact(self, iss: object) -> None:
        refused(forge(claims={"iss": iss}), "issuer")

    @pytest.mark.parametrize("aud", ["Chat", "chat ", "billing", ["billing"], [AUDIENCE, 1], {}, 1])
    def test_3_audience_must_name_us(self, aud: object) -> None:
        with pytest.raises(AuthError) as caught:
            verifier().verify(forge(claims={"aud": aud}))
        assert caught.value.reason in ("audience", "missing-claim")

    def test_3_one_audience_of_several_is_enough(self) -> None:
        token = forge(claims={"aud": ["billing", AUDIENCE]})
        assert verifier().verify(token).user.id == "ada"

    @pytest.mark.parametrize("typ", ["JWT", "rt+jwt", "", "at+jwt;x", None, 1, ["at+jwt"]])
    def test_3_typ_is_explicit(self, typ: object) -> None:
        refused(forge(header={"typ": typ}), "type")

    def test_3_missing_typ_is_refused(self) -> None:
        refused(forge(drop=("typ",)), "type")

    @pytest.mark.parametrize("typ", ["AT+JWT", "application/at+jwt", "Application/AT+jwt"])
    def test_3_typ_is_a_media_type(self, typ: str) -> None:
        assert verifier().verify(forge(header={"typ": typ})).user.id == "ada"

    def test_3_refresh_token_is_no_access_token(self) -> None:
        from tests.support.signing import ADA

        refresh = issuer().issue(ADA, type="rt+jwt")
        refused(refresh, "type")
        assert verifier(type="rt+jwt").verify(refresh).user == ADA


class TestRule4KeyLength:
    @pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
    def test_4_short_hmac_key_is_refused_at_start(self, algorithm: str, least: int) -> None:
        Key("k", algorithm, bytes(least))
        for size in (0, least - 1):
            with pytest.raises(ValueError, match=f"expected at least {least}") as caught:
                Key("k", algorithm, b"s" * size)
            assert b"s" * 8 not in repr(caught.value).encode()

    def test_4_weak_rsa_key_is_refused_at_start(self) -> None:
        with pytest.raises(ValueError, match="2048"):
            Key("k", "RS256", pem_pair("weak")[0])

    def test_4_public_key_is_refused_as_secret(self) -> None:
        with pytest.raises(ValueError, match="as HMAC secret"):
            Key("k", "HS256", pem_pair("ES256")[1])

    @pytest.mark.parametrize("algorithm", ["none", "HS1", "", "RS1"])
    def test_4_unknown_algorithm_is_refused_at_start(self, algorithm: str) -> None:
        with pytest.raises(ValueError, match="expected one of HS256"):
            Key("k", algorithm, SECRET)

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    def test_4_key_of_another_kind_is_refused_at_start(self, algorithm: str) -> None:
        other = "ES256" if algorithm == "RS256" else "RS256"
        for material in (pem_pair(other)[0], b"no PEM", SECRET):
            with pytest.raises(ValueError, match=f"no PEM for {algorithm}") as caught:
                Key("k", algorithm, material)
            assert "PRIVATE" not in f"{caught.value}{caught.value.__cause__}"

    def test_4_key_without_a_name_is_refused_at_start(self) -> None:
        with pytest.raises(ValueError, match="empty kid"):
            Key("", "HS256", SECRET)


class TestRule5Leeway:
    @pytest.mark.parametrize("leeway", [0, 5, 30])
    def test_5_leeway_holds_to_the_second(self, leeway: int) -> None:
        expires = CLAIMS["exp"]
        assert isinstance(expires, int)
        late = verifier(leeway=leeway, now=lambda: expires + leeway - 0.01)
        assert late.verify(forge()).expires_at == expires
        refused(forge(), "expired", leeway=leeway, now=lambda: expires + leeway)

    def test_5_a_second_before_exp_passes_and_exp_does_not(self) -> None:
        for claims, reason in (({"exp": NOW + 1}, ""), ({"exp": NOW}, "expired")):
            if reason:
                refused(forge(claims=claims), reason, leeway=0)
            else:
                verifier(leeway=0).verify(forge(claims=claims))

    @pytest.mark.parametrize("name", ["iat", "nbf"])
    def test_5_token_from_the_future_is_refused_beyond_the_leeway(self, name: str) -> None:
        verifier(leeway=5).verify(forge(claims={name: NOW + 5}))
        refused(forge(claims={name: NOW + 6}), "not-yet", leeway=5)

    @pytest.mark.parametrize("leeway", [-1, 30.1, 3600, float("nan")])
    def test_5_leeway_over_30_s_is_refused_at_start(self, leeway: float) -> None:
        with pytest.raises(ValueError, match="expected 0 to 30"):
            verifier(leeway=leeway)

    def test_5_no_token_counts_for_longer_than_max_age(self) -> None:
        refused(forge(claims={"exp": NOW + 1801}), "too-long-lived")
        verifier().verify(forge(claims={"exp": NOW + 1800}))
        refused(forge(claims={"iat": NOW - 2000, "exp": NOW + 1}), "too-long-lived")
        refused(forge(), "too-long-lived", max_age=100)
        late = {"iat": NOW - 1800, "exp": NOW}
        assert verifier(leeway=5, now=lambda: NOW + 4.9).verify(forge(claims=late))


class TestRule6Rotation:
    def test_6_old_key_verifies_for_the_overlap_and_no_longer(self) -> None:
        clock, keys = Clock(), keyring()
        old = forge(claims={"exp": NOW + 900})
        keys.rotate(Key("k2", "HS256", bytes(32)), now=NOW, overlap=900)
        check = verifier(keys=keys, now=clock, leeway=30)
        assert check.verify(old)
        clock.now = NOW + 899.9
        assert check.verify(old)
        clock.now = NOW + 900
        with pytest.raises(AuthError) as caught:
            check.verify(old)
        assert caught.value.reason == "key"

    def test_6_new_key_signs_at_once(self) -> None:
        from tests.support.signing import ADA

        signer = issuer()
        signer.keys.rotate(Key("k2", "HS256", bytes(32)), now=NOW, overlap=900)
        token = signer.issue(ADA)
        assert token.startswith(encode({"alg": "HS256"})[:8])
        assert verifier(keys=signer.keys).verify(token).user == ADA
        refused(token, "key")  # by one who has not heard of k2

    def test_6_key_can_be_announced_before_it_signs(self) -> None:
        keys, coming = keyring(), Key("k2", "ES256", pem_pair("ES256")[0])
        keys.add(coming)
        token = signed_with(pem_pair("ES256")[0], "ES256", kid="k2")
        assert keys.signing.kid == "k1"
        assert verifier(keys=keys).verify(token)
        keys.rotate(coming, now=NOW, overlap=10)
        assert keys.signing.kid == "k2"

    def test_6_key_whose_time_is_over_is_dropped_at_the_next_rotation(self) -> None:
        keys = keyring()
        keys.rotate(Key("k2", "HS256", bytes(32)), now=NOW, overlap=900)
        keys.rotate(Key("k3", "HS256", bytes(33)), now=NOW + 900, overlap=900)
        assert repr(keys) == "Keyring(k2, k3)"

    def test_6_rotating_to_the_key_that_signs_is_refused(self) -> None:
        keys = keyring()
        with pytest.raises(ValueError, match="signs already, 'k1'"):
            keys.rotate(Key("k1", "HS256", SECRET), now=NOW, overlap=900)
        assert keys.find("k1", now=NOW + 1e9) is keys.signing

    def test_6_another_key_of_an_announced_name_is_refused(self) -> None:
        keys = keyring()
        keys.add(Key("k2", "HS256", bytes(32)))
        with pytest.raises(ValueError, match="'k2' twice"):
            keys.rotate(Key("k2", "HS256", bytes(33)), now=NOW, overlap=900)
        assert keys.signing.kid == "k1"

    def test_6_key_that_was_retired_may_sign_again(self) -> None:
        keys, second = keyring(), Key("k2", "HS256", bytes(32))
        first = keys.signing
        keys.rotate(second, now=NOW, overlap=900)
        keys.rotate(first, now=NOW + 1, overlap=900)
        assert keys.find("k1", now=NOW + 1e9) is first
        assert keys.find("k2", now=NOW + 901) is None

    def test_6_issuer_without_a_private_key_is_refused_at_start(self) -> None:
        public = Keyring(Key("k1", "ES256", pem_pair("ES256")[1]))
        with pytest.raises(ValueError, match="got a public key to sign with"):
            Issuer(public, ISSUER, AUDIENCE)

    def test_6_two_keys_of_one_name_are_refused(self) -> None:
        with pytest.raises(ValueError, match="'k1' twice"):
            keyring().add(Key("k1", "HS256", bytes(32)))

    @pytest.mark.parametrize("kid", ["k9", "", None, 1, ["k1"], "../../dev/null", "k1' OR '1'='1"])
    def test_6_unknown_kid_is_refused(self, kid: object) -> None:
        with pytest.raises(AuthError) as caught:
            verifier().verify(forge(header={"kid": kid}))
        assert caught.value.reason in ("key", "malformed-token")

    def test_6_missing_kid_is_refused(self) -> None:
        refused(forge(drop=("kid",)), "key")


class TestRule7Length:
    def test_7_token_of_8_kib_passes_and_one_byte_more_does_not(self) -> None:
        base = len(forge(claims={"name": ""}))
        name = "n" * ((MAX_CREDENTIAL - base) * 3 // 4)
        token = forge(claims={"name": name})
        while len(token) < MAX_CREDENTIAL:
            name += "n"
            token = forge(claims={"name": name})
        assert len(token) in (MAX_CREDENTIAL, MAX_CREDENTIAL + 1)
        fits = forge(claims={"name": name[: len(name) - (len(token) - MAX_CREDENTIAL)]})
        assert verifier().verify(fits).user.id == "ada"
        with pytest.raises(AuthError) as caught:
            verifier().verify(fits + "a" * (MAX_CREDENTIAL + 1 - len(fits)))
        assert (caught.value.reason, caught.value.status) == ("too-long", 400)

    @pytest.mark.parametrize("source", list(Source))
    def test_7_no_source_hands_on_more(self, source: Source) -> None:
        Credential(source, "a" * MAX_CREDENTIAL)
        with pytest.raises(AuthError, match="expected at most 8192"):
            Credential(source, "a" * (MAX_CREDENTIAL + 1))


class TestRule8SingleUse:
    async def test_8_ticket_works_once(self) -> None:
        tickets = Tickets(now=lambda: NOW)
        claims = verifier().verify(forge())
        ticket = await tickets.issue(claims)
        assert await tickets.redeem(ticket) == claims
        with pytest.raises(AuthError) as caught:
            await tickets.redeem(ticket)
        assert (caught.value.reason, caught.value.status) == ("ticket", 401)

    async def test_8_of_fifty_at_once_one_gets_in(self) -> None:
        tickets = Tickets(now=lambda: NOW)
        ticket = await tickets.issue(verifier().verify(forge()))
        results = await asyncio.gather(
            *(tickets.redeem(ticket) for _ in range(50)), return_exceptions=True
        )
        assert sum(not isinstance(result, AuthError) for result in results) == 1

    async def test_8_ticket_lives_30_s(self) -> None:
        clock = Clock()
        tickets = Tickets(MemoryStore(now=clock), now=clock)
        claims = verifier().verify(forge())
        for age, works in ((29.9, True), (30, False)):
            clock.now = NOW
            ticket = await tickets.issue(claims)
            clock.now = NOW + age
            if works:
                assert await tickets.redeem(ticket) == claims
            else:
                with pytest.raises(AuthError):
                    await tickets.redeem(ticket)

    async def test_8_ticket_outlives_its_token_for_nobody(self) -> None:
        clock = Clock()
        tickets = Tickets(MemoryStore(now=clock), now=clock)
        ticket = await tickets.issue(verifier().verify(forge(claims={"exp": NOW + 10})))
        clock.now = NOW + 10
        with pytest.raises(AuthError) as caught:
            await tickets.redeem(ticket)
        assert caught.value.reason == "expired"

    async def test_8_old_tickets_make_room_a_few_at_a_time(self) -> None:
        clock = Clock()
        store = MemoryStore(now=clock, max_open=1000)
        for number in range(1000):
            assert await store.put(f"{number}", "", 30)
        assert not await store.put("one too many", "", 30)
        clock.now += 30
        for number in range(1000, 2000):
            before = len(store)
            assert await store.put(f"{number}", "", 30)
            assert before - 1 <= len(store) <= before + 1  # two old ones go, no more
        assert not await store.put("one too many", "", 30)
        assert len(store) == 1000

    async def test_8_store_holds_no_ticket(self) -> None:
        store = MemoryStore()
        ticket = await Tickets(store, now=lambda: NOW).issue(verifier().verify(forge()))
        assert ticket not in json.dumps(store._values)
        assert len(store) == 1
