"""An ASGI application served by uvicorn inside the event loop that runs already.

For programs and notebooks that own their loop: the server is one task more, listens on a free port,
leaves the process's signals and logging as they are, and is gone when the block ends.

>>> async def main():
...     async with running(app) as server:
...         return server.port > 0
>>> async def app(scope, receive, send): ...
>>> asyncio.run(main())
True
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from uvicorn.importer import ImportFromStringError

from refimpl.middleware.asgi import App

__all__ = ["OUR_ENGINE", "OUR_HTTP", "Running", "bracketed", "running"]

OUR_ENGINE = "refimpl.middleware.engine.protocol:Engine"
OUR_HTTP = "refimpl.middleware.engine.http:HTTP"
"""uvicorn's `http` with deadlines: `running(app, settings={"http": OUR_HTTP})`."""


class Loggers:
    """What loggers are set to, put back when the last of several blocks that change it ends."""

    def __init__(self, *names: str) -> None:
        self._loggers = [logging.getLogger(name) for name in names]
        self._blocks = 0
        self._before: list[tuple[int, list[logging.Handler], bool]] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put levels, handlers and propagation back behind the block, and behind those inside."""
        if not self._blocks:
            self._before = [
                (each.level, list(each.handlers), each.propagate) for each in self._loggers
            ]
        self._blocks += 1
        try:
            yield
        finally:
            self._blocks -= 1
            if not self._blocks:
                for logger, (level, handlers, propagate) in zip(
                    self._loggers, self._before, strict=True
                ):
                    logger.setLevel(level)
                    logger.handlers, logger.propagate = handlers, propagate


# uvicorn sets their levels for the whole process, and takes the handlers of the second away.
LOGGING = Loggers("uvicorn.error", "uvicorn.access", "uvicorn.asgi")


class Running(uvicorn.Server):
    """A uvicorn server in somebody else's loop; `ready` is set when it serves, or failed to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.host, self.port = config.host, config.port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then say so."""
        try:
            await super().startup(sockets)
        except SystemExit:  # a lifespan that fails: an exit here would take the whole loop along
            self.should_exit = True
        finally:
            self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGINT and SIGTERM to the program whose loop this is."""
        yield

    @property
    def http(self) -> str:
        """The address for HTTP clients, without a slash at its end."""
        return f"http://{bracketed(self.host)}:{self.port}"

    @property
    def ws(self) -> str:
        """The address for WebSocket clients, without a slash at its end."""
        return f"ws://{bracketed(self.host)}:{self.port}"


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets (RFC 3986 3.2.2)."""
    return f"[{host}]" if ":" in host else host


@asynccontextmanager
async def running(
    app: App,
    *,
    engine: str | type[asyncio.Protocol] = OUR_ENGINE,
    host: str = "127.0.0.1",
    port: int = 0,
    settings: dict[str, object] | None = None,
) -> AsyncIterator[Running]:
    """Serve app while the block runs.

    engine: uvicorn's `ws`: our class, "websockets-sansio", "wsproto" or another class. settings:
    more of uvicorn's own, say `{"ws_max_size": 1000}`. Raises RuntimeError where the application's
    lifespan does not start, or uvicorn cannot load what is named. Connections that have not ended
    5 s after the block are cut.
    """
    options = {"log_config": None, "timeout_graceful_shutdown": 5, **(settings or {})}
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with LOGGING.kept():
        config = uvicorn.Config(app, host=host, ws=engine, **options)  # type: ignore[arg-type]
        _load(config)
        with socket.create_server((host, port), family=family) as listener:
            config.port = listener.getsockname()[1]
            server = Running(config)
            task = asyncio.create_task(server.serve([listener]), name="uvicorn")
            try:
                await server.ready.wait()
                if not server.started:
                    raise RuntimeError("the application did not start: its lifespan failed")
                yield server
            finally:
                server.should_exit = True
                await task


def _load(config: uvicorn.Config) -> None:
    """Import what the settings name; uvicorn would end the process where the application is not."""
    try:
        config.load()
    except (SystemExit, ImportFromStringError) as error:
        raise RuntimeError(f"uvicorn cannot load {config.app!r} with ws={config.ws!r}") from error
