"""Where the credential of a request is: exactly one, in one of the places that clients can use.

A page cannot set headers on its WebSocket. It can choose the URL, offer subprotocols, and send a
message once the socket is open; the browser adds the site's cookies by itself. Other programs can
also set `Authorization` (RFC 6750 2.1). Two credentials in one request are an error, since two
programs could choose different ones (RFC 6750 2).

A URL is logged everywhere, so a query carries nothing but tickets that work once.

>>> from refimpl.handshake import Headers
>>> offer = Headers([("Sec-WebSocket-Protocol", "chat.v1, bearer.e30.e30.c2ln")])
>>> credential = find_credential(offer)
>>> credential.source.value, credential
('subprotocol', Credential(source=<Source.SUBPROTOCOL: 'subprotocol'>))
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from urllib.parse import unquote, unquote_plus

from refimpl.auth.errors import AuthError
from refimpl.auth.strict_json import BadJSON, DoubledName, read_json
from refimpl.handshake import Headers, parse_list

__all__ = [
    "COOKIE",
    "MAX_CREDENTIAL",
    "ON_HTTP",
    "Credential",
    "Source",
    "cookie_header",
    "find_credential",
    "read_message",
    "without_credentials",
    "without_secrets",
]

MAX_CREDENTIAL = 8 * 1024
COOKIE = "__Host-session"
BEARER = "bearer."  # a subprotocol that begins so is a token
TICKET = "ticket"
NEVER_IN_A_URL = ("token", "access_token")


def _spelled(name: str) -> str:
    """Return a pattern for a name in a query, each letter as it is or percent-encoded."""
    return "".join(f"(?:{letter}|(?i:%{ord(letter):02x}))" for letter in name)


# A query may have thirty thousand parameters, and parsing them all took 33 ms for a request that is
# refused. So only the names that matter are searched for, each after an &.
IN_QUERY = re.compile(
    rf"&({'|'.join(map(_spelled, (TICKET, *NEVER_IN_A_URL)))})(?:=([^&]*))?(?=&|\Z)"
)
TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 9110 11.2


class Source(Enum):
    """The places where a credential may be."""

    TICKET = "query ticket"
    COOKIE = "cookie"
    SUBPROTOCOL = "subprotocol"
    AUTHORIZATION = "Authorization"
    FIRST_MESSAGE = "first message"


# For plain HTTP. A ticket is for one socket; accepted here, it could buy another ticket.
ON_HTTP = frozenset({Source.COOKIE, Source.AUTHORIZATION})


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret and where it was found; the secret is not in the repr."""

    source: Source
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) > MAX_CREDENTIAL:
            message = f"got {len(self.secret)} characters, expected at most {MAX_CREDENTIAL}"
            raise AuthError("too-long", message)
        if not TOKEN68.fullmatch(self.secret):
            raise AuthError("malformed", "got a credential with characters that none has")


def find_credential(
    headers: Headers,
    query: str = "",
    *,
    accepted: frozenset[Source] = frozenset(Source),
    cookie: str = COOKIE,
) -> Credential | None:
    """Return the one credential of a request, or None.

    query: the raw query string. accepted: the sources that count here. Browsers send cookies by
    themselves, so a cookie that does not count is ignored; credentials from other sources are then
    refused. Raises AuthError: 400 for two, for a malformed one and for a token in the URL.
    """
    found = [*_in_query(query), *_in_subprotocols(headers), *_in_authorization(headers)]
    if Source.COOKIE in accepted:
        found += _in_cookies(headers, cookie)
    if len(found) > 1:
        raise AuthError("two", f"got {len(found)} credentials, expected one (RFC 6750 2)")
    if found and found[0].source not in accepted:
        raise AuthError("source", f"got a credential by {found[0].source.value}, not taken here")
    return found[0] if found else None


def _in_query(query: str) -> list[Credential]:
    """Return the first two tickets of a raw query, read as an application reads it."""
    found = [(unquote(m[1]), m[2] or "") for m in islice(IN_QUERY.finditer(f"&{query}"), 2)]
    if any(name in NEVER_IN_A_URL for name, _ in found):
        raise AuthError("token-in-url", "got a token in the URL, expected a ticket (RFC 6750 5.3)")
    return [Credential(Source.TICKET, unquote_plus(value)) for _, value in found]


