"""One message to many connections: serialised once, and nobody waits for the slowest.

>>> broadcast([], "nobody hears this")
"""

from collections.abc import Iterable
from functools import partial

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
        _push(connection, message, frame, limit)


def _push(
    connection: WebSocket, message: str | bytes, frame: bytes, limit: int, _: object = None
) -> None:
    """Send now, or ask again behind the fragmented message: the next may have begun by then."""
    if connection.fragmenting is None:
        connection.push(message, frame, limit=limit)
    else:
        again = partial(_push, connection, message, frame, limit)
        connection.fragmenting.add_done_callback(again)
