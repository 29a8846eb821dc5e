"""The records of this floor, and the limits of what may stand in them. All of them are frozen.

A place in a room's history is (epoch, number, id). The number alone says nothing: a store that was
restored from yesterday's copy gives today's numbers a second time, to other messages.

>>> check_room("harbour"), check_node("node-1")
('harbour', 'node-1')
>>> check_room("Harbour view")
Traceback (most recent call last):
    ...
refimpl.sessions.errors.BadValue: got a bad room, expected 1 to 64 characters of a-z 0-9 _ -
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from refimpl.sessions.errors import BadValue

__all__ = [
    "MAX_DATA",
    "START",
    "Connection",
    "History",
    "Lease",
    "Members",
    "Message",
    "Notice",
    "Position",
    "Presence",
    "Recheck",
    "check_data",
    "check_device",
    "check_epoch",
    "check_id",
    "check_node",
    "check_room",
    "check_user",
    "room_of_user",
]

MAX_DATA = 64 * 1024  # bytes of one message
MOST_LIVES = 1000  # of nodes, that are kept ready
MAX_NUMBER = 2**53  # beyond it a script's numbers, and a page's, skip some

ROOM = re.compile(r"[a-z0-9_-]{1,64}")
NODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
ID = re.compile(r"[!-~]{1,128}")  # printable ASCII without spaces
EPOCH = re.compile(r"[A-Za-z0-9_-]{0,64}")
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f{}\ud800-\udfff]{1,128}")


@dataclass(frozen=True, slots=True)
class Lease:
    """One life of a node. epoch: higher in each life, so that a late write is known as such."""

    node: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection of a user. id: names the node and its life, as in "node-1.1780000000000.9f".

    device: what the application calls it, for people to read. opened, active: seconds by the
    store's clock, which is Unix time in Valkey.
    """

    id: str
    user: str
    node: str
    device: str = ""
    opened: float = 0.0
    active: float = 0.0

    @property
    def lease(self) -> Lease:
        """The life of the node that the connection ends with."""
        return lease_of(self.id)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a room's history: behind the message of this number and id ("" where unknown)."""

    epoch: str
    number: int
    id: str = ""


START = Position("", 0)
"""The place of who has read nothing yet, and therefore missed nothing."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a room. id: its sender's name for it, unique in the room; data: its bytes."""

    room: str
    number: int
    epoch: str
    id: str
    data: bytes

    @property
    def position(self) -> Position:
        """The place behind this message."""
        return Position(self.epoch, self.number, self.id)


@dataclass(frozen=True, slots=True)
class History:
    """What stands behind a place, oldest first.

    missing: messages that are kept no more, at least. epoch: of the room now; another one than the
    reader's says that the history is not the one that was read. position: where to read on. more:
    there is more behind it already.
    """

    messages: tuple[Message, ...]
    missing: int
    epoch: str
    position: Position
    more: bool = False


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in a room. version: counts the changes, so that a lost notice is noticed."""

    users: frozenset[str]
    version: int


@dataclass(frozen=True, slots=True)
class Presence:
    """A user's first connection entered a room, or the last one left it."""

    room: str
    user: str
    here: bool
    version: int


@dataclass(frozen=True, slots=True)
class Recheck:
    """Notices of a room may have been lost: compare with the store."""

    room: str


Notice = Message | Presence | Recheck


def lease_of(connection_id: str) -> Lease:
    """Return the life of a node that a connection belongs to. Raises BadValue."""
    life, _, tail = connection_id.rpartition(".")
    if not (tail.isalnum() and tail.isascii() and len(tail) <= 64):
        raise BadValue("got a bad connection id, expected one that open() gave")
    return _lease(life)


@lru_cache(MOST_LIVES)
def _lease(life: str) -> Lease:
    """Return the life that the first two parts of a connection id name."""
    node, _, epoch = life.partition(".")
    if not (NODE.fullmatch(node) and epoch.isascii() and epoch.isdecimal() and len(epoch) < 17):
        raise BadValue("got a bad connection id, expected one that open() gave")
    return Lease(node, int(epoch))


def room_of_user(user: str) -> str:
    """Return the name of a room of a user's own.

    Have each of its connections join it: what is published there reaches all tabs on all nodes.

    >>> check_room(room_of_user("ada")) == room_of_user("ada") != room_of_user("bob")
    True
    """
    digest = sha256(check_user(user).encode(), usedforsecurity=False)
    return f"user-{digest.hexdigest()[:40]}"


def check_room(room: str) -> str:
    """Return the name of a room. Raises BadValue, as all of these do."""
    return _check(room, ROOM, "a bad room", "1 to 64 characters of a-z 0-9 _ -")


def check_node(node: str) -> str:
    """Return the name of a node."""
    return _check(node, NODE, "a bad node", "1 to 64 characters of A-Z a-z 0-9 _ -")


def check_id(id: str) -> str:
    """Return a message's id."""
    return _check(id, ID, "a bad message id", "1 to 128 printable ASCII characters, no spaces")


def check_user(user: str) -> str:
    """Return a user's id."""
    return _check(user, TEXT, "a bad user", "1 to 128 characters, no control characters, no braces")


def check_device(device: str) -> str:
    """Return a device's name."""
    return device and _check(device, TEXT, "a bad device", "at most 128 characters, as for a user")


def check_epoch(position: Position) -> Position:
    """Return a place that can be compared with others; whether it is known is not asked."""
    _check(position.epoch, EPOCH, "a bad epoch", "at most 64 characters of A-Z a-z 0-9 _ -")
    if position.id:
        check_id(position.id)
    if type(position.number) is not int or not 0 <= position.number < MAX_NUMBER:
        raise BadValue(f"got a bad number, expected 0 to {MAX_NUMBER - 1}")
    return position


def check_data(data: bytes) -> bytes:
    """Return a message's data."""
    if not isinstance(data, bytes):
        raise BadValue(f"got data of type {type(data).__name__}, expected bytes")
    if len(data) > MAX_DATA:
        raise BadValue(f"got {len(data)} bytes of data, expected at most {MAX_DATA}")
    return data


def _check(value: str, pattern: re.Pattern[str], what: str, expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadValue(f"got {what}, expected {expected}")
    return value
