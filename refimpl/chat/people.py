"""Who may sign in: names with hashed passwords, checked beside the event loop.

Passwords are hashed with Argon2id (RFC 9106) by `argon2-cffi`. A hash costs tens of milliseconds
and tens of megabytes on purpose, so it runs in a thread, few at a time, and a crowd at the door is
sent away rather than served from memory that is not there. An unknown name costs as much as a known
one: the time of the answer does not tell who has an account.
"""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from refimpl.middleware.context import User

__all__ = ["DEMO", "Crowded", "People"]

# Known to everybody who opens the sign-in page, which shows them.
DEMO: Mapping[str, str] = MappingProxyType(
    {"Alice": "amber-ladder", "Bob": "silver-pond", "Carol": "paper-lantern"}
)

AT_ONCE = 2  # hashes at a time, 64 MiB each
IN_LINE = 32  # sign-ins that may wait for their turn
MAX_LENGTH = 200  # characters of a name or password; Argon2 would take megabytes


class Crowded(RuntimeError):
    """Too many are signing in at this moment: answer 503, they can try again in a second."""


class People:
    """Names and the hashes of their passwords. Names are compared without case.

    hasher: one with small costs makes tests fast, and nothing else.
    """

    def __init__(self, passwords: Mapping[str, str], *, hasher: PasswordHasher | None = None):
        self._hasher = hasher or PasswordHasher()
        self._people = {
            name.casefold(): (User(name.casefold(), name), self._hasher.hash(password))
            for name, password in passwords.items()
        }
        self._nobody = self._hasher.hash("the password of nobody")
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._in_line = 0

    async def check(self, name: str, password: str) -> User | None:
        """Return whose name and password these are, or None. Raises Crowded."""
        if self._in_line >= IN_LINE:
            raise Crowded("too many sign-ins at once")
        known = len(name) <= MAX_LENGTH and len(password) <= MAX_LENGTH
        user, stored = self._people.get(name.strip().casefold(), (None, self._nobody))
        self._in_line += 1
        try:
            async with self._turn:
                right = await asyncio.to_thread(self._verify, stored, password if known else "")
        finally:
            self._in_line -= 1
        return user if right and known else None

    def _verify(self, stored: str, password: str) -> bool:
        """Whether a password belongs to a hash; runs in a thread."""
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, UnicodeError):  # UnicodeError: half of a surrogate pair
            return False
