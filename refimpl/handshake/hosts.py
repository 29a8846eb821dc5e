"""Hosts, as they stand in a URI, in a Host header and in a list of those to answer to.

RFC 3986 section 3.2.2 (forms of a host), RFC 9110 section 7.2 (Host), RFC 9844 (zones of IPv6).
"""

import re
from ipaddress import IPv6Address

from refimpl.errors import LocalProtocolError

__all__ = ["HOST", "parse_host"]

HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:[0-9]*)?")

NAME = re.compile(r"[a-z0-9._~!$&'()*+,;=-]+")  # a registered name, decoded and in lower case
ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
ZONE = re.compile(r"[A-Za-z0-9._~-]+")  # RFC 6874 2: unreserved
MAX_NAME, MAX_LABEL = 253, 63  # RFC 1035 2.3.4; beyond them the resolver raises UnicodeError


def parse_host(text: str) -> tuple[str, str]:
    """Return the host of a URI as it is looked up, and its zone; "" for no zone.

    text: a name, an IPv4 address, or an IPv6 address in brackets. Raises LocalProtocolError.
    """
    if text.startswith("["):
        return _parse_ipv6(text)
    name = ENCODED.sub(lambda match: chr(int(match[1], 16)), text).lower()
    if not name.isascii():
        raise LocalProtocolError("got a host with non-ASCII letters, expected its xn-- form")
    if not NAME.fullmatch(name):
        raise LocalProtocolError("got a host with characters that none has (RFC 3986 3.2.2)")
    labels = name.removesuffix(".").split(".")
    if len(name) > MAX_NAME or not all(0 < len(label) <= MAX_LABEL for label in labels):
        raise LocalProtocolError("got a host name with an empty or an overlong part (RFC 1035)")
    return name, ""


def _parse_ipv6(text: str) -> tuple[str, str]:
    """Return the address between the brackets and its zone: `%eth0`, or `%25eth0` as RFC 6874 had.

    A bare 25 is a zone too: interfaces have numbers.
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
