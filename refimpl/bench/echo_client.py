"""Connections that ask a server for answers and check each: `load` sends its messages with them.

>>> WrongAnswer("got another message back").args
('got another message back',)
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from refimpl.bench.machine import raise_file_limit
from refimpl.errors import ConnectionClosed, WebSocketError
from refimpl.lifecycle.client import ClientConnection, connect

__all__ = ["EchoClient", "Tell", "WrongAnswer", "all_or_first_error", "echo_clients"]

Tell = Callable[[float, str], None]
AT_ONCE = 50  # handshakes in flight


class WrongAnswer(WebSocketError):
    """The server sent a wrong answer, or hung up, in the middle of the load.

    It does not echo, or it lost or garbled a message: its latencies mean nothing.
    """


class EchoClient:
    """One connection that sends numbered messages and checks what comes back for each."""

    def __init__(self, connection: ClientConnection, name: int, size: int) -> None:
        self._connection = connection
        self._name = name
        self._size = size
        self._asked = 0

    async def ask(self) -> float:
        """Send a message and wait for its answer; return when the message was sent.

        The answer must end with the message; the server may put a prefix before it. Raises
        WrongAnswer.
        """
        self._asked += 1
        message = f"{self._name}.{self._asked}.".ljust(self._size, "x")[: self._size]
        left = time.perf_counter()
        try:
            await self._connection.send(message)
            answer = await self._connection.recv()
        except ConnectionClosed as error:
            where = f"after {self._asked - 1} answers on this connection"
            raise WrongAnswer(f"the server closed a connection {where}: {error}") from error
        if not isinstance(answer, str) or not answer.endswith(message):
            raise WrongAnswer(
                f"got another message back, {len(answer)} long, expected the {len(message)} sent"
            )
        return left


@asynccontextmanager
async def echo_clients(
    uri: str, count: int, size: int, tell: Tell
) -> AsyncIterator[list[EchoClient]]:
    """Open connections for the block; the first alone, so that a dead server is only one error."""
    raise_file_limit()
    opened: list[ClientConnection] = []
    gate = asyncio.Semaphore(AT_ONCE)

    async def open_one() -> None:
        async with gate:
            opened.append(await connect(uri, ping_interval=None, max_size=None))
            if len(opened) % 100 == 0:
                tell(0, f"{len(opened)} of {count} connections open")

    try:
        await open_one()
        await all_or_first_error([open_one for _ in range(count - 1)])
        yield [EchoClient(each, number, size) for number, each in enumerate(opened)]
    finally:
        await asyncio.gather(*(each.close() for each in opened), return_exceptions=True)


async def all_or_first_error(jobs: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Run jobs concurrently; on the first error cancel the others and raise it, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
