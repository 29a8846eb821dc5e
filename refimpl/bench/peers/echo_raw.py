"""The peer `raw`: asyncio moves bytes, and nothing else. No server can cost less.

It has no handshake and knows no frames: it sends back what it was sent, still masked.
"""

import asyncio
import platform

from refimpl.bench.peers.common import BACKLOG, JOINED, announce

__all__ = ["main"]

HELLO = bytes((0x81, len(JOINED))) + JOINED.encode()  # the frame that the other servers send

members: set[asyncio.Transport] = set()


class Echo(asyncio.Protocol):
    """Sends every byte back."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer one read."""
        self.transport.write(data)


class Bcast(Echo):
    """Sends every byte to all."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Add a newcomer to the room, and greet it."""
        super().connection_made(transport)
        members.add(self.transport)
        self.transport.write(HELLO)

    def data_received(self, data: bytes) -> None:
        """Write to all."""
        for member in members:
            member.write(data)


async def run(mode: str) -> None:
    """Serve for ever. mode: `echo`, `bcast`, or `idle` as echo."""
    protocol = Bcast if mode == "bcast" else Echo
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=BACKLOG)
    announce(server.sockets[0].getsockname()[1], f"asyncio of Python {platform.python_version()}")
    await server.serve_forever()


def main(mode: str) -> None:
    """Run in the server's process."""
    asyncio.run(run(mode))
