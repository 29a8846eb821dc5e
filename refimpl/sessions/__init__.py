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
from refimpl.sessions.events import Event, Joined, Resync, StoreState, as_json
from refimpl.sessions.memory import MemoryStore
from refimpl.sessions.node import Metrics, Node
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
    "Event",
    "Fenced",
    "Head",
    "History",
    "Joined",
    "Lease",
    "Limits",
    "Members",
    "MemoryStore",
    "Message",
    "Metrics",
    "NewerStore",
    "Node",
    "Notice",
    "Position",
    "Presence",
    "Recheck",
    "Resync",
    "SessionsError",
    "Store",
    "StoreFull",
    "StoreRefused",
    "StoreState",
    "StoreUnavailable",
    "ValkeyStore",
    "as_json",
]
