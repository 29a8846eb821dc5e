"""How much one user, and one address, may say: token buckets, and a sender who waits.

A limit that closes connections closes the wrong ones: who floods a room fills the boxes of those
who read it. Here it is the sender who waits. Its connection is not read meanwhile, so TCP tells its
program to stop (RFC 9293 3.8.6), and nobody else notices.

>>> clock = iter([0.0, 0.0, 0.0, 1.0]).__next__
>>> buckets = Buckets(rate=2, burst=3, now=clock)
>>> [buckets.take("ada", cost) for cost in (3, 1, 1)], buckets.take("ada", 1)
([0.0, 0.5, 1.0], 0.5)
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from refimpl.middleware.asgi import Message, Scope

__all__ = ["MAX_PER_USER", "Buckets", "RateLimit", "address_of", "size_of"]

MAX_PER_USER = 50  # connections of one user, so that one cannot have them all
MOST = 10_000  # buckets that are remembered; a bucket that has filled up again is forgotten


def address_of(scope: Scope) -> str:
    """Return what counts as one address: of IPv6 the network, since a home has all of it.

    "" where the server knows none, as on a Unix socket. Behind a proxy it is the client's where the
    server trusts the proxy: for uvicorn, `--forwarded-allow-ips`.
    """
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return str(client[0]) if client else ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))


class Buckets:
    """One bucket of tokens for each key. rate: tokens a second. burst: tokens in a full one.

    now: seconds, of any clock that only goes forward. most: buckets that are remembered; beyond
    them the one that was used longest ago is forgotten, as if it were full.
    """

    def __init__(
        self,
        *,
        rate: float,
        burst: float,
        now: Callable[[], float] = time.monotonic,
        most: int = MOST,
    ) -> None:
        self.rate = rate
        self.burst = burst
        self._now = now
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def __len__(self) -> int:
        return len(self._left)

    def take(self, key: str, cost: float = 1.0) -> float:
        """Take tokens, and return the seconds until they will have been there.

        Whoever takes has to wait so long before the next. Several who share a key wait in the order
        in which they took.
        """
        now = self._now()
        self._forget(now)
        tokens, at = self._left.pop(key, (self.burst, now))
        tokens = min(self.burst, tokens + (now - at) * self.rate) - cost
        self._left[key] = tokens, now
        return max(0.0, -tokens / self.rate)

    def _forget(self, now: float) -> None:
        """Forget buckets that are full again, those used longest ago first, and what is too many.

        Two at a time, so that a crowd that leaves at once costs nobody a long step.
        """
        for _ in range(2):
            if not self._left:
                return
            tokens, at = next(iter(self._left.values()))
            if len(self._left) < self._most and tokens + (now - at) * self.rate < self.burst:
                return
            self._left.popitem(last=False)


class RateLimit:
    """How fast visitors may talk: what a message costs, and how long its sender waits after it.

    user, address: tokens a second and tokens at once. One token is a message of up to 256
    characters, or 4 KiB of history in an answer.
    """

    def __init__(
        self,
        *,
        user: tuple[float, float] = (20, 80),
        address: tuple[float, float] = (80, 320),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = Buckets(rate=user[0], burst=user[1], now=now)
        self._addresses = Buckets(rate=address[0], burst=address[1], now=now)

    def take(self, user: str, address: str, *, said: int, answered: int = 0) -> float:
        """Return the seconds to wait. said: characters that came; answered: that go back."""
        cost = 1 + said // 256 + answered // 4096
        return max(self._users.take(user, cost), self._addresses.take(address, cost))


def size_of(message: Message) -> int:
    """Return how many characters, or bytes, came in one message."""
    return len(message.get("text") or message.get("bytes") or "")
