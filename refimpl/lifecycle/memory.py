"""Two WebSockets joined in memory, for tests and lessons: the real classes, no socket.

>>> async def main():
...     client, server = await memory_pipe()
...     await client.send("hello")
...     print(await server.recv())
...     await asyncio.gather(client.close(), server.close())
>>> asyncio.run(main())
hello
"""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Coroutine

from refimpl.handshake import Policy, build_request, make_key, parse_uri
from refimpl.lifecycle.server_connection import ProcessRequest, ServerConnection
from refimpl.lifecycle.client import ClientConnection
from refimpl.lifecycle.settings import Settings
from refimpl.lifecycle.memory_transport import join
from refimpl.messages import OFFER, negotiate

__all__ = ["memory_pipe"]


class Owner:
    """Stands where a `Server` would: it accepts one connection and starts no handler."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self.settings = settings
        self.policy = policy
        self.process_request: ProcessRequest | None = None
        self.refused: Counter[str] = Counter()
        self.is_closing = False

    def joined(self, connection: ServerConnection) -> None:
        """Do nothing: the pair belongs to whoever asked for it."""

    left = opened = joined

    def own(
        self, work: Coroutine[None, None, None], context: contextvars.Context
    ) -> asyncio.Task[None]:
        """Run work as a task; only an asynchronous process_request needs it."""
        return asyncio.get_running_loop().create_task(work, context=context)


async def memory_pipe(
    settings: Settings | None = None,
    *,
    server_settings: Settings | None = None,
    compression: bool = False,
    chunk: int | None = None,
) -> tuple[ClientConnection, ServerConnection]:
    """Return a client's and a server's WebSocket, open and joined to each other.

    settings: of both ends, or of the client's where server_settings is given. chunk: the most bytes
    that arrive at once, 1 for byte by byte.
    """
    settings = settings or Settings()
    policy = Policy(negotiate=negotiate if compression else None)
    server = ServerConnection(Owner(server_settings or settings, policy))
    client = ClientConnection(settings)
    join(client, server, chunk=chunk)
    extensions = (OFFER,) if compression else ()
    await client.open(
        build_request(parse_uri("ws://memory/"), key=make_key(), extensions=extensions)
    )
    return client, server
