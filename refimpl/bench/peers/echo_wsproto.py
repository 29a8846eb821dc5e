"""The peer `wsproto`: a protocol core without a server, in the simplest one that asyncio allows.

It has no API that awaits a message, so messages are answered as they come, and all answers to one
read go out in one write.
"""

import asyncio
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Request,
    TextMessage,
)

from refimpl.bench.peers.common import BACKLOG, JOINED, announce, named

__all__ = ["main"]

members: "set[Bcast]" = set()


class Echo(asyncio.Protocol):
    """Sends every message back."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.core = WSConnection(ConnectionType.SERVER)
        self.parts: list[str | bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what has come."""
        self.core.receive_data(data)
        answers = [self.answer(event) for event in self.core.events()]
        self.transport.write(b"".join(answers))

    def answer(self, event: object) -> bytes:
        """Return the bytes to send for one event."""
        if isinstance(event, Message):
            return self.on_message(event)
        if isinstance(event, Request):
            return self.on_open()
        if isinstance(event, Ping | CloseConnection):
            return bytes(self.core.send(event.response()))
        return b""

    def on_open(self) -> bytes:
        """Accept everyone."""
        return bytes(self.core.send(AcceptConnection()))

    def on_message(self, event: Message[Any]) -> bytes:
        """Return the message, once its last part is there."""
        if event.message_finished and not self.parts:
            return bytes(self.core.send(type(event)(data=event.data)))
        self.parts.append(event.data)
        if not event.message_finished:
            return b""
        parts, self.parts = self.parts, []
        if isinstance(event, TextMessage):
            return bytes(self.core.send(TextMessage(data="".join(parts))))  # type: ignore[arg-type]
        return bytes(self.core.send(BytesMessage(data=b"".join(parts))))  # type: ignore[arg-type]


class Bcast(Echo):
    """Sends every message to everyone."""

    def on_open(self) -> bytes:
        """Add a newcomer to the room, accept it and greet it."""
        members.add(self)
        return super().on_open() + bytes(self.core.send(TextMessage(data=JOINED)))

    def on_message(self, event: Message[Any]) -> bytes:
        """Write to all; a message of this workload has one part."""
        for member in members:
            member.transport.write(member.core.send(type(event)(data=event.data)))
        return b""


async def run(mode: str) -> None:
    """Serve for ever. mode: `echo`, `bcast`, or `idle` as echo."""
    protocol = Bcast if mode == "bcast" else Echo
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=BACKLOG)
    announce(server.sockets[0].getsockname()[1], named("wsproto"))
    await server.serve_forever()


def main(mode: str) -> None:
    """Run in the server's process."""
    asyncio.run(run(mode))
