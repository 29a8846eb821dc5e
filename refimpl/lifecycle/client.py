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
"""

import asyncio
import ssl as tls
from collections.abc import AsyncIterator, Generator, Iterable, Mapping, Sequence

from refimpl.errors import ConnectionClosed, HandshakeError, LocalProtocolError
from refimpl.framing import CloseCode
from refimpl.handshake import URI, Extension, Request, Response, build_request, make_key, parse_uri
from refimpl.lifecycle.connection import WebSocket
from refimpl.lifecycle.reconnect import Backoff, is_fatal
from refimpl.lifecycle.settings import Settings
from refimpl.messages import OFFER, Event, HandshakeFailed, Role

__all__ = ["ClientConnection", "Connecting", "connect"]

HeaderLines = Mapping[str, str] | Iterable[tuple[str, str]]


class ClientConnection(WebSocket):
    """A WebSocket that we opened; `connect` returns it once the server has agreed."""

    __slots__ = ("_opened",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.new_core(Role.CLIENT), settings)
        self._opened = self._loop.create_future()

    async def open(self, request: Request) -> None:
        """Send the request and wait for a valid 101; raises HandshakeError for any other answer."""
        self.request = request
        self.core.send_request(request)
        self._flush()
        await self._opened
        self.start_heartbeat()

    def _handle(self, event: Event) -> None:
        if type(event) is Response:
            self.response = event
            if not self._opened.done():
                self._opened.set_result(None)
        elif type(event) is HandshakeFailed:
            event.error.__cause__ = event.error.__cause__ or self._lost_error
            if not self._opened.done():
                self._opened.set_exception(event.error)
            self._finish(ConnectionClosed(None, None, None))
        else:
            super()._handle(event)


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
        ssl: tls.SSLContext | None,
    ) -> None:
        self._uri, self._settings = uri, settings
        self._origin, self._subprotocols = origin, subprotocols
        self._extensions, self._headers = extensions, headers
        self._ssl = ssl
        self._websocket: ClientConnection
        self._new_request()  # a wrong argument is refused here, at the call, not in a retry

    def _new_request(self) -> Request:
        return build_request(
            self._uri,
            key=make_key(),
            origin=self._origin,
            subprotocols=self._subprotocols,
            extensions=self._extensions,
            additional_headers=self._headers,
        )

    def __await__(self) -> Generator[None, None, ClientConnection]:
        return self._open().__await__()

    async def __aenter__(self) -> ClientConnection:
        self._websocket = await self._open()
        return self._websocket

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        await self._websocket.close(
            CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR
        )

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        """Yield one connection after another, with waits; raise what no waiting can mend."""
        backoff = Backoff()
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
            async with asyncio.timeout(timeout):
                return await self._attempt()
        except TimeoutError as error:
            raise TimeoutError(f"no WebSocket opened within {timeout} s") from error

    async def _attempt(self) -> ClientConnection:
        uri, ssl = self._uri, self._ssl
        _, websocket = await asyncio.get_running_loop().create_connection(
            lambda: ClientConnection(self._settings),
            uri.host,
            uri.port,
            ssl=ssl,
            ssl_shutdown_timeout=self._settings.close_timeout if ssl else None,
        )
        try:
            await websocket.open(self._new_request())
        except BaseException:
            websocket.transport.abort()
            raise
        return websocket


def connect(
    uri: str,
    *,
    origin: str | None = None,
    subprotocols: Sequence[str] | None = None,
    additional_headers: HeaderLines | None = None,
    compression: str | None = None,
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
    compression: "deflate" offers permessage-deflate. The limits are those of `Settings`.

    Raises LocalProtocolError and ValueError for wrong arguments at once; OSError where the server
    cannot be reached, TimeoutError after open_timeout seconds, HandshakeError with the answer where
    it is no valid 101.
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
    lines = (
        additional_headers.items()
        if isinstance(additional_headers, Mapping)
        else additional_headers or ()
    )
    return Connecting(
        parsed,
        settings,
        origin=origin,
        subprotocols=tuple(subprotocols or ()),
        extensions=(OFFER,) if compression else (),
        headers=tuple(lines),
        ssl=ssl or (tls.create_default_context() if parsed.secure else None),
    )
