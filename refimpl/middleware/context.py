"""Who is asking: typed values bound for the life of a request or a connection.

A value's type is its key, so no two parts of a program can collide on a name, and a checker knows
what comes back. Values live in a ContextVar: every task started inside the block inherits them,
and nothing has to be passed down. They are frozen, since all those tasks share them.

>>> with bind(User("ada", roles=frozenset({"admin"})), TenantID("north")):
...     current(User).id, current(TenantID).value
('ada', 'north')
>>> find(User) is None
True
"""

import logging
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar, cast

from refimpl.handshake import as_tuple
from refimpl.middleware.asgi import App, Message, Receive, Scope, Send, header_values

__all__ = [
    "AddContext",
    "Context",
    "RequestID",
    "TenantID",
    "User",
    "bind",
    "current",
    "find",
    "stamped",
    "with_state",
]

T = TypeVar("T")
Values = Mapping[type, object]

HEADER = "x-request-id"
SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # it goes into logs and into a header of the answer
ANSWERS = ("http.response.start", "websocket.accept", "websocket.http.response.start")

# A layer for each block, the innermost last. A block takes its own away, whichever ends first.
_bound: ContextVar[tuple[Values, ...]] = ContextVar("refimpl.bound", default=())


@dataclass(frozen=True, slots=True)
class TenantID:
    """The customer a request belongs to."""

    value: str


@dataclass(frozen=True, slots=True)
class RequestID:
    """The name of one request or connection, in every log line and in the answer."""

    value: str


@dataclass(frozen=True, slots=True)
class User:
    """Who is asking; `id` never changes, `name` is for people to read."""

    id: str
    name: str = ""
    roles: frozenset[str] = frozenset()
    tenant: TenantID | None = None

    def __post_init__(self) -> None:
        # A str would be searched for letters: "dm" is in "admin".
        object.__setattr__(self, "roles", frozenset(as_tuple("roles", self.roles)))


NAMES: dict[type, str] = {RequestID: "request_id", User: "user", TenantID: "tenant"}


def check_value(value: object) -> None:
    """Raise TypeError for what may not be bound: anything that another task could change.

    A frozen dataclass that can be hashed has only such fields, all the way down; and its type
    belongs to the program, so that it cannot collide as `str` would.
    """
    params = getattr(value, "__dataclass_params__", None)
    if isinstance(value, type) or params is None or not (params.frozen and params.eq):
        raise TypeError(
            f"got a {type(value).__name__}, expected a frozen dataclass: its type is the key, and "
            "the tasks that share it must not be able to change it"
        )
    try:
        hash(value)
    except TypeError as error:
        raise TypeError(f"got a {type(value).__name__} that holds something mutable") from error


@contextmanager
def bind(*values: object) -> Iterator[None]:
    """Make values current inside the block, for this task and all that start there.

    A User brings its tenant along. Raises TypeError for a value that is not frozen.
    """
    layer = _layer(values)
    _bound.set((*_bound.get(), layer))
    try:
        yield
    finally:
        _bound.set(tuple(each for each in _bound.get() if each is not layer))


def _layer(values: Iterable[object]) -> Values:
    """Return values by their types."""
    layer: dict[type, object] = {}
    for value in values:
        check_value(value)
        if isinstance(value, User) and value.tenant is not None:
            layer[TenantID] = value.tenant
        layer[type(value)] = value
    return layer


def find(kind: type[T]) -> T | None:
    """Return the value of this type that is bound here, or None."""
    for layer in reversed(_bound.get()):
        if kind in layer:
            return cast(T, layer[kind])
    return None


def current(kind: type[T]) -> T:
    """Return the value of this type that is bound here.

    Raises LookupError where none is: this code runs outside the middleware that binds it, or in a
    task that was started before.
    """
    value = find(kind)
    if value is None:
        raise LookupError(
            f"no {kind.__name__} is bound here: put the middleware that binds it around this code, "
            f"or wrap it in `with bind({kind.__name__}(...))`; a task sees what was bound where it "
            "was created"
        )
    return value


def with_state(scope: Scope, *values: object) -> Scope:
    """Return a copy of scope whose `state` also holds values, by their names in a log record.

    For code that reads `request.state.user`; the caller's scope stays as it was.
    """
    named = {NAMES[type(value)]: value for value in values if type(value) in NAMES}
    return {**scope, "state": {**scope.get("state", {}), **named}}


NOTE = "request id: "


def note(error: Exception, request: RequestID) -> None:
    """Name the request in an error, in place of one that it failed before."""
    notes = getattr(error, "__notes__", [])
    if isinstance(notes, list):  # else a program put something of its own there
        notes[:] = [each for each in notes if not str(each).startswith(NOTE)]
        error.add_note(NOTE + request.value)


def noted(error: BaseException | None) -> RequestID | None:
    """Return the request that `note` named in an error, or None."""
    for text in map(str, getattr(error, "__notes__", ())):
        if text.startswith(NOTE):
            return RequestID(text.removeprefix(NOTE))
    return None


class AddContext(logging.Filter):
    """Adds `request_id`, `user` and `tenant` to each record, "-" where nothing is bound.

    Where no request is bound, an error that the record is about may name one. Put the filter on a
    handler: one on a logger does not see the records of the loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Complete the record and let it pass; what is already there stays."""
        user = find(User)
        request = find(RequestID) or noted(record.exc_info[1] if record.exc_info else None)
        for kind, text in (
            (RequestID, request.value if request else "-"),
            (User, user.id if user else "-"),
            (TenantID, tenant.value if (tenant := find(TenantID)) else "-"),
        ):
            if not hasattr(record, NAMES[kind]):
                # A line break inside an id would forge a second log line.
                setattr(record, NAMES[kind], text if text.isprintable() else ascii(text))
        return True


def stamped(send: Send, request: RequestID) -> Send:
    """Return a send that names the request in every answer, whatever the application says."""
    own = (HEADER.encode(), request.value.encode())

    async def send_stamped(message: Message) -> None:
        if message["type"] in ANSWERS:
            others = [pair for pair in message.get("headers", ()) if pair[0].lower() != own[0]]
            message = {**message, "headers": [*others, own]}
        await send(message)

    return send_stamped


class Context:
    """ASGI middleware: gives each request and connection a RequestID, and answers with it.

    The client's own `X-Request-ID` is taken where it is one short token. new_id: makes the others.
    """

    def __init__(
        self, app: App, *, new_id: Callable[[], str] = lambda: secrets.token_hex(8)
    ) -> None:
        self.app = app
        self.new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with a RequestID bound."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        request = self._request_id(scope)
        try:
            with bind(request):
                await self.app(with_state(scope, request), receive, stamped(send, request))
        except Exception as error:
            note(error, request)  # the server logs it, and nothing is bound there any more
            raise

    def _request_id(self, scope: Scope) -> RequestID:
        given = header_values(scope, HEADER)
        if len(given) == 1 and SAFE_ID.fullmatch(given[0]):
            return RequestID(given[0])
        return RequestID(self.new_id())
