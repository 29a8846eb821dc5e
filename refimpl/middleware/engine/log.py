"""The lines that an engine writes to uvicorn's log: like uvicorn's own, but without secrets.

>>> scope = {"client": ("::1", 80), "path": "/ws/chat", "query_string": b"ticket=secret"}
>>> client_name(scope), safe_path(scope)
('::1:80', '/ws/chat')
"""

import asyncio
import logging
from urllib.parse import quote

from refimpl.middleware.asgi import Scope
from refimpl.middleware.engine.scope import describe_transport

__all__ = ["client_name", "is_return", "log_outcome", "logger", "safe_path", "trace"]

TRACE = 5  # uvicorn's own level, below DEBUG

logger = logging.getLogger("uvicorn.error")  # where uvicorn's other engines log


def log_outcome(scope: Scope, outcome: str) -> None:
    """Log how a request was answered: "[accepted]" or a status."""
    logger.info('%s - "WebSocket %s" %s', client_name(scope), safe_path(scope), outcome)


def is_return(returned: object, *, answered: bool) -> bool:
    """Whether an application ended as ASGI demands; if not, log how it did.

    answered: whether it has accepted or denied the connection.
    """
    if not answered:
        logger.error("ASGI callable returned without completing handshake.")
    elif returned is not None:
        kind = type(returned).__name__
        logger.error("ASGI callable should return None, but returned a %s.", kind)
    return answered and returned is None


def trace(transport: asyncio.BaseTransport, step: str) -> None:
    """Log a step of a connection at uvicorn's level TRACE."""
    if logger.isEnabledFor(TRACE):
        client = client_name(describe_transport(transport))
        logger.log(TRACE, "%sWebSocket %s", f"{client} - " if client else "", step)


def client_name(scope: Scope) -> str:
    """Return the client as host:port, or "" if it has none, as on a Unix socket.

    Behind a proxy that uvicorn trusts, the host is what X-Forwarded-For says: it may be any text,
    so it is quoted.

    >>> client_name({"client": ("::1", 80)}), client_name({"client": ("\x1b[2J", 0)})
    ('::1:80', '%1B[2J:0')
    """
    client = scope.get("client")
    return f"{quote(str(client[0]), safe=':[]')}:{client[1]}" if client else ""


def safe_path(scope: Scope) -> str:
    """Return the path quoted, so that it is one word, and without the query: it may hold a ticket.

    >>> safe_path({"path": "/a b\\n", "query_string": b"ticket=secret"})
    '/a%20b%0A'
    """
    return quote(scope["path"])
