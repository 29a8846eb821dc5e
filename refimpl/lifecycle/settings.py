"""What an application may set about a connection, in one frozen record shared by both roles.

Seconds are seconds, sizes are bytes; None switches a limit off where that is allowed. A wrong value
is refused when the server or client is made, not an hour later when the limit is first met.

>>> Settings(max_queue=4).high_water
4
>>> Settings(open_timeout=-1)
Traceback (most recent call last):
    ...
ValueError: got open_timeout=-1, expected a number of seconds above 0, or None
"""

from dataclasses import dataclass

from refimpl.handshake import LIMITS, HeadLimits
from refimpl.messages import Protocol, Role

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The time limits and sizes of a connection; arguments of `serve` and `connect` too.

    max_size and max_fragments: of one incoming message. max_queue: messages received and not yet
    taken by `recv`; together they are about max_size at most. write_limit: bytes that may wait to
    be sent before `send` waits too. head_limits: of the request that a server reads.
    """

    open_timeout: float | None = 10
    ping_interval: float | None = 20
    ping_timeout: float | None = 20
    close_timeout: float | None = 10
    max_size: int | None = 2**20
    max_fragments: int = 1024
    max_queue: int | None = 16
    write_limit: int = 32 * 1024
    head_limits: HeadLimits = LIMITS

    def __post_init__(self) -> None:
        for name in ("open_timeout", "ping_interval", "ping_timeout", "close_timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(
                    f"got {name}={value}, expected a number of seconds above 0, or None"
                )
        for name in ("max_size", "max_queue"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"got {name}={value}, expected a number above 0, or None")
        for name in ("max_fragments", "write_limit"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"got {name}={value}, expected a number above 0")

    def new_core(self, role: Role) -> Protocol:
        """Return the protocol core of a new connection with these limits."""
        return Protocol(
            role,
            max_size=self.max_size,
            max_fragments=self.max_fragments,
            head_limits=self.head_limits,
        )

    @property
    def high_water(self) -> float:
        """Messages in the inbox at which parsing stops, and then reading."""
        return float("inf") if self.max_queue is None else self.max_queue

    @property
    def high_bytes(self) -> float:
        """Bytes in the inbox at which parsing stops: a message of the largest size."""
        return float("inf") if None in (self.max_queue, self.max_size) else self.max_size or 0
