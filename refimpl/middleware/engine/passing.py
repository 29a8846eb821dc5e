"""A protocol that passes on what asyncio calls to a connection's driver.

An engine is one until its driver takes its place; a watch is one for as long as it lasts.
"""

import asyncio

from refimpl.lifecycle.driver import Driver

__all__ = ["PassingOn"]


class PassingOn(asyncio.Protocol):
    """Stands in front of a driver; a subclass sets `driver`."""

    __slots__ = ()

    driver: Driver

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        self.driver.data_received(data)

    def eof_received(self) -> bool:
        """Pass on the end of the stream."""
        return self.driver.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on the end of the connection."""
        self.driver.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the transport is full."""
        self.driver.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the transport has room again."""
        self.driver.resume_writing()
