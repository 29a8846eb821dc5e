"""Connections that live: servers and clients on asyncio, over the protocol core (RFC 6455).

`wire` moves bytes between a transport and the core, `closing` ends that, and `connection` is the
WebSocket a program uses. `accepting` and `server` are the server's side, `client` and `reconnect`
the client's; `pings` finds out who is still there, `fragments` and `broadcasting` are two more ways
to send, `transport` and `memory` do without a network.

>>> Settings().close_timeout
10
"""

from refimpl.lifecycle.server_connection import ServerConnection
from refimpl.lifecycle.broadcasting import broadcast
from refimpl.lifecycle.client import ClientConnection, connect
from refimpl.lifecycle.connection import WebSocket
from refimpl.lifecycle.memory import memory_pipe
from refimpl.lifecycle.backoff import Backoff
from refimpl.lifecycle.server import Server, serve
from refimpl.lifecycle.settings import Settings
from refimpl.lifecycle.memory_transport import MemoryTransport

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
