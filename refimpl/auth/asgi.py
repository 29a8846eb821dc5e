"""Authentication in front of an ASGI application.

A middleware for HTTP and WebSocket. It refuses before the 101, with a status and a body that says
what to do. It binds the User for the whole connection, removes the credential from the scope so
that nothing behind it can log one, and closes the socket when the token expires. All paths need a
credential except those named as public.

    Authenticate(app, authenticator, public=["/", "/assets/", "/api/login"])
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence

from refimpl.auth.authenticator import Authenticator
from refimpl.auth.credentials import read_message, without_credentials, without_secrets
from refimpl.auth.errors import AuthError
from refimpl.auth.expiry import CHECK_EVERY, ExpiringSocket
from refimpl.auth.tokens import Claims
from refimpl.errors import LocalProtocolError
from refimpl.handshake import Headers, as_tuple
from refimpl.middleware.asgi import App, Receive, Scope, Send, deny, is_secure
from refimpl.middleware.context import bind, with_state

__all__ = ["Authenticate"]

logger = logging.getLogger("refimpl.auth")

OFFER = b"sec-websocket-protocol"

# What two programs could resolve to two paths: dot segments, empty ones, backslashes, NUL, and all
# of it percent-encoded once more (RFC 3986 6.2.2, 5.2.4).
AMBIGUOUS = re.compile(r"//|\\|[\x00-\x1f\x7f]|(^|/)\.\.?(/|;|$)|%(2e|2f|5c|25|00)", re.IGNORECASE)


class Authenticate:
    """ASGI middleware: binds User and Claims, and refuses requests without a valid credential.

    public: paths that need no credential; one that ends in "/" includes all below it, but "/" is
    only itself.
    first_message_within: seconds that a socket may stay open without a credential, where the
    authenticator takes one in a first message. subprotocols: what such a socket may speak.
    check_every: seconds between two looks at the clock on an open socket. `refused` counts
    refusals by reason.
    """

    def __init__(
        self,
        app: App,
        authenticator: Authenticator,
        *,
        public: Sequence[str] = (),
        first_message_within: float = 5.0,
        subprotocols: Sequence[str] = (),
        check_every: float = CHECK_EVERY,
    ) -> None:
        self.app = app
        self.authenticator = authenticator
        self.public = as_tuple("public", public)
        self.first_message_within = first_message_within
        self.subprotocols = as_tuple("subprotocols", subprotocols)
        self.check_every = check_every
        self.refused: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its user bound, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        try:
            is_public = self.is_public(scope)
            claims = None if is_public else await self.identify(scope)
        except AuthError as error:
            self.count(error)
            return await deny(scope, receive, send, error.status, error.body, error.headers)
        if is_public:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self.serve_socket(scope, receive, send, claims)
        else:
            assert claims is not None  # only a socket has a first message
            with bind(claims.user, claims):
                await self.app(with_state(scope, claims.user), receive, send)

    def is_public(self, scope: Scope) -> bool:
        """Whether the path needs no credential. Raises AuthError for an ambiguous path."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if AMBIGUOUS.search(path) or AMBIGUOUS.search(scope["path"]):
            self.disarm(scope)  # it is refused and will be logged: no ticket may be in it
            raise AuthError("path", "got a path with dot segments or the like (RFC 3986 6.2.2)")
        return any(
            path == public or (public.endswith("/") and public != "/" and path.startswith(public))
            for public in self.public
        )

    def disarm(self, scope: Scope) -> tuple[Headers, str]:
        """Return headers and raw query as received, and remove the credentials from the scope.

        In place, because the server writes this very scope into its access log.
        """
        query = scope.get("query_string", b"").decode("latin-1")
        came = list(scope["headers"])
        if scope.get("subprotocols"):  # where ASGI puts them; wsproto leaves no header line
            came = [line for line in came if line[0].lower() != OFFER]
            came.append((OFFER, ", ".join(scope["subprotocols"]).encode("latin-1")))
        scope["query_string"] = without_secrets(query).encode("latin-1")
        scope["headers"] = without_credentials(came, self.authenticator.cookie)
        if "subprotocols" in scope:
            scope["subprotocols"] = [
                name for name in scope["subprotocols"] if not name.startswith("bearer.")
            ]
        try:
            lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in came]
            return Headers(lines), query
        except LocalProtocolError:
            pass
        raise AuthError("request", "got a malformed header line (RFC 9110 5.5)")

    async def identify(self, scope: Scope) -> Claims | None:
        """Return the claims of who asks; None if a first message has to bring them."""
        headers, query = self.disarm(scope)
        claims = await self.authenticator.authenticate(
            headers,
            query,
            secure=is_secure(scope),
            method=scope.get("method"),
        )
        # Leeway may let such a token pass, and its socket would close at once.
        if claims and scope["type"] == "websocket" and claims.expires_at <= self.now():
            raise AuthError("expired", "got a token that ends now")
        return claims

    def now(self) -> float:
        """Return the verifier's time, Unix seconds."""
        return self.authenticator.verifier.now()

    def count(self, error: AuthError) -> None:
        """Count and log a refusal, with nothing in it that the client sent."""
        self.refused[error.reason] += 1
        logger.info("refused with %d: %s", error.status, error)

    async def serve_socket(
        self, scope: Scope, receive: Receive, send: Send, claims: Claims | None
    ) -> None:
        """Run the application on a socket for as long as its token lasts."""
        socket = ExpiringSocket(receive, send, now=self.now, check_every=self.check_every)
        if claims is None:
            claims = await self.ask(scope, socket)
            if claims is None:
                return
        scope["extensions"] = {
            **(scope.get("extensions") or {}),
            "refimpl.auth": {"renew": self.renewer(socket)},
        }
        with bind(claims.user, claims):
            await socket.run(self.app, with_state(scope, claims.user), claims)

    async def ask(self, scope: Scope, socket: ExpiringSocket) -> Claims | None:
        """Accept the socket and return the claims of its first message; None if it closed."""
        offered = scope.get("subprotocols", ())
        subprotocol = next((name for name in self.subprotocols if name in offered), None)
        try:
            message = await socket.open_early(subprotocol, within=self.first_message_within)
            if message is None:
                return None
            claims = await self.authenticator.redeem(read_message(message.get("text")))
            if claims.expires_at > self.now():
                return claims
            raise AuthError("expired", "got a token that ends now")
        except AuthError as error:
            self.count(error)
            await socket.close(error.close_code, error.detail)
            return None

    def renewer(self, socket: ExpiringSocket) -> Callable[[str], Claims]:
        """Return what an application calls with a new token to keep its socket open.

        Same user only; it returns the new claims and raises AuthError.
        """

        def renew(token: str) -> Claims:
            claims = self.authenticator.verifier.verify(token)
            socket.renew(claims)
            return claims

        return renew
