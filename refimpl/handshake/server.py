"""The server's side of the opening handshake: check a request, then accept it.

RFC 6455 sections 4.2 and 10.2. Every rule is one short function that returns, or raises the
HandshakeError to answer with. They run in the order of a server's questions: is this our protocol,
is it well formed, is it welcome?

>>> request = Request("/", Headers([("Host", "a.example"), ("Upgrade", "websocket")]))
>>> check_request(request)
Traceback (most recent call last):
    ...
refimpl.errors.HandshakeError: got no Connection: Upgrade (RFC 6455 4.2.1)
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from refimpl.errors import HandshakeError
from refimpl.handshake.arguments import as_tuple
from refimpl.handshake.fields import (
    Extension,
    accept_key,
    has_token,
    is_valid_key,
    parse_extensions,
    parse_subprotocols,
    serialize_extension,
)
from refimpl.handshake.head import Headers, Request, Response
from refimpl.handshake.hosts import HOST, check_allowed, comparable
from refimpl.handshake.proxies import Client, Networks

__all__ = ["Acceptance", "Policy", "check_origin", "check_request"]

Negotiate = Callable[[Sequence[Extension]], Extension | None]

ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")  # RFC 6454 7.1
VERSION = re.compile(r"0|[1-9][0-9]{0,2}")  # RFC 6455 4.3: no leading zero
ABSOLUTE = re.compile(r"[A-Za-z]+://([^/?#]*)")  # absolute-form (RFC 9112 3.2.2)
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a server accepts.

    origins: the origins that may connect; in the list, None stands for a client without an Origin
    and "*" for any. None in place of a list: the server's own origin only. subprotocols: the
    server's, preferred ones first. negotiate: called with the offered extensions; returns the one
    to agree on. secure: whether the client speaks TLS, to us or to a proxy in front of us. host:
    what the client asked for, if a proxy changed the Host header. allowed_hosts: names and
    addresses that requests may ask for, with any port; None or "*" for all. trusted_proxies: whose
    headers are believed; from `parse_networks`.
    """

    origins: Sequence[str | None] | None = None
    subprotocols: Sequence[str] = ()
    negotiate: Negotiate | None = None
    secure: bool = False
    host: str | None = None
    allowed_hosts: Sequence[str] | None = None
    trusted_proxies: Networks = ()

    def __post_init__(self) -> None:
        # Copies: changing the list later has no effect, and an iterator can be used more than once.
        if self.origins is not None:
            object.__setattr__(self, "origins", as_tuple("origins", self.origins))
        object.__setattr__(self, "subprotocols", as_tuple("subprotocols", self.subprotocols))
        if self.allowed_hosts is not None:
            hosts = as_tuple("allowed_hosts", self.allowed_hosts)
            object.__setattr__(self, "allowed_hosts", tuple(map(check_allowed, hosts)))

    def for_client(self, client: Client) -> "Policy":
        """Return this policy as it judges a client, by the scheme and host that the client used."""
        if (client.secure, client.host) == (self.secure, self.host):
            return self
        return replace(self, secure=client.secure, host=client.host)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A request that passed every check: the 101 to send, and what it agrees on."""

    response: Response
    subprotocol: str | None = None
    extension: Extension | None = None


def check_request(request: Request, policy: Policy = Policy()) -> Acceptance:
    """Return the acceptance of a WebSocket request, or raise the HandshakeError to answer with."""
    check_http(request)
    check_host(request, policy)
    check_upgrade(request.headers)
    key = check_key(request.headers)
    check_version(request.headers)
    check_origin(request.headers, policy)
    subprotocol = choose_subprotocol(request.headers, policy.subprotocols)
    offered = parse_extensions(request.headers.get_all("Sec-WebSocket-Extensions"))
    extension = policy.negotiate(offered) if policy.negotiate else None
    return Acceptance(_switch_protocols(key, subprotocol, extension), subprotocol, extension)


def check_http(request: Request) -> None:
    """Refuse all but an HTTP/1.1 GET with one Host and no body (RFC 6455 4.2.1, RFC 9112 3.2)."""
    headers = request.headers
    if request.method != "GET":
        allow = [("Allow", "GET")]
        raise HandshakeError(
            "got another method, expected GET", status=405, reason="method", headers=allow
        )
    if not re.fullmatch(r"HTTP/1\.[1-9]", request.version):
        message = f"got {request.version}, expected HTTP/1.1"
        raise HandshakeError(message, status=505, reason="http-version")
    if not re.match(r"/|(https?|wss?)://", request.target, re.IGNORECASE):
        raise HandshakeError("got a target that is no path (RFC 9112 3.2)", reason="target")
    hosts = headers.get_all("Host")
    if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
        raise HandshakeError(f"got {len(hosts)} Host headers, expected one valid", reason="host")
    if headers.get_all("Content-Length") not in ([], ["0"]) or "Transfer-Encoding" in headers:
        # A proxy takes these bytes for a body, we would take them for frames: request smuggling.
        raise HandshakeError("got a request body, expected none", reason="body")


def check_host(request: Request, policy: Policy) -> None:
    """Refuse a request for a host that is not ours with 421 (RFC 9110 7.4, 15.5.20).

    421 rather than 403: the client lacks no permission, it asked the wrong server.
    """
    if policy.allowed_hosts is None or "*" in policy.allowed_hosts:
        return
    asked = [policy.host or request.headers["Host"]]
    if (target := ABSOLUTE.match(request.target)) is not None:
        asked.append(target[1])
    matches = [HOST.fullmatch(host) for host in asked]
    if not all(match and comparable(match[1]) in policy.allowed_hosts for match in matches):
        message = "got a foreign Host, expected one of allowed_hosts (RFC 9110 7.4)"
        raise HandshakeError(message, status=421, reason="foreign-host")


def check_upgrade(headers: Headers) -> None:
    """Refuse a request for anything but a WebSocket with 426 (RFC 6455 4.2.1, RFC 9110 15.5.22)."""
    for name, token in (("Upgrade", "websocket"), ("Connection", "Upgrade")):
        if not has_token(headers.get_all(name), token):
            raise HandshakeError(
                f"got no {name}: {token} (RFC 6455 4.2.1)",
                status=426,
                reason="no-upgrade",
                headers=[("Upgrade", "websocket")],
            )


def check_key(headers: Headers) -> str:
    """Return the one Sec-WebSocket-Key: canonical base64 of 16 bytes (RFC 6455 section 4.2.1)."""
    keys = headers.get_all("Sec-WebSocket-Key")
    if len(keys) != 1:
        raise HandshakeError(f"got {len(keys)} keys, expected one", reason="key-count")
    if not is_valid_key(keys[0]):
        raise HandshakeError("got a key that is not base64 of 16 bytes", reason="key")
    return keys[0]


def check_version(headers: Headers) -> None:
    """Refuse any version but 13, and name 13 in the answer (RFC 6455 section 4.4)."""
    versions = headers.get_all("Sec-WebSocket-Version")
    if versions != ["13"]:
        other = len(versions) == 1 and VERSION.fullmatch(versions[0])
        raise HandshakeError(
            "got another Sec-WebSocket-Version, expected 13 once (RFC 6455 4.4)",
            status=426 if other else 400,
            reason="version",
            headers=[
                ("Sec-WebSocket-Version", "13"),
                *([("Upgrade", "websocket")] if other else []),
            ],
        )


def check_origin(headers: Headers, policy: Policy) -> None:
    """Refuse a page of a foreign origin with 403 (RFC 6455 section 10.2).

    Browsers send our site's cookies whichever page connects; only Origin says which page it was.
    """
    origins = headers.get_all("Origin")
    if len(origins) > 1:
        raise HandshakeError("got two Origin headers, expected one", status=403, reason="origin")
    origin = origins[0] if origins else None
    if policy.origins is None:
        scheme = "https" if policy.secure else "http"
        host = policy.host or headers["Host"]
        welcome = origin is None or _same_origin(origin, f"{scheme}://{host}")
    elif "*" in policy.origins:
        welcome = True
    elif origin is None:
        welcome = None in policy.origins
    else:
        welcome = any(_same_origin(origin, allowed) for allowed in policy.origins if allowed)
    if not welcome:
        raise HandshakeError("got a foreign Origin", status=403, reason="origin")


def _same_origin(origin: str, allowed: str) -> bool:
    """Whether two origins have the same scheme, host and port (RFC 6454 section 5)."""
    one, other = _parse_origin(origin), _parse_origin(allowed)
    return one is not None and one == other


def _parse_origin(origin: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of a serialised origin; None for `null` and malformed text."""
    match = ORIGIN.fullmatch(origin.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    return scheme, host, DEFAULT_PORTS[scheme] if port is None else int(port)


def choose_subprotocol(headers: Headers, supported: Sequence[str]) -> str | None:
    """Return the first of the server's subprotocols that is offered (RFC 6455 4.2.2), or None."""
    offered = parse_subprotocols(headers.get_all("Sec-WebSocket-Protocol"))
    return next((name for name in as_tuple("supported", supported) if name in offered), None)


def _switch_protocols(key: str, subprotocol: str | None, extension: Extension | None) -> Response:
    upgrade = "\r\nUpgrade: websocket\r\nConnection: Upgrade"
    headers = Headers(text=f"{upgrade}\r\nSec-WebSocket-Accept: {accept_key(key)}")
    if subprotocol is not None:
        headers.add("Sec-WebSocket-Protocol", subprotocol)
    if extension is not None:
        headers.add("Sec-WebSocket-Extensions", serialize_extension(extension))
    return Response(101, headers)
