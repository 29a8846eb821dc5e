"""The reference application, put together: which middleware stands where, and why.

From outside to inside: a request id, security headers, WebSockets by name, the door for pages, the
path table. Sockets have a door of their own, because they come with a ticket. A browser sends the
cookie along with it unasked, and two credentials are one too many.

Everything lives in this process: users, rooms, messages, tickets and keys end with it. A restart
signs everybody out, and that is on purpose: who signed out is remembered here as well, so a key
that outlived the process would let their cookies in again. Chapter 12 keeps both in a store.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from argon2 import PasswordHasher

from refimpl.auth import (
    Authenticate,
    Issuer,
    Key,
    Keyring,
    Source,
    Tickets,
    Verifier,
)
from refimpl.auth.credentials import without_secrets
from refimpl.chat.api import PUBLIC, Api
from refimpl.chat.limits import RateLimit
from refimpl.chat.lobby import Lobby
from refimpl.chat.people import DEMO, People
from refimpl.chat.records import Records, WireFeed
from refimpl.chat.rooms import Room
from refimpl.chat.sessions import SessionAuthenticator, SignedOut
from refimpl.chat.talk import Talk
from refimpl.middleware import Context
from refimpl.middleware.asgi import App, Receive, Scope, Send
from refimpl.middleware.headers import SecurityHeaders
from refimpl.middleware.registry import Registry
from refimpl.middleware.static import site

__all__ = ["MAX_FRAME", "PAGE", "Chat"]

PAGE = Path(__file__).with_name("page")
PAGES = ("/", "/index.html", "/static/")
SESSION = 8 * 3600  # seconds; chapter 12 shortens it and renews
MAX_FRAME = 16 * 1024  # bytes of a message: what a server should be told as its ws_max_size
MAX_CONNECTIONS = 1000
NAME = "refimpl.chat"

ROOMS = (
    ("harbour", "Harbour", "Where everybody arrives"),
    ("workshop", "Workshop", "Reload, pull the cable, come back: nothing gets lost"),
    ("library", "Library", "For long texts and quiet readers"),
)


class Chat:
    """The chat as one ASGI application.

    people: names and passwords. session: seconds that a sign-in lasts. heartbeat, limit: as in
    `Talk`. keep: messages of a room. hasher: as in `People`. rate_limit: for messages. now: Unix
    seconds.
    """

    def __init__(
        self,
        people: Mapping[str, str] = DEMO,
        *,
        rooms: Sequence[tuple[str, str, str]] = ROOMS,
        session: float = SESSION,
        heartbeat: tuple[float, float] = (15.0, 5.0),
        limit: int = 256 * 1024,
        keep: int = 200,
        hasher: PasswordHasher | None = None,
        rate_limit: RateLimit | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        # A name of its own, by which a session of an earlier process is told from a forged one.
        keys = Keyring(Key(secrets.token_urlsafe(6), "HS256", secrets.token_bytes(32)))
        verifier = Verifier(keys, NAME, NAME, leeway=0, max_age=session, now=now)
        self.tickets = Tickets(now=now)
        signed_out = SignedOut(now=now)
        pages = SessionAuthenticator(
            verifier=verifier, sources=frozenset({Source.COOKIE}), signed_out=signed_out
        )
        sockets = SessionAuthenticator(
            verifier=verifier,
            tickets=self.tickets,
            sources=frozenset({Source.TICKET}),
            signed_out=signed_out,
        )
        self.issuer = Issuer(keys, NAME, NAME, lifetime=session, now=now)
        # All rooms together, and some talk, have to fit into what may wait for a visitor.
        size = limit // (len(rooms) + 1)
        self.lobby = Lobby(
            (Room(*room, keep=keep, keep_size=size) for room in rooms),
            signed_out=signed_out,
            now=now,
        )
        self.records = Records(now=now)
        self.people = People(people, hasher=hasher)
        api = Api(
            self.people,
            self.issuer,
            pages,
            self.tickets,
            self.lobby,
            shown=people,
        )
        self.registry = Registry(
            Authenticate(site(PAGE, api.routes()), pages, public=[*PAGES, *PUBLIC])
        )
        rate_limit = rate_limit or RateLimit()
        talk = Talk(self.lobby, self.records, rate_limit, heartbeat=heartbeat, limit=limit)
        feed = WireFeed(self.lobby, self.records, rate_limit)
        for name, endpoint in (("chat", talk), ("wire", feed)):
            self.registry.add(name, Authenticate(endpoint, sockets), limit=MAX_CONNECTIONS)
        self.app: App = Context(SecurityHeaders(self.registry))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        ours = dict(scope)
        if "query_string" in scope:  # the server writes its own scope into its access log
            query = scope["query_string"].decode("latin-1")
            scope["query_string"] = without_secrets(query).encode("latin-1")
        await self.app(ours, receive, send)
