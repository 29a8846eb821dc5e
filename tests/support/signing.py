"""Keys, clocks and tokens of every kind, good and forged, for the tests of auth."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from refimpl.auth import Authenticator, Issuer, Key, Keyring, Tickets, Verifier
from refimpl.auth.tickets import MemoryStore
from refimpl.middleware.context import TenantID, User

ISSUER = "https://id.example"
AUDIENCE = "chat"
NOW = 1_800_000_000.0
SECRET = bytes(range(32))
ADA = User("ada", "Ada", frozenset({"admin"}), TenantID("north"))
HEADER = {"alg": "HS256", "typ": "at+jwt", "kid": "k1"}
CLAIMS = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "ada",
    "jti": "token-1",
    "iat": int(NOW),
    "exp": int(NOW) + 900,
}


class Clock:
    """Unix time that moves when a test says so."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def keyring() -> Keyring:
    return Keyring(Key("k1", "HS256", SECRET))


def verifier(**options: Any) -> Verifier:
    """Return a Verifier that accepts what `forge()` makes without arguments."""
    return Verifier(
        options.pop("keys", None) or keyring(),
        ISSUER,
        AUDIENCE,
        now=options.pop("now", lambda: NOW),
        **options,
    )


def issuer(clock: Clock | None = None, **options: Any) -> Issuer:
    return Issuer(keyring(), ISSUER, AUDIENCE, now=clock or Clock(), **options)


def authenticator(clock: Clock | None = None, **options: Any) -> Authenticator:
    clock = clock or Clock()
    options.setdefault("tickets", Tickets(MemoryStore(now=clock), now=clock))
    return Authenticator(verifier=verifier(now=clock), **options)


def encode(part: object) -> str:
    """Return JSON, or bytes as they are, in base64url without padding (RFC 7515 2)."""
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(
    *,
    header: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    drop: tuple[str, ...] = (),
    secret: bytes = SECRET,
    digest: str = "sha256",
) -> str:
    """Return a token whose header and claims may say anything, signed by HMAC whatever they say."""
    head = {**HEADER, **(header or {})}
    body = {**CLAIMS, **(claims or {})}
    for name in drop:
        head.pop(name, None)
        body.pop(name, None)
    signed = f"{encode(head)}.{encode(body)}"
    return f"{signed}.{encode(hmac.new(secret, signed.encode(), digest).digest())}"


def unsigned(alg: str = "none") -> str:
    """Return a token that says it needs no signature, and has none."""
    return f"{encode({**HEADER, 'alg': alg})}.{encode(CLAIMS)}."


@functools.cache
def pem_pair(algorithm: str) -> tuple[bytes, bytes]:
    """Return a private and a public PEM for an algorithm with two keys."""
    private: Any
    if algorithm == "weak":
        private = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    elif algorithm.startswith(("RS", "PS")):
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = ec.generate_private_key(ec.SECP256R1())
    return (
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def signed_with(pem: bytes, algorithm: str, **header: str) -> str:
    """Return a good token signed with a private PEM."""
    return jwt.encode(CLAIMS, pem, algorithm, headers={**HEADER, "alg": algorithm, **header})


def canary(name: str) -> str:
    """Return a word that occurs nowhere else, to be looked for afterwards."""
    return "canary" + hashlib.sha256(name.encode()).hexdigest()[:20]
