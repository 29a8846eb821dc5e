"""Sessions that ended before their tokens: a deny list, and who has to be told.

A session is a token in a cookie, and a token is good until it expires, wherever a copy of it lies.
Signing out therefore has to be remembered for as long as the token would have lasted.

What is kept is bounded for each user. A user who signs in and out without end pushes out the oldest
entries; then every session of that user that is as old as those is over, so that nothing comes
back, and nobody else notices.

>>> from refimpl.middleware.context import User
>>> ended = SignedOut(now=lambda: 1000.0)
>>> claims = Claims(User("ada"), "token-1", 900.0, 1800.0)
>>> ended.add(claims)
>>> claims in ended, Claims(User("ada"), "token-2", 950.0, 1850.0) in ended
(True, False)
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from refimpl.auth import Authenticator, AuthError, Claims, Credential
from refimpl.middleware.context import User
from refimpl.sessions import SessionsError

__all__ = ["SessionAuthenticator", "SignedOut"]

MOST = 100  # of one user


@dataclass(slots=True)
class _Ended:
    """Of one user: token ids with the end of each, and the time up to which all are over."""

    tokens: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    all_until: float = float("-inf")
    forget_at: float = float("-inf")


class SignedOut:
    """The deny list. now: Unix seconds. most: entries that are kept of one user.

    listeners: told of each session that ends, with its claims.
    """

    def __init__(self, *, now: Callable[[], float] = time.time, most: int = MOST) -> None:
        self.listeners: list[Callable[[Claims], object]] = []
        self._now = now
        self._most = most
        self._users: OrderedDict[str, _Ended] = OrderedDict()  # who signed out last stands last

    def __len__(self) -> int:
        return sum(len(ended.tokens) for ended in self._users.values())

    def __iter__(self) -> Iterator[Claims]:
        """The sessions that are remembered, with what has to be known of each."""
        for user, ended in self._users.items():
            for token_id, (issued_at, expires_at) in ended.tokens.items():
                yield Claims(User(user), token_id, issued_at, expires_at)

    async def end(self, claims: Claims) -> None:
        """End a session, for every node. Raises SessionsError, and then it goes on."""
        self.add(claims)

    async def catch_up(self) -> None:
        """Learn which sessions ended on other nodes. Raises SessionsError."""

    def add(self, claims: Claims) -> None:
        """Remember that a session is over, until its token is."""
        self._forget()
        ended = self._users.setdefault(claims.user.id, _Ended())
        self._users.move_to_end(claims.user.id)
        ended.tokens[claims.token_id] = claims.issued_at, claims.expires_at
        ended.forget_at = max(ended.forget_at, claims.expires_at)
        while len(ended.tokens) > self._most:
            issued_at, _ = ended.tokens.popitem(last=False)[1]
            ended.all_until = max(ended.all_until, issued_at)
        for listener in self.listeners:
            listener(claims)

    def __contains__(self, claims: object) -> bool:
        """Whether the session of these claims was ended."""
        if not isinstance(claims, Claims) or claims.user.id not in self._users:
            return False
        ended = self._users[claims.user.id]
        return claims.token_id in ended.tokens or claims.issued_at <= ended.all_until

    def _forget(self) -> None:
        """Forget users whose tokens are all expired, those who signed out longest ago first."""
        now = self._now()
        while self._users and next(iter(self._users.values())).forget_at <= now:
            self._users.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAuthenticator(Authenticator):
    """An Authenticator that takes no session which was signed out, nor a ticket bought with it."""

    signed_out: SignedOut

    async def redeem(self, credential: Credential) -> Claims:
        """Return what a credential proves. Raises AuthError."""
        claims = await Authenticator.redeem(self, credential)  # slots=True leaves super() blind
        try:
            await self.signed_out.catch_up()
        except SessionsError as error:  # what cannot be proved is refused
            raise AuthError("unavailable", "got no answer from the store of sessions") from error
        if claims in self.signed_out:
            raise AuthError("signed-out", "got a session that was signed out")
        return claims
