"""The peer `picows`: a Cython core that calls back for every frame, instead of being awaited."""

import asyncio

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from refimpl.bench.peers.common import BACKLOG, JOINED, LIMIT, announce, named

__all__ = ["main"]

members: set[WSTransport] = set()


class Echo(WSListener):
    """Sends every frame back."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer one frame."""
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Bcast(WSListener):
    """Sends every message to everyone."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Add a newcomer to the room, and greet it."""
        members.add(transport)
        transport.send(WSMsgType.TEXT, JOINED.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Write to all."""
        payload = frame.get_payload_as_bytes()
        for member in members:
            member.send(WSMsgType.TEXT, payload)


async def run(mode: str) -> None:
    """Serve for ever. mode: `echo`, `bcast`, or `idle` as echo."""
    listener = Bcast if mode == "bcast" else Echo

    def welcome(request: WSUpgradeRequest) -> WSListener:
        return listener()

    server = await ws_create_server(welcome, "127.0.0.1", 0, max_frame_size=LIMIT, backlog=BACKLOG)
    announce(server.sockets[0].getsockname()[1], named("picows"))
    await server.serve_forever()


def main(mode: str) -> None:
    """Run in the server's process."""
    asyncio.run(run(mode))
