"""The live half of `refimpl inspect`: a proxy that prints what passes, frame by frame.

Bytes pass unchanged and at once; what is printed is decoded from a copy. A server behind wss:// is
reached over TLS while the client speaks ws:// to the proxy, so its frames can be read too. No data
that has passed is kept in memory: a capture is written chunk by chunk, and only the header of a
frame larger than LIMIT is decoded.
"""

import asyncio
import ssl as tls
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Self

from refimpl.cli.output import say
from refimpl.framing import Frame
from refimpl.handshake import Request, Response, parse_uri
from refimpl.lab.wire.annotate import annotate
from refimpl.lab.wire.capture import Capture, CaptureFile
from refimpl.lab.wire.decode import CaptureDecoder, Chunk, Step
from refimpl.lab.wire.direction import Direction
from refimpl.lab.wire.heads import head_lines
from refimpl.lab.wire.transcript import ARROWS, describe

__all__ = ["Proxy"]

READ_SIZE = 64 * 1024
LIMIT = 4 * 1024 * 1024  # bytes of each direction that are kept while a frame is incomplete


class Proxy:
    """Listens on host and port, passes every connection on to a server, and prints it.

    save: a file for the first connection's capture; later ones get a number. bits: print every
    frame bit by bit.
    """

    def __init__(
        self, host: str, port: int, to: str, *, save: str | None = None, bits: bool = False
    ) -> None:
        self._address = host, port
        self._uri = parse_uri(to)
        self._save = Path(save) if save else None
        self._bits = bits
        self._numbers = count(1)
        self._links: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[None]

    async def run(self) -> None:
        """Serve until cancelled; OSError if it cannot listen, or cannot write its output."""
        self._over = asyncio.get_running_loop().create_future()
        host, port = self._address
        server = await asyncio.start_server(self._accept, host, port, limit=READ_SIZE)
        try:
            for each in server.sockets:
                name, number = each.getsockname()[:2]
                shown = f"[{name}]" if ":" in name else name
                say(f"Listening on ws://{shown}:{number}{self._uri.target}")
            await self._over
        finally:
            server.close()
            for link in self._links:
                link.cancel()
            await asyncio.gather(*self._links, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.get_running_loop().create_task(self._pass_on(reader, writer))
        self._links.add(link)

        def end(link: asyncio.Task[None]) -> None:
            writer.transport.abort()  # here, because a task may be cancelled before it has begun
            self._links.discard(link)

        link.add_done_callback(end)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection; an error in it does not end the others."""
        number = next(self._numbers)
        save = numbered(self._save, number) if self._save else None
        try:
            with ProxiedConnection(number, self._bits, save, tell=self._tell) as connection:
                await self._relay(connection, reader, writer)
        except* (OSError, UnicodeError) as errors:  # UnicodeError: not a host name
            self._tell(f"#{number} {errors.exceptions[0]}", err=True)

    def _tell(self, text: str, *, err: bool = False) -> None:
        """Print a line; end the proxy if its output cannot be written."""
        try:
            say(text, err=err)
        except OSError as error:
            if not self._over.done():
                self._over.set_exception(error)

    async def _relay(
        self,
        connection: "ProxiedConnection",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        context = tls.create_default_context() if self._uri.secure else None
        far_reader, far_writer = await asyncio.open_connection(
            self._uri.host, self._uri.port, ssl=context, limit=READ_SIZE
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(connection, "client", reader, far_writer))
                group.create_task(pump(connection, "server", far_reader, writer))
        finally:
            far_writer.transport.abort()


class ProxiedConnection:
    """One connection through the proxy: its number, its file, and how far it is decoded."""

    def __init__(
        self,
        number: int,
        bits: bool,
        save: Path | None = None,
        *,
        tell: Callable[[str], None] = say,
        limit: int = LIMIT,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._number = number
        self._bits = bits
        self._tell = tell
        self._clock = clock
        self._decoder = CaptureDecoder(limit=limit)
        self._file = CaptureFile(save, Capture("refimpl inspect")) if save else None
        self._started = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def saw(self, direction: Direction, data: bytes) -> None:
        """Record one read, and print the heads and frames that it completes."""
        seconds = self._clock() - self._started
        if self._file is not None:
            self._file.add(seconds, direction, data)
        for step in self._decoder.feed(Chunk(seconds, direction, data)):
            self._print(step)

    def _print(self, step: Step) -> None:
        start = f"#{self._number} {step.seconds:8.3f}  {ARROWS[step.direction]}"
        if isinstance(step.item, Frame) and self._bits:
            self._tell(f"{start}  {annotate(step.wire, compressed=True)}")
        else:
            self._tell(f"{start}  {describe(step)}")
        if step.problem:
            self._tell(f"{'':>{len(start)}}  WRONG: {step.problem}")
        if isinstance(step.item, Request | Response):
            for line in head_lines(step.item)[1:]:
                self._tell(f"{'':>{len(start)}}  {line}")


async def pump(
    connection: ProxiedConnection,
    direction: Direction,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Copy one direction to its end, then end it on the other side too."""
    while data := await reader.read(READ_SIZE):
        connection.saw(direction, data)
        writer.write(data)
        await writer.drain()
    connection.saw(direction, b"")
    if writer.can_write_eof() and not writer.is_closing():
        writer.write_eof()


def numbered(path: Path, number: int) -> Path:
    """Return the file for a connection's capture: capture.json, capture.2.json, ..."""
    return path if number == 1 else path.with_suffix(f".{number}{path.suffix}")
