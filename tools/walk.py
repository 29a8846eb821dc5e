"""Shows the files of the package that one echo and one Close pass through: `make walk`.

    python -m tools.walk                 prints both routes
    python -m tools.walk --svg FILE      draws them too

A server's connection and a raw peer are joined in memory. The profiler hook notes each call into
the package, from the read of the peer's frame on. The memory transport is left out: it stands for
the kernel. The memory pipe's owner is counted: it stands for `Server`.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import refimpl
from refimpl.framing import Frame, Opcode, serialize_frame
from refimpl.lifecycle import ServerConnection, memory_pipe
from refimpl.lifecycle.settings import Settings

PACKAGE = Path(refimpl.__file__).parent
KEY = b"\x37\xfa\x21\x3d"
ECHO = Frame(Opcode.TEXT, b"hello", masking_key=KEY)
CLOSE = Frame(Opcode.CLOSE, (1000).to_bytes(2), masking_key=KEY)
MOST_TURNS = 100  # of the event loop: an echo takes two, a Close about ten


class Step(NamedTuple):
    """One call: the file, as a path inside the package, and the function."""

    file: str
    function: str


class Walk(NamedTuple):
    """The calls that one frame caused, in order.

    received, sent: the frame and what was answered, as bytes. writer: the file that wrote it.
    """

    title: str
    steps: Sequence[Step]
    received: bytes
    sent: bytes
    writer: str

    @property
    def files(self) -> list[str]:
        """The files, in the order of the first call into each."""
        return list(dict.fromkeys(step.file for step in self.steps))

    @property
    def changes(self) -> int:
        """How many calls are into another file than the call before."""
        return sum(before.file != after.file for before, after in pairwise(self.steps))

    def __str__(self) -> str:
        head = f"{self.title}: {len(self.files)} files, {self.changes} changes of file"
        return "\n".join([head, *(f"  {step.file}: {step.function}" for step in self.steps)])


class Peer(asyncio.Protocol):
    """The other end of the connection; none of its code is in the package."""

    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def data_received(self, data: bytes) -> None:
        """Keep what the server sends."""
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the connection."""
        self.lost = True


async def walk_echo() -> Walk:
    """Return the route of a small text, from the server's read to the server's write."""
    title = "An echo: from the read to the write"
    return await _walk(title, ECHO, lambda peer: bool(peer.received), ends_with_write=True)


async def walk_close() -> Walk:
    """Return the route of a peer's Close, from the server's read to the end of the connection."""
    return await _walk("A peer's Close: from the read to the end", CLOSE, lambda peer: peer.lost)


async def _walk(
    title: str, frame: Frame, done: Callable[[Peer], bool], *, ends_with_write: bool = False
) -> Walk:
    client, server = await memory_pipe(Settings(ping_interval=None))
    transport, peer = client.transport, Peer()
    transport.set_protocol(peer)
    handling = asyncio.ensure_future(_echo(server))
    await asyncio.sleep(0)  # the handler waits for a message
    received = serialize_frame(frame)
    transport.write(received)
    with traced(inspect.getfile(type(transport)), ends_with_write) as (steps, writers):
        for _ in range(MOST_TURNS):
            await asyncio.sleep(0)
            if done(peer):
                break
        else:
            raise RuntimeError(f"{title}: not done after {MOST_TURNS} turns of the loop")
        await asyncio.sleep(0)  # both ends hear of the loss in one turn
    handling.cancel()
    await asyncio.gather(handling, return_exceptions=True)
    transport.abort()
    await asyncio.sleep(0)
    return Walk(title, steps, received, peer.received, writers[0])


async def _echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


@contextmanager
def traced(transport_file: str, ends_with_write: bool) -> Iterator[tuple[list[Step], list[str]]]:
    """Note the calls into the package during the block, at most up to the transport's `write`.

    Yields the calls, and the file from which each write came.
    """
    steps: list[Step] = []
    writers: list[str] = []
    begin = f"{PACKAGE.as_posix()}/"

    def note(frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        file = code.co_filename.replace("\\", "/")
        if code.co_filename == transport_file:
            if code.co_name == "write":
                writers.append(steps[-1].file)
                if ends_with_write:
                    sys.setprofile(None)
        elif file.startswith(begin) and not code.co_name.startswith("<"):
            steps.append(Step(file.removeprefix(begin), code.co_name))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield steps, writers
    finally:
        sys.setprofile(before)


def main(arguments: Sequence[str]) -> int:
    """Print both routes; draw them where a file is named."""
    walks = [asyncio.run(walk_echo()), asyncio.run(walk_close())]
    sys.stdout.write("\n\n".join(map(str, walks)) + "\n")
    if arguments:
        if arguments[0] != "--svg" or len(arguments) != 2:
            sys.stderr.write("usage: python -m tools.walk [--svg FILE]\n")
            return 2
        from tools.walk_picture import picture

        Path(arguments[1]).write_text(picture(walks), encoding="utf-8")
        sys.stdout.write(f"\nWrote {arguments[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
