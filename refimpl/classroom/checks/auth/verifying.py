"""The two rules that the last exercise plants into a live server: which key, and what time."""

from collections.abc import Callable
from typing import Any

from refimpl.auth import AuthError, Key, Keyring

from ...cases import Case, Exercise, Wrong, call, raises

NOW = 1_800_000_000
KEYS = {"k1": ("HS256", bytes(range(32))), "k5": ("HS512", bytes(range(64)))}


def _ring() -> Keyring:
    first, *others = (Key(kid, *rest) for kid, rest in KEYS.items())
    return Keyring(first, *others)


def _picks(**header: object) -> Callable[[Any], object]:
    """Call the learner's function with a header; None leaves a member out."""
    whole = {"alg": "HS256", "kid": "k1", "typ": "at+jwt", **header}
    shown = {name: value for name, value in whole.items() if value is not None}

    def drive(pick_key: Callable[..., object]) -> object:
        result = pick_key(dict(shown), _ring(), NOW)
        if result is ... or result is None or isinstance(result, Key):
            return result.kid if isinstance(result, Key) else result
        raise Wrong(f"a {type(result).__name__}; what keys.find(...) gives is a Key")

    return drive


def _case(name: str, *, why: str = "", expect: str = "", **header: object) -> Case:
    drive = _picks(**header)
    shown = f"pick_key(a good header, but {header}, keys, now)" if header else "pick_key(...)"
    if expect:
        return Case(name, drive=drive, shown=shown, expect=expect, why=why)
    return Case(name, drive=drive, shown=shown, error=raises(AuthError), why=why)


def _retired(pick_key: Callable[..., object]) -> object:
    ring = _ring()
    ring.rotate(Key("k2", "HS256", bytes(32)), now=NOW - 900, overlap=900)
    return pick_key({"alg": "HS256", "kid": "k1", "typ": "at+jwt"}, ring, NOW)


PICK_KEY = Exercise(
    "pick_key",
    points=3,
    rule="RFC 8725 3.1: the key says which algorithm it is for, not the token",
    hints=(
        "Read from the header only which key it names. All that the key fixes must then be found "
        "in the header, to the letter.",
        "RFC 7515, 4.1.4: kid names a key. keys.find('k1', now=now) gives Key(kid='k1', "
        "algorithm='HS256'), or None. A header with alg HS512 beside kid k1 does not fit.",
        "1. Refuse a header that has crit, jku, jwk, x5u or x5c in it.\n"
        "2. Refuse a typ other than 'at+jwt'.\n"
        "3. kid must be a str that keys.find knows; alg must be that key's algorithm.\n"
        "4. Return the key.",
    ),
    cases=(
        _case("an honest header", expect="k1"),
        _case("another key", kid="k5", alg="HS512", expect="k5"),
        _case(
            "alg none",
            alg="none",
            why="compare alg with the key's algorithm; a list of the forbidden is never complete",
        ),
        _case(
            "an algorithm of another key",
            alg="HS512",
            why="the key says what it is for: k1 is for HS256, whatever else we speak",
        ),
        _case("an unknown kid", kid="mine", why="what find does not know is None, not a key"),
        _case(
            "no kid at all",
            kid=None,
            why="a missing member is a refusal too, and no KeyError: use get",
        ),
        _case("a kid that is a list", kid=["k1"], why="JSON has more types than str"),
        _case("a refresh token", typ="rt+jwt", why="same key, other purpose: typ tells"),
        _case("no typ", typ=None, why="an explicit type, RFC 8725 3.11"),
        _case("no alg", alg=None, why="a missing member is a refusal too"),
        _case("a key of its own", jwk={"kty": "oct"}, why="a token that brings its key signs it"),
        _case(
            "a place for keys", jku="https://evil.example", why="we fetch no keys from strangers"
        ),
        _case("a demand", crit=["exp"], why="crit asks for rules that we do not know, RFC 7515"),
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


def _times(**claims: object) -> dict[str, object]:
    whole: dict[str, object] = {"iat": NOW - 60, "exp": NOW + 840, **claims}
    return {name: value for name, value in whole.items() if value != "missing"}


def _time(name: str, reason: str = "", *, why: str = "", leeway: int = 5, **claims: object) -> Case:
    made = call(_times(**claims), NOW, leeway)
    if reason:
        return Case(name, made, error=raises(AuthError, reason=reason), why=why)
    return Case(name, made, expect=None, why=why)


JUDGE_TIMES = Exercise(
    "judge_times",
    points=2,
    rule="RFC 7519 4.1.4 (exp), 4.1.5 (nbf)",
    hints=(
        "First ask what kind of value it is, then compare. And on which side of exp does the "
        "leeway lie?",
        "A trace with exp 1000 and leeway 5: at 1004 it still passes, at 1005 it is expired. With "
        "nbf 1000: at 995 it passes, at 994 not yet.",
        "1. exp: refuse with 'claims' where it is missing, or type(exp) is neither int nor float.\n"
        "2. now >= exp + leeway: 'expired'.\n"
        "3. nbf, where it is there: the same question about its type; nbf > now + leeway: "
        "'not-yet'.",
    ),
    cases=(
        _time("a good token"),
        _time("an hour too late", "expired", exp=NOW - 3600),
        _time("no exp", "claims", exp="missing", why="without exp it would be valid for ever"),
        _time("late, but within the leeway", exp=NOW - 4, why="leeway comes after exp"),
        _time("late by just the leeway", "expired", exp=NOW - 5, why="at exp + leeway it is over"),
        _time("nbf ahead", "not-yet", nbf=NOW + 60, why="nbf: not before"),
        _time("nbf within the leeway", nbf=NOW + 5, why="the issuer's clock may be ahead of ours"),
        _time("nbf long ago", nbf=NOW - 60),
        _time("exp is true", "claims", exp=True, why="a bool is an int for Python: type() tells"),
        _time("exp is a text", "claims", exp="soon", why="JSON has more types than numbers"),
        _time("exp is null", "claims", exp=None),
        _time("exp with a fraction", exp=NOW + 0.5),
        _time("nbf is a text", "claims", nbf="soon"),
        _time("exp 0", "expired", exp=0, why="0 is a time, in 1970"),
        _time("no leeway", "expired", exp=NOW, leeway=0),
    ),
    replaces="auth.tokens.check_times",
)
