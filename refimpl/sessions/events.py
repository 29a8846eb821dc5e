"""What the members of a room on one node are told, and its JSON.

A page keeps the place of the last message it was given. `Joined` and `Resync` say where the
messages end that follow them. A page whose connection breaks before these came asks again from the
place it had: it is told once more, and knows by their ids the messages that it has already.

>>> as_json(Resync("harbour", Position("e2", 7), 3))
'{"type":"resync","room":"harbour","epoch":"e2","number":7,"missing":3}'
>>> as_json(Message("harbour", 8, "e2", "m1", b"ahoy"))
'{"type":"message","room":"harbour","epoch":"e2","number":8,"id":"m1","data":"ahoy"}'
"""

import json
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted

from refimpl.sessions.records import Message, Position, Presence

__all__ = ["Event", "Joined", "Resync", "StoreState", "as_json"]


@dataclass(frozen=True, slots=True)
class Joined:
    """You are in a room. messages: how many follow; missing: how many are kept no more."""

    room: str
    position: Position
    missing: int
    messages: int
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resync:
    """Something was lost: `missing` messages at least. Behind it comes what was not lost.

    position: the place from which on all is whole again. A new epoch in it says that the store lost
    messages which may have been shown already.
    """

    room: str
    position: Position
    missing: int


@dataclass(frozen=True, slots=True)
class StoreState:
    """Whether the store is out of reach: then nothing can be said, and nothing new is heard."""

    degraded: bool


Event = Joined | Resync | Message | Presence | StoreState


def as_json(event: Event) -> str:
    """Return an event on one line; a message's data as text, what is no UTF-8 replaced."""
    if isinstance(event, Message):
        return _message_as_json(event)
    return json.dumps(_fields(event), ensure_ascii=False, separators=(",", ":"))


def _message_as_json(message: Message) -> str:
    """Return it put together by hand; names of rooms and epochs need no quoting."""
    return (
        f'{{"type":"message","room":"{message.room}","epoch":"{message.epoch}",'
        f'"number":{message.number},"id":{quoted(message.id)},'
        f'"data":{quoted(message.data.decode(errors="replace"))}}}'
    )


def _fields(event: Joined | Resync | Presence | StoreState) -> dict[str, object]:
    match event:
        case Presence(room, user, here):
            return {"type": "presence", "room": room, "user": user, "here": here}
        case Joined(room, place, missing, messages, users):
            return {
                "type": "joined",
                "room": room,
                "epoch": place.epoch,
                "number": place.number,
                "missing": missing,
                "messages": messages,
                "users": users,
            }
        case Resync(room, place, missing):
            return {
                "type": "resync",
                "room": room,
                "epoch": place.epoch,
                "number": place.number,
                "missing": missing,
            }
        case StoreState(degraded):
            return {"type": "store", "degraded": degraded}
