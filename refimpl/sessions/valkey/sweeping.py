"""Clearing away what a dead life of a node left: rooms first, then users, then its own list.

Each step is one script in one slot and may be done any number of times, by anybody. The list goes
last, so that whoever stopped in the middle left it for the next.
"""

from collections import defaultdict

from refimpl.sessions.records import Lease
from refimpl.sessions.store import Limits
from refimpl.sessions.valkey.answers import reading
from refimpl.sessions.valkey.calls import Calls
from refimpl.sessions.valkey.keys import held_key, ms, room_keys, user_keys

__all__ = ["clear_away"]

MOST_IDS = 500  # of one user in one script


async def clear_away(calls: Calls, prefix: str, limits: Limits, lease: Lease) -> None:
    """Remove everything that a dead life noted that it holds."""
    key = held_key(prefix, lease)
    held = await calls.command("HGETALL", key)
    rooms: list[str] = []
    users: dict[str, list[str]] = defaultdict(list)
    with reading():
        for field, value in held.items():
            kind, _, name = field.decode().partition(":")
            if kind == "r":
                rooms.append(name)
            else:
                users[value.decode()].append(name)
    life = lease.node, str(lease.epoch)
    remember = ms(limits.remember_dead)
    idle = ms(limits.idle_room)

    async def clear_room(room: str) -> None:
        keys = room_keys(prefix, room)
        start = f"{lease.node}.{lease.epoch}."
        await calls.run("sweep_room", keys[:6], *life, keys.channel, idle, remember, start)

    async def clear_user(user: str) -> None:
        ids = users[user]
        for first in range(0, len(ids), MOST_IDS):
            some = ids[first : first + MOST_IDS]
            await calls.run("sweep_user", user_keys(prefix, user), *life, remember, *some)

    await calls.all(clear_room, rooms)
    await calls.all(clear_user, users)
    await calls.command("DEL", key)
