"""Who may sign in: names with hashed passwords, checked beside the event loop.

Passwords are hashed with Argon2id (RFC 9106) by `argon2-cffi`. A hash costs tens of milliseconds
and tens of megabytes on purpose, so it runs in a thread, few at a time, and the addresses that ask
for one take turns: a program that tries passwords from one address keeps nobody else waiting. An
unknown name costs as much as a known one: the time of the answer does not tell who has an account.
"""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from refimpl.chat.fair_queue import FairQueue
from refimpl.middleware.context import User
from refimpl.sessions.records import check_user

__all__ = ["DEMO", "People"]

# Known to everybody who opens the sign-in page, which shows them.
DEMO: Mapping[str, str] = MappingProxyType(
    {"Alice": "amber-ladder", "Bob": "silver-pond", "Carol": "paper-lantern"}
)

AT_ONCE = 2  # hashes at a time, 64 MiB each
PER_ADDRESS = 1  # of them for one address
MAX_WAITING = 64  # sign-ins of one address that may wait for their turn
MAX_LENGTH = 200  # characters of a name or password; Argon2 would take megabytes


class People:
    """Names and the hashes of their passwords. Names are compared without case.

    Raises BadValue, a ValueError, for a name that no store takes as a user's.
    hasher: one with small costs makes tests fast, and nothing else.
    """

    def __init__(self, passwords: Mapping[str, str], *, hasher: PasswordHasher | None = None):
        self._hasher = hasher or PasswordHasher()
        self._people = {
            check_user(name.casefold()): (User(name.casefold(), name), self._hasher.hash(password))
            for name, password in passwords.items()
        }
        self._nobody = self._hasher.hash("the password of nobody")
        self.queue = FairQueue(at_once=AT_ONCE, per_key=PER_ADDRESS, waiting_per_key=MAX_WAITING)

    def name_of(self, id: str) -> str:
        """Return a user's name by id; of one whom only other nodes know, the id."""
        known = self._people.get(id)
        return known[0].name if known else id

    async def check(self, name: str, password: str, *, address: str = "") -> User | None:
        """Return whose name and password these are, or None.

        address: who asks, as far as turns go. Raises QueueFull.
        """
        known = len(name) <= MAX_LENGTH and len(password) <= MAX_LENGTH
        user, stored = self._people.get(name.strip().casefold(), (None, self._nobody))
        await self.queue.enter(address)
        hashing = asyncio.ensure_future(
            asyncio.to_thread(self._verify, stored, password if known else "")
        )
        # The turn ends with the thread, which cannot be cancelled, and not with whoever waits.
        hashing.add_done_callback(lambda _: self.queue.leave(address))
        right = await asyncio.shield(hashing)
        return user if right and known else None

    def _verify(self, stored: str, password: str) -> bool:
        """Whether a password belongs to a hash; runs in a thread."""
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, UnicodeError):  # UnicodeError: half of a surrogate pair
            return False
