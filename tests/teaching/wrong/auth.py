"""Wrong answers to the exercises of chapter 09."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qs, parse_qsl

from refimpl.auth import AuthError

# --- claims_of ---


def the_header(token):
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def without_padding(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1]))


def always_one_equals_sign(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "="))


def the_other_alphabet(token):
    part = token.split(".")[1]
    return json.loads(base64.b64decode(part + "=" * (-len(part) % 4)))


def bytes_not_read(token):
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


# --- take_once ---


async def looks_then_deletes(store, ticket):
    value = await store.get(ticket)
    await store.delete(ticket)
    return value


async def deletes_then_looks(store, ticket):
    await store.delete(ticket)
    return await store.get(ticket)


async def a_lock_of_its_own(store, ticket):
    async with asyncio.Lock():
        value = await store.get(ticket)
        await store.delete(ticket)
        return value


async def never_deletes(store, ticket):
    return await store.get(ticket)


async def says_whether(store, ticket):
    return await store.delete(ticket)


# --- judge_times ---


def by_default_for_ever(claims, now, leeway):
    if now >= claims.get("exp", float("inf")) + leeway:
        raise AuthError("expired", "over")
    if claims.get("nbf", 0) > now + leeway:
        raise AuthError("not-yet", "early")


def leeway_the_wrong_way(claims, now, leeway):
    if type(claims.get("exp")) not in (int, float):
        raise AuthError("claims", "no number")
    if now >= claims["exp"] - leeway:
        raise AuthError("expired", "over")


def a_moment_too_long(claims, now, leeway):
    if type(claims.get("exp")) not in (int, float):
        raise AuthError("claims", "no number")
    if now > claims["exp"] + leeway:
        raise AuthError("expired", "over")


def never_heard_of_nbf(claims, now, leeway):
    if type(claims.get("exp")) not in (int, float):
        raise AuthError("claims", "no number")
    if now >= claims["exp"] + leeway:
        raise AuthError("expired", "over")


def true_is_a_time(claims, now, leeway):
    for name in ("exp", "nbf"):
        if not isinstance(claims.get(name, None if name == "exp" else 0), int | float):
            raise AuthError("claims", "no number")
    if now >= claims["exp"] + leeway:
        raise AuthError("expired", "over")
    if claims.get("nbf", 0) > now + leeway:
        raise AuthError("not-yet", "early")


def returns_the_reason(claims, now, leeway):
    return "expired" if now >= claims.get("exp", 0) + leeway else None


def nbf_without_leeway(claims, now, leeway):
    if type(claims.get("exp")) not in (int, float):
        raise AuthError("claims", "no number")
    if now >= claims["exp"] + leeway:
        raise AuthError("expired", "over")
    if claims.get("nbf", 0) > now:
        raise AuthError("not-yet", "early")


# --- one_credential ---


def the_first_wins(query, protocols, authorizations):
    for name, value in parse_qsl(query):
        if name == "ticket":
            return "ticket", value
    for name in protocols:
        if name.startswith("bearer.") and len(protocols) > 1:
            return "subprotocol", name.removeprefix("bearer.")
    for line in authorizations:
        scheme, _, token = line.partition(" ")
        if scheme.lower() == "bearer":
            return "authorization", token
    return None


def _counted(found):
    if len(found) > 1:
        raise AuthError("two", "more than one")
    return found[0] if found else None


def _offered(protocols):
    tokens = [name[7:] for name in protocols if name.startswith("bearer.")]
    if tokens and len(tokens) == len(protocols):
        raise AuthError("malformed", "alone")
    return [("subprotocol", token) for token in tokens]


def _lines(authorizations):
    found = []
    for line in authorizations:
        scheme, _, token = line.partition(" ")
        if scheme.lower() != "bearer":
            raise AuthError("malformed", "scheme")
        found.append(("authorization", token))
    return found


def one_of_each_place(query, protocols, authorizations):
    tickets = parse_qs(query).get("ticket", [])[:1]
    found = [("ticket", ticket) for ticket in tickets]
    return _counted(found + _offered(protocols)[:1] + _lines(authorizations)[:1])


def a_dict_of_the_query(query, protocols, authorizations):
    pairs = dict(parse_qsl(query))
    found = [("ticket", pairs["ticket"])] if "ticket" in pairs else []
    return _counted(found + _offered(protocols) + _lines(authorizations))


def split_by_hand(query, protocols, authorizations):
    pairs = [pair.partition("=") for pair in query.split("&")]
    found = [("ticket", value) for name, _, value in pairs if name == "ticket"]
    return _counted(found + _offered(protocols) + _lines(authorizations))


def a_token_may_stand_alone(query, protocols, authorizations):
    found = [("ticket", value) for name, value in parse_qsl(query) if name == "ticket"]
    found += [("subprotocol", name[7:]) for name in protocols if name.startswith("bearer.")]
    return _counted(found + _lines(authorizations))


def overlooks_other_schemes(query, protocols, authorizations):
    found = [("ticket", value) for name, value in parse_qsl(query) if name == "ticket"]
    bearers = [line for line in authorizations if line.lower().startswith("bearer ")]
    return _counted(found + _offered(protocols) + _lines(bearers))


def case_matters(query, protocols, authorizations):
    found = [("ticket", value) for name, value in parse_qsl(query) if name == "ticket"]
    lines = [("authorization", line[7:]) for line in authorizations if line.startswith("Bearer ")]
    return _counted(found + _offered(protocols) + lines)


def cut_at_the_last_dot(query, protocols, authorizations):
    found = [("ticket", value) for name, value in parse_qsl(query) if name == "ticket"]
    found += [
        ("subprotocol", name.rpartition(".")[2]) for name in protocols if name.startswith("bearer.")
    ]
    return _counted(found + _lines(authorizations))


# --- pick_key ---


def believes_the_kid(header, keys, now):
    key = keys.find(header.get("kid"), now=now)
    if key is None:
        raise AuthError("key", "unknown")
    return key


def forbids_none(header, keys, now):
    if header.get("alg") == "none":
        raise AuthError("algorithm", "none")
    return believes_the_kid(header, keys, now)


def takes_it_for_granted(header, keys, now):
    key = keys.find(header["kid"], now=now)
    if key is None or header["alg"] != key.algorithm:
        raise AuthError("key", "no")
    return key


def the_signing_key_will_do(header, keys, now):
    key = keys.find(header.get("kid", ""), now=now) or keys.signing
    if header.get("alg") != key.algorithm:
        raise AuthError("algorithm", "no")
    return key


def any_type_of_token(header, keys, now):
    kid = header.get("kid")
    key = keys.find(kid, now=now) if isinstance(kid, str) else None
    if key is None or header.get("alg") != key.algorithm:
        raise AuthError("key", "no")
    return key


def takes_keys_along(header, keys, now):
    if header.get("typ") != "at+jwt":
        raise AuthError("type", "no")
    return any_type_of_token(header, keys, now)


def time_stands_still(header, keys, now):
    if set(header) - {"alg", "kid", "typ"}:
        raise AuthError("header", "no")
    return takes_keys_along(header, keys, 0)


# --- forge_root ---


def _spell(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _signed(header, claims, secret):
    text = ".".join(_spell(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{_spell(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def no_signature_at_all(token, public_key):
    text = ".".join(
        _spell(json.dumps(part).encode())
        for part in ({"alg": "none"}, {**_claims(token), "sub": "root"})
    )
    return f"{text}."


def keeps_the_header(token, public_key):
    return _signed({"alg": "RS256"}, {**_claims(token), "sub": "root"}, public_key)


def keeps_the_signature(token, public_key):
    forged = _signed({"alg": "HS256"}, {**_claims(token), "sub": "root"}, public_key)
    return forged.rpartition(".")[0] + "." + token.rpartition(".")[2]


def strips_the_pem(token, public_key):
    return _signed({"alg": "HS256"}, {**_claims(token), "sub": "root"}, public_key.strip())


def only_root(token, public_key):
    return _signed({"alg": "HS256"}, {"sub": "root"}, public_key)


def forgets_root(token, public_key):
    return _signed({"alg": "HS256"}, _claims(token), public_key)


def gives_bytes(token, public_key):
    return _signed({"alg": "HS256"}, {**_claims(token), "sub": "root"}, public_key).encode()


WRONG = {
    "claims_of": [
        (the_header, "between the two dots"),
        (without_padding, "one = is missing"),
        (always_one_equals_sign, "put back what RFC 7515 leaves out"),
        (the_other_alphabet, "stand for + and /"),
        (bytes_not_read, "read as JSON"),
    ],
    "tell_tale": [
        ("Cookie", "that is the attack"),
        ("Host", "the attacker wants just that one"),
        ("Sec-WebSocket-Key", "they say nothing"),
        ("User-Agent", "the victim's"),
        ("Accept", "the name of one header line"),
    ],
    "take_once": [
        (looks_then_deletes, "only delete tells who was first"),
        (deletes_then_looks, "expected  'ada'"),
        (a_lock_of_its_own, "2 got in"),
        (never_deletes, "['ada', 'ada']"),
        (says_whether, "neither the value nor None"),
    ],
    "judge_times": [
        (by_default_for_ever, "valid for ever"),
        (leeway_the_wrong_way, "leeway comes after exp"),
        (a_moment_too_long, "at exp + leeway it is over"),
        (never_heard_of_nbf, "not before"),
        (true_is_a_time, "a bool is an int"),
        (returns_the_reason, "an hour too late"),
        (nbf_without_leeway, "the issuer's clock"),
    ],
    "one_credential": [
        (the_first_wins, "a proxy may look at one"),
        (one_of_each_place, "two tickets"),
        (a_dict_of_the_query, "parse_qsl gives all"),
        (split_by_hand, "%74 is t"),
        (a_token_may_stand_alone, "never echoed"),
        (overlooks_other_schemes, "not overlooked"),
        (case_matters, "compare in any case"),
        (cut_at_the_last_dot, "dots included"),
    ],
    "pick_key": [
        (believes_the_kid, "compare alg with the key's algorithm"),
        (forbids_none, "k1 is for HS256"),
        (takes_it_for_granted, "use get"),
        (the_signing_key_will_do, "is None, not a key"),
        (any_type_of_token, "same key, other purpose"),
        (takes_keys_along, "brings its key signs it"),
        (time_stands_still, "knows which keys are retired"),
    ],
    "forge_root": [
        (no_signature_at_all, "that hole was closed"),
        (keeps_the_header, "which other alg does it know"),
        (keeps_the_signature, "spelled as they are"),
        (strips_the_pem, "with all bytes of public_key"),
        (only_root, "the other claims stay"),
        (forgets_root, "has to believe it"),
        (gives_bytes, "a token is a str"),
    ],
}
