"""Echo servers and clients that the suite talks to: ours, and others for comparison.

Run as a process of its own: `python -m tests.conformance.testees server refimpl` prints the port
it listens on; `... client refimpl URL` prints "case N" for each case it has been through.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

# The suite sends messages of 16 MiB, and messages of 4 MiB in pieces of 64 bytes.
MAX_SIZE = 2**26
MAX_FRAGMENTS = 2**17

Echo = Callable[[str], Awaitable[None]]


def announce(server: Any) -> None:
    """Print the port a server listens on."""
    (listener,) = server.sockets
    print(listener.getsockname()[1], flush=True)


# --- refimpl and websockets: the same program, another import -----------------------------------


async def serve_like(serve: Callable[..., Any], **limits: int) -> None:
    """Serve the echo with a `serve` of refimpl or of websockets."""

    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    options = {"compression": "deflate", "ping_interval": None, **limits}
    async with serve(echo, "127.0.0.1", 0, **options) as server:
        announce(server)
        await server.serve_forever()


async def connect_like(
    connect: Callable[..., Any], closed: type[Exception], url: str, **limits: int
) -> None:
    """Echo what comes on one connection until the peer ends it."""
    options = {"compression": "deflate", "ping_interval": None, **limits}
    async with connect(url, **options) as connection:
        try:
            async for message in connection:
                await connection.send(message)
        except closed:
            pass


async def refimpl_server() -> None:
    from refimpl import serve

    await serve_like(serve, max_size=MAX_SIZE, max_fragments=MAX_FRAGMENTS)


async def refimpl_client(url: str) -> None:
    from refimpl import connect
    from refimpl.errors import ConnectionClosed

    limits = {"max_size": MAX_SIZE, "max_fragments": MAX_FRAGMENTS}
    await connect_like(connect, ConnectionClosed, url, **limits)


async def websockets_server() -> None:
    from websockets.asyncio.server import serve

    await serve_like(serve, max_size=MAX_SIZE)


async def websockets_client(url: str) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    await connect_like(connect, ConnectionClosed, url, max_size=MAX_SIZE)


# --- wsproto: no I/O of its own, so some here ----------------------------------------------------


class WsprotoEcho:
    """One wsproto connection on asyncio's streams; messages are sent back whole."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str
    ) -> None:
        from wsproto import ConnectionType, WSConnection

        self.reader, self.writer = reader, writer
        self.connection = WSConnection(ConnectionType[kind])
        self.pieces: list[Any] = []
        self.closing = False

    async def run(self) -> None:
        try:
            while not self.closing and (data := await self.reader.read(65536)):
                self.receive(data)
                await self.writer.drain()
        except ConnectionError:
            pass
        finally:
            self.writer.close()

    def receive(self, data: bytes) -> None:
        from wsproto.utilities import RemoteProtocolError

        try:
            self.connection.receive_data(data)
            for event in self.connection.events():
                self.answer(event)
        except RemoteProtocolError as error:
            self.closing = True
            if error.event_hint is not None:
                self.send(error.event_hint)

    def send(self, event: Any) -> None:
        self.writer.write(self.connection.send(event))

    def answer(self, event: Any) -> None:
        from wsproto import events
        from wsproto.connection import ConnectionState
        from wsproto.extensions import PerMessageDeflate

        if isinstance(event, events.Request):
            self.send(events.AcceptConnection(extensions=[PerMessageDeflate()]))
        elif isinstance(event, events.Ping):
            self.send(event.response())
        elif isinstance(event, events.CloseConnection):
            self.closing = True
            if self.connection.state is ConnectionState.REMOTE_CLOSING:
                self.send(event.response())
        elif isinstance(event, events.Message):
            self.pieces.append(event.data)
            if event.message_finished:
                whole = type(event.data)().join(self.pieces)
                self.pieces.clear()
                self.send(type(event)(data=whole))


async def wsproto_server() -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await WsprotoEcho(reader, writer, "SERVER").run()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    announce(server)
    async with server:
        await server.serve_forever()


async def wsproto_client(url: str) -> None:
    from wsproto import events
    from wsproto.extensions import PerMessageDeflate

    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    echo = WsprotoEcho(reader, writer, "CLIENT")
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    echo.send(events.Request(host=parts.netloc, target=target, extensions=[PerMessageDeflate()]))
    await echo.run()


# --- uvicorn: an ASGI application on our engine, or on one of uvicorn's own -----------------------


async def asgi_echo(scope: Any, receive: Any, send: Any) -> None:
    """Send every message back: the whole application."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def serve_asgi(engine: Any) -> None:
    """Serve the ASGI echo on uvicorn with an engine: a class, or a name that uvicorn knows."""
    import uvicorn

    config = uvicorn.Config(
        asgi_echo,
        ws=engine,
        ws_max_size=MAX_SIZE,
        ws_ping_interval=None,
        lifespan="off",
        log_level="warning",
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:  # who connects early waits in it
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])


async def engine_server() -> None:
    from refimpl.middleware.engine import Engine

    class PatientEngine(Engine):
        max_fragments = MAX_FRAGMENTS

    await serve_asgi(PatientEngine)


async def uvicorn_server() -> None:
    await serve_asgi("websockets-sansio")


# --- no WebSocket at all: the floor of every comparison ------------------------------------------


async def bare_server() -> None:
    """Send bytes back as they come: asyncio's streams and nothing else."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(repeat, "127.0.0.1", 0)
    announce(server)
    async with server:
        await server.serve_forever()


# --- the suite's own calls ----------------------------------------------------------------------


async def count_cases(url: str) -> int:
    """Ask the suite how many cases it will run."""
    from websockets.asyncio.client import connect

    async with connect(f"{url}/getCaseCount") as connection:
        return int(await connection.recv())


async def run_cases(echo: Echo, agent: str, url: str) -> None:
    """Go through all cases, then have the suite write its report."""
    from websockets.asyncio.client import connect

    for case in range(1, await count_cases(url) + 1):
        await echo(f"{url}/runCase?case={case}&agent={agent}")
        print(f"case {case}", flush=True)
    async with connect(f"{url}/updateReports?agent={agent}", open_timeout=None) as connection:
        await connection.wait_closed()


SERVERS: dict[str, Callable[[], Awaitable[None]]] = {
    "refimpl": refimpl_server,
    "engine": engine_server,
    "websockets": websockets_server,
    "wsproto": wsproto_server,
    "uvicorn": uvicorn_server,
    "bare": bare_server,
}
CLIENTS: dict[str, Echo] = {
    "refimpl": refimpl_client,
    "websockets": websockets_client,
    "wsproto": wsproto_client,
}


async def main(arguments: list[str]) -> None:
    role, testee = arguments[:2]
    if role == "server":
        await SERVERS[testee]()
    else:
        await run_cases(CLIENTS[testee], testee, arguments[2])


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1:]))
    except KeyboardInterrupt:
        pass
