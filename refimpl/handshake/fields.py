"""The values of the handshake's headers: lists, tokens, extension offers, the key and its answer.

>>> accept_key("dGhlIHNhbXBsZSBub25jZQ==")  # the example of RFC 6455 section 1.3
's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
>>> parse_list(["keep-alive, Upgrade"])
['keep-alive', 'Upgrade']
"""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from refimpl.errors import HandshakeError
from refimpl.handshake.arguments import as_tuple
from refimpl.handshake.head import TOKEN

__all__ = [
    "GUID",
    "Extension",
    "accept_key",
    "has_token",
    "is_valid_key",
    "make_key",
    "parse_extensions",
    "parse_list",
    "parse_subprotocols",
    "serialize_extension",
]

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
MAX_PARTS = 100
PARAMETER = re.compile(rf'({TOKEN.pattern})(?:[ \t]*=[ \t]*(?:({TOKEN.pattern})|"([^"\\]*)"))?')


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension of a Sec-WebSocket-Extensions header: its name and parameters, in order."""

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()


def accept_key(key: str) -> str:
    """Return the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1((key + GUID).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def make_key(random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """Return a new Sec-WebSocket-Key: 16 random bytes in base64 (RFC 6455 section 4.1)."""
    return base64.b64encode(random_bytes(16)).decode()


def is_valid_key(key: str) -> bool:
    """Whether key is the base64 of 16 bytes, in the one canonical spelling (RFC 4648 3.5)."""
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(nonce) == 16 and base64.b64encode(nonce).decode() == key


def parse_list(lines: Sequence[str]) -> list[str]:
    """Return the elements of a comma-separated list that may span several header lines.

    RFC 9110 section 5.6.1; empty elements are dropped. Not for lists whose elements may contain a
    quoted comma.
    """
    values = as_tuple("header lines", lines)
    elements = (element.strip(" \t") for line in values for element in line.split(","))
    return [element for element in elements if element]


def has_token(lines: Sequence[str], token: str) -> bool:
    """Whether the list on these header lines contains token, in any case (RFC 6455 4.2.1)."""
    return token.lower() in (element.lower() for element in parse_list(lines))


def parse_subprotocols(lines: Sequence[str]) -> list[str]:
    """Return the offered subprotocols, most wanted first (RFC 6455 4.1): unique tokens."""
    _refuse_long(lines, ",", "subprotocol")
    offered = parse_list(lines)
    if lines and not offered:
        raise HandshakeError("got an empty Sec-WebSocket-Protocol", reason="subprotocol")
    if not all(map(TOKEN.fullmatch, offered)):
        raise HandshakeError("got a subprotocol that is not a token", reason="subprotocol")
    if len(set(offered)) != len(offered):
        raise HandshakeError("got a subprotocol twice (RFC 6455 4.1)", reason="subprotocol")
    return offered


def parse_extensions(lines: Sequence[str]) -> list[Extension]:
    """Return the extensions offered or agreed on these header lines (RFC 6455 section 9.1).

    A value may be quoted, but not contain a backslash. More than MAX_PARTS extensions and
    parameters are refused.
    """
    _refuse_long(lines, ',;"', "extension")
    return [_parse_extension(part) for line in lines for part in _split(line, ",") if part]


def _refuse_long(lines: Sequence[str], separators: str, reason: str) -> None:
    """Refuse a list of over MAX_PARTS parts: 64 KiB of extensions took 58 ms to parse."""
    values = as_tuple("header lines", lines)
    if sum(line.count(separator) for line in values for separator in separators) > MAX_PARTS:
        raise HandshakeError(f"got a list of over {MAX_PARTS} parts", reason=reason)


def _parse_extension(text: str) -> Extension:
    name, *parameters = _split(text, ";")
    matches = [PARAMETER.fullmatch(parameter) for parameter in parameters]
    if not TOKEN.fullmatch(name) or None in matches:
        raise HandshakeError("got a malformed extension (RFC 6455 9.1)", reason="extension")
    pairs = []
    for match in filter(None, matches):
        parameter, token, quoted = match.groups()
        if quoted is not None and not TOKEN.fullmatch(quoted):
            raise HandshakeError("got a quoted value that is no token", reason="extension")
        pairs.append((parameter.lower(), token or quoted))
    return Extension(name.lower(), tuple(pairs))


def _split(text: str, separator: str) -> list[str]:
    """Return text split at every separator that is outside double quotes, each part stripped."""
    parts = [""]
    for index, piece in enumerate(text.split('"')):  # odd pieces are inside quotes
        first, *rest = piece.split(separator) if index % 2 == 0 else [piece]
        parts[-1] += ('"' if index else "") + first
        parts += rest
    return [part.strip(" \t") for part in parts]


def serialize_extension(extension: Extension) -> str:
    """Return an extension as it stands in a Sec-WebSocket-Extensions header."""
    pairs = (name if value is None else f"{name}={value}" for name, value in extension.parameters)
    return "; ".join([extension.name, *pairs])
