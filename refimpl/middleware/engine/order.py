"""Which messages an application may send when, and in which form (ASGI 3.0, "WebSocket").

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

from refimpl.errors import Close, ConnectionClosed
from refimpl.framing import CloseCode
from refimpl.middleware.asgi import Message

__all__ = [
    "EXPECTED",
    "Disconnected",
    "Stage",
    "body_of",
    "check_order",
    "close_of",
    "content_of",
    "disconnect_message",
    "is_disconnect",
]

MAX_REASON = 123  # bytes of a close reason (RFC 6455 5.5); ASGI has no limit, so it is cut


class Disconnected(ConnectionError):
    """The client is gone. `send` raises it; an application may let it pass, and it is not logged.

    Its `__cause__` is the ConnectionClosed that says how the connection ended.
    """


class Stage(Enum):
    """How far the application has come in its answer to one connection."""

    ASKED = auto()  # the request has come and has no answer yet
    ACCEPTED = auto()
    DENYING = auto()  # an HTTP answer has begun
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


def content_of(message: Message) -> str | bytes:
    """Return the content of a `websocket.send` message, text before bytes.

    Raises RuntimeError where it has neither, TypeError for content of another type.
    """
    text, data = message.get("text"), message.get("bytes")
    if isinstance(text, str):
        return text
    if text is not None:
        raise TypeError(f"got text of type {type(text).__name__}, expected str")
    if data is None:
        raise RuntimeError("got websocket.send with neither text nor bytes")
    return _frozen(data)


def body_of(message: Message) -> bytes:
    """Return the body of a `websocket.http.response.body` message; TypeError if it is not bytes."""
    return _frozen(message.get("body", b""))


def _frozen(data: bytes | bytearray | memoryview) -> bytes:
    """Return data as bytes: it may wait for its batch, and a bytearray may change meanwhile."""
    return data if type(data) is bytes else bytes(memoryview(data))


def close_of(message: Message) -> Close:
    """Return the code and reason of a `websocket.close` message; a long reason is cut.

    Raises TypeError unless they are int and str; `send_close` checks whether the code may be sent.
    """
    code, reason = message.get("code"), message.get("reason") or ""
    code = CloseCode.NORMAL_CLOSURE if code is None else code
    if not isinstance(code, int) or not isinstance(reason, str):
        kinds = f"{type(code).__name__} and {type(reason).__name__}"
        raise TypeError(f"got a close code and reason of types {kinds}, expected int and str")
    return Close(code, reason.encode(errors="replace")[:MAX_REASON].decode(errors="ignore"))


def disconnect_message(sent: Close | None, closed: ConnectionClosed | None) -> Message:
    """Return how a connection ended: by the code of the first Close, 1006 if there was none.

    It has a reason if one was given, and always if the client's Close came first.
    """
    received = None
    if closed is not None and closed.order != "sent":
        sent, received = None, closed.received
    code, reason = received or sent or Close(CloseCode.ABNORMAL_CLOSURE)
    message: Message = {"type": "websocket.disconnect", "code": int(code)}
    return {**message, "reason": reason} if received or reason else message


def is_disconnect(error: Exception) -> bool:
    """Whether an error is only a Disconnected of ours that the application let pass."""
    if isinstance(error, ExceptionGroup):
        return error.split(Disconnected)[1] is None
    return isinstance(error, Disconnected)
