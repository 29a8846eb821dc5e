"""Wrong answers to the exercises of chapter 09."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import math
from collections.abc import Callable
from urllib.parse import parse_qs, parse_qsl

import jwt

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


def read_by_python(token):
    part = token.split(".")[1]
    return eval(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


# --- take_once ---


async def looks_then_deletes(store, ticket):
    value = await store.get(ticket)
    await store.delete(ticket)
    return value


async def deletes_then_looks(store, ticket):
    await store.delete(ticket)
    return await store.get(ticket)


async def never_deletes(store, ticket):
    return await store.get(ticket)


async def says_whether(store, ticket):
    return await store.delete(ticket)


LOCKS: dict[object, asyncio.Lock] = {}


async def a_lock_for_each_loop(store, ticket):
    async with LOCKS.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        return await looks_then_deletes(store, ticket)


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


def _judge(
    read: Callable[[object, str], float], *, asks: Callable[[dict[str, object], str], object]
) -> Callable[..., None]:
    """Return a judge with times read and asked for in some way of its own."""

    def judge_times(claims, now, leeway):
        try:
            exp = read(claims["exp"], "exp")
            nbf = read(claims["nbf"], "nbf") if asks(claims, "nbf") else 0
        except (KeyError, ValueError, TypeError):
            raise AuthError("claims", "no number") from None
        if now >= exp + leeway:
            raise AuthError("expired", "over")
        if nbf > now + leeway:
            raise AuthError("not-yet", "early")

    return judge_times


def _number(value, name, *, finite=True):
    if type(value) not in (int, float) or (finite and not math.isfinite(value)):
        raise ValueError(name)
    return value


def _is_there(claims, name):
    return name in claims


def _float(value, name):
    if isinstance(value, bool):
        raise ValueError(name)
    return float(value)


def _not_true(value, name):
    if value is True or not isinstance(value, int | float):
        raise ValueError(name)
    return _number(float(value), name)


def _strict_with_exp(value, name):
    return _number(value, name) if name == "exp" else _number(float(value), name)


def _finite_exp(value, name):
    return _number(value, name, finite=name == "exp")


def _not_finite(value, name):
    return _number(value, name, finite=False)


def _not_nan(value, name):
    if value != value:
        raise ValueError(name)
    return _number(value, name, finite=False)


def _infinite_nbf(value, name):
    return _not_nan(value, name) if name == "nbf" else _number(value, name)


takes_nan = _judge(_not_finite, asks=_is_there)
takes_infinity = _judge(_not_nan, asks=_is_there)
takes_nan_for_nbf = _judge(_finite_exp, asks=_is_there)
takes_infinity_for_nbf = _judge(_infinite_nbf, asks=_is_there)
reads_digits = _judge(_float, asks=_is_there)
forgets_false = _judge(_not_true, asks=_is_there)
strict_with_exp_alone = _judge(_strict_with_exp, asks=_is_there)
nbf_if_it_is_true = _judge(_number, asks=lambda claims, name: claims.get(name))
nbf_unless_null = _judge(_number, asks=lambda claims, name: claims.get(name) is not None)
nbf_unless_empty = _judge(_number, asks=lambda claims, name: claims.get(name, "") != "")


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


def _one(
    *,
    named: Callable[[str], object] = lambda name: name == "ticket",
    offered: Callable[[str], object] = lambda name: name.startswith("bearer."),
    cut: Callable[[str], str] = lambda name: name.removeprefix("bearer."),
    line: Callable[[str], tuple[str, str]] = lambda line: line.partition(" ")[::2],
    blank: bool = True,
    distinct: bool = False,
    word: Callable[[str], object] = lambda secret: secret and " " not in secret,
    other: str = "malformed",
) -> Callable[..., object]:
    """Return an answer that is right but for what is given."""

    def one_credential(query, protocols, authorizations):
        pairs = parse_qsl(query, keep_blank_values=blank)
        found = [("ticket", value) for name, value in pairs if named(name)]
        tokens = [name for name in protocols if offered(name)]
        if tokens and len(tokens) == len(protocols):
            raise AuthError("malformed", "alone")
        found += [("subprotocol", cut(name)) for name in tokens]
        for each in authorizations:
            scheme, token = line(each)
            if scheme.lower() != "bearer":
                raise AuthError(other, "scheme")
            found.append(("authorization", token))
        if not all(word(secret) for _, secret in found):
            raise AuthError("malformed", "no word")
        return _counted(list(dict.fromkeys(found)) if distinct else found)

    return one_credential


two_that_agree_are_one = _one(distinct=True)
small_letters = _one(line=lambda line: line.lower().partition(" ")[::2])
strips_letters = _one(cut=lambda name: name.lstrip("bear."))
begins_with_bearer = _one(line=lambda line: (line[:6], line[6:].partition(" ")[2]))
first_two_words = _one(line=lambda line: [*line.split(), "", ""][:2])
just_two_words = _one(line=str.split)
bearer_anywhere = _one(offered=lambda name: "bearer." in name)
nothing_is_a_word = _one(word=lambda secret: " " not in secret)
all_is_a_word = _one(word=lambda secret: True)
overlooks_empty_offers = _one(offered=lambda name: name.startswith("bearer.") and len(name) > 7)
overlooks_blanks = _one(blank=False)
any_case_of_ticket = _one(named=lambda name: name.lower() == "ticket")
another_status = _one(other="key")


def the_same_line_is_one(query, protocols, authorizations):
    tickets = [value for name, value in parse_qsl(query) if name == "ticket"]
    found = [("ticket", ticket) for ticket in tickets]
    return _counted(found + _offered(protocols) + list(dict.fromkeys(_lines(authorizations))))


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


BRINGS = ("crit", "jku", "jwk", "x5u", "x5c")


def _pick(
    *,
    names: tuple[str, ...] = BRINGS,
    brings: Callable[[dict[str, object], str], object] = lambda header, name: name in header,
    typ: Callable[[object], object] = lambda typ: typ == "at+jwt",
    kid: Callable[[object], object] = lambda kid: kid if isinstance(kid, str) else "",
    alg: Callable[[object, str], object] = lambda alg, wanted: alg == wanted,
) -> Callable[..., object]:
    """Return an answer that is right but for what is given."""

    def pick_key(header, keys, now):
        if any(brings(header, name) for name in names):
            raise AuthError("header", "brings")
        if not typ(header.get("typ")):
            raise AuthError("type", "no")
        key = keys.find(kid(header.get("kid")), now=now)
        if key is None or not alg(header.get("alg"), key.algorithm):
            raise AuthError("key", "no")
        return key

    return pick_key


jwt_will_do = _pick(typ=lambda typ: typ in ("at+jwt", "JWT"))
ends_alike = _pick(typ=lambda typ: str(typ).endswith("at+jwt"))
typ_if_it_is_there = _pick(typ=lambda typ: typ in ("at+jwt", None))
no_certificates = _pick(names=BRINGS[:3])
no_place_for_certificates = _pick(names=("crit", "jku", "jwk", "x5c"))
worth_something = _pick(brings=lambda header, name: header.get(name))
crit_worth_something = _pick(
    brings=lambda header, name: header.get(name) if name == "crit" else name in header
)
not_null = _pick(brings=lambda header, name: header.get(name) is not None)
any_letters = _pick(alg=lambda alg, wanted: str(alg).upper() == wanted)
a_piece_of_it = _pick(alg=lambda alg, wanted: str(alg) in wanted)
its_beginning = _pick(alg=lambda alg, wanted: bool(alg) and wanted.startswith(str(alg)))
alg_if_it_is_there = _pick(alg=lambda alg, wanted: alg in (wanted, None))
a_number_will_do = _pick(kid=str)


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


def asks_pyjwt(token, public_key):
    return jwt.encode({**_claims(token), "sub": "root"}, public_key, "HS256")


WRONG = {
    "claims_of": [
        (the_header, "between the two dots"),
        (without_padding, "one = is missing"),
        (always_one_equals_sign, "put back what RFC 7515 leaves out"),
        (the_other_alphabet, "stand for + and /"),
        (bytes_not_read, "read as JSON"),
        (read_by_python, "eval would run"),
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
        (deletes_then_looks, "delete was there first"),
        (never_deletes, "['ada', 'ada']"),
        (says_whether, "neither the value nor None"),
        (a_lock_for_each_loop, "the same truth for all of them"),
    ],
    "judge_times": [
        (by_default_for_ever, "valid for ever"),
        (leeway_the_wrong_way, "leeway comes after exp"),
        (a_moment_too_long, "at exp + leeway it is over"),
        (never_heard_of_nbf, "not before"),
        (true_is_a_time, "a bool is an int"),
        (returns_the_reason, "an hour too late"),
        (nbf_without_leeway, "the issuer's clock"),
        (takes_nan, "it would never be expired"),
        (takes_infinity, "a token without an end"),
        (takes_nan_for_nbf, "nbf is NaN"),
        (takes_infinity_for_nbf, "infinity is no time"),
        (reads_digits, "whatever float() makes of it"),
        (forgets_false, "false is a bool too"),
        (strict_with_exp_alone, "the same question as exp"),
        (nbf_if_it_is_true, "nbf is false"),
        (nbf_unless_null, "nbf is null"),
        (nbf_unless_empty, "nbf is empty"),
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
        (two_that_agree_are_one, "a set would make one of them"),
        (the_same_line_is_one, "the same line twice"),
        (small_letters, "the token does not"),
        (strips_letters, "lstrip takes letters"),
        (begins_with_bearer, "the whole first word"),
        (first_two_words, "two words"),
        (just_two_words, "ValueError"),
        (bearer_anywhere, "begins with bearer."),
        (nothing_is_a_word, "no word"),
        (all_is_a_word, "two of them, is malformed"),
        (overlooks_empty_offers, "an empty token offered"),
        (overlooks_blanks, "keep_blank_values=True"),
        (any_case_of_ticket, "names in a query compare exactly"),
        (another_status, "status 401"),
    ],
    "pick_key": [
        (believes_the_kid, "compare alg with the key's algorithm"),
        (forbids_none, "k1 is for HS256"),
        (takes_it_for_granted, "use get"),
        (the_signing_key_will_do, "is None, not a key"),
        (any_type_of_token, "the same key, another purpose"),
        (takes_keys_along, "brings its key signs it"),
        (time_stands_still, "knows which keys are retired"),
        (jwt_will_do, "call itself JWT"),
        (ends_alike, "xat+jwt"),
        (typ_if_it_is_there, "without typ"),
        (no_certificates, "a certificate of its own"),
        (no_place_for_certificates, "a place for certificates"),
        (worth_something, "an empty key"),
        (crit_worth_something, "no demands"),
        (not_null, "a place that is null"),
        (any_letters, "alg in small letters"),
        (a_piece_of_it, "alg empty"),
        (its_beginning, "a piece of alg"),
        (alg_if_it_is_there, "without alg"),
        (a_number_will_do, "7 is not '7'"),
    ],
    "forge_root": [
        (no_signature_at_all, "that hole was closed"),
        (keeps_the_header, "which other alg does it know"),
        (keeps_the_signature, "spelled as they are"),
        (strips_the_pem, "with all bytes of public_key"),
        (only_root, "the other claims stay"),
        (forgets_root, "has to believe it"),
        (gives_bytes, "a token is a str"),
        (asks_pyjwt, "Do its HMAC yourself"),
    ],
}
