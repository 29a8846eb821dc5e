"""What counts as one address, where something is shared out among them."""

import ipaddress

from refimpl.middleware.asgi import Scope

__all__ = ["address_of"]


def address_of(scope: Scope) -> str:
    """Return what counts as one address: of IPv6 the network, since a home has all of it.

    "" where the server knows none, as on a Unix socket. Behind a proxy it is the client's where the
    server trusts the proxy: for uvicorn, `--forwarded-allow-ips`.
    """
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return str(client[0]) if client else ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
