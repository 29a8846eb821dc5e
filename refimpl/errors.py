"""Errors: what can go wrong, whose fault it is, and what to do next.

A **local** error is a mistake of the program that calls us: it is raised at the call. A **remote**
error is a mistake of the peer: it never leaves `Protocol.receive_data`; the core answers it with a
Close frame (RFC 6455 section 7.1.7) and reports it in its last event. Messages say what was got and
what was expected; they never carry a payload or a token.

>>> print(ConnectionClosed(sent=Close(1000), received=None, order="sent"))
sent Close 1000, received no Close; the code is 1006 (RFC 6455 7.1.5)
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = [
    "Close",
    "ConcurrencyError",
    "ConnectionClosed",
    "HandshakeError",
    "LocalProtocolError",
    "RemoteProtocolError",
    "WebSocketError",
]


CLEAN = (1000, 1001, 1005)


class Close(NamedTuple):
    """What one Close frame said: its code and its reason (RFC 6455 section 5.5.1)."""

    code: int
    reason: str = ""


class WebSocketError(Exception):
    """Any error of this package; catch it to catch them all."""


class LocalProtocolError(WebSocketError):
    """Our own caller broke the protocol, say by sending after Close: mend the calling program."""


class ConcurrencyError(LocalProtocolError):
    """Two tasks did at once what only one may do, say `recv()`: give the work to one of them."""


class RemoteProtocolError(WebSocketError):
    """The peer broke the protocol: the connection fails, and `close_code` tells the peer why.

    Parsers raise it and `Protocol` answers it; a program meets it only as the `__cause__` of a
    `ConnectionClosed`.
    """

    def __init__(self, message: str, close_code: int = 1002) -> None:
        super().__init__(message)
        self.close_code = close_code

    @property
    def close(self) -> Close:
        """What our Close says: the code, and of the message what fits into 123 bytes."""
        return Close(int(self.close_code), str(self).encode()[:123].decode(errors="ignore"))


class HandshakeError(WebSocketError):
    """The opening handshake failed: no WebSocket connection came to be (RFC 6455 section 4).

    On a server, `status`, `headers` and `body` are the HTTP answer to give; on a client, the answer
    that came, with a `status` of 0 where none came. `reason` is a short slug for counters, such as
    ``"two-keys"``.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        reason: str = "malformed",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.headers = tuple(headers)
        self.body = body


class ConnectionClosed(WebSocketError):
    """The connection is over; no message can be sent or received on it any more.

    `sent` and `received` are the two Close frames, None where there was none; `order` names the one
    that came first. Nobody's fault when `clean`; otherwise `code` says why, and a client may
    reconnect.
    """

    def __init__(
        self, sent: Close | None, received: Close | None, order: Literal["sent", "received"] | None
    ) -> None:
        super().__init__(sent, received, order)
        self.sent = sent
        self.received = received
        self.order = order

    @property
    def code(self) -> int:
        """The peer's close code; 1006 when the peer sent no Close (RFC 6455 section 7.1.5)."""
        return self.received.code if self.received else 1006

    @property
    def reason(self) -> str:
        """The peer's close reason; empty when the peer sent none (RFC 6455 section 7.1.6)."""
        return self.received.reason if self.received else ""

    @property
    def clean(self) -> bool:
        """Whether both sides said Close, and said 1000, 1001 or no code at all (1005)."""
        return all(
            close is not None and close.code in CLEAN for close in (self.sent, self.received)
        )

    def __str__(self) -> str:
        ours = f"sent Close {_describe(self.sent)}" if self.sent else "sent no Close"
        if self.received is None:
            return f"{ours}, received no Close; the code is 1006 (RFC 6455 7.1.5)"
        theirs = f"received Close {_describe(self.received)}"
        return f"{ours}, then {theirs}" if self.order == "sent" else f"{theirs}, then {ours}"


def _describe(close: Close) -> str:
    return f"{close.code} {close.reason!r}" if close.reason else str(close.code)
