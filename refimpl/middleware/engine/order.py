"""What an application may say when: the table of ASGI's WebSocket messages (ASGI 3.0, "WebSocket").

>>> sorted(EXPECTED[Stage.ASKED])
['websocket.accept', 'websocket.close', 'websocket.http.response.start']
>>> check_order(Stage.DONE, "websocket.send")
Traceback (most recent call last):
    ...
RuntimeError: got 'websocket.send' from the application, expected nothing more
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

__all__ = ["EXPECTED", "Disconnected", "Stage", "check_order", "is_disconnect"]


class Disconnected(ConnectionError):
    """The client is gone: `send` raises it, an application may let it pass, nobody logs it.

    Its `__cause__` is the ConnectionClosed that says how the connection ended.
    """


class Stage(Enum):
    """How far the application has come in its answer to one connection."""

    ASKED = auto()  # the request is there, and nothing was said to it
    ACCEPTED = auto()
    DENYING = auto()  # an HTTP answer is on its way
    DONE = auto()  # closed or denied by the application itself


EXPECTED: Mapping[Stage, frozenset[str]] = MappingProxyType(
    {
        Stage.ASKED: frozenset(
            {"websocket.accept", "websocket.close", "websocket.http.response.start"}
        ),
        Stage.ACCEPTED: frozenset({"websocket.send", "websocket.close"}),
        Stage.DENYING: frozenset({"websocket.http.response.body"}),
        Stage.DONE: frozenset(),
    }
)


def check_order(stage: Stage, kind: str) -> None:
    """Raise RuntimeError for a message that the application may not send at this stage."""
    if kind not in EXPECTED[stage]:
        wanted = " or ".join(sorted(EXPECTED[stage])) or "nothing more"
        raise RuntimeError(f"got {kind!r} from the application, expected {wanted}")


def is_disconnect(error: Exception) -> bool:
    """Whether an application let our own Disconnected pass, and nothing else went wrong."""
    if isinstance(error, ExceptionGroup):
        return error.split(Disconnected)[1] is None
    return isinstance(error, Disconnected)
