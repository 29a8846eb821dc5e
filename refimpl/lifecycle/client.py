"""The client: `connect` opens a WebSocket (RFC 6455 section 4.1).

>>> async def main():
...     async with connect("ws://127.0.0.1:8765") as websocket:
...         await websocket.send("hello")
...         print(await websocket.recv())

Iterated over, it connects again whenever the connection ends, for as long as that makes sense:

>>> async def stay_connected():
...     async for websocket in connect("ws://127.0.0.1:8765"):
...         async for message in websocket:
...             print(message)

A client that knows what it has seen last says so each time it comes back: `resume` returns the
header lines of the next attempt.
"""

import asyncio
import itertools
import socket
import ssl as tls
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

from refimpl.errors import ConnectionClosed, HandshakeError, LocalProtocolError
from refimpl.handshake import URI, Extension, Request, Response, build_request, make_key, parse_uri
from refimpl.lifecycle.backoff import Backoff, is_fatal
from refimpl.lifecycle.connection import WebSocket
from refimpl.lifecycle.driver import Driver
from refimpl.lifecycle.heartbeat import start_heartbeat
from refimpl.lifecycle.settings import Settings
from refimpl.messages import OFFER, Event, HandshakeFailed, Role

__all__ = ["ClientConnection", "Connecting", "connect"]

# Seconds before the next address of a host is tried beside the one before (RFC 8305 section 5).
HAPPY_EYEBALLS_DELAY = 0.25

HeaderLines = Mapping[str, str] | Iterable[tuple[str, str]]


class ClientConnection(WebSocket):
    """A WebSocket that we opened; `connect` returns it once the server has agreed."""

    __slots__ = ("_answer", "_failure")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.new_core(Role.CLIENT), settings)
        self._answer: asyncio.Future[None] | None = None
        self._failure: HandshakeError | None = None  # what ended it before anybody waited

    async def open(self, request: Request) -> None:
        """Send the request and wait for a valid 101; raises HandshakeError for any other answer."""
        if self._failure is not None:
            raise self._failure
        self.request = request
        self.core.send_request(request)
        self._answer = asyncio.get_running_loop().create_future()
        self.driver.writer.flush()
        await self._answer
        start_heartbeat(self.driver)

    def handle(self, event: Event) -> None:
        """Deal with the answer to the request."""
        waiting = self._answer is not None and not self._answer.done()
        if type(event) is Response:
            self.response = event
            if self._answer is not None and waiting:
                self._answer.set_result(None)
        elif type(event) is HandshakeFailed:
            event.error.__cause__ = event.error.__cause__ or self.driver.writer.lost_error
            if self._answer is None:
                self._failure = event.error
            elif waiting:
                self._answer.set_exception(event.error)
            self.driver.finish(ConnectionClosed(None, None, None))


class Connecting:
    """A connection about to open: `await` it, enter it, or iterate over it to reconnect."""

    def __init__(
        self,
        uri: URI,
        settings: Settings,
        *,
        origin: str | None,
        subprotocols: Sequence[str],
        extensions: Sequence[Extension],
        headers: Sequence[tuple[str, str]],
        resume: Callable[[], HeaderLines] | None,
        tcp_timeout: float | None,
        backoff: Backoff,
        ssl: tls.SSLContext | None,
    ) -> None:
        self._uri, self._settings = uri, settings
        self._resume, self._tcp_timeout, self._backoff = resume, tcp_timeout, backoff
        self._origin, self._subprotocols = origin, subprotocols
        self._extensions, self._headers = extensions, headers
        self._ssl = ssl
        self._websocket: ClientConnection | None = None
        self._entering = False
        self._new_request()  # a wrong argument is refused here, at the call, not in a retry

    def _new_request(self, resumed: HeaderLines = ()) -> Request:
        return build_request(
            self._uri,
            key=make_key(),
            origin=self._origin,
            subprotocols=self._subprotocols,
            extensions=self._extensions,
            additional_headers=(*self._headers, *pairs(resumed)),
        )

    def __await__(self) -> Generator[None, None, ClientConnection]:
        return self._open().__await__()

    async def __aenter__(self) -> ClientConnection:
        if self._websocket is not None or self._entering:
            raise RuntimeError("got `async with` on a connect() that is entered already")
        self._entering = True
        try:
            self._websocket = await self._open()
        finally:
            self._entering = False
        return self._websocket

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        websocket, self._websocket = self._websocket, None
        assert websocket is not None
        await websocket.__aexit__(exc_type)

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        """Yield one connection after another, with waits; raise what no waiting can mend."""
        backoff = self._backoff
        backoff.reset()
        while True:
            try:
                websocket = await self._open()
            except (OSError, HandshakeError) as error:
                if is_fatal(error):
                    raise
            else:
                backoff.reset()
                try:
                    yield websocket
                finally:
                    await websocket.close()
            await asyncio.sleep(backoff.next_delay())

    async def _open(self) -> ClientConnection:
        """Return an open connection within open_timeout seconds, name look-up included."""
        timeout = self._settings.open_timeout
        if timeout is None:
            return await self._attempt()
        try:
            async with asyncio.timeout(timeout) as limit:
                return await self._attempt()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(f"no WebSocket opened within {timeout} s") from error

    async def _attempt(self) -> ClientConnection:
        request = self._new_request(self._resume() if self._resume is not None else ())
        websocket = await self._reach()
        try:
            await websocket.open(request)
        except BaseException:
            websocket.transport.abort()
            raise
        return websocket

    async def _reach(self) -> ClientConnection:
        """Return a connection with TCP and TLS up; TCP may take tcp_timeout seconds of the time."""
        uri, ssl, timeout = self._uri, self._ssl, self._tcp_timeout
        websocket = ClientConnection(self._settings)
        try:
            async with asyncio.timeout(timeout) as limit:

                def reached() -> Driver:  # asyncio asks for it when TCP stands
                    limit.reschedule(None)
                    return websocket.driver

                sock = await open_socket(uri.host, uri.port)
                await asyncio.get_running_loop().create_connection(
                    reached,
                    sock=sock,
                    ssl=ssl,
                    server_hostname=uri.server_name if ssl else None,
                    ssl_shutdown_timeout=self._settings.close_timeout if ssl else None,
                )
        except TimeoutError as error:
            if not limit.expired():
                raise
            message = f"no TCP connection to {uri.host}:{uri.port} within {timeout} s"
            raise TimeoutError(message) from error
        return websocket


