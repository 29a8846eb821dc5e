"""Whether a token is valid now: the second rule that the last exercise grafts into a server."""

import math

from refimpl.auth import AuthError
from refimpl.classroom.checking.cases import Case, Exercise, call, raises

NOW = 1_800_000_000
LEFT_OUT = "(left out)"
COMPARES = "every comparison with NaN is False: it would never be expired, nor too early"
NO_FALSE = "null, false and '' are there: ask `in claims`, and then for the type"


def _times(**claims: object) -> dict[str, object]:
    whole: dict[str, object] = {"iat": NOW - 60, "exp": NOW + 840, **claims}
    return {name: value for name, value in whole.items() if value != LEFT_OUT}


def _time(name: str, reason: str = "", *, why: str = "", leeway: int = 5, **claims: object) -> Case:
    made = call(_times(**claims), NOW, leeway)
    if reason:
        return Case(name, made, error=raises(AuthError, reason=reason), why=why)
    return Case(name, made, expect=None, why=why)


CLOCKS = (
    _time("a good token"),
    _time("an hour too late", "expired", exp=NOW - 3600),
    _time("without exp", "claims", exp=LEFT_OUT, why="without exp it would be valid for ever"),
    _time("late, but within the leeway", exp=NOW - 4, why="leeway comes after exp"),
    _time("late by just the leeway", "expired", exp=NOW - 5, why="at exp + leeway it is over"),
    _time("nbf ahead", "not-yet", nbf=NOW + 60, why="nbf: not before"),
    _time("nbf within the leeway", nbf=NOW + 5, why="the issuer's clock may be ahead of ours"),
    _time("nbf long ago", nbf=NOW - 60),
    _time("exp with a fraction", exp=NOW + 0.5),
    _time("exp 0", "expired", exp=0, why="0 is a time, in 1970"),
    _time("no leeway", "expired", exp=NOW, leeway=0),
)

NO_NUMBERS = (
    _time("exp is true", "claims", exp=True, why="a bool is an int for Python: type() tells"),
    _time("exp is false", "claims", exp=False, why="false is a bool too, and no time in 1970"),
    _time("exp is a text", "claims", exp="soon", why="JSON has more types than numbers"),
    _time(
        "exp is digits in quotes",
        "claims",
        exp=str(NOW + 840),
        why="a text is no number, whatever float() makes of it: RFC 7519 2, NumericDate",
    ),
    _time("exp is null", "claims", exp=None),
    _time("nbf is a text", "claims", nbf="soon"),
    _time("nbf is true", "claims", nbf=True, why="nbf gets the same question as exp"),
    _time("nbf is false", "claims", nbf=False, why=NO_FALSE),
    _time("nbf is null", "claims", nbf=None, why=NO_FALSE),
    _time("nbf is empty", "claims", nbf="", why=NO_FALSE),
)

NO_TIMES = (
    _time("exp is NaN", "claims", exp=math.nan, why=COMPARES),
    _time("exp is infinity", "claims", exp=math.inf, why="that is a token without an end"),
    _time("nbf is NaN", "claims", nbf=math.nan, why=COMPARES),
    _time("nbf is infinity", "claims", nbf=math.inf, why="infinity is no time"),
)

JUDGE_TIMES = Exercise(
    "judge_times",
    points=2,
    rule="RFC 7519 4.1.4 (exp), 4.1.5 (nbf)",
    hints=(
        "First ask what kind of value it is, then compare. And on which side of exp does the "
        "leeway lie?",
        "A trace with exp 1000 and leeway 5: at 1004 it still passes, at 1005 it is expired. With "
        "nbf 1000: at 995 it passes, at 994 not yet.",
        "1. exp: refuse with 'claims' where it is missing, type(exp) is neither int nor float, or "
        "math.isfinite(exp) is False.\n"
        "2. now >= exp + leeway: 'expired'.\n"
        "3. nbf, where it is there: the same questions about its value; nbf > now + leeway: "
        "'not-yet'.",
    ),
    cases=(*CLOCKS, *NO_NUMBERS, *NO_TIMES),
    replaces="auth.tokens.check_times",
)
