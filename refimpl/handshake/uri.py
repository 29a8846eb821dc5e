"""Where a WebSocket lives: ws:// and wss:// URIs (RFC 6455 section 3, RFC 3986).

>>> parse_uri("wss://example.com/chat?room=1")
URI(secure=True, host='example.com', port=443, target='/chat?room=1')
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from refimpl.errors import LocalProtocolError

__all__ = ["URI", "parse_uri"]

PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class URI:
    """Where a WebSocket lives (RFC 6455 section 3). host: an IPv6 literal without its brackets."""

    secure: bool
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """The Host header: the port only where it is not the scheme's own (RFC 6455 4.1)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def parse_uri(text: str) -> URI:
    """Return the parts of a ws:// or wss:// URI; LocalProtocolError says what is wrong with it."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LocalProtocolError(f"got a URI with a bad host or port: {error}") from error
    if parts.scheme not in PORTS or not host:
        raise LocalProtocolError("got a URI without ws:// or wss:// and a host (RFC 6455 3)")
    if "#" in text:
        raise LocalProtocolError("got a URI with a fragment, which has no meaning (RFC 6455 3)")
    if parts.username is not None:
        raise LocalProtocolError("got a user in the URI, expected an Authorization header")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise LocalProtocolError("got a URI with a space, control or non-ASCII character")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return URI(parts.scheme == "wss", host, PORTS[parts.scheme] if port is None else port, target)
