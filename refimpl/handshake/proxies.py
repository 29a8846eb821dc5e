"""The client behind proxies: its address, and the scheme and host that it used.

A proxy that ends TLS connects from its own address, over plain TCP. What the client used is in
X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host, or in Forwarded (RFC 7239). Anybody can
send these headers, so they count only on a connection from a trusted address. Each proxy appends
what it saw, so a list is read from its right end, up to the first address that is not trusted.

A trusted proxy must overwrite or remove all of these headers: what it passes on unchanged was
written by the client. The PROXY protocol is not supported.

>>> trusted = parse_networks(["127.0.0.1", "10.0.0.0/8"])
>>> headers = Headers([("X-Forwarded-For", "6.6.6.6, 192.0.2.7, 10.1.2.3"),
...                    ("X-Forwarded-Proto", "https")])
>>> find_client(headers, "127.0.0.1", trusted)
Client(address='192.0.2.7', secure=True, host=None)
>>> find_client(headers, "203.0.113.9", trusted)
Client(address='203.0.113.9', secure=False, host=None)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from refimpl.errors import HandshakeError
from refimpl.handshake.arguments import as_tuple
from refimpl.handshake.fields import parse_list
from refimpl.handshake.head import TOKEN, Headers
from refimpl.handshake.hosts import HOST

__all__ = ["Client", "Networks", "find_client", "parse_networks"]

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

MAX_HOPS = 32
SECURE = {"http": False, "ws": False, "https": True, "wss": True}  # Traefik says wss
PORT = re.compile(r":(?:[0-9]{1,5}|_[A-Za-z0-9._-]+)")  # RFC 7239 6.3: or an obfuscated one
SPACE = re.compile(r"[ \t]*")
# RFC 7239 4. A value with a colon should be in quotes; without them it is unambiguous as well.
PAIR = re.compile(rf'({TOKEN.pattern})=(?:"((?:[^"\\]|\\.)*+)"|([^",;\s]++))')


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a request.

    address: its IP address, or that of the connection if no trusted proxy names another. secure:
    whether it speaks TLS. host: what it asked for, if a proxy says so; None: the Host header.
    """

    address: str
    secure: bool = False
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """What one proxy says about its client; None for what is missing or malformed."""

    address: Address | None = None
    secure: bool | None = None
    host: str | None = None


def parse_networks(addresses: Sequence[str]) -> Networks:
    """Return the trusted networks; ValueError for text that is neither address nor network."""
    networks = []
    for text in as_tuple("trusted_proxies", addresses):
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            message = f"got {text!r} in trusted_proxies, expected an address or 10.0.0.0/8, say"
            raise ValueError(message) from error
    return tuple(networks)


def find_client(
    headers: Headers, peer: str | None, trusted: Networks, *, secure: bool = False
) -> Client:
    """Return the client of a request.

    peer: the IP address that the connection comes from, None if it has none. secure: whether the
    connection has TLS. Raises HandshakeError if Forwarded and X-Forwarded-* contradict each other:
    a proxy writes one kind, so the client wrote the other.
    """
    sender = _parse_address((peer or "").partition("%")[0])
    if not _is_trusted(sender, trusted):
        return Client(peer or "", secure)
    one, other = _walk(_x_forwarded(headers), trusted), _walk(_forwarded(headers), trusted)
    for name in ("address", "secure", "host"):
        values = {getattr(hop, name) for hop in (one, other)} - {None}
        if len(values) > 1:
            message = f"got Forwarded and X-Forwarded-* with another {name}, expected one of them"
            raise HandshakeError(message, reason="forwarded")
    address = one.address or other.address
    said = one.secure if one.secure is not None else other.secure
    return Client(
        str(address or sender),
        secure if said is None else said,
        one.host or other.host,
    )


def _walk(hops: list[Hop], trusted: Networks) -> Hop:
    """Return the hop of the client: the last one whose address is not a trusted proxy's.

    If that address is malformed, it stays unknown: earlier hops were written by the client.
    """
    for hop in reversed(hops):
        if not _is_trusted(hop.address, trusted):
            return hop
    return hops[0] if hops else Hop()


def _is_trusted(address: Address | None, trusted: Networks) -> bool:
    return address is not None and any(address in network for network in trusted)


def _parse_address(text: str) -> Address | None:
    """Return an address written with or without a port; None for anything else."""
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not PORT.fullmatch(port)):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not PORT.fullmatch(f":{port}"):
            return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return None if address.scope_id else address.ipv4_mapped or address


# --- X-Forwarded-* ---


def _x_forwarded(headers: Headers) -> list[Hop]:
    """Return the hops of X-Forwarded-For, each with its scheme and host."""
    addresses, schemes, hosts = (
        parse_list(headers.get_all(f"X-Forwarded-{name}"))[-MAX_HOPS:]
        for name in ("For", "Proto", "Host")
    )
    count = max(len(addresses), 1 if schemes or hosts else 0)
    return [
        Hop(
            _parse_address(_at(addresses, place)),
            SECURE.get(_at(schemes, place).lower()),
            _valid_host(_at(hosts, place)),
        )
        for place in range(count, 0, -1)
    ]


def _at(values: list[str], place: int) -> str:
    """Return the value at a place counted from the right, or the first if there are fewer.

    Some proxies append a value, others write a single one.
    """
    return values[-min(place, len(values))] if values else ""


def _valid_host(host: str) -> str | None:
    return host if HOST.fullmatch(host) else None


# --- Forwarded (RFC 7239) ---


def _forwarded(headers: Headers) -> list[Hop]:
    """Return the hops of all Forwarded lines; a malformed line is one hop that says nothing.

    Each line is parsed by itself: an open quotation mark in a client's line must not swallow the
    line that a proxy added.
    """
    hops = [hop for line in headers.get_all("Forwarded") for hop in _parse_forwarded(line)]
    return hops[-MAX_HOPS:]


def _parse_forwarded(line: str) -> list[Hop]:
    elements: list[dict[str, str]] = [{}]
    position = 0
    while True:
        position = _after_space(line, position)
        pair = PAIR.match(line, position)
        if pair is not None:
            name, quoted, plain = pair.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            if name.lower() in elements[-1]:  # RFC 7239 4: once in an element
                return [Hop()]
            elements[-1][name.lower()] = value
            position = _after_space(line, pair.end())
        if position == len(line):
            return [_as_hop(element) for element in elements if element]
        if line[position] == ",":
            elements.append({})
        elif line[position] != ";":
            return [Hop()]
        position += 1


def _after_space(line: str, position: int) -> int:
    found = SPACE.match(line, position)
    assert found is not None  # it also matches nothing
    return found.end()


def _as_hop(element: dict[str, str]) -> Hop:
    return Hop(
        _parse_address(element.get("for", "")),
        SECURE.get(element.get("proto", "").lower()),
        _valid_host(element.get("host", "")),
    )
