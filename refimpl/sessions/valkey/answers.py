"""What the answers of scripts and commands say, in our records. Raises BadAnswer for nonsense."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from refimpl.sessions.errors import BadAnswer
from refimpl.sessions.records import Connection, Lease, Message, Position, lease_of
from refimpl.sessions.store import Head
from refimpl.sessions.valkey.link import Reply

__all__ = [
    "connections_of",
    "entries_of",
    "head_of",
    "members_of",
    "number_of",
    "place_of",
    "reading",
]


@contextmanager
def reading() -> Iterator[None]:
    """Turn what goes wrong in the block into BadAnswer: it reads what a store sent."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise BadAnswer("got an answer of another form from the store; is it another's?") from error


def number_of(answer: Reply) -> int:
    """Return an answer that is a whole number."""
    if type(answer) is not int:
        raise BadAnswer(f"got {type(answer).__name__} from the store, expected a number")
    return answer


def place_of(answer: Reply, id: str) -> tuple[Position, bool]:
    """Return where `publish` put a message, and whether it is new."""
    try:
        epoch, number, new = answer
        return Position(epoch.decode(), int(number), id), bool(new)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadAnswer("got an answer of another form from the store; is it another's?") from error


def connections_of(user: str, answer: Reply) -> list[Connection]:
    """Return the connections in a user's hash, oldest first; fields we do not know are let be."""
    found = []
    with reading():
        for id, text in answer.items():
            record = json.loads(text)
            name = id.decode()
            found.append(
                Connection(
                    name,
                    user,
                    lease_of(name).node,
                    str(record.get("device", "")),
                    record.get("opened", 0) / 1000,
                    record.get("active", 0) / 1000,
                )
            )
    return sorted(found, key=lambda each: (each.opened, each.id))


def members_of(answer: Reply) -> tuple[int, dict[str, str]]:
    """Return the version of a room's presence, and the user of each connection in it."""
    with reading():
        version, members = answer
        if not isinstance(members, dict):  # a script's table is a list of both in turn
            members = dict(zip(members[::2], members[1::2], strict=True))
        return int(version), {id.decode(): user.decode() for id, user in members.items()}


def entries_of(room: str, answer: Reply) -> tuple[Position, list[Message]]:
    """Return the head of a room's history, and the messages of one page."""
    with reading():
        epoch, last, id, _, entries = answer
        head = Position(epoch.decode(), int(last), id.decode())
        messages = []
        for name, fields in entries:
            number = int(name.partition(b"-")[0])
            messages.append(Message(room, number, head.epoch, fields[1].decode(), fields[3]))
        return head, messages


def head_of(answer: Reply, lease: Lease) -> Head | None:
    """Return the head of a room from its hash; None where there is none."""
    with reading():
        epoch, number, id, presence, registered = answer
        if epoch is None:
            return None
        place = Position(epoch.decode(), int(number), (id or b"").decode())
        return Head(place, int(presence or 0), int(registered or 0) == lease.epoch)
