"""A request to the debug server: who may send it, what it may ask for, and how it is answered.

A profile shows code, paths and timing, and taking one costs the server CPU: without checks it would
be a leak and a way to slow the service down. Each request passes these, in this order; one that
fails is logged, and answered with the reason in one line:

1. `Host` is this machine (a page elsewhere can point its own name at 127.0.0.1: DNS rebinding);
2. no page of another site made a browser send it (`Origin`, `Sec-Fetch-Site`);
3. it is a GET without a body;
4. `Authorization: Bearer` holds the token, which must not be in the URL, because URLs are logged;
5. the path and each parameter are known, and the parameters are sane.

>>> AccessCheck("x" * 32).check(Request("/", Headers([("Host", "evil.example")])))
Traceback (most recent call last):
refimpl.profiling.debug_request.Refused: got a Host that is not this machine
"""

import asyncio
import hmac
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import parse_qsl

from refimpl.errors import HandshakeError
from refimpl.handshake import (
    Headers,
    HeadLimits,
    Request,
    Response,
    is_loopback,
    parse_request,
)
from refimpl.profiling.render import CONTENT_TYPES

__all__ = ["MAX_SECONDS", "MIN_TOKEN", "ROOT", "AccessCheck", "Answer", "Query", "Refused"]

ROOT = "/debug/pprof/"
MIN_TOKEN = 32  # characters: 190 bits if they come from token_urlsafe
MAX_HEAD = 16 * 1024
LIMITS = HeadLimits(max_header_line=8 * 1024, max_head=MAX_HEAD)
MAX_SECONDS = 30.0
HEAD_TIMEOUT = 5.0  # seconds for a whole request
SEND_TIMEOUT = 10.0  # seconds for a client to read the answer
SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")  # no sign, no exponent, no nan
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{0,5}))?")  # RFC 9110 7.2
PROFILES = {
    "": (),
    "profile": ("seconds", "format"),
    "heap": ("seconds", "base", "format"),
    "allocs": ("seconds", "format"),
    "tasks": ("format",),
}
"""The paths below ROOT, and the parameters of each."""

