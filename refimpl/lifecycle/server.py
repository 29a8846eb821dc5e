"""The server: `serve` listens, and runs a handler for every WebSocket that opens.

>>> async def echo(websocket):
...     async for message in websocket:
...         await websocket.send("echo: " + message)
>>> async def main():
...     async with serve(echo, "127.0.0.1", 8765) as server:
...         await server.serve_forever()

Every handler is a task that the server owns: closing waits for it, an exception in it closes its
connection with 1011 and is logged, and returning closes it with 1000.
"""

import asyncio
import contextvars
import logging
import socket
import ssl as tls
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence

from refimpl.errors import ConnectionClosed
from refimpl.framing import CloseCode
from refimpl.handshake import (
    MAX_HEAD,
    MAX_LINE,
    Extension,
    HeadLimits,
    Policy,
    default_hosts,
    parse_networks,
)
from refimpl.lifecycle.driver import Driver
from refimpl.lifecycle.memory_limit import MemoryLimit
from refimpl.lifecycle.server_connection import ProcessRequest, ServerConnection
from refimpl.lifecycle.settings import Settings
from refimpl.messages import State, negotiate, serialize_close

__all__ = ["Server", "Serving", "serve"]

Handler = Callable[[ServerConnection], Awaitable[None]]
Listen = Callable[[Callable[[], Driver]], Awaitable[asyncio.Server]]

# Connections accepted in one turn of the loop: a turn costs as much as a third of a handshake.
# asyncio takes `backlog` for it; where the process has no descriptors left it fails as many times,
# with a traceback each, before it waits a second.
ACCEPTS = 16

GRACE = 1.0  # seconds a handler has to notice that its connection is gone

logger = logging.getLogger("refimpl.server")


