"""One uvicorn server, as its connections see it: limits, policy, and whom uvicorn waits for.

uvicorn passes its configuration and its shared state to every connection. The settings are derived
from them once a server, so that a connection holds one reference instead of a dozen.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from refimpl.handshake import Policy
from refimpl.lifecycle import Settings
from refimpl.messages import negotiate
from refimpl.middleware.asgi import App

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["EngineServer", "server_of"]

T = TypeVar("T", int, float)


class EngineServer:
    """What the connections of one server share: the counterpart of `lifecycle.Server`.

    max_fragments and close_timeout: uvicorn has no option for them.
    """

    def __init__(
        self, config: "Config", state: "ServerState", *, max_fragments: int, close_timeout: float
    ) -> None:
        self.app: App = config.loaded_app
        self.root_path: str = config.root_path
        self.asgi = {"version": config.asgi_version, "spec_version": "2.4"}
        self.settings = Settings(
            open_timeout=None,  # uvicorn has read the head; the rest is up to the application
            ping_interval=_limit(config.ws_ping_interval),
            ping_timeout=_limit(config.ws_ping_timeout),
            close_timeout=close_timeout,
            max_size=_limit(config.ws_max_size),
            max_fragments=max_fragments,
            max_queue=_limit(config.ws_max_queue),
        )
        # Only the application can judge an Origin: ASGI passes it the header.
        self.policy = Policy(
            origins=("*",), negotiate=negotiate if config.ws_per_message_deflate else None
        )
        self.refused: Counter[str] = Counter()
        self.is_closing = False
        # uvicorn 0.36, the first that takes an engine by name, lacks this setting.
        self.reset_context = bool(getattr(config, "reset_contextvars", False))
        self._connections: set[object] = state.connections  # type: ignore[assignment]
        self._tasks = state.tasks

    def joined(self, connection: object) -> None:
        """Note a connection that uvicorn handed over; uvicorn waits for it when it stops."""
        self._connections.add(connection)

    def left(self, connection: object) -> None:
        """Forget a connection that is gone."""
        self._connections.discard(connection)

    def own(self, work: Coroutine[None, None, None], context: Context) -> asyncio.Task[None]:
        """Run work in a context, as a task that uvicorn waits for when it stops."""
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _limit(value: T | None) -> T | None:
    """Return a limit; None for 0 or less, which mean no limit."""
    return value if value is not None and value > 0 else None


_servers: "WeakKeyDictionary[ServerState, EngineServer]" = WeakKeyDictionary()


def server_of(
    config: "Config", state: "ServerState", *, max_fragments: int, close_timeout: float
) -> EngineServer:
    """Return what a server's connections share, made for its first connection."""
    server = _servers.get(state)
    if server is None:
        server = EngineServer(
            config, state, max_fragments=max_fragments, close_timeout=close_timeout
        )
        _servers[state] = server
    return server