async def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket connected to one of a host's addresses (RFC 8305).

    The next address is tried when the one before has failed, or has not answered within
    HAPPY_EYEBALLS_DELAY seconds; the first that answers wins. asyncio has the same, but loses the
    winner's socket when it is cancelled then, and fails where tasks begin eagerly. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    opened: list[socket.socket] = []
    errors: list[OSError] = []

    async def attempt(family: int, address: tuple[object, ...]) -> None:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            errors.append(error)
        else:
            opened.append(sock)

    attempts: set[asyncio.Task[None]] = set()
    try:
        addresses = in_turns(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        for family, address in addresses:
            attempts.add(loop.create_task(attempt(family, address)))
            await asyncio.wait(
                attempts, timeout=HAPPY_EYEBALLS_DELAY, return_when=asyncio.FIRST_COMPLETED
            )
            if opened:
                break
            attempts = {each for each in attempts if not each.done()}
        while not opened and attempts:
            _, attempts = await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED)
        if not opened:
            raise errors[0] if len(errors) == 1 else OSError("; ".join(map(str, errors)))
        return opened.pop(0)
    finally:
        for each in attempts:
            each.cancel()
        for sock in opened:
            sock.close()


def in_turns(found: Iterable[tuple[Any, ...]]) -> list[tuple[int, tuple[object, ...]]]:
    """Return the families and addresses of a look-up, IPv6 and IPv4 in turns (RFC 8305 4)."""
    by_family: dict[int, list[tuple[int, tuple[object, ...]]]] = {}
    for family, _, _, _, address in found:
        by_family.setdefault(family, []).append((family, address))
    rows = itertools.zip_longest(*by_family.values())
    return [each for row in rows for each in row if each is not None]


def pairs(lines: HeaderLines) -> Iterable[tuple[str, str]]:
    """Return header lines as pairs, whichever way they were given."""
    return lines.items() if isinstance(lines, Mapping) else lines


def connect(
    uri: str,
    *,
    origin: str | None = None,
    subprotocols: Sequence[str] | None = None,
    additional_headers: HeaderLines | None = None,
    compression: str | None = None,
    resume: Callable[[], HeaderLines] | None = None,
    backoff: Backoff | None = None,
    tcp_timeout: float | None = 5,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | None = 2**20,
    max_fragments: int = 1024,
    max_queue: int | None = 16,
    write_limit: int = 32 * 1024,
    ssl: tls.SSLContext | None = None,
) -> Connecting:
    """Return a WebSocket to `await`, to enter, or to iterate over for ever.

    uri: ws:// or wss://; wss verifies certificate and host name unless `ssl` says otherwise.
    compression: "deflate" offers permessage-deflate. resume: called before every attempt; returns
    header lines to add to its request, such as the last sequence number seen or a fresh token.
    backoff: the waits of an iteration. tcp_timeout: seconds for name look-up and TCP alone; the
    whole opening has open_timeout. The other limits are those of `Settings`.

    Raises LocalProtocolError and ValueError for wrong arguments at once; OSError where the server
    cannot be reached, TimeoutError after tcp_timeout or open_timeout seconds, HandshakeError with
    the answer where it is no valid 101.
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
    )
    parsed = parse_uri(uri)
    if ssl is not None and not parsed.secure:
        raise LocalProtocolError("got ssl for a ws:// URI, expected wss://")
    if compression not in (None, "deflate"):
        raise ValueError(f"got compression={compression!r}, expected 'deflate' or None")
    if tcp_timeout is not None and not tcp_timeout > 0:
        raise ValueError(f"got tcp_timeout={tcp_timeout}, expected a number above 0, or None")
    return Connecting(
        parsed,
        settings,
        origin=origin,
        subprotocols=tuple(subprotocols or ()),
        extensions=(OFFER,) if compression else (),
        headers=tuple(pairs(additional_headers or ())),
        resume=resume,
        tcp_timeout=tcp_timeout,
        backoff=backoff or Backoff(),
        ssl=ssl or (tls.create_default_context() if parsed.secure else None),
    )