class Server:
    """A listening server and its connections; `serve` makes it."""

    def __init__(
        self,
        handler: Handler,
        settings: Settings,
        policy: Policy,
        process_request: ProcessRequest | None,
        max_memory: int | None = None,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.process_request = process_request
        self.refused: Counter[str] = Counter()
        """How many handshakes failed, by reason: the slugs of `HandshakeError.reason`."""
        self.memory_limit = MemoryLimit(max_memory, self._drivers) if max_memory else None
        """What all connections may hold together: `used` bytes, and how many were `closed`."""
        self._handler = handler
        self._listener: asyncio.Server
        self._accepted: set[ServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_closing = False
        """Whether `close` was called: who asks to connect now is refused."""
        self._gone = asyncio.Event()
        self._grace: asyncio.TimerHandle | None = None

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets, where the port shows that was chosen for port 0."""
        return tuple(self._listener.sockets)

    @property
    def connections(self) -> set[ServerConnection]:
        """The connections that are open now; `broadcast` takes them as they are."""
        return {each for each in self._accepted if each.state is State.OPEN}

    def _drivers(self) -> list[Driver]:
        return [connection.driver for connection in self._accepted]

    def is_serving(self) -> bool:
        """Return whether new connections are accepted."""
        return self._listener.is_serving()

    async def listen(self, listen: Listen) -> None:
        """Open the listening sockets; `serve` calls it once."""
        self._listener = await listen(lambda: ServerConnection(self).driver)

    # --- what its connections tell it ---

    def joined(self, connection: ServerConnection) -> None:
        """Note a new TCP connection."""
        self._accepted.add(connection)

    def left(self, connection: ServerConnection) -> None:
        """Forget a connection that is gone."""
        self._accepted.discard(connection)
        self._check_gone()

    def opened(self, connection: ServerConnection) -> None:
        """Run the handler for a connection whose handshake is through."""
        self.own(self._handle(connection), connection.context)

    def own(
        self, work: Coroutine[None, None, None], context: contextvars.Context
    ) -> asyncio.Task[None]:
        """Run work in a context, as a task that closing the server waits for."""
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._check_gone()

    async def _handle(self, connection: ServerConnection) -> None:
        """Run the handler, then close: with 1000 where it returned, with 1011 where it raised."""
        code = CloseCode.INTERNAL_ERROR
        try:
            await self._handler(connection)
            code = CloseCode.NORMAL_CLOSURE
        except ConnectionClosed as error:
            if connection.state is State.OPEN:  # it is another connection's, say an upstream's
                logger.exception("the connection handler failed")
            else:
                logger.debug("the handler's connection closed: %s", error)
        except Exception:
            logger.exception("the connection handler failed")
        finally:  # cancelled too: the Close goes out, and the deadline sees to the rest
            connection.start_close(code)
            connection.driver.discard_messages()

    # --- serving and closing ---

    async def serve_forever(self) -> None:
        """Wait until the server is closed; being cancelled closes it."""
        try:
            await self._listener.start_serving()
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    def close(
        self, close_connections: bool = True, code: int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """Stop listening, and send every connection Close; `wait_closed` waits for the rest.

        A handler that still runs a second after close_timeout is cancelled. With
        close_connections=False the connections live on, and the server waits for them. Raises
        LocalProtocolError for a code that may not be sent or a reason of more than 123 bytes.
        """
        serialize_close(code, reason)  # a mistake changes nothing
        self.is_closing = True
        self._listener.close()
        if close_connections:
            for connection in list(self._accepted):
                try:
                    connection.leave(code, reason)
                except Exception:  # each connection's end is its own
                    logger.exception("a connection could not be closed and is cut off")
                    connection.transport.abort()
            timeout = self.settings.close_timeout
            if timeout is not None and self._grace is None:
                self._grace = asyncio.get_running_loop().call_later(
                    timeout + GRACE, self._cancel_handlers
                )
        self._check_gone()

    def _cancel_handlers(self) -> None:
        """Cancel every handler that is left, and come back for those that swallow it."""
        self._grace = asyncio.get_running_loop().call_later(GRACE, self._cancel_handlers)
        for task in self._tasks:
            logger.warning("%s did not end with its connection and is cancelled", task.get_name())
            task.cancel()

    def _check_gone(self) -> None:
        if self.is_closing and not self._accepted and not self._tasks:
            self._gone.set()
            if self._grace is not None:
                self._grace.cancel()

    async def wait_closed(self) -> None:
        """Wait until the server was closed, all connections are gone and all handlers ended."""
        await self._gone.wait()
        await self._listener.wait_closed()


class Serving:
    """A server about to start: `await` it, or enter it with `async with`, which also closes it."""

    def __init__(self, server: Server, listen: Listen) -> None:
        self._server = server
        self._listen = listen

    def __await__(self) -> Generator[None, None, Server]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Server:
        await self._server.listen(self._listen)
        return self._server

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()


def serve(
    handler: Handler,
    host: str | Sequence[str] | None = None,
    port: int = 0,
    *,
    origins: Sequence[str | None] | None = None,
    allowed_hosts: Sequence[str] | None = None,
    trusted_proxies: Sequence[str] = (),
    subprotocols: Sequence[str] | None = None,
    process_request: ProcessRequest | None = None,
    compression: str | None = None,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | None = 2**20,
    max_fragments: int = 1024,
    max_queue: int | None = 16,
    max_memory: int | None = None,
    max_header_line: int = MAX_LINE,
    max_head: int = MAX_HEAD,
    write_limit: int = 32 * 1024,
    ssl: tls.SSLContext | None = None,
    reuse_port: bool | None = None,
    backlog: int = 100,
) -> Serving:
    """Return a server to `await` or to enter, which runs handler(websocket) for every connection.

    host: None or "" for every interface. port: 0 for a free one; see `Server.sockets`. origins:
    None for pages of the server's own origin only; a list names others, None in it admits clients
    that send no Origin and "*" any. allowed_hosts: names and addresses to answer to, "*" for any;
    by default those of this machine where host is a loopback address (against DNS rebinding), else
    any. trusted_proxies: addresses and networks whose X-Forwarded-* and Forwarded headers say who
    asks, by which scheme and for which host. process_request: called with the connection and the
    request before the handshake is checked; returns a Response to answer with instead, or None; may
    be a coroutine. compression: "deflate" or None. max_memory: bytes that all connections may hold
    together, messages and buffers in both directions; beyond it the largest are closed with 1013.
    max_header_line, max_head: bytes of one line of a request's head, and of all of it.
    The other limits are those of `Settings`. Raises ValueError for a limit that is none, OSError
    where the address cannot be had.
    """
    settings = Settings(
        open_timeout=open_timeout,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        close_timeout=close_timeout,
        max_size=max_size,
        max_fragments=max_fragments,
        max_queue=max_queue,
        write_limit=write_limit,
        head_limits=HeadLimits(max_header_line=max_header_line, max_head=max_head),
    )
    if max_memory is not None and not max_memory > 0:
        raise ValueError(f"got max_memory={max_memory}, expected a number of bytes, or None")
    policy = Policy(
        origins=origins,
        allowed_hosts=default_hosts(host) if allowed_hosts is None else allowed_hosts,
        trusted_proxies=parse_networks(trusted_proxies),
        subprotocols=subprotocols or (),
        negotiate=negotiator(compression),
        secure=ssl is not None,
    )

    async def listen(new_connection: Callable[[], Driver]) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        selects = isinstance(loop, asyncio.SelectorEventLoop)
        listener = await loop.create_server(
            new_connection,
            host or None,
            port,
            ssl=ssl,
            backlog=ACCEPTS if selects else backlog,
            reuse_port=reuse_port,
            ssl_handshake_timeout=open_timeout if ssl else None,
            ssl_shutdown_timeout=close_timeout if ssl else None,
        )
        if selects:
            widen_backlog(listener, backlog)
        return listener

    return Serving(Server(handler, settings, policy, process_request, max_memory), listen)


def widen_backlog(listener: asyncio.Server, backlog: int) -> None:
    """Let the kernel queue backlog connections where asyncio was told of fewer."""
    for each in listener.sockets:
        with each.dup() as same:
            same.listen(backlog)


def negotiator(compression: str | None) -> Callable[[Sequence[Extension]], Extension | None] | None:
    """Return what negotiates extensions for a value of `compression`, or raise ValueError."""
    if compression not in (None, "deflate"):
        raise ValueError(f"got compression={compression!r}, expected 'deflate' or None")
    return negotiate if compression else None
