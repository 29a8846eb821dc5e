"""The peer `uvicorn`: an ASGI application, with a WebSocket engine of uvicorn's or with ours."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from refimpl.bench.peers.common import (
    BACKLOG,
    JOINED,
    LIMIT,
    announce,
    heartbeat,
    listen,
    named,
)

__all__ = ["main", "main_with_engine"]

ENGINE = "refimpl.middleware.engine:Engine"  # by name, for uvicorn to import

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

members: set[Send] = set()


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Send every message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text")
        if text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def bcast(scope: Message, receive: Receive, send: Send) -> None:
    """Send every message to everyone, one by one: ASGI has no broadcast."""
    await receive()
    await send({"type": "websocket.accept"})
    members.add(send)
    await send({"type": "websocket.send", "text": JOINED})
    while (message := await receive())["type"] == "websocket.receive":
        for each in members:
            await each({"type": "websocket.send", "text": message["text"]})


def main(mode: str, engine: str = "websockets-sansio") -> None:
    """Run in the server's process. engine: what uvicorn calls `ws`."""
    config = uvicorn.Config(
        bcast if mode == "bcast" else echo,
        ws=engine,
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_level="critical",
        access_log=False,
        backlog=BACKLOG,
        ws_max_size=LIMIT,
        ws_ping_interval=heartbeat(mode),
        ws_per_message_deflate=False,
    )
    listener = listen()
    announce(listener.getsockname()[1], f"{named('uvicorn')}, {engine.split(':')[0]}")
    uvicorn.Server(config).run(sockets=[listener])


def main_with_engine(mode: str) -> None:
    """Run uvicorn with this package's engine."""
    main(mode, ENGINE)
