"""Which host names a server answers to: a defence against DNS rebinding.

The owner of evil.example can let that name resolve to 127.0.0.1 a moment after a page was loaded
from it (DNS rebinding). For the browser our server then belongs to the page's origin, and Origin
and Host agree. Only the server knows that evil.example is not its name.

>>> name_of("LOCALHOST:8000"), name_of("[0:0::1]:8000"), name_of("evil.example@127.0.0.1")
('localhost', '::1', '')
"""

import ipaddress
import re
from collections.abc import Iterable

from refimpl.middleware.asgi import App, Receive, Scope, Send, deny, header_values

__all__ = ["AllowedHosts", "name_of"]

HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{0,5})?")  # RFC 9110 7.2


def name_of(host: str) -> str:
    """Return the name in a Host value in normal form, without brackets and port; "" for none."""
    match = HOST.fullmatch(host)
    if match is None:
        return ""
    return _plain(match[1] or match[2])


def _plain(name: str) -> str:
    """Return a name in lower case, an IPv6 address in its short form (RFC 5952)."""
    try:
        return str(ipaddress.IPv6Address(name))
    except ValueError:
        return name.lower()


class AllowedHosts:
    """ASGI middleware: refuses requests for other host names with 400. Belongs outermost.

    names: without port; an IPv6 address without brackets. Raises ValueError for a str in place of a
    list of names.
    """

    def __init__(self, app: App, names: Iterable[str]) -> None:
        if isinstance(names, str):
            raise ValueError(f"got the text {names!r} as names, expected a list: [{names!r}]")
        self.app = app
        self.names = frozenset(map(_plain, names))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, or refuse."""
        if scope["type"] in ("http", "websocket"):
            hosts = header_values(scope, "host")
            if len(hosts) != 1 or name_of(hosts[0]) not in self.names:
                return await deny(scope, receive, send, 400, b"This server has another name.\n")
        await self.app(scope, receive, send)
