"""Watching the frames of an open connection, as the wire panel of the demo does.

While nobody watches, none of this exists, and the hot path has nothing to check: a watch puts
itself between connection and transport when it begins, and removes itself when it ends.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from refimpl.errors import RemoteProtocolError
from refimpl.framing import parse_header
from refimpl.lifecycle.driver import Driver
from refimpl.messages import State
from refimpl.middleware.engine.passing import PassingOn

__all__ = ["Callback", "FrameSplitter", "Observed", "Tap", "Watch"]

Callback = Callable[[str, bytes], None]
"""Called with "in" or "out" and the bytes of one whole frame."""

logger = logging.getLogger("refimpl.engine")


class FrameSplitter:
    """Cuts one direction of a connection into whole frames.

    >>> splitter = FrameSplitter(max_size=1024)
    >>> splitter.feed(b"\\x81\\x02h"), splitter.feed(b"i\\x8a\\x00")
    ([], [b'\\x81\\x02hi', b'\\x8a\\x00'])
    """

    def __init__(self, *, max_size: int | None, rest: bytes = b"") -> None:
        """rest: the beginning of a frame that came before the watch began."""
        self._max_size = max_size
        self._buffer = bytearray(rest)
        self._broken = False

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Return the frames that data completes; malformed bytes are returned once, as they are."""
        if self._broken:
            return []
        self._buffer += data
        frames, position = [], 0
        try:
            while (end := self._end(position)) is not None:
                frames.append(bytes(self._buffer[position:end]))
                position = end
        except RemoteProtocolError:  # the core fails the connection, and reads no more
            self._broken = True
            frames.append(bytes(self._buffer[position:]))
            position = len(self._buffer)
        del self._buffer[:position]
        return frames

    def _end(self, position: int) -> int | None:
        header = parse_header(self._buffer, position, compressed=True, max_size=self._max_size)
        return None if header is None or header[3] > len(self._buffer) else header[3]


class Watch:
    """The callbacks that watch one connection, and its two directions."""

    def __init__(self, *, max_size: int | None, rest: bytes = b"") -> None:
        self._callbacks: list[Callback] = []
        self._incoming = FrameSplitter(max_size=max_size, rest=rest)
        self._outgoing = FrameSplitter(max_size=None)

    def __len__(self) -> int:
        return len(self._callbacks)

    def add(self, callback: Callback) -> None:
        """Call callback with all frames from now on."""
        self._callbacks.append(callback)

    def remove(self, callback: Callback) -> None:
        """Stop calling callback; it may have been removed already."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def came(self, data: bytes) -> None:
        """Report bytes from the peer."""
        self._show("in", self._incoming.feed(data))

    def went(self, data: bytes | bytearray | memoryview) -> None:
        """Report bytes to the peer."""
        self._show("out", self._outgoing.feed(data))

    def _show(self, direction: str, frames: list[bytes]) -> None:
        for frame in frames:
            for callback in tuple(self._callbacks):
                try:
                    callback(direction, frame)
                except Exception:  # a fault of the watcher does not end the connection
                    logger.exception("a watcher of frames failed and sees no more")
                    self.remove(callback)


class Tap(PassingOn):
    """A layer between a transport and its driver that reports what passes, in both directions.

    To the transport it is the protocol, to the driver it is the transport.
    """

    def __init__(self, driver: Driver, watch: Watch) -> None:
        self.transport = driver.writer.transport
        self.driver = driver
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Report and write data."""
        self._watch.went(data)
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Report and pass on data."""
        self._watch.came(data)
        self.driver.data_received(data)


class Observed:
    """A connection whose frames can be watched while it is open."""

    __slots__ = ("_driver", "_watch")

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._watch: Watch | None = None

    def observe(self, callback: Callback) -> Callable[[], None]:
        """Call callback with each frame of this connection from now on; return how to stop it."""
        if self._watch is None:
            core, settings = self._driver.core, self._driver.settings
            self._watch = Watch(max_size=settings.max_size, rest=core.peek())
            if core.state is not State.CONNECTING:
                self.begin()
        watch = self._watch
        watch.add(callback)

        def stop() -> None:
            watch.remove(callback)
            if not watch and self._watch is watch:
                self.end()

        return stop

    def begin(self) -> None:
        """Put the watch between driver and transport, if somebody watches."""
        if self._watch is not None:
            tap = Tap(self._driver, self._watch)
            tap.transport.set_protocol(tap)
            self._driver.writer.transport = cast(asyncio.Transport, tap)

    def end(self) -> None:
        """Remove the watch."""
        self._watch = None
        writer = self._driver.writer
        if isinstance(writer.transport, Tap):
            writer.transport = writer.transport.transport
            if not writer.lost:
                writer.transport.set_protocol(self._driver)
