"""A peer in memory that sends what it is told, byte by byte, and remembers what it got."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

from refimpl.handshake import Policy
from refimpl.lifecycle import ClientConnection, ServerConnection, Settings
from refimpl.lifecycle.memory import MemoryTransport, Owner, join
from tests.support import wire
from tests.support.clockwork import settle

PLAIN = Settings(ping_interval=None)


class RawPeer(asyncio.Protocol):
    """The other end of a connection under test; it answers nothing by itself."""

    transport: MemoryTransport

    def __init__(self) -> None:
        self.received = b""
        self.ended = False
        self.lost = False
        self.closes_on_eof = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(MemoryTransport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.ended = True
        return not self.closes_on_eof

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def take(self) -> bytes:
        """Return what came since the last call."""
        data, self.received = self.received, b""
        return data

    def frames(self) -> list[tuple[int, bytes]]:
        """Return (opcode, payload) of every frame that came since the last call."""
        return [(opcode, payload) for opcode, _, _, _, payload in wire.split_frames(self.take())]

    async def send(self, data: bytes) -> None:
        """Send data and wait until its effects are over."""
        self.transport.write(data)
        await settle()


def client_frame(opcode: int, payload: bytes = b"", **options: bool) -> bytes:
    """Return a frame as a client sends it, masked."""
    return wire.frame(opcode, payload, key=wire.KEY, **options)


def client_close(code: int | None = None, reason: bytes = b"") -> bytes:
    """Return a Close as a client sends it."""
    return wire.close(code, reason, key=wire.KEY)


def new_server(
    settings: Settings = PLAIN, *, chunk: int | None = None
) -> tuple[ServerConnection, RawPeer]:
    """Return a server's connection on which nothing has come yet, and its raw client."""
    server, peer = ServerConnection(Owner(settings, Policy())), RawPeer()
    join(peer, server.driver, chunk=chunk)
    return server, peer


async def open_server(
    settings: Settings = PLAIN, *, chunk: int | None = None
) -> tuple[ServerConnection, RawPeer]:
    """Return an open connection on the server's side, and its raw client past the handshake."""
    server, peer = new_server(settings, chunk=chunk)
    await peer.send(wire.request_head())
    assert peer.take().startswith(b"HTTP/1.1 101 ")
    return server, peer


async def open_client(settings: Settings = PLAIN) -> tuple[ClientConnection, RawPeer]:
    """Return an open connection on the client's side, and its raw server past the handshake."""
    from refimpl.handshake import build_request, parse_uri

    client, peer = ClientConnection(settings), RawPeer()
    join(client.driver, peer)
    uri = parse_uri("ws://server.example.com/chat")
    opening = asyncio.ensure_future(client.open(build_request(uri, key="dGhlIHNhbXBsZSBub25jZQ==")))
    await settle()
    peer.take()
    await peer.send(wire.response_head())
    await opening
    return client, peer


def refused(connection: ServerConnection) -> Counter[str]:
    """Return the counters of refusals of the connection's server."""
    return connection.server.refused
