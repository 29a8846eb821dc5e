"""What page and server say to each other on /ws/chat: every message, in one place.

Each message is one JSON object in one text frame; `type` says which. What a page may send is a
table, `SCHEMA`, and nothing else passes: no other field, type or length. A refusal is a message
too, `error`, with words for a person; the connection stays open.

From the page: `join` a room (again: with its place in it), `say` something in one, `ping`. From the
server: `welcome`, `joined`, `said`, `resync`, `activity`, `presence`, `store`, `pong`, `error`.

A place is (epoch, number, id): the last message that a page has. Numbers are compared within one
epoch only; the id tells one number from the same number given a second time.

>>> parse('{"type": "join", "room": "harbour"}')
Join(room='harbour', after=0, epoch='', id='', user='')
>>> parse('{"type": "say", "room": "harbour", "id": "m1", "text": " "}')
Traceback (most recent call last):
    ...
refimpl.chat.messages.BadMessage: text is empty
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields
from typing import Any

from refimpl.auth.strict_json import read_json
from refimpl.chat.rooms import Room, described, message_id, written
from refimpl.middleware.context import User
from refimpl.sessions import (
    START,
    Event,
    Joined,
    Message,
    Position,
    Presence,
    Resync,
    StoreState,
)

__all__ = ["MAX_ID", "MAX_TEXT", "SCHEMA", "BadMessage", "Join", "Ping", "Say", "parse"]
__all__ += ["activity", "error", "joined", "pong", "presence", "resync", "said"]
__all__ += ["Line", "Unavailable", "line_of", "store_state", "welcome"]

MAX_TEXT = 2000  # characters: with 4 bytes each still half of what the server takes in a frame
MAX_ID = 64
MAX_USER = 128
LATEST = 2**53  # beyond it a page's numbers skip some

NAME = re.compile(r"[a-z0-9-]{1,32}")
TOKEN = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_ID}}}")


class BadMessage(ValueError):
    """A page sent what `SCHEMA` does not have: the sender's mistake, answered with `error`.

    code: for programs. reply_to: the `id` of the message that was refused, "" where it had none.
    """

    def __init__(self, code: str, detail: str, reply_to: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.reply_to = reply_to


class Unavailable(BadMessage):
    """The store cannot be reached: nobody's mistake; the page may send the same again later."""

    def __init__(self, detail: str, reply_to: str = "") -> None:
        super().__init__("unavailable", detail, reply_to)


@dataclass(frozen=True, slots=True)
class Join:
    """Enter a room. after, epoch: the last number that this page has, and whose count it is of.

    id, user: of the message with that number, "" where the page does not know.
    """

    room: str
    after: int = 0
    epoch: str = ""
    id: str = ""
    user: str = ""

    @property
    def position(self) -> Position:
        """The place of the page in the room's history."""
        if not self.epoch:
            return START
        id = message_id(self.user, self.id) if self.id and self.user else ""
        return Position(self.epoch, self.after, id)


@dataclass(frozen=True, slots=True)
class Say:
    """Say text in a room. id: the page's name for it, the same when it is sent again."""

    room: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a `pong`: a page cannot send Ping frames, and wants to know whether we live."""


def check_name(value: object) -> str:
    """Return the name of a room."""
    return _check(value, NAME, "a name of a-z, 0-9 and -")


def check_token(value: object) -> str:
    """Return an identifier that somebody made up."""
    return _check(value, TOKEN, f"1 to {MAX_ID} of A-Z a-z 0-9 _ -")


def check_known(value: object) -> str:
    """Return an identifier, or nothing from a page that has none yet."""
    return "" if value == "" else check_token(value)


def check_user(value: object) -> str:
    """Return a user's id, which a page learned from us."""
    if not isinstance(value, str) or len(value) > MAX_USER:
        raise ValueError(f"is not text of at most {MAX_USER} characters")
    return value


def check_number(value: object) -> int:
    """Return a whole number, not negative."""
    if type(value) is not int or not 0 <= value <= LATEST:
        raise ValueError("is not a whole number from 0 up")
    return value


def check_text(value: object) -> str:
    """Return what somebody says, without blank ends; line breaks and tabs may be in it."""
    if not isinstance(value, str):
        raise ValueError("is not text")
    text = value.strip()
    if not text:
        raise ValueError("is empty")
    if len(text) > MAX_TEXT:
        raise ValueError(f"is {len(text)} characters long, at most {MAX_TEXT} are taken")
    # Cc: what moves a terminal's cursor. Cs: half of a pair, which no UTF-8 can carry.
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text if char not in "\n\t"):
        raise ValueError("has characters that are none: control characters or halves of pairs")
    return text


def _check(value: object, pattern: re.Pattern[str], expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"is not {expected}")
    return value


Check = Callable[[object], Any]

SCHEMA: dict[str, tuple[type[Join | Say | Ping], dict[str, Check]]] = {
    "join": (
        Join,
        {
            "room": check_name,
            "after": check_number,
            "epoch": check_known,
            "id": check_known,
            "user": check_user,
        },
    ),
    "say": (Say, {"room": check_name, "id": check_token, "text": check_text}),
    "ping": (Ping, {}),
}