def _in_subprotocols(headers: Headers) -> list[Credential]:
    offered = parse_list(headers.get_all("Sec-WebSocket-Protocol"))
    tokens = [name.removeprefix(BEARER) for name in offered if name.startswith(BEARER)]
    if tokens and len(tokens) == len(offered):
        # The token must not be echoed, and a browser gives up if nothing it offered is chosen.
        raise AuthError("no-real-protocol", "got bearer.<token> alone, expected a protocol beside")
    return [Credential(Source.SUBPROTOCOL, token) for token in tokens]


def _in_authorization(headers: Headers) -> list[Credential]:
    found = []
    for line in headers.get_all("Authorization"):
        scheme, _, token = line.partition(" ")
        if scheme.lower() != "bearer":  # RFC 9110 11.1: schemes compare in any case
            raise AuthError("source", "got another scheme than Bearer")
        found.append(Credential(Source.AUTHORIZATION, token.strip(" ")))
    return found


def _in_cookies(headers: Headers, cookie: str) -> list[Credential]:
    # HTTP/2 has a line for each cookie, and not every proxy joins them (RFC 9113 8.2.3).
    lines = headers.get_all("Cookie")
    pairs = (pair.strip(" \t").partition("=") for line in lines for pair in line.split(";"))
    return [Credential(Source.COOKIE, value) for name, _, value in pairs if name == cookie]


def read_message(text: object) -> Credential:
    """Return the credential in a socket's first message: `{"type": "auth", "token": "..."}`.

    text: the message, None if it was binary. Raises AuthError.
    """
    if not isinstance(text, str):
        raise AuthError("malformed", "got a binary first message, expected JSON text")
    if len(text) > MAX_CREDENTIAL + 100:
        raise AuthError("too-long", f"got a first message of {len(text)} characters")
    message = _read_object(text)
    if not isinstance(message, dict) or message.get("type") != "auth":
        raise AuthError("missing", 'got a first message that is not {"type": "auth", ...}')
    token = message.get("token")
    if not isinstance(token, str):
        raise AuthError("malformed", "got no token in the first message")
    return Credential(Source.FIRST_MESSAGE, token)


def _read_object(text: str) -> object:
    """Return the value of a first message, None if it is not JSON. Raises AuthError."""
    try:
        return read_json(text)
    except DoubledName:
        pass
    except BadJSON:
        return None
    raise AuthError("two", "got a field twice in the first message, expected one credential")


def cookie_header(token: str, max_age: int, name: str = COOKIE) -> str:
    """Return the Set-Cookie value that signs a browser in; max_age in seconds, 0 to sign out.

    `__Host-` makes the browser insist on Secure, Path=/ and no Domain (RFC 6265bis 4.1.3.2), so
    that no sibling domain can plant the cookie; HttpOnly hides it from scripts.
    """
    if not name.startswith("__Host-"):
        raise ValueError(f"got the cookie name {name!r}, expected one that begins with __Host-")
    value = Credential(Source.COOKIE, token).secret if max_age else ""
    return f"{name}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite=Strict"


# --- what the rest of the program gets to see ---


def without_secrets(query: str) -> str:
    """Return a raw query string without the parameters that hold, or could hold, a credential."""
    return IN_QUERY.sub("", f"&{query}")[1:]


def without_credentials(
    headers: list[tuple[bytes, bytes]], cookie: str = COOKIE
) -> list[tuple[bytes, bytes]]:
    """Return the header lines of an ASGI scope without credentials."""
    kept = []
    for name, value in headers:
        match name.lower():
            case b"authorization":
                continue
            case b"sec-websocket-protocol":
                value = _dropped(value, b",", BEARER.encode())
            case b"cookie":
                value = _dropped(value, b";", cookie.encode() + b"=")
        if value:
            kept.append((name, value))
    return kept


def _dropped(value: bytes, separator: bytes, start: bytes) -> bytes:
    """Return a list header without the elements that begin with start."""
    parts = (part.strip(b" \t") for part in value.split(separator))
    return (separator + b" ").join(part for part in parts if not part.startswith(start))
