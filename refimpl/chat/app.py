"""The reference application, put together: which middleware stands where, and why.

From outside to inside: a request id, security headers, WebSockets by name, the door for pages, the
path table. Sockets have a door of their own, because they come with a ticket. A browser sends the
cookie along with it unasked, and two credentials are one too many.

With no settings everything lives in this process: rooms, messages, tickets and keys end with it. A
restart signs everybody out, and that is on purpose: who signed out is remembered here as well, so a
key that outlived the process would let their cookies in again. Many nodes have stores and a key in
common; then a session, a ticket and a sign-out of one of them count on all.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from refimpl.chat.sessions import SessionAuthenticator
from refimpl.chat.stores import LIMITS, MemoryStores, Stores
from refimpl.chat.talk import Talk
from refimpl.middleware import Context
from refimpl.middleware.asgi import App, Receive, Scope, Send
from refimpl.middleware.headers import SecurityHeaders
from refimpl.middleware.registry import Registry
from refimpl.middleware.static import site
from refimpl.sessions import SessionsError

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

    people: names and passwords. stores: what it has in common with other nodes; without them this
    process is the only one, and `keep` says how many messages of a room it keeps. node: this node's
    name, which its pages show. key: 32 bytes or more that sign sessions, the same on all nodes.
    session: seconds that a sign-in lasts. heartbeat, limit: as in `Talk`. hasher: as in `People`.
    rate_limit: for messages. now: Unix seconds.

    Served with its lifespan (ASGI): that opens the stores and closes them.
    """

    def __init__(
        self,
        people: Mapping[str, str] = DEMO,
        *,
        stores: Stores | None = None,
        node: str = "",
        key: bytes | None = None,
        rooms: Sequence[tuple[str, str, str]] = ROOMS,
        session: float = SESSION,
        heartbeat: tuple[float, float] = (15.0, 5.0),
        limit: int = 256 * 1024,
        keep: int = 200,
        hasher: PasswordHasher | None = None,
        rate_limit: RateLimit | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        keys = Keyring(signing_key(key or secrets.token_bytes(32)))
        verifier = Verifier(keys, NAME, NAME, leeway=0, max_age=session, now=now)
        if stores is None:
            limits = replace(LIMITS, keep=keep, remember=max(keep, LIMITS.remember))
            stores = MemoryStores(limits=limits, now=now)
        self.stores = stores
        self.tickets = Tickets(stores.tickets, now=now)

        def taking(source: Source) -> SessionAuthenticator:
            return SessionAuthenticator(
                verifier=verifier,
                tickets=self.tickets,
                sources=frozenset({source}),
                signed_out=self.stores.signed_out,
            )

        pages, sockets = taking(Source.COOKIE), taking(Source.TICKET)
        self.issuer = Issuer(keys, NAME, NAME, lifetime=session, now=now)
        self.people = People(people, hasher=hasher)
        self.lobby = Lobby(
            (Room(*room) for room in rooms),
            store=stores.sessions,
            node=node,
            name_of=self.people.name_of,
            signed_out=stores.signed_out,
            # All rooms together, and some talk, have to fit into what may wait for a visitor.
            keep_size=limit // (len(rooms) + 1),
            now=now,
        )
        self.records = Records(now=now)
        api = Api(self.people, self.issuer, pages, self.tickets, self.lobby, shown=people)
        self.registry = Registry(
            Authenticate(site(PAGE, api.routes()), pages, public=[*PAGES, *PUBLIC])
        )
        pace = rate_limit or RateLimit()
        talk = Talk(self.lobby, self.records, pace, heartbeat=heartbeat, node=node, limit=limit)
        feed = WireFeed(self.lobby, self.records, pace)
        for name, endpoint in (("chat", talk), ("wire", feed)):
            self.registry.add(name, Authenticate(endpoint, sockets), limit=MAX_CONNECTIONS)
        self.app: App = Context(SecurityHeaders(self.registry))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection, or open and close the stores."""
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        ours = dict(scope)
        if "query_string" in scope:  # the server writes its own scope into its access log
            query = scope["query_string"].decode("latin-1")
            scope["query_string"] = without_secrets(query).encode("latin-1")
        await self.app(ours, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Open the stores and the lobby when the server starts, and close them at its end."""
        await receive()
        step = "startup"
        try:
            async with self.stores, self.lobby:
                await send({"type": "lifespan.startup.complete"})
                step = "shutdown"
                await receive()
        except SessionsError as error:
            await send({"type": f"lifespan.{step}.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})


def signing_key(secret: bytes) -> Key:
    """Return a key named after itself: a session of another key is told from a forged one."""
    return Key(hashlib.sha256(b"name:" + secret).hexdigest()[:8], "HS256", secret)
