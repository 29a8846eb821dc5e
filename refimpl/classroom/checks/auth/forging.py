"""A forgery: the public key is public."""

import base64
import functools
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from refimpl.classroom.checking.cases import Case, Exercise, Wrong

CLAIMS: dict[int, dict[str, object]] = {
    1: {"room": 1},
    2: {"room": 2},
    3: {"name": "Zoë", "roles": ["guest", "scribe"], "tenant": None},
}


@functools.cache
def _pair(number: int) -> tuple[str, bytes]:
    """Return a genuine token and the public key, a PEM, that verifies it; cached."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return jwt.encode({**CLAIMS[number], "sub": f"user-{number}"}, pem, "RS256"), public


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _naive(token: str, public_key: bytes) -> Any:
    """Do what the naive verifier of the exercise does, and say why it refuses."""
    try:
        head, body, signature = token.split(".")
        algorithm = json.loads(_decode(head))["alg"]
        claims, mac = json.loads(_decode(body)), _decode(signature)
    except (ValueError, KeyError, TypeError):
        raise Wrong("no token: three parts in base64url, the first two JSON objects") from None
    if algorithm == "RS256":
        try:
            return jwt.decode(token, public_key, algorithms=["RS256"])
        except jwt.PyJWTError:
            raise Wrong(
                "a token that says RS256, and only the private key makes such signatures: which "
                "other alg does it know?"
            ) from None
    if algorithm != "HS256":
        raise Wrong(f"a token with alg {algorithm!r}, which it does not know: that hole was closed")
    text = f"{head}.{body}".encode()
    if hmac.digest(public_key.strip(), text, "sha256") == mac:
        raise Wrong(
            "a signature by a key without its last line end: the verifier takes the file as it "
            "is, with all bytes of public_key"
        )
    if hmac.digest(public_key, text, "sha256") != mac:
        raise Wrong(
            "a signature that does not fit: HMAC-SHA-256 over header.claims, spelled as they are "
            "in your token, with all bytes of public_key as the secret"
        )
    return claims


def _attacked(number: int) -> Callable[[Any], object]:
    def drive(forge_root: Callable[[str, bytes], object]) -> object:
        honest, public_key = _pair(number)
        try:
            token = forge_root(honest, public_key)
        except jwt.InvalidKeyError:
            raise Wrong(
                "an InvalidKeyError: PyJWT never takes a public key for a secret. "
                "Do its HMAC yourself: hmac.new(public_key, ...)"
            ) from None
        if token is ... or token is None:
            return token
        if not isinstance(token, str):
            raise Wrong(f"a {type(token).__name__}; a token is a str")
        return _naive(token, public_key)

    return drive


FORGE_ROOT = Exercise(
    "forge_root",
    points=4,
    rule="RFC 8725 2.1: the header of a token is the attacker's to write",
    hints=(
        "Which algorithm makes a verifier take its key for a secret? And which key do you have?",
        "RFC 7518, 3.2: HS256 is HMAC with SHA-256, over the ASCII of header.claims. "
        'hmac.new(key, b"eyJh...eyJz...", hashlib.sha256).digest() gives 32 bytes, 43 characters '
        "in base64url.",
        "1. Decode the claims of the token, set sub to 'root', keep the rest.\n"
        "2. Spell a header with alg HS256, and the claims, both as base64url of JSON.\n"
        "3. HMAC the two, with the dot between them, with public_key as the key.\n"
        "4. Join all three with dots.",
    ),
    cases=(
        Case(
            "a token of user-1",
            drive=_attacked(1),
            shown="naive(forge_root(token, public_key), public_key)",
            expect=CLAIMS[1] | {"sub": "root"},
            why="the naive verifier has to believe it, and the other claims stay",
        ),
        Case(
            "another key, another user",
            drive=_attacked(2),
            shown="naive(forge_root(token, public_key), public_key)",
            expect=CLAIMS[2] | {"sub": "root"},
            why="use the two arguments, not what the notebook happens to hold",
        ),
        Case(
            "other claims",
            drive=_attacked(3),
            shown="naive(forge_root(token, public_key), public_key)",
            expect=CLAIMS[3] | {"sub": "root"},
            why="all claims of the token stay as they are, whatever they are",
        ),
    ),
)
