"""A room, and a message as it stands in the store and as a page is told of it.

What was said is not kept here: a room's history is the store's (`refimpl.sessions`), which gives
each message its place, (epoch, number, id), and recognises one that is sent again by its id.

>>> said = Said("m1", "ada", "Ada", "ahoy", 1.0)
>>> Said.read(said.as_bytes()) == said
True
>>> written(Message("harbour", 7, "e1", message_id("ada", "m1"), said.as_bytes()))
'{"seq":7,"id":"m1","user":"ada","name":"Ada","text":"ahoy","at":1.0}'
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from refimpl.middleware.context import User
from refimpl.sessions import Message

__all__ = ["Room", "Said", "described", "message_id", "newest", "user_of", "written"]


@dataclass(frozen=True, slots=True)
class Room:
    """A room. id: its name in the store; title, topic: for people to read."""

    id: str
    title: str
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """One message. id: the page's own name for it; user, name: who said it; at: Unix seconds."""

    id: str
    user: str
    name: str
    text: str
    at: float

    def as_bytes(self) -> bytes:
        """Return the message as the store keeps it: JSON on one line."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Return the message that `as_bytes` wrote."""
        return cls(**json.loads(data))


def message_id(user: str, id: str) -> str:
    """Return a message's id in the store.

    Ids are each user's own: nobody can take another's place by guessing one.
    """
    return f"{hashlib.blake2s(user.encode(), digest_size=12).hexdigest()}.{id}"


def user_of(message: Message) -> str:
    """Return who said a message of the store, "" where another release wrote it in another form."""
    try:
        return str(json.loads(message.data)["user"])
    except (ValueError, TypeError, LookupError):
        return ""


def written(message: Message) -> str:
    """Return a message of the store as JSON for pages: what `as_bytes` wrote, with its number."""
    return f'{{"seq":{message.number},{message.data[1:].decode()}'


def newest(messages: Sequence[Message], size: int) -> list[str]:
    """Return the newest messages as JSON, oldest first: as many as are `size` characters long."""
    texts: list[str] = []
    for message in reversed(messages):
        text = written(message)
        size -= len(text) + 1
        if size < 0:
            break
        texts.append(text)
    return texts[::-1]


def described(user: User) -> dict[str, str]:
    """Return a user as others see them."""
    return {"id": user.id, "name": user.name}
