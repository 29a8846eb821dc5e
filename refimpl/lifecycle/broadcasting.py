"""One message to many connections: serialised once, and nobody waits for the slowest.

>>> broadcast([], "nobody hears this")
"""

from collections.abc import Iterable

from refimpl.framing import FIN, Opcode, serialize_header
from refimpl.lifecycle.connection import WebSocket

__all__ = ["broadcast"]

LIMIT = 2**20


def broadcast(
    connections: Iterable[WebSocket], message: str | bytes, *, limit: int = LIMIT
) -> None:
    """Send message to every open connection without waiting for any.

    A connection for which more than limit bytes wait already is too slow: it is closed with 1013,
    because the alternative is a buffer without end. One in the middle of a fragmented message gets
    the message behind it.
    """
    text = isinstance(message, str)
    payload = message.encode() if isinstance(message, str) else message
    first = FIN | (Opcode.TEXT if text else Opcode.BINARY)
    frame = serialize_header(first, len(payload), masked=False) + payload
    for connection in list(connections):
        connection.push(message, frame, limit=limit)
