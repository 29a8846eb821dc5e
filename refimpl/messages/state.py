"""The life of a connection as one table (RFC 6455 sections 4.1, 5.5.1 and 7.1).

**The machine has two inputs.** What the peer sends and what our own program calls are both turned
into a **trigger**, and the table says to which **phase** a trigger leads from each phase. Nothing
else in this package remembers how far a connection has come: which bytes are still read, and what
may still be sent, follows from the phase alone. A pair that the table leaves out cannot be. Where
our own program asked for it, that is a LocalProtocolError; where the peer sent it, it is thrown
away.

**A life in short.** A connection is CONNECTING while the two heads of the handshake travel. ACCEPT
opens it, REFUSE ends it before it began. While it is OPEN, both sides SEND and RECEIVE as they
like. It ends in one of three ways:

- *We say Close first* (SEND_CLOSE): CLOSING. Nothing may follow our Close (5.5.1), but the peer did
  not know of it when it sent what is still under way. So we RECEIVE until its Close comes.
- *The peer says Close first* (RECEIVE_CLOSE): our Close answers it in the same call.
- *The peer breaks a rule* (FAIL): we "fail the connection" (7.1.7). The peer gets a Close that says
  why, and from here on nothing it sends is looked at.

All three lead to DONE: nothing is said or heard any more, and TCP is to be closed. The
server closes it, because the side that closes first keeps the port busy for a while (7.1.1); a
client waits for that, unless the server broke a rule. The core has no socket, so this is the duty
of its owner, who also reads on and throws away until the end of the stream: closing a socket with
unread bytes resets the connection, and a reset destroys what the peer has not read yet.

**Why a failed connection may still answer.** One read can bring ten good messages and then a frame
that breaks a rule. The ten have been delivered, and the program may be about to answer them. If
our Close were written first, the answers could not follow it, and the peer would never learn what
became of its ten requests. So FAIL leads to FAILING, where the Close is decided and not written
yet: SEND is still legal, and our Close goes behind it all. FLUSH, the moment when the owner takes
our bytes to write them, ends that.

**The end of the stream** (LOSE_TCP) may come in every phase and always leads to CLOSED. In CLOSED
it may come once more, since an owner can hear of it twice: as an end of file, and as a lost
connection.

**Phases and states.** A program that uses a connection sees the four states of every WebSocket
interface. FAILING and DONE differ from CLOSING only in what the core still reads and
writes, so all three are the one state CLOSING to it.

Data frames never ask the table: OPEN is compared by identity first, and the table only then.

>>> TRANSITIONS[Phase.OPEN, Trigger.SEND_CLOSE].name
'CLOSING'
>>> TRANSITIONS[Phase.CLOSING, Trigger.SEND] is None
True
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from refimpl.errors import LocalProtocolError

__all__ = ["TRANSITIONS", "Phase", "Role", "State", "Trigger", "next_phase"]


class Role(Enum):
    """Which side of the connection we are: clients mask and ask, servers do not and answer."""

    CLIENT = auto()
    SERVER = auto()


class State(Enum):
    """How far a connection has come, as a program sees it."""

    CONNECTING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


class Phase(Enum):
    """How far a connection has come, as the table sees it. state: what a program sees."""

    CONNECTING = 1, State.CONNECTING
    OPEN = 2, State.OPEN
    CLOSING = 3, State.CLOSING  # our Close is queued; the peer's has not come
    FAILING = 4, State.CLOSING  # the peer broke a rule; our Close waits for our last answers
    DONE = 5, State.CLOSING  # nothing more is said or heard
    CLOSED = 6, State.CLOSED

    __hash__ = object.__hash__  # Enum's hashes the name by a call, and each look-up asks

    def __init__(self, number: int, state: State) -> None:
        self.state = state


class Trigger(Enum):
    """What moves a connection from one phase to the next, or shows that it may stay."""

    ACCEPT = auto()  # a 101 was sent, or received and found valid
    REFUSE = auto()  # the handshake failed
    SEND = auto()  # a message, ping or pong of ours
    RECEIVE = auto()  # bytes of the peer: a head of the handshake, or frames
    SEND_CLOSE = auto()
    RECEIVE_CLOSE = auto()
    FAIL = auto()  # the peer broke a rule
    FLUSH = auto()  # our bytes are taken to be written
    LOSE_TCP = auto()  # end of stream

    __hash__ = object.__hash__


_ROWS: dict[Phase, dict[Trigger, Phase]] = {
    Phase.CONNECTING: {
        Trigger.RECEIVE: Phase.CONNECTING,
        Trigger.ACCEPT: Phase.OPEN,
        Trigger.REFUSE: Phase.CLOSED,
        Trigger.LOSE_TCP: Phase.CLOSED,
    },
    Phase.OPEN: {
        Trigger.SEND: Phase.OPEN,
        Trigger.RECEIVE: Phase.OPEN,
        Trigger.SEND_CLOSE: Phase.CLOSING,
        Trigger.RECEIVE_CLOSE: Phase.DONE,
        Trigger.FAIL: Phase.FAILING,
        Trigger.LOSE_TCP: Phase.CLOSED,
    },
    Phase.CLOSING: {
        Trigger.RECEIVE: Phase.CLOSING,
        Trigger.RECEIVE_CLOSE: Phase.DONE,
        Trigger.FAIL: Phase.DONE,
        Trigger.LOSE_TCP: Phase.CLOSED,
    },
    Phase.FAILING: {
        Trigger.SEND: Phase.FAILING,
        Trigger.FLUSH: Phase.DONE,
        Trigger.LOSE_TCP: Phase.CLOSED,
    },
    Phase.DONE: {Trigger.LOSE_TCP: Phase.CLOSED},
    Phase.CLOSED: {Trigger.LOSE_TCP: Phase.CLOSED},
}

TRANSITIONS: Mapping[tuple[Phase, Trigger], Phase | None] = MappingProxyType(
    {(phase, trigger): row.get(trigger) for phase, row in _ROWS.items() for trigger in Trigger}
)


def next_phase(phase: Phase, trigger: Trigger) -> Phase:
    """Return the phase after trigger; LocalProtocolError names both where there is none."""
    after = TRANSITIONS[phase, trigger]
    if after is None:
        raise LocalProtocolError(f"cannot {trigger.name} while {phase.name}")
    return after
