"""The names of all keys, and the payloads of channels.

>>> room_keys("refimpl:", "harbour").stream
b'refimpl:{room:harbour}:stream'
>>> notice_of("harbour", b"m1 e 7 m-1\\nahoy")
Message(room='harbour', number=7, epoch='e', id='m-1', data=b'ahoy')
"""

from functools import lru_cache
from typing import NamedTuple

from refimpl.sessions.records import Lease, Message, Notice, Presence, Recheck, check_room

__all__ = ["RoomKeys", "held_key", "ms", "node_key", "notice_of", "room_keys", "user_keys"]

MOST_NAMES = 10_000  # rooms whose key names are kept ready


class RoomKeys(NamedTuple):
    """The keys of one room, in the order in which scripts take them, and its channel."""

    meta: bytes
    stream: bytes
    ids: bytes
    members: bytes
    users: bytes
    dead: bytes
    channel: bytes


@lru_cache(MOST_NAMES)
def room_keys(prefix: str, room: str) -> RoomKeys:
    """Return the names of a room's keys. Raises BadValue."""
    tag = f"{prefix}{{room:{check_room(room)}}}"
    names = ("", ":stream", ":ids", ":members", ":users", ":dead", ":channel")
    return RoomKeys(*(f"{tag}{name}".encode() for name in names))


def user_keys(prefix: str, user: str) -> tuple[bytes, bytes]:
    """Return the keys of a user: connections, and the nodes that it was cleared of."""
    tag = f"{prefix}{{user:{user}}}"
    return tag.encode(), f"{tag}:dead".encode()


def node_key(prefix: str, node: str) -> bytes:
    """Return the key of a node."""
    return f"{prefix}{{node:{node}}}".encode()


def held_key(prefix: str, lease: Lease) -> bytes:
    """Return the key of what one life of a node holds."""
    return f"{prefix}{{node:{lease.node}}}:{lease.epoch}".encode()


def notice_of(room: str, payload: bytes | None) -> Notice | None:
    """Return what a channel's payload says; None for what only a newer release understands.

    Payloads: `m1 EPOCH NUMBER ID LF DATA`, `p1 VERSION + USER`, `p1 VERSION - USER`, `e1 EPOCH`.
    What cannot be read is a Recheck: something was said, and nobody knows what.
    """
    if payload is None:
        return Recheck(room)
    try:
        if payload.startswith(b"m1 "):
            head, _, data = payload.partition(b"\n")
            _, epoch, number, id = head.decode().split(" ")
            return Message(room, int(number), epoch, id, data)
        if payload.startswith(b"p1 "):
            _, version, sign, user = payload.decode().split(" ", 3)
            return Presence(room, user, sign == "+", int(version))
    except ValueError:
        return Recheck(room)
    return Recheck(room) if payload.startswith(b"e1 ") else None


def ms(seconds: float) -> str:
    """Return a time as scripts take it: whole milliseconds, at least one."""
    return str(max(1, round(seconds * 1000)))
