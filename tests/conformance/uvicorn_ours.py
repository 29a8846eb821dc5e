"""Runs uvicorn's own tests with our engine in the place of one of its own; `uvicorn_suite` runs it.

It is a program for the folder that holds uvicorn's `tests`, and changes nothing there: before the
tests are imported, our engine gets the name `WebSocketsSansIOProtocol`, and with `--http` our HTTP
class gets `H11Protocol`. So the tests called `websockets-sansio` and `h11` are of ours.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import httpx
import pytest
from uvicorn.protocols.http import h11_impl
from uvicorn.protocols.websockets import websockets_sansio_impl

from refimpl.lifecycle import heartbeat
from refimpl.middleware.engine.http import HTTP
from refimpl.middleware.engine.protocol import Engine

FILES = [
    *("tests/protocols/test_websocket.py", "tests/protocols/test_http.py"),
    *("tests/middleware/test_logging.py", "tests/middleware/test_proxy_headers.py"),
]
OTHERS = ("wsproto", "httptools", "zttp")  # the names that stay uvicorn's
OPTIONS = [
    *("-q", "-o", "addopts=", "--timeout=60", "--tb=short"),
    *("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:xdist", "-p", "no:doctest"),
]


class Ours(Engine):
    """Our engine, with what the tests look at and set inside uvicorn's."""

    __slots__ = ("__dict__",)

    @property
    def transport(self) -> asyncio.Transport:
        """What the tests write to and close."""
        return self.writer.transport

    @property
    def ping_timer(self) -> object:
        """What will send the next ping, or None."""
        return self.driver.heartbeat

    @property
    def ping_sent_at(self) -> float:
        """When the last ping was sent, 0.0 before the first."""
        return PINGED.get(self.driver, 0.0)

    @property
    def close_timer(self) -> object:
        """What will end the wait for the peer's Close, or None."""
        waits = self.writer.closed is None and not self.writer.lost
        return self.driver.closer._deadline if waits and not self.transport.is_closing() else None

    @property  # type: ignore[override]
    def close_timeout(self) -> float:
        return 10.0

    @close_timeout.setter
    def close_timeout(self, seconds: float) -> None:
        settings = replace(self.driver.settings, close_timeout=seconds or 1e-9)
        self.driver.settings = self.writer.settings = settings


PINGED: WeakKeyDictionary[object, float] = WeakKeyDictionary()


def note_pings() -> None:
    """Note when the heartbeat pings which connection."""
    send_ping = heartbeat.send_ping

    def noted(line: Any, *arguments: Any) -> bytes:
        PINGED[line] = asyncio.get_running_loop().time()
        return send_ping(line, *arguments)

    heartbeat.send_ping = noted


def complete(transport: type[Any]) -> None:
    """Add to a transport of uvicorn's tests what every transport of asyncio has."""
    transport.set_write_buffer_limits = lambda self, high=None, low=None: None
    transport.can_write_eof = lambda self: False
    transport.abort = transport.close
    transport.get_protocol = lambda self: None  # so the engine stays in front of its driver


class Selection:
    """A plugin that keeps the tests of our engine, and with `--http` those of our HTTP class."""

    def __init__(self, *, http: bool) -> None:
        self.http = http

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        for module in {item.module for item in items}:
            for name in ("MockWriteTransport", "MockTransport"):
                if hasattr(module, name):
                    complete(getattr(module, name))
        kept = [item for item in items if self._is_ours(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept

    def _is_ours(self, item: Any) -> bool:
        names = item.nodeid.partition("[")[2]
        if any(other in names for other in OTHERS):
            return False
        wanted = {"ws_protocol_cls"} | ({"http_protocol_cls"} if self.http else set())
        return bool(wanted & set(item.fixturenames)) or item.module.__name__.endswith("websocket")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http", action="store_true")
    parser.add_argument("junit")
    options = parser.parse_args()
    sys.path[0] = os.getcwd()  # `tests` is uvicorn's here
    sys.modules.setdefault("httpx2", httpx)  # its successor, which the tests use no more of
    websockets_sansio_impl.WebSocketsSansIOProtocol = Ours  # type: ignore[misc, assignment]
    if options.http:
        h11_impl.H11Protocol = HTTP  # type: ignore[misc]
    note_pings()
    plugins = [Selection(http=options.http)]
    return pytest.main([*OPTIONS, f"--junitxml={options.junit}", *FILES], plugins=plugins)


if __name__ == "__main__":
    sys.exit(main())
