"""The live half of `refimpl inspect`: a proxy that prints what passes, frame by frame.

Bytes pass unchanged and at once; what is printed is decoded from a copy. A server behind wss:// is
reached over TLS while the client speaks ws:// to the proxy, so its frames can be read too.
"""

import asyncio
import ssl as tls
from itertools import count
from pathlib import Path

from refimpl.cli.output import say
from refimpl.framing import Frame
from refimpl.handshake import Request, Response, parse_uri
from refimpl.lab.wire.annotate import annotate
from refimpl.lab.wire.capture import Capture
from refimpl.lab.wire.decode import Chunk, Decoder, Step
from refimpl.lab.wire.direction import Direction
from refimpl.lab.wire.heads import head_lines
from refimpl.lab.wire.transcript import ARROWS, describe

__all__ = ["Proxy"]

READ_SIZE = 64 * 1024


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
        self._save = save
        self._bits = bits
        self._numbers = count(1)

    async def run(self) -> None:
        """Serve until cancelled."""
        host, port = self._address
        server = await asyncio.start_server(self._accept, host, port, limit=READ_SIZE)
        for each in server.sockets:
            name, number = each.getsockname()[:2]
            shown = f"[{name}]" if ":" in name else name
            say(f"Listening on ws://{shown}:{number}{self._uri.target}")
        async with server:
            await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on; whatever breaks it, the others go on."""
        watched = Watched(next(self._numbers), self._bits)
        try:
            await self._relay(watched, reader, writer)
        except OSError as error:
            say(f"#{watched.number} {error}", err=True)
        finally:
            writer.transport.abort()
            if self._save:
                watched.capture.save(numbered(Path(self._save), watched.number))

    async def _relay(
        self, watched: "Watched", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        context = tls.create_default_context() if self._uri.secure else None
        far_reader, far_writer = await asyncio.open_connection(
            self._uri.host, self._uri.port, ssl=context, limit=READ_SIZE
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(watched, "client", reader, far_writer))
                group.create_task(pump(watched, "server", far_reader, writer))
        except* OSError as errors:
            say(f"#{watched.number} {errors.exceptions[0]}", err=True)
        finally:
            far_writer.transport.abort()


class Watched:
    """One connection that passes through: its number, its capture, and how far it is decoded."""

    def __init__(self, number: int, bits: bool) -> None:
        self.number = number
        self.capture = Capture("refimpl inspect")
        self._bits = bits
        self._decoder = Decoder()
        self._started = asyncio.get_running_loop().time()

    def saw(self, direction: Direction, data: bytes) -> None:
        """Note what one side said, and print what that completes."""
        seconds = asyncio.get_running_loop().time() - self._started
        self.capture.add(seconds, direction, data)
        for step in self._decoder.feed(Chunk(seconds, direction, data)):
            self._print(step)

    def _print(self, step: Step) -> None:
        start = f"#{self.number} {step.seconds:8.3f}  {ARROWS[step.direction]}"
        if isinstance(step.item, Frame) and self._bits:
            say(f"{start}  {annotate(step.wire, compressed=True)}")
        else:
            say(f"{start}  {describe(step)}")
        if step.problem:
            say(f"{'':>{len(start)}}  WRONG: {step.problem}")
        if isinstance(step.item, Request | Response):
            for line in head_lines(step.item)[1:]:
                say(f"{'':>{len(start)}}  {line}")


async def pump(
    watched: Watched,
    direction: Direction,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Pass on what one side says until it ends, then end that direction on the other side."""
    while data := await reader.read(READ_SIZE):
        watched.saw(direction, data)
        writer.write(data)
        await writer.drain()
    watched.saw(direction, b"")
    if writer.can_write_eof() and not writer.is_closing():
        writer.write_eof()


def numbered(path: Path, number: int) -> Path:
    """Return the file for a connection's capture: capture.json, capture.2.json, ..."""
    return path if number == 1 else path.with_suffix(f".{number}{path.suffix}")
