"""Sessions (to be written)."""

from refimpl.sessions.errors import (
    BadAnswer,
    BadValue,
    Busy,
    Degraded,
    Fenced,
    NewerStore,
    SessionsError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from refimpl.sessions.memory import MemoryStore
from refimpl.sessions.records import (
    MAX_DATA,
    START,
    Connection,
    History,
    Lease,
    Members,
    Message,
    Notice,
    Position,
    Presence,
    Recheck,
)
from refimpl.sessions.store import Head, Limits, Store
from refimpl.sessions.valkey import ValkeyStore

__all__ = [
    "MAX_DATA",
    "START",
    "BadAnswer",
    "BadValue",
    "Busy",
    "Connection",
    "Degraded",
    "Fenced",
    "Head",
    "History",
    "Lease",
    "Limits",
    "Members",
    "MemoryStore",
    "Message",
    "NewerStore",
    "Notice",
    "Position",
    "Presence",
    "Recheck",
    "SessionsError",
    "Store",
    "StoreFull",
    "StoreRefused",
    "StoreUnavailable",
    "ValkeyStore",
]
