"""When to try again: the waits between attempts, and the failures that no attempt will mend.

A server that comes back is met by all its clients at once, so the first wait is random already, and
each further one is random up to a bound that doubles (RFC 6455 section 7.2.3).

>>> backoff = Backoff(random=lambda: 1.0)  # always the longest wait
>>> [backoff.next_delay() for _ in range(6)]
[5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
>>> is_fatal(HandshakeError("got status 403, expected 101", status=403))
True
"""

import random as random_module
from collections.abc import Callable
from ssl import SSLCertVerificationError

from refimpl.errors import HandshakeError

__all__ = ["Backoff", "is_fatal"]

# No answer, a request limit, and a server or proxy that is overloaded or restarting.
TRANSIENT_STATUSES = frozenset({0, 408, 429, 500, 502, 503, 504})


class Backoff:
    """The delays before each attempt, in seconds: random up to 5, 10, 20 ... and at most `longest`.

    random: returns a number from 0 to 1. Raises ValueError unless 0 < first <= longest.
    """

    def __init__(
        self,
        *,
        first: float = 5.0,
        longest: float = 60.0,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        if not 0 < first <= longest:
            message = f"got first={first} and longest={longest}, expected 0 < first <= longest"
            raise ValueError(message)
        self._first, self._longest, self._random = first, longest, random
        self.reset()

    def reset(self) -> None:
        """Begin with the shortest bound again: the last attempt succeeded."""
        self._bound = self._first

    def next_delay(self) -> float:
        """Return the next wait: anything up to the bound, which then doubles."""
        bound, self._bound = self._bound, min(self._bound * 2, self._longest)
        return bound * self._random()


def is_fatal(error: Exception) -> bool:
    """Return whether trying again is pointless: a refusal that is meant, a wrong certificate."""
    if isinstance(error, HandshakeError):
        return error.status not in TRANSIENT_STATUSES
    return isinstance(error, SSLCertVerificationError)
