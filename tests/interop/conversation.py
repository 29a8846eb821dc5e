"""The messages every peer must bring back unchanged, and an echo server of ours to send them to."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from refimpl import serve
from refimpl.errors import ConnectionClosed

LENGTHS = (0, 1, 125, 126, 127, 65_535, 65_536, 300_000)  # around each form of the length
COMPRESSIONS = (None, "deflate")


def conversation(seed: int = 6455) -> list[str | bytes]:
    """Return texts and binaries of every length form, compressible and not."""
    rng = random.Random(seed)
    texts = ["", "hello", "Grüße, 世界, 🧦", "x" * 126, "abc" * 30_000]
    binaries = [rng.randbytes(length) for length in LENGTHS]
    return [*texts, *binaries, bytes(range(256)) * 64]


class Seen:
    """What our echo server saw of the one connection it had."""

    def __init__(self) -> None:
        self.connection: Any = None
        self.messages = 0
        self.end: ConnectionClosed | None = None

    @property
    def extensions(self) -> str | None:
        """The answer's Sec-WebSocket-Extensions, None where nothing was negotiated."""
        value: str | None = self.connection.response.headers.get("Sec-WebSocket-Extensions")
        return value


@asynccontextmanager
async def echo_server(**options: Any) -> AsyncIterator[tuple[str, Seen]]:
    """Serve an echo on a free port; give its URI and what it sees."""
    seen = Seen()

    async def echo(connection: Any) -> None:
        seen.connection = connection
        try:
            while True:
                message = await connection.recv()
                seen.messages += 1
                await connection.send(message)
        except ConnectionClosed as end:
            seen.end = end

    async with serve(echo, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", seen
