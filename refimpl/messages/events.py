"""Events: what `Protocol` tells the program that owns the socket, in the order it happened.

A message is an event of its own: a `str` where it was text, `bytes` where it was binary (RFC 6455
section 5.6). `Request` and `Response`, from `handshake`, are events too: a server got a request to
accept or reject, a client got the 101 that opens its connection.
"""

from dataclasses import dataclass

from refimpl.errors import ConnectionClosed, HandshakeError
from refimpl.handshake import Request, Response

__all__ = ["Closed", "Event", "HandshakeFailed", "Ping", "Pong"]


@dataclass(slots=True)
class Ping:
    """A ping came; the pong that answers it is queued already (RFC 6455 section 5.5.2)."""

    payload: bytes


@dataclass(slots=True)
class Pong:
    """A pong came, asked for or not (RFC 6455 section 5.5.3)."""

    payload: bytes


@dataclass(slots=True)
class Closed:
    """No message can follow: the last event. A peer's mistake is the error's `__cause__`."""

    error: ConnectionClosed


@dataclass(slots=True)
class HandshakeFailed:
    """The connection never opened; on a server the answer that says why is queued already."""

    error: HandshakeError


Event = Request | Response | str | bytes | Ping | Pong | Closed | HandshakeFailed
