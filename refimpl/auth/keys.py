"""The keys that sign and verify tokens: found by `kid`, each with one fixed algorithm.

RFC 8725 (JWT Best Current Practices) 3.1 and 3.2. A token's header says which key signed it; the
server decides which algorithm that key is used with. The well-known attacks on JWT let the token
choose: `none`, or an RSA public key used as an HMAC secret.

Rotation: the new key signs from now on; the old one verifies until the last token that it signed
has expired.

>>> keys = Keyring(Key("2026-10", "HS256", bytes(range(32))))
>>> keys.rotate(Key("2026-11", "HS256", bytes(range(1, 33))), now=1000.0, overlap=900.0)
>>> keys.signing.kid, keys.find("2026-10", now=1899.0) is None, keys.find("2026-10", now=1900.0)
('2026-11', False, None)
"""

from dataclasses import dataclass, field
from typing import Any

import jwt
from jwt.exceptions import InvalidKeyError

__all__ = ["MIN_SECRET", "Key", "Keyring"]

# Bytes: a secret shorter than the hash is the weakest part of the signature (RFC 7518 3.2).
MIN_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}
ASYMMETRIC = ("RS256", "PS256", "ES256", "ES384", "EdDSA")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, the one algorithm it is used with, and the name that tokens call it by.

    material: the secret bytes of an HMAC key, else a PEM: a private one signs and verifies, a
    public one verifies. Raises ValueError for a key that is too weak or does not fit its algorithm.
    """

    kid: str
    algorithm: str
    material: bytes = field(repr=False)
    signing: Any = field(init=False, repr=False, compare=False, default=None)
    verifying: Any = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        signing: Any
        verifying: Any
        if not self.kid:
            raise ValueError("got an empty kid, expected a name for the key")
        if self.algorithm in MIN_SECRET:
            signing = verifying = _prepare_secret(self.algorithm, self.material)
        elif self.algorithm in ASYMMETRIC:
            prepared = _prepare_pem(self.algorithm, self.material)
            private = hasattr(prepared, "public_key")
            signing = prepared if private else None
            verifying = prepared.public_key() if private else prepared
        else:
            known = ", ".join([*MIN_SECRET, *ASYMMETRIC])
            raise ValueError(f"got algorithm {self.algorithm!r}, expected one of {known}")
        object.__setattr__(self, "signing", signing)
        object.__setattr__(self, "verifying", verifying)


def _prepare_secret(algorithm: str, secret: bytes) -> bytes:
    if len(secret) < MIN_SECRET[algorithm]:
        raise ValueError(
            f"got an HMAC key of {len(secret)} bytes, expected at least {MIN_SECRET[algorithm]} "
            f"for {algorithm} (RFC 7518 3.2): secrets.token_bytes makes one"
        )
    try:
        prepared: bytes = jwt.get_algorithm_by_name(algorithm).prepare_key(secret)
    except InvalidKeyError:  # a public key is no secret
        raise ValueError("got a public key or a certificate as HMAC secret") from None
    return prepared


def _prepare_pem(algorithm: str, pem: bytes) -> Any:
    method = jwt.get_algorithm_by_name(algorithm)
    try:
        prepared = method.prepare_key(pem)
    except (ValueError, TypeError, InvalidKeyError):  # their messages quote the input
        raise ValueError(f"got a key that is no PEM for {algorithm}") from None
    if weakness := method.check_key_length(prepared):
        raise ValueError(weakness)
    return prepared


class Keyring:
    """The keys of one issuer: the one that signs, and those that still verify."""

    def __init__(self, signing: Key, *others: Key) -> None:
        self.signing = signing
        self._keys: dict[str, tuple[Key, float | None]] = {}
        for key in (signing, *others):
            self.add(key)

    def add(self, key: Key) -> None:
        """Let key verify from now on, without signing with it yet; ValueError for a known kid."""
        if key.kid in self._keys:  # a token could not say which of the two it means
            raise ValueError(f"got kid {key.kid!r} twice, expected a name for each key")
        self._keys[key.kid] = key, None

    def rotate(self, key: Key, *, now: float, overlap: float) -> None:
        """Sign with key from now on; the previous key verifies for overlap seconds more.

        overlap: the lifetime of a token, because one may have been signed just now. If several
        servers verify, `add` the key to all of them before any of them signs with it.
        Raises ValueError for the key that signs already, and for another key of a known name.
        """
        if key == self.signing:
            raise ValueError(f"got the key that signs already, {key.kid!r}, expected another")
        if self._keys.get(key.kid, (None,))[0] != key:
            self.add(key)
        old, self.signing = self.signing, key
        self._keys[key.kid] = key, None
        self._keys[old.kid] = old, now + overlap
        self._keys = {
            kid: (one, until)
            for kid, (one, until) in self._keys.items()
            if until is None or now < until
        }

    def find(self, kid: str, *, now: float) -> Key | None:
        """Return the key of this name; None if it is unknown or retired."""
        key, until = self._keys.get(kid, (None, None))
        return None if until is not None and now >= until else key

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"
