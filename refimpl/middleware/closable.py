"""An endpoint's connection that can also be ended from outside.

A `Closable` stands between server and endpoint: it passes ASGI messages both ways, and they tell it
whether the handshake is answered. `end` tells the client, wakes an endpoint that waits in
`receive`, and makes its next `send` fail. `cut` cancels an endpoint that does not react to that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from refimpl.concurrency.cancelling import Cancellation
from refimpl.errors import Close
from refimpl.messages.close_frame import serialize_close
from refimpl.middleware.asgi import DENIAL, App, Message, Receive, Scope, Send, respond

__all__ = ["Closable", "Connection", "Ended"]

TELL_TIMEOUT = 10.0  # seconds: a client that does not read may block the server's send


class Ended(OSError):
    """The endpoint uses a connection that has ended: it must stop, there is no client.

    An OSError, as ASGI demands it of `send` after a disconnect, so that frameworks understand it.
    """


class Phase(Enum):
    """How far the handshake is, by the application's messages."""

    CONNECTING = "not answered yet"
    OPEN = "accepted"
    OVER = "refused or closed"


@dataclass(frozen=True, slots=True)
class Connection:
    """The WebSocket that this code works for, for code that was not passed the socket itself."""

    endpoint: str
    send: Callable[[str | bytes], Awaitable[None]]
    close: Callable[[int, str], Awaitable[None]]


class Closable:
    """One WebSocket on its way through an endpoint.

    Made in the task that serves the connection. `finished` is set when the endpoint has returned.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.phase = Phase.CONNECTING
        self.task = asyncio.current_task()
        assert self.task is not None
        self.finished = asyncio.Event()
        self._receive = receive
        self._send = send
        self._ending: Close | None = None
        self._told = asyncio.Event()
        self._waiting: set[Cancellation] = set()  # one for each task in `receive`
        self._cut = Cancellation(self.task)
        self._begun = False  # applications expect `websocket.connect` before anything else
        self._disconnected = False

    async def run(self, endpoint: App) -> None:
        """Run the endpoint on the connection until it returns; raise what it raises."""
        try:
            await self._run_and_tell(endpoint)
        except Ended:
            pass
        except asyncio.CancelledError:
            if not self._cut.take_back():
                raise  # somebody else's cancellation
        finally:
            self._cut.take_back()  # the endpoint swallowed it
            self.phase = Phase.OVER
            self.finished.set()

    async def _run_and_tell(self, endpoint: App) -> None:
        """Run the endpoint; return once the client is told, or the server would close first."""
        try:
            await endpoint(self.scope, self.receive, self.send)
        except Exception:
            if self._ending is not None:
                await self._told.wait()
            raise
        if self._ending is not None:
            await self._told.wait()

    @property
    def ended(self) -> bool:
        """Whether `end` was called: then an endpoint need not begin."""
        return self._ending is not None

    async def receive(self) -> Message:
        """Return the next message, or a disconnect as soon as it is ended.

        Raises Ended after the disconnect: a loop that asks on would never let go of the event loop.
        """
        if self._disconnected:
            raise Ended("the disconnect was received, and nothing can come behind it")
        if self._ending is not None and self._begun:
            return self._disconnect(self._ending)
        task = asyncio.current_task()
        assert task is not None
        wake = Cancellation(task)
        self._waiting.add(wake)
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if self._ending is None or not wake.take_back():
                raise
            return self._disconnect(self._ending)
        finally:
            self._waiting.discard(wake)
            wake.take_back()  # a middleware turned it into a message
        self._begun = True
        if message["type"] == "websocket.disconnect":
            self.phase, self._disconnected = Phase.OVER, True
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on; Ended if we have ended the connection."""
        if self._ending is not None:
            raise Ended(f"this connection was closed with {self._ending.code}")
        kind = message["type"]
        if kind == "websocket.accept":
            self.phase = Phase.OPEN
        elif kind in ("websocket.close", f"{DENIAL}.start"):
            self.phase = Phase.OVER
        await self._send(message)

    async def end(self, close: Close) -> None:
        """Tell the client (Close when open, 404 before), then wake the endpoint.

        Raises LocalProtocolError for a Close that may not be sent; nothing is ended then.
        """
        if self._ending is not None:
            return
        serialize_close(close.code, close.reason)
        self._ending = close
        try:
            async with asyncio.timeout(TELL_TIMEOUT):
                await self._tell(close)
        except (OSError, TimeoutError):
            pass  # the client has just left, or does not read any more
        finally:
            self._told.set()
            for wake in self._waiting:
                wake.ask()

    def cut(self) -> None:
        """Cancel an endpoint that did not return after `end`."""
        if not self.finished.is_set():
            self._cut.ask()

    async def _tell(self, close: Close) -> None:
        phase, self.phase = self.phase, Phase.OVER
        if phase is Phase.OPEN:
            goodbye = {"type": "websocket.close", "code": close.code, "reason": close.reason}
            await self._send(goodbye)
        elif phase is Phase.CONNECTING:
            await respond(self.scope, self._send, 404)

    def _disconnect(self, close: Close) -> Message:
        self._disconnected = True
        return {"type": "websocket.disconnect", "code": close.code, "reason": close.reason}
