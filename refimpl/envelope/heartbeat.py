"""The heartbeat record: who is still there, and what got lost, doubled or swapped on the way.

A record is 13 bytes, big-endian: type (u8), sequence number (u32), time (i64, Unix nanoseconds).
The sequence number grows by one a record and wraps around after 2**32 - 1, so "later" is a question
of distance (serial number arithmetic, RFC 1982), not of size.

>>> tracker = SequenceTracker()
>>> [tracker.observe(seq).kind.name for seq in (4294967295, 0, 2, 2, 1)]
['FIRST', 'NEXT', 'GAP', 'DUPLICATE', 'REORDERED']
"""

import struct
from dataclasses import dataclass
from enum import Enum, IntEnum, auto

from refimpl.envelope.frame import BadPayload
from refimpl.errors import LocalProtocolError

__all__ = ["Arrival", "Beat", "Heartbeat", "Observation", "SequenceTracker", "distance"]

RECORD = struct.Struct("!BIq")
SEQUENCES = 2**32
WINDOW = 64


class Beat(IntEnum):
    """What a heartbeat record is: a question or its answer."""

    PING = 0x01
    PONG = 0x02


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One record. seq: 0 to 2**32 - 1. ts: Unix time in nanoseconds, of whoever made the ping."""

    beat: Beat
    seq: int
    ts: int

    def serialize(self) -> bytes:
        """Return the record's 13 bytes."""
        if not 0 <= self.seq < SEQUENCES:
            raise LocalProtocolError(f"got sequence number {self.seq}, expected 0 to 2**32 - 1")
        if not -(2**63) <= self.ts < 2**63:
            raise LocalProtocolError("got a time that 64 bits cannot hold, expected nanoseconds")
        return RECORD.pack(self.beat, self.seq, self.ts)

    @classmethod
    def parse(cls, payload: bytes) -> "Heartbeat":
        """Return the record in payload; BadPayload where it is none."""
        if len(payload) != RECORD.size:
            raise BadPayload(f"got a heartbeat of {len(payload)} bytes, expected {RECORD.size}")
        beat, seq, ts = RECORD.unpack(payload)
        if beat not in (Beat.PING, Beat.PONG):
            raise BadPayload(f"got heartbeat type {beat:#04x}, expected 0x01 or 0x02")
        return cls(Beat(beat), seq, ts)

    def answer(self) -> "Heartbeat":
        """Return the pong to a ping, with its number and time: the asker tells the round trip."""
        return Heartbeat(Beat.PONG, self.seq, self.ts)


class Arrival(Enum):
    """How a sequence number relates to those before it."""

    FIRST = auto()
    NEXT = auto()
    GAP = auto()  # numbers were skipped: lost, or still to come
    REORDERED = auto()  # late: it fills a gap
    DUPLICATE = auto()  # seen before
    STALE = auto()  # too old to know which of the two


@dataclass(frozen=True, slots=True)
class Observation:
    """What one arrival means. missing: how many numbers a GAP skipped."""

    kind: Arrival
    missing: int = 0


def distance(newer: int, older: int) -> int:
    """Return how far newer is ahead of older, from -2**31 to 2**31 - 1, around the wrap."""
    return (newer - older + SEQUENCES // 2) % SEQUENCES - SEQUENCES // 2


class SequenceTracker:
    """Watches sequence numbers go by; remembers the highest and the 63 before it as bits."""

    def __init__(self) -> None:
        self._highest: int | None = None
        self._seen = 0  # bit n: the number n below the highest has come

    def observe(self, seq: int) -> Observation:
        """Return what the arrival of seq means, and remember it."""
        if self._highest is None:
            self._highest, self._seen = seq, 1
            return Observation(Arrival.FIRST)
        ahead = distance(seq, self._highest)
        if ahead > 0:
            self._highest = seq
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & (1 << WINDOW) - 1
            return Observation(Arrival.GAP, ahead - 1) if ahead > 1 else Observation(Arrival.NEXT)
        if -ahead >= WINDOW:
            return Observation(Arrival.STALE)
        bit = 1 << -ahead
        if self._seen & bit:
            return Observation(Arrival.DUPLICATE)
        self._seen |= bit
        return Observation(Arrival.REORDERED)
