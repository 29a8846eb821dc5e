"""Tokens: who someone is, signed, for a quarter of an hour (RFC 7519, RFC 8725, RFC 9068).

A JWT is signed, not secret: whoever holds it can read it. PyJWT checks the signature; this module
checks what PyJWT would let pass. The algorithm is the key's, never the header's. `exp` and five
other claims are required, the type must be `at+jwt`, so that no other token of the same issuer is
accepted, and no token may live longer than `max_age`. The clock is injected.

>>> from refimpl.auth.keys import Key
>>> keys = Keyring(Key("2026-11", "HS256", bytes(32)))
>>> issuer = Issuer(keys, "https://id.example", "chat", now=lambda: 1000.0)
>>> token = issuer.issue(User("ada", roles=frozenset({"admin"})))
>>> verifier = Verifier(keys, "https://id.example", "chat", now=lambda: 1500.0)
>>> verifier.verify(token).user
User(id='ada', name='', roles=frozenset({'admin'}), tenant=None)
"""

import base64
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.types import Options

from refimpl.auth.credentials import MAX_CREDENTIAL
from refimpl.auth.errors import AuthError
from refimpl.auth.keys import Key, Keyring
from refimpl.auth.strict_json import BadJSON, read_json
from refimpl.middleware.context import TenantID, User

__all__ = ["ACCESS", "LIFETIME", "Claims", "Issuer", "Verifier"]

ACCESS = "at+jwt"  # RFC 9068 2.1
LIFETIME = 15 * 60
MAX_AGE = 30 * 60
MAX_LEEWAY = 30
LATEST = 2**53  # beyond it floats skip seconds
REQUIRED = ["exp", "iat", "jti", "iss", "aud", "sub"]

# Three parts in base64url without padding (RFC 7515 7.1): a token has one spelling.
COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)

# Headers by which a token brings its own key, or asks for rules that are not supported here.
FORBIDDEN = ("crit", "b64", "jku", "jwk", "x5u", "x5c")

# The times are checked here, by an injected clock.
NO_TIMES: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}

REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.InvalidSignatureError: "signature",
    jwt.MissingRequiredClaimError: "missing-claim",
    jwt.InvalidIssuerError: "issuer",
    jwt.InvalidAudienceError: "audience",
}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says; times in Unix seconds."""

    user: User
    token_id: str
    issued_at: float
    expires_at: float


class Issuer:
    """Makes access tokens. now: Unix seconds; new_id: a `jti` that never repeats.

    Raises ValueError for a keyring whose signing key can only verify.
    """

    def __init__(
        self,
        keys: Keyring,
        issuer: str,
        audience: str,
        *,
        lifetime: float = LIFETIME,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(16),
    ) -> None:
        if keys.signing.signing is None:
            raise ValueError("got a public key to sign with, expected a private one or a secret")
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self.lifetime = lifetime
        self.now = now
        self.new_id = new_id

    def issue(self, user: User, *, type: str = ACCESS) -> str:
        """Return a new token that says who user is, signed with the keyring's signing key."""
        issued_at = int(self.now())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": user.id,
            "jti": self.new_id(),
            "iat": issued_at,
            "exp": issued_at + int(self.lifetime),
        }
        optional = {
            "name": user.name,
            "roles": sorted(user.roles),
            "tenant": user.tenant.value if user.tenant else "",
        }
        claims.update({name: value for name, value in optional.items() if value})
        key = self.keys.signing
        return jwt.encode(claims, key.signing, key.algorithm, headers={"typ": type, "kid": key.kid})


