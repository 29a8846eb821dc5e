"""The decision, without any server: a request in, the caller's Claims out, or a refusal.

A missing, invalid or expired credential is 401, a page of a foreign origin 403, an ambiguous
request 400. The same decision serves ASGI (`asgi`) and `refimpl.serve` (`serve`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from refimpl.auth.credentials import COOKIE, ON_HTTP, Credential, Source, find_credential
from refimpl.auth.errors import AuthError
from refimpl.auth.tickets import Tickets
from refimpl.auth.tokens import Claims, Verifier
from refimpl.errors import HandshakeError
from refimpl.handshake import Headers, Policy, as_tuple, check_origin

__all__ = ["Authenticator"]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")  # RFC 9110 9.2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """What counts as proof of identity at one address.

    sources: where a credential may be. Leave COOKIE out for pages that use tickets: browsers send
    the cookie as well, and two credentials are refused. origins: as in `Policy`, the pages that may
    connect; None for the server's own.
    """

    verifier: Verifier
    tickets: Tickets | None = None
    sources: frozenset[Source] = frozenset(Source)
    origins: Sequence[str | None] | None = None
    cookie: str = COOKIE

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", frozenset(as_tuple("sources", self.sources)))
        if self.origins is not None:
            object.__setattr__(self, "origins", as_tuple("origins", self.origins))

    async def authenticate(
        self,
        headers: Headers,
        query: str = "",
        *,
        secure: bool = False,
        host: str | None = None,
        method: str | None = None,
    ) -> Claims | None:
        """Return the claims of who sent a request; None if the first message has to bring them.

        query: raw. secure and host: as in `Policy`, what the client used. method: of a plain HTTP
        request, None for a WebSocket handshake. Raises AuthError.
        """
        accepted = self.sources if method is None else self.sources & ON_HTTP
        credential = find_credential(headers, query, accepted=accepted, cookie=self.cookie)
        self.check_origin(headers, credential, secure=secure, host=host, method=method)
        if credential is not None:
            return await self.redeem(credential)
        if Source.FIRST_MESSAGE in accepted:
            return None
        raise AuthError("missing", "got no credential")

    def check_origin(
        self,
        headers: Headers,
        credential: Credential | None,
        *,
        secure: bool,
        host: str | None = None,
        method: str | None,
    ) -> None:
        """Refuse pages of foreign origins with 403 (RFC 6455 10.2).

        A cookie proves which browser asks, not which page. A request with one that may change
        something must have an Origin: browsers send it with every WebSocket and every POST.
        """
        if len(headers.get_all("Host")) != 1:
            raise AuthError("request", "got no Host, or two (RFC 9112 3.2)")
        try:
            check_origin(headers, Policy(origins=self.origins, secure=secure, host=host))
        except HandshakeError as error:
            raise AuthError("origin", str(error)) from error
        by_cookie = credential is not None and credential.source is Source.COOKIE
        if by_cookie and method not in SAFE_METHODS and "Origin" not in headers:
            raise AuthError("origin", "got a cookie and no Origin, expected both")

    async def redeem(self, credential: Credential) -> Claims:
        """Return what a credential proves. Raises AuthError."""
        if credential.source is not Source.TICKET:
            return self.verifier.verify(credential.secret)
        if self.tickets is None:
            raise AuthError("source", "got a ticket where none are sold")
        return await self.tickets.redeem(credential.secret)
