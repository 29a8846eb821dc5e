"""Host names and addresses: in a URI, in a Host header, and in the list a server answers to.

RFC 3986 section 3.2.2 (forms of a host), RFC 9110 section 7.2 (Host), RFC 9844 (zones of IPv6).
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from refimpl.errors import LocalProtocolError

__all__ = [
    "HOST",
    "LOOPBACK",
    "check_allowed",
    "comparable",
    "default_hosts",
    "is_loopback",
    "parse_host",
]

HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:[0-9]*)?")

LOOPBACK = ("localhost", "127.0.0.1", "::1")
NAME = re.compile(r"[a-z0-9._~!$&'()*+,;=-]+")  # a registered name, decoded and in lower case
ENTRY = re.compile(r"[a-z0-9._:-]+")
ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
ZONE = re.compile(r"[A-Za-z0-9._~-]+")  # RFC 6874 2: unreserved
MAX_NAME, MAX_LABEL = 253, 63  # RFC 1035 2.3.4; beyond them the resolver raises UnicodeError


def parse_host(text: str) -> tuple[str, str]:
    """Return the host to look up and its IPv6 zone, "" if it has none.

    text: a name, an IPv4 address, or an IPv6 address in brackets. Raises LocalProtocolError.
    """
    if text.startswith("[") and text.endswith("]"):
        return _parse_ipv6(text)
    name = ENCODED.sub(lambda match: chr(int(match[1], 16)), text).lower()
    if not name.isascii():
        raise LocalProtocolError("got a host with non-ASCII letters, expected its xn-- form")
    if not NAME.fullmatch(name):
        raise LocalProtocolError("got a host with characters not allowed in one (RFC 3986 3.2.2)")
    labels = name.removesuffix(".").split(".")
    if len(name) > MAX_NAME or not all(0 < len(label) <= MAX_LABEL for label in labels):
        raise LocalProtocolError("got a host name with an empty or an overlong part (RFC 1035)")
    return name, ""


def _parse_ipv6(text: str) -> tuple[str, str]:
    """Return the address inside the brackets and its zone.

    RFC 9844 writes `%eth0`, RFC 6874 wrote `%25eth0`. A zone of just 25 is an interface's number.
    """
    address, percent, zone = text[1:-1].partition("%")
    if percent and zone.startswith("25") and zone != "25":
        zone = zone[2:]
    zone = ENCODED.sub(lambda match: chr(int(match[1], 16)), zone)
    try:
        IPv6Address(address)
    except ValueError:
        raise LocalProtocolError("got no IPv6 address in brackets (RFC 3986 3.2.2)") from None
    if percent and not ZONE.fullmatch(zone):
        raise LocalProtocolError("got a malformed zone behind an IPv6 address (RFC 9844)")
    return address.lower(), zone


def comparable(host: str) -> str:
    """Return a host without port in a form that can be compared."""
    name = host.removeprefix("[").removesuffix("]").lower().removesuffix(".")
    if ":" not in name:
        return name
    try:
        return IPv6Address(name).compressed
    except ValueError:
        return name


def check_allowed(host: str) -> str:
    """Return an entry of `allowed_hosts` to compare; ValueError if no Host can match it."""
    if host == "*":
        return host
    bare = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
    try:
        name, zone = parse_host(bare)
    except LocalProtocolError:
        name, zone = "", ""
    if not ENTRY.fullmatch(name) or zone:
        raise ValueError(f"got {host!r} in allowed_hosts, expected a host or an address, or '*'")
    return comparable(name)


def default_hosts(bound: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the hosts that a server bound to these addresses answers to, None for any host.

    On loopback addresses only the names of this machine, against DNS rebinding: a page of
    evil.example makes its name resolve to 127.0.0.1, and its browser then takes page and server for
    one origin.
    """
    addresses = [bound] if isinstance(bound, str) else list(bound or ())
    if not addresses or not all(map(is_loopback, addresses)):
        return None
    return tuple(dict.fromkeys([*LOOPBACK, *map(comparable, addresses)]))


def is_loopback(host: str) -> bool:
    """Tell whether a name or address is this machine's own, without asking a resolver.

    ::ffff:127.0.0.1 is too: it is 127.0.0.1 written in IPv6 (RFC 4291 2.5.5.2).
    """
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host.lower() == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
