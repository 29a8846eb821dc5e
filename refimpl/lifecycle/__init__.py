"""Connections that live: servers and clients on asyncio, over the protocol core (RFC 6455).

`connection` is the WebSocket that a program uses. Below it, `driver` moves bytes from a transport
through the core and keeps the limits, `writer` sends, and `closer` ends the connection.
`server_connection` and `server` are the server's side, `client` and `backoff` the client's.
`heartbeat` finds out who is still there, `fragments` sends messages in pieces, and `memory` does
without a network.

>>> Settings().close_timeout
10
"""

from refimpl.lifecycle.backoff import Backoff
from refimpl.lifecycle.client import ClientConnection, connect
from refimpl.lifecycle.connection import WebSocket, broadcast
from refimpl.lifecycle.memory import MemoryTransport, memory_pipe
from refimpl.lifecycle.server import Server, serve
from refimpl.lifecycle.server_connection import ServerConnection
from refimpl.lifecycle.settings import Settings

__all__ = [
    "Backoff",
    "ClientConnection",
    "MemoryTransport",
    "Server",
    "ServerConnection",
    "Settings",
    "WebSocket",
    "broadcast",
    "connect",
    "memory_pipe",
    "serve",
]