def parse(text: object) -> Join | Say | Ping:
    """Return the message that a page sent; None stands for a binary one. Raises BadMessage."""
    values = _read_object(text)
    kind = values.pop("type", None)
    if not isinstance(kind, str) or kind not in SCHEMA:
        raise BadMessage("unknown-type", f"the type is none of {', '.join(SCHEMA)}")
    message, checks = SCHEMA[kind]
    given = values.get("id")
    reply_to = given if isinstance(given, str) and TOKEN.fullmatch(given) else ""
    if extra := [name for name in values if name not in checks]:
        known = ", ".join(checks) or "no fields"
        raise BadMessage("unknown-field", f"{kind} has {known}, not {len(extra)} more", reply_to)
    required = {field.name for field in fields(message) if field.default is MISSING}
    if missing := sorted(required - values.keys()):
        raise BadMessage("missing-field", f"{kind} lacks {', '.join(missing)}", reply_to)
    for name, value in values.items():
        try:
            values[name] = checks[name](value)
        except ValueError as problem:
            raise BadMessage("bad-field", f"{name} {problem}", reply_to) from None
    return message(**values)


def _read_object(text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        raise BadMessage("binary", "messages are JSON in text frames, not binary")
    try:
        values = read_json(text)
    except ValueError:
        raise BadMessage("not-json", "that is not JSON, or it can be read in two ways") from None
    if not isinstance(values, dict):
        raise BadMessage("not-json", "that is JSON, but not an object")
    return values


# --- what the server says ---


def _write(kind: str, **values: object) -> str:
    return json.dumps({"type": kind, **values}, ensure_ascii=False, separators=(",", ":"))


class Line(str):
    """What pages are told of an event, made once for all of them."""

    event: Event


def line_of(event: Event, name_of: Callable[[str], str]) -> Line:
    """Return what pages are told of an event of the sessions; of `Joined` each is told `joined`."""
    match event:
        case Message():
            text = said(event)
        case Presence(room, user, here):
            text = presence(room, described(User(user, name_of(user))), here=here)
        case Resync(room, position, missing):
            text = resync(room, position, missing=missing)
        case StoreState(degraded):
            text = store_state(degraded=degraded)
        case Joined():
            text = ""
    line = Line(text)
    line.event = event
    return line


def welcome(
    user: dict[str, str],
    rooms: Iterable[tuple[Room, Position]],
    *,
    node: str,
    connection: str,
    heartbeat: tuple[float, float],
) -> str:
    """Return the first message on a connection.

    rooms: with the place of the last message in each. node: the name of this node, "" where there
    is one only. connection: its name for the wire panel, "" where this server cannot show frames.
    heartbeat: seconds of silence after which the page should ping, and seconds to wait for the
    answer.
    """
    described = [
        {
            "id": room.id,
            "title": room.title,
            "topic": room.topic,
            "epoch": head.epoch,
            "last": head.number,
        }
        for room, head in rooms
    ]
    after, within = heartbeat
    return _write(
        "welcome",
        user=user,
        rooms=described,
        node=node,
        connection=connection,
        heartbeat={"after": after, "within": within},
    )


def joined(
    room: str, messages: Iterable[str], *, position: Position, lost: int, people: str
) -> str:
    """Return the answer to `join`: what was missed, who is here, and how much is lost.

    position: the page's place behind all of it. messages, people: as JSON, which is made once and
    not for each who joins.
    """
    head = _write("joined", room=room, epoch=position.epoch, last=position.number, lost=lost)
    return f'{head[:-1]},"messages":[{",".join(messages)}],"people":{people}}}'


def said(message: Message) -> str:
    """Return what all in a room hear; for who said it, the sign that it has arrived."""
    head = f'{{"type":"said","room":"{message.room}","epoch":"{message.epoch}"'
    return f'{head},"message":{written(message)}}}'


def resync(room: str, position: Position, *, missing: int) -> str:
    """Return the news that messages are lost; what is not lost follows, known or not."""
    return _write("resync", room=room, epoch=position.epoch, last=position.number, missing=missing)


def activity(message: Message, *, user: str) -> str:
    """Return what those hear who are not in a room: its last number, and whose message that is."""
    return _write(
        "activity", room=message.room, epoch=message.epoch, last=message.number, user=user
    )


def presence(room: str, user: dict[str, str], *, here: bool) -> str:
    """Return the news that somebody came with a first tab, or left with the last."""
    return _write("presence", room=room, user=user, here=here)


def store_state(*, degraded: bool) -> str:
    """Return the news that the store is out of reach, or back."""
    return _write("store", degraded=degraded)


def pong() -> str:
    """Return the answer to `ping`."""
    return _write("pong")


def error(problem: BadMessage) -> str:
    """Return a refusal."""
    return _write("error", code=problem.code, detail=str(problem), id=problem.reply_to)