FORMATS = tuple(CONTENT_TYPES)
HEADERS = (
    ("Connection", "close"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Headers of every answer: it is not stored, sniffed, run or framed, and loads nothing."""


class Refused(Exception):
    """A request that is answered with an error. headers: added to the answer."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Query:
    """What a request asks for. profile: a key of PROFILES; seconds: None where not given."""

    profile: str
    seconds: float | None = None
    format: str = "text"
    base: bool | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of an answer, its type, and its status."""

    content_type: str
    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def serialize(self) -> bytes:
        """Return the answer as bytes to send."""
        body = self.body.encode(errors="backslashreplace")
        lines = [("Content-Type", self.content_type), ("Content-Length", str(len(body)))]
        headers = Headers([*lines, *HEADERS, *self.headers.items()])
        return Response(self.status, headers, body).serialize()


class AccessCheck:
    """Checks requests against one token. host: the name or address that the server listens on."""

    def __init__(self, token: str, host: str = "127.0.0.1") -> None:
        self._token = token.encode()
        self._host = host.lower()

    def check(self, request: Request) -> Query:
        """Return what a request asks for, or raise Refused."""
        if not self._is_ours(_one(request.headers, "host") or ""):
            raise Refused(403, "got a Host that is not this machine")
        site = _one(request.headers, "sec-fetch-site")
        if "origin" in request.headers or site not in (None, "none", "same-origin"):
            raise Refused(403, "got a request that a page of another site made")
        if request.method != "GET":
            raise Refused(405, "expected GET", {"Allow": "GET"})
        length = _one(request.headers, "content-length")
        if "transfer-encoding" in request.headers or length not in (None, "0"):
            raise Refused(400, "expected a request without a body")
        self._check_token(request)
        return _query(request)

    def _is_ours(self, host: str) -> bool:
        """Tell whether a Host is the server's address; the port may differ, behind a tunnel.

        On a server that is open to a network any address will do: DNS rebinding takes a name.
        """
        match = HOST.fullmatch(host)  # not urlsplit: it finds a host in "x@host" and in "host/x"
        if match is None or int(match[3] or 0) > 65535 or (match[1] and ":" not in match[1]):
            return False
        name = (match[1] or match[2]).lower()
        if is_loopback(name) or name == self._host:
            return True
        return not is_loopback(self._host) and _is_address(name)

    def _check_token(self, request: Request) -> None:
        scheme, _, given = (_one(request.headers, "authorization") or "").partition(" ")
        challenge = {"WWW-Authenticate": 'Bearer realm="debug"'}
        if scheme.lower() != "bearer":
            raise Refused(401, "expected the header Authorization: Bearer TOKEN", challenge)
        if not hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token):
            raise Refused(401, "got a wrong token", challenge)


def _is_address(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False


def _one(headers: Headers, name: str) -> str | None:
    """Return the one value of a header, or None; Refused where there are two."""
    values = headers.get_all(name)
    if len(values) > 1:
        raise Refused(400, f"got {len(values)} {name} headers, expected one")
    return values[0] if values else None


def _query(request: Request) -> Query:
    """Return what a target asks for: 404 for an unknown path, 400 for a wrong parameter."""
    path, _, text = request.target.partition("?")
    profile = path.removeprefix(ROOT) if path.startswith(ROOT) else None
    if profile is None or profile not in PROFILES:
        known = ", ".join(ROOT + name for name in PROFILES)
        raise Refused(404, f"no such path; expected one of {known}")
    pairs = parse_qsl(text, keep_blank_values=True)
    given = dict(pairs)
    if "token" in given or "access_token" in given:
        raise Refused(400, "the token goes into the Authorization header: URLs are logged")
    if len(given) < len(pairs) or not given.keys() <= set(PROFILES[profile]):
        allowed = ", ".join(PROFILES[profile]) or "none"
        raise Refused(400, f"got an unknown or repeated parameter, expected: {allowed}")
    form = given.get("format", "text")
    if form not in FORMATS:
        raise Refused(400, f"expected format={'|'.join(FORMATS)}")
    base = given.get("base")
    if base not in (None, "0", "1"):
        raise Refused(400, "expected base=1 to begin, base=0 to end")
    seconds = _seconds(given["seconds"]) if "seconds" in given else None
    if base is not None and seconds is not None:
        raise Refused(400, "got base and seconds, expected one of them")
    return Query(profile, seconds, form, None if base is None else base == "1")


def _seconds(text: str) -> float:
    """Return a number of seconds within the limit, or raise Refused."""
    seconds = float(text) if SECONDS.fullmatch(text) else 0.0
    if not 0 < seconds <= MAX_SECONDS:
        shown = repr(text[:12])
        raise Refused(400, f"got seconds={shown}, expected more than 0, at most {MAX_SECONDS:g}")
    return seconds


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return a client's request, None if it leaves first; Refused if it is not a whole request."""
    buffer, searched = bytearray(), 0
    try:
        async with asyncio.timeout(HEAD_TIMEOUT):
            while (parsed := parse_request(buffer, searched=searched, limits=LIMITS)) is None:
                searched = len(buffer)
                if searched > MAX_HEAD:
                    raise Refused(431, f"got a head of over {MAX_HEAD} bytes")
                more = await reader.read(MAX_HEAD)
                if not more:
                    return None
                buffer += more
    except TimeoutError:
        raise Refused(408, f"expected a whole request within {HEAD_TIMEOUT:g} s") from None
    except HandshakeError as error:
        raise Refused(error.status, str(error)) from error
    if len(buffer) > parsed[1]:
        raise Refused(400, "got bytes after the request, expected one request a connection")
    return parsed[0]


def refusal(refused: Refused) -> Answer:
    """Return the answer to a request that is refused: one line of text."""
    phrase = HTTPStatus(refused.status).phrase
    body = f"{refused.status} {phrase}: {refused}\n"
    return Answer(CONTENT_TYPES["text"], body, refused.status, refused.headers)
