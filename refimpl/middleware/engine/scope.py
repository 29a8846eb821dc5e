"""The scope of a WebSocket: what an ASGI application is told about the request (ASGI 3.0, HTTP).

>>> from refimpl.handshake import Headers
>>> request = Request("/caf%C3%A9?room=1", Headers([("Host", "a.example")]))
>>> scope = describe_request(request)
>>> scope["path"], scope["raw_path"], scope["query_string"], scope["headers"]
('/café', b'/caf%C3%A9', b'room=1', [(b'host', b'a.example')])
"""

import asyncio
from typing import Any
from urllib.parse import quote, unquote

from refimpl.handshake import Request
from refimpl.middleware.asgi import Scope

__all__ = ["describe_request", "describe_transport"]


def describe_request(request: Request, root_path: str = "") -> Scope:
    """Return the part of the scope that comes from the request's head.

    root_path: where the application is mounted; it begins both paths. Only the path is decoded, and
    only once. The query stays as it came: the application decides what it means.
    """
    path = request.path
    return {
        "type": "websocket",
        "http_version": request.version.removeprefix("HTTP/"),
        "root_path": root_path,
        "path": root_path + unquote(path),
        "raw_path": (quote(root_path) + path).encode("latin-1"),
        "query_string": request.target.partition("?")[2].encode("latin-1"),
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers
        ],
    }


def describe_transport(transport: asyncio.BaseTransport) -> Scope:
    """Return the addresses of both sides, and whether TLS is used."""
    client, server = (transport.get_extra_info(name) for name in ("peername", "sockname"))
    secure = transport.get_extra_info("sslcontext") is not None
    return {
        "scheme": "wss" if secure else "ws",
        "client": _host_and_port(client),
        "server": (server, None) if isinstance(server, str) else _host_and_port(server),
    }


def _host_and_port(address: Any) -> tuple[str, int] | None:
    """Return the first two parts of an internet address (IPv6 has four), None for any other."""
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
