"""refimpl: a WebSocket stack built chapter by chapter, and used as one package.

The stack, floor by floor; imports go down only:
    errors handshake framing messages envelope      the protocol without I/O: bytes in, events out
    lifecycle concurrency                           servers, clients and what runs them, on asyncio
    profiling middleware auth                       what happens inside; under ASGI; who may come in
    sessions                                        who is connected where, on one node and on many
    chat                                            an application that uses all floors
The tools; no floor imports them:
    cli bench                                       `refimpl ...`; a server beside its peers
The teaching:
    lab classroom                                   instruments of the notebooks; checks, exercises

>>> import refimpl
>>> refimpl.serve.__name__, refimpl.connect.__name__
('serve', 'connect')

The public names load what they need when first asked for, so `import refimpl` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refimpl.errors import (
        Close,
        ConcurrencyError,
        ConnectionClosed,
        HandshakeError,
        LocalProtocolError,
        RemoteProtocolError,
        WebSocketError,
    )
    from refimpl.framing import CloseCode
    from refimpl.handshake import Headers, Request, Response
    from refimpl.lifecycle import (
        Server,
        ServerConnection,
        WebSocket,
        broadcast,
        connect,
        memory_pipe,
        serve,
    )
    from refimpl.messages import State

__version__ = "0.1.0"

__all__ = [
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "HandshakeError",
    "Headers",
    "LocalProtocolError",
    "RemoteProtocolError",
    "Request",
    "Response",
    "Server",
    "ServerConnection",
    "State",
    "WebSocket",
    "WebSocketError",
    "__version__",
    "broadcast",
    "connect",
    "memory_pipe",
    "serve",
]

_HOMES = {
    **dict.fromkeys(
        (
            "Close",
            "ConcurrencyError",
            "ConnectionClosed",
            "HandshakeError",
            "LocalProtocolError",
            "RemoteProtocolError",
            "WebSocketError",
        ),
        "refimpl.errors",
    ),
    **dict.fromkeys(("Headers", "Request", "Response"), "refimpl.handshake"),
    **dict.fromkeys(
        ("Server", "ServerConnection", "WebSocket", "broadcast", "connect", "memory_pipe", "serve"),
        "refimpl.lifecycle",
    ),
    "CloseCode": "refimpl.framing",
    "State": "refimpl.messages",
}


def __getattr__(name: str) -> object:
    """Return a public name, loading the floor it lives on the first time (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'refimpl' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
