"""The life of a connection as one table: four states, six triggers (RFC 6455 4.1 and 7.1).

A connection is CONNECTING until the handshake is through, OPEN while messages flow, CLOSING from
the first Close frame that either side sends, and CLOSED when TCP is gone. TRANSITIONS names the
next state for every pair; None stands where our own caller asks for something that cannot be.

>>> TRANSITIONS[State.OPEN, Trigger.SEND_CLOSE].name
'CLOSING'
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from refimpl.errors import LocalProtocolError

__all__ = ["TRANSITIONS", "Role", "State", "Trigger", "next_state"]


class Role(Enum):
    """Which side of the connection we are: clients mask and ask, servers do not and answer."""

    CLIENT = auto()
    SERVER = auto()


class State(Enum):
    """How far a connection has come."""

    CONNECTING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


class Trigger(Enum):
    """What moves a connection from one state to the next."""

    ACCEPT = auto()  # a 101 was sent, or received and found valid
    REFUSE = auto()  # the handshake failed
    SEND_CLOSE = auto()
    RECEIVE_CLOSE = auto()
    FAIL = auto()  # the peer broke a rule: "fail the connection" (RFC 6455 7.1.7)
    LOSE_TCP = auto()  # end of stream


_ROWS: dict[State, dict[Trigger, State | None]] = {
    State.CONNECTING: {
        Trigger.ACCEPT: State.OPEN,
        Trigger.REFUSE: State.CLOSED,
        Trigger.SEND_CLOSE: None,
        Trigger.RECEIVE_CLOSE: None,
        Trigger.FAIL: None,
        Trigger.LOSE_TCP: State.CLOSED,
    },
    State.OPEN: {
        Trigger.ACCEPT: None,
        Trigger.REFUSE: None,
        Trigger.SEND_CLOSE: State.CLOSING,
        Trigger.RECEIVE_CLOSE: State.CLOSING,
        Trigger.FAIL: State.CLOSING,
        Trigger.LOSE_TCP: State.CLOSED,
    },
    State.CLOSING: {
        Trigger.ACCEPT: None,
        Trigger.REFUSE: None,
        Trigger.SEND_CLOSE: None,  # a Close is sent once
        Trigger.RECEIVE_CLOSE: State.CLOSING,
        Trigger.FAIL: State.CLOSING,
        Trigger.LOSE_TCP: State.CLOSED,
    },
    State.CLOSED: {
        Trigger.ACCEPT: None,
        Trigger.REFUSE: None,
        Trigger.SEND_CLOSE: None,
        Trigger.RECEIVE_CLOSE: None,
        Trigger.FAIL: None,
        Trigger.LOSE_TCP: State.CLOSED,
    },
}

TRANSITIONS: Mapping[tuple[State, Trigger], State | None] = MappingProxyType(
    {(state, trigger): after for state, row in _ROWS.items() for trigger, after in row.items()}
)


def next_state(state: State, trigger: Trigger) -> State:
    """Return the state after trigger; LocalProtocolError names both where there is none."""
    after = TRANSITIONS[state, trigger]
    if after is None:
        raise LocalProtocolError(f"cannot {trigger.name} while {state.name}")
    return after
