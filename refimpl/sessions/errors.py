"""What can go wrong between a node and the store, whose fault it is, and what to do next.

>>> issubclass(Degraded, StoreUnavailable), issubclass(Fenced, StoreUnavailable)
(True, False)
"""

from refimpl.errors import WebSocketError

__all__ = [
    "BadAnswer",
    "BadValue",
    "Busy",
    "Degraded",
    "Fenced",
    "NewerStore",
    "SessionsError",
    "StoreFull",
    "StoreRefused",
    "StoreUnavailable",
]


class SessionsError(WebSocketError):
    """Any error of this floor; catch it to catch them all."""


class BadValue(SessionsError, ValueError):
    """A name or value is not within the limits: mend the calling program, nothing was written."""


class Fenced(SessionsError):
    """The store says that this life of the node is over: close its sockets, begin a new life.

    The node was stopped, or cut off, for longer than its lease, or another process began a life
    under its name. Nothing was written.
    """


class StoreUnavailable(SessionsError):
    """The store gave no answer in time: what was asked may have been done or not.

    Every change here may be asked for again: ask again, with the same id where there is one.
    """


class Degraded(StoreUnavailable):
    """The store is known to be out of reach, so nothing was tried: ask again when it is back."""


class Busy(StoreUnavailable):
    """Too many commands wait for the store, so this one was not sent: ask less, or later."""


class StoreFull(SessionsError):
    """The store has no memory left for a change (OOM), so it was not made; give it memory."""


class StoreRefused(SessionsError):
    """The store does not let us: wrong password, missing rights, a command it has not."""


class BadAnswer(SessionsError):
    """The store answered what makes no sense: another program's keys, or no Valkey at all."""


class NewerStore(SessionsError):
    """A newer release wrote this room or user in a form that we do not know: nothing was written.

    Upgrade this node.
    """
