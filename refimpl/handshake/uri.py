"""Where a WebSocket lives: ws:// and wss:// URIs (RFC 6455 section 3, RFC 3986).

>>> parse_uri("wss://example.com/chat?room=1")
URI(secure=True, host='example.com', port=443, target='/chat?room=1')
>>> link_local = parse_uri("ws://[fe80::1%eth0]:8080/")
>>> link_local.host, link_local.host_header
('fe80::1%eth0', '[fe80::1]:8080')
"""

import re
from dataclasses import dataclass

from refimpl.errors import LocalProtocolError
from refimpl.handshake.hosts import parse_host

__all__ = ["URI", "parse_uri"]

PORTS = {False: 80, True: 443}  # ws and wss
MAX_PORT = 65535
PARTS = re.compile(r"(wss?)://([^/?]*)([^?]*)\??(.*)", re.IGNORECASE)  # RFC 3986 appendix B
HOST_AND_PORT = re.compile(r"(\[[^\[\]]*\]|[^\[\]:@]+)(?::([0-9]*))?")  # RFC 3986 3.2


@dataclass(frozen=True, slots=True)
class URI:
    """Where a WebSocket lives (RFC 6455 section 3).

    host: what to connect to. An IPv6 address has no brackets, and keeps its zone.
    """

    secure: bool
    host: str
    port: int
    target: str

    @property
    def server_name(self) -> str:
        """The host without its zone, which has a meaning on this machine only (RFC 6874 4).

        For the Host header, and for TLS to check the certificate.
        """
        return self.host.partition("%")[0]

    @property
    def host_header(self) -> str:
        """The Host header: with the port unless it is the scheme's default (RFC 6455 4.1)."""
        host = f"[{self.server_name}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.secure] else f"{host}:{self.port}"


def parse_uri(text: str) -> URI:
    """Return the parts of a ws:// or wss:// URI; LocalProtocolError says what is wrong with it."""
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise LocalProtocolError("got a URI with a space, control or non-ASCII character")
    if "#" in text:
        raise LocalProtocolError("got a URI with a fragment, which has no meaning (RFC 6455 3)")
    parts = PARTS.fullmatch(text)
    if parts is None or not parts[2]:
        raise LocalProtocolError("got a URI without ws:// or wss:// and a host (RFC 6455 3)")
    scheme, authority, path, query = parts.groups()
    if "@" in authority:
        raise LocalProtocolError("got a user in the URI, expected an Authorization header")
    found = HOST_AND_PORT.fullmatch(authority)
    if found is None:
        raise LocalProtocolError("got a URI with a malformed host or port (RFC 3986 3.2)")
    host, zone = parse_host(found[1])
    secure, digits = scheme.lower() == "wss", (found[2] or "").lstrip("0")
    if len(digits) > 5 or int(digits or 0) > MAX_PORT:
        raise LocalProtocolError(f"got a port over {MAX_PORT} in the URI")
    port = int(found[2]) if found[2] else PORTS[secure]
    target = (path or "/") + (f"?{query}" if query else "")
    return URI(secure, f"{host}%{zone}" if zone else host, port, target)