class Verifier:
    """Turns a token into Claims, or refuses it: the rules of one audience.

    leeway: seconds by which the issuer's clock and ours may differ. max_age: the most seconds
    between `iat` and `exp`. Raises ValueError for a leeway over 30 s.
    """

    def __init__(
        self,
        keys: Keyring,
        issuer: str,
        audience: str,
        *,
        type: str = ACCESS,
        leeway: float = 5,
        max_age: float = MAX_AGE,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not 0 <= leeway <= MAX_LEEWAY:
            raise ValueError(f"got a leeway of {leeway} s, expected 0 to {MAX_LEEWAY}")
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self.type = type
        self.leeway = leeway
        self.max_age = max_age
        self.now = now

    def verify(self, token: str) -> Claims:
        """Return what the token says. Raises AuthError where any rule is broken."""
        if len(token) > MAX_CREDENTIAL:
            raise AuthError("too-long", f"got {len(token)} bytes, expected {MAX_CREDENTIAL}")
        now = self.now()
        key = choose_key(read_header(token), self.keys, now=now, type=self.type)
        claims = check_signature(token, key, issuer=self.issuer, audience=self.audience)
        check_json(token, part=1)
        check_times(claims, now=now, leeway=self.leeway, max_age=self.max_age)
        return read_claims(claims)


def read_header(token: str) -> dict[str, Any]:
    """Return the header of a token, which is not verified yet."""
    try:
        if COMPACT.fullmatch(token):
            header: dict[str, Any] = jwt.get_unverified_header(token)
            check_json(token, part=0)
            return header
    except jwt.PyJWTError:
        pass
    raise AuthError("malformed-token", "got no JWT (RFC 7519 7.2)")


def check_json(token: str, *, part: int) -> None:
    """Refuse a part whose JSON can be read in two ways: PyJWT takes the last of two `sub`."""
    text = token.split(".")[part]
    try:
        read_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return
    except BadJSON:
        pass
    raise AuthError("malformed-token", "got a JWT with ambiguous JSON (RFC 7519 4, RFC 8725 3.7)")


def choose_key(
    header: Mapping[str, object], keys: Keyring, *, now: float, type: str = ACCESS
) -> Key:
    """Return the key that a header names, if all it says fits that key (RFC 8725 3.1)."""
    if any(name in header for name in FORBIDDEN):
        raise AuthError("header", "got a header that brings keys or rules (RFC 8725 3.10)")
    if media_type(header.get("typ")) != type:
        raise AuthError("type", f"got another typ, expected {type} (RFC 8725 3.11)")
    kid = header.get("kid")
    key = keys.find(kid, now=now) if isinstance(kid, str) else None
    if key is None:
        raise AuthError("key", "got no kid of ours (RFC 7515 4.1.4)")
    if header.get("alg") != key.algorithm:
        raise AuthError("algorithm", f"got another alg, expected {key.algorithm} for this kid")
    return key


def media_type(typ: object) -> str:
    """Return a `typ` as it compares: lower case, without `application/` (RFC 7515 4.1.9)."""
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else ""


def check_signature(token: str, key: Key, *, issuer: str, audience: str) -> dict[str, Any]:
    """Return the claims if key signed them, `iss` and `aud` are right and none is missing."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.verifying,
            algorithms=[key.algorithm],
            issuer=issuer,
            audience=audience,
            options={"require": REQUIRED, **NO_TIMES},
        )
        return claims
    except jwt.PyJWTError as error:
        reason = REASONS.get(type(error), "malformed-token")
    # Outside `except`: PyJWT's error holds parts of the token, and would be the context of ours.
    raise AuthError(reason, f"got a token that fails on its {reason}")


def check_times(
    claims: Mapping[str, Any], *, now: float, leeway: float, max_age: float = MAX_AGE
) -> None:
    """Refuse a token that is expired, not valid yet, or lives too long (RFC 7519 4.1.4-4.1.6)."""
    expires, issued = read_time(claims, "exp"), read_time(claims, "iat")
    begins = max(issued, read_time(claims, "nbf")) if "nbf" in claims else issued
    if begins > now + leeway:
        raise AuthError("not-yet", "got a token from the future (RFC 7519 4.1.5)")
    if now >= expires + leeway:
        raise AuthError("expired", "got an expired token, expected exp ahead (RFC 7519 4.1.4)")
    if expires - issued > max_age:
        raise AuthError("too-long-lived", f"got a token that lives for over {max_age} s")


def read_time(claims: Mapping[str, Any], name: str) -> float:
    """Return a time claim in seconds. A bool is refused, though Python counts it as an int."""
    value = claims[name]
    if type(value) not in (int, float) or not -LATEST < value < LATEST:
        raise AuthError("claims", f"got {name} that is no time (RFC 7519 2)")
    return float(value)


def read_claims(claims: Mapping[str, Any]) -> Claims:
    """Return verified claims as values, each checked for its type."""
    name, tenant, roles = claims.get("name", ""), claims.get("tenant", ""), claims.get("roles", [])
    texts = (claims["sub"], claims["jti"], name, tenant)
    if not (isinstance(roles, list) and all(isinstance(text, str) for text in (*texts, *roles))):
        raise AuthError("claims", "got claims of other types than text")
    if not claims["sub"] or not claims["jti"]:
        raise AuthError("claims", "got an empty sub or jti")
    user = User(claims["sub"], name, frozenset(roles), TenantID(tenant) if tenant else None)
    return Claims(user, claims["jti"], read_time(claims, "iat"), read_time(claims, "exp"))
