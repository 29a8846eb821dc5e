"""Who is connected where, on one node and on many.

One process knows its people by heart: a dictionary. Two processes need a place to meet, and with
it come three questions that a dictionary never had. Who speaks for a node that was killed? What
was said while somebody could not listen? And who is right when they do not agree?

**Leases.** A node does not tell the store that it dies; it stops telling that it lives. It holds
one lease, 15 seconds long, and renews it three times in that time. Its connections live as long as
it does, so nothing is renewed for each of them, and `present` leaves out those whose node is late.
Whoever notices first sweeps up behind a dead node. What it held lies in many places (slots, in a
cluster), so a sweep is many steps, each of which may be done twice: it can stop anywhere, and
anybody can go on with it. Each room is told once who left, in the step that removes them.

**Fencing.** A node that was only stopped does not know that it is dead. So each life of a node has
a number, its epoch, and every write carries it. Whoever sweeps leaves a mark in each place that the
dead life had: from then on a write of that life is refused in the same step that would have done
it. The node then closes its sockets with 1012, and begins a new life. The other way round does not
hold: a node that cannot *reach* the store is not dead but *degraded*. It keeps its sockets, says
nothing, queues nothing, and tells its people so; only after half an hour, when the store may have
forgotten who was dead, it ends its life by itself. After an outage of the store itself all leases
are over, and everybody is given the time to come back first.

**Numbers.** Pub/sub forgets who was not listening, and they never know. Therefore each message has
a number, one above the one before, and lies in a stream for a while; number, stream and pub/sub are
one step. A node that sees a gap fills it from the stream, and where the stream has let go already
it tells its people how many messages are missing: `Resync`, never silence. Behind the last message
there is no next one that would show a gap, so nodes also compare the heads of their rooms with the
store, each second.

**The epoch of a room.** A number means something only within the history that gave it. A store
that comes back empty, or from yesterday's copy, or as a replica that had not heard of the last
messages, would give old numbers to new messages. So a place in a history is (epoch, number, id),
and a history that lacks what a node has seen gets a new epoch. Clients drop what they were shown
before by the message's id, as long as it is among the last `Limits.remember` of the room.

**What the store is.** One interface, `Store`, and two that keep it: `MemoryStore`, for one process
and for tests, and `ValkeyStore`, for one server or a cluster, on a small
client of our own: every message is a command here, and a general client does more for each command
than is needed. A `Node` ties a store to a process: its people, its rooms, and what has to be done
again and again.

Not here: what people may do (chapter 11), tokens (12), and the draining of a node (13). No token
and no password is written into the store. A room in which no node takes part is forgotten after
`Limits.idle_room`.

>>> import asyncio
>>> async def main() -> list[str]:
...     store, heard = MemoryStore(), []
...     def deliver(members, payload): heard.extend(f"{member}: {payload}" for member in members)
...     def render(event): return event.data.decode() if isinstance(event, Message) else ""
...     settings = {"deliver": deliver, "close": print, "render": render}
...     async with Node(store, "one", **settings) as one, Node(store, "two", **settings) as two:
...         for node, user in ((one, "ada"), (two, "bob")):
...             await node.join(await node.connect(user, f"{user}'s tab"), "harbour")
...         await one.publish("harbour", "ada:1", b"ahoy")
...     return [text for text in heard if "ahoy" in text]
>>> sorted(asyncio.run(main()))
["ada's tab: ahoy", "bob's tab: ahoy"]
"""

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
    room_of_user,
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
    "room_of_user",
]
