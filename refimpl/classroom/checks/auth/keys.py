"""Which key a header names: the first rule that the last exercise grafts into a live server."""

from collections.abc import Callable
from typing import Any

from refimpl.auth import AuthError, Key, Keyring
from refimpl.classroom.checking.cases import Case, Exercise, Wrong, raises

NOW = 1_800_000_000
# One kid is a digit, so that a number converted to text would find a key.
KEYS = {
    "k1": ("HS256", bytes(range(32))),
    "k5": ("HS512", bytes(range(64))),
    "7": ("HS256", bytes(range(7, 39))),
}
BRINGS = "an attacker who writes the header could sign with a key of their own, and name it there"
THERE = "it is in the header, whatever its value: test `name in header`, not the value"
EXACT = "RFC 7515 4.1.1: alg compares exactly, and as a whole"
LEFT_OUT = "(left out)"


def _ring() -> Keyring:
    first, *others = (Key(kid, *rest) for kid, rest in KEYS.items())
    return Keyring(first, *others)


def _picks(**changes: object) -> Callable[[Any], object]:
    """Call the learner's function with a good header, changed; LEFT_OUT leaves a member out."""
    whole = {"alg": "HS256", "kid": "k1", "typ": "at+jwt", **changes}
    header = {name: value for name, value in whole.items() if value != LEFT_OUT}

    def drive(pick_key: Callable[..., object]) -> object:
        result = pick_key(dict(header), _ring(), NOW)
        if result is ... or result is None or isinstance(result, Key):
            return result.kid if isinstance(result, Key) else result
        raise Wrong(f"a {type(result).__name__}; what keys.find(...) gives is a Key")

    return drive


def _case(name: str, *, why: str = "", expect: str = "", **changes: object) -> Case:
    drive = _picks(**changes)
    absent = " or ".join(key for key, value in changes.items() if value == LEFT_OUT)
    change = f"without {absent}" if absent else f"with {changes}"
    shown = f"pick_key(a good header {change}, keys, now)" if changes else "pick_key(...)"
    if expect:
        return Case(name, drive=drive, shown=shown, expect=expect, why=why)
    return Case(name, drive=drive, shown=shown, error=raises(AuthError), why=why)


def _retired(pick_key: Callable[..., object]) -> object:
    ring = _ring()
    ring.rotate(Key("k2", "HS256", bytes(32)), now=NOW - 900, overlap=900)
    return pick_key({"alg": "HS256", "kid": "k1", "typ": "at+jwt"}, ring, NOW)


ALGORITHMS = (
    _case(
        "alg none",
        alg="none",
        why="compare alg with the key's algorithm; a list of the forbidden is never complete",
    ),
    _case(
        "an algorithm of another key",
        alg="HS512",
        why="the key says what it is for: k1 is for HS256, whatever else we support",
    ),
    _case(
        "without alg",
        alg=LEFT_OUT,
        why="a missing member is a refusal too, and no KeyError: use get",
    ),
    _case("alg null", alg=None, why="null is a value, and not the key's algorithm"),
    _case("alg in small letters", alg="hs256", why=EXACT),
    _case("alg empty", alg="", why=EXACT),
    _case("a piece of alg", alg="HS", why=EXACT),
)

NAMES = (
    _case("an unknown kid", kid="mine", why="what find does not know is None, not a key"),
    _case(
        "without kid",
        kid=LEFT_OUT,
        why="a missing member is a refusal too, and no KeyError: use get",
    ),
    _case("a kid that is a list", kid=["k1"], why="JSON has more types than str"),
    _case("a kid that is a number", kid=7, why="a kid is a str (RFC 7515 4.1.4): 7 is not '7'"),
)

TYPES = (
    _case(
        "a refresh token", typ="rt+jwt", why="the same key, another purpose: typ tells them apart"
    ),
    _case("without typ", typ=LEFT_OUT, why="an explicit type, RFC 8725 3.11"),
    _case("typ null", typ=None, why="an explicit type, RFC 8725 3.11"),
    _case(
        "typ JWT",
        typ="JWT",
        why="any token may call itself JWT: the ID tokens of the same issuer do",
    ),
    _case("a typ that ends alike", typ="xat+jwt", why="another type, and who knows its purpose"),
)

FORBIDDEN = (
    _case("a key of its own", jwk={"kty": "oct"}, why="a token that brings its key signs it"),
    _case("a place for keys", jku="https://evil.example", why="we fetch no keys from strangers"),
    _case("a certificate of its own", x5c=["MIIB"], why=BRINGS),
    _case("a place for certificates", x5u="https://evil.example", why=BRINGS),
    _case("a demand", crit=["exp"], why="crit asks for rules that we do not know, RFC 7515"),
    _case("an empty key", jwk={}, why=THERE),
    _case("no demands", crit=[], why=THERE),
    _case("a place that is null", jku=None, why=THERE),
)

PICK_KEY = Exercise(
    "pick_key",
    points=3,
    rule="RFC 8725 3.1: the key says which algorithm it is for, not the token",
    hints=(
        "Read from the header only which key it names. All that the key fixes must then be in the "
        "header, exactly.",
        "RFC 7515, 4.1.4: kid names a key. keys.find('k1', now=now) gives Key(kid='k1', "
        "algorithm='HS256'), or None. A header with alg HS512 beside kid k1 does not fit.",
        "1. Refuse a header that has crit, jku, jwk, x5u or x5c in it, with whatever value.\n"
        "2. Refuse a typ other than 'at+jwt'.\n"
        "3. kid must be a str that keys.find knows; alg must be that key's algorithm.\n"
        "4. Return the key.",
    ),
    cases=(
        _case("an honest header", expect="k1"),
        _case("another key", kid="k5", alg="HS512", expect="k5"),
        *ALGORITHMS,
        *NAMES,
        *TYPES,
        *FORBIDDEN,
        Case(
            "a key whose time is over",
            drive=_retired,
            shown="pick_key(header of k1, keys after k1 was retired, now)",
            error=raises(AuthError),
            why="pass now on: find(kid, now=now) knows which keys are retired",
        ),
    ),
    replaces="auth.tokens.choose_key",
)
