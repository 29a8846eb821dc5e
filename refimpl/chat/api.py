"""The HTTP side of the chat: sign in, sign out, who am I, and the demo's open secrets.

A session is a token in a cookie that no script can read. Signing in needs no session, so here the
handler itself asks for JSON from our own page: a form of a foreign page could otherwise sign its
victim in under another name (RFC 6265bis 8.8.1 leaves that to us).
"""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from refimpl.auth import Authenticator, AuthError, Claims, Issuer, TicketOffice, Tickets
from refimpl.auth.credentials import cookie_header
from refimpl.auth.errors import Refusal
from refimpl.auth.errors import problem as problem_body
from refimpl.auth.strict_json import read_json
from refimpl.chat.fair_queue import QueueFull
from refimpl.chat.limits import address_of
from refimpl.chat.lobby import Lobby
from refimpl.chat.people import People
from refimpl.chat.rooms import described
from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.handshake import Headers
from refimpl.middleware.asgi import is_secure
from refimpl.middleware.context import current
from refimpl.sessions import SessionsError

__all__ = ["PUBLIC", "Api"]

PUBLIC = ("/api/health", "/api/me", "/api/people", "/api/sign-in")
MAX_BODY = 4096
BODY_WITHIN = 10.0  # seconds for the whole of a body, however slowly it drips

# What /api/me says of a session that is none; all others are "invalid", so that a forger learns
# nothing. A key's name is no secret: every token carries it.
REASONS = {"missing": "missing", "expired": "expired", "key": "restarted"}

OUT_OF_REACH = "The chat cannot reach its store: try again in a moment."
RETRY = {"retry-after": "2"}


class Api:
    """The routes below /api. shown: names and passwords that the sign-in page may show."""

    def __init__(
        self,
        people: People,
        issuer: Issuer,
        authenticator: Authenticator,
        tickets: Tickets,
        lobby: Lobby,
        *,
        shown: Mapping[str, str],
    ) -> None:
        self.people = people
        self.issuer = issuer
        self.authenticator = authenticator
        self.lobby = lobby
        self.shown = shown
        self.office = TicketOffice(tickets)

    def routes(self) -> list[BaseRoute]:
        """Return the routes; `PUBLIC` are those that need no session."""
        return [
            Route("/health", self.health),
            Route("/me", self.me),
            Route("/people", self.list_people),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
            Route("/tickets", self.office),
        ]

    async def health(self, request: Request) -> Response:
        """Say that we live."""
        status = "degraded" if self.lobby.node.degraded else "ok"
        return JSONResponse({"status": status, "connections": len(self.lobby)})

    async def list_people(self, request: Request) -> Response:
        """Show the demo's names and passwords."""
        listed = [{"name": name, "password": password} for name, password in self.shown.items()]
        return JSONResponse({"people": listed})

    async def me(self, request: Request) -> Response:
        """Say whose session this is; none is an answer too, not an error."""
        try:
            claims = await self.authenticator.authenticate(
                headers_of(request), secure=is_secure(request.scope), method=request.method
            )
        except AuthError as error:
            if error.status == 503:
                return problem(503, OUT_OF_REACH, RETRY)
            return JSONResponse({"user": None, "reason": REASONS.get(error.reason, "invalid")})
        return JSONResponse({"user": described(claims.user) if claims else None, "reason": ""})

    async def sign_in(self, request: Request) -> Response:
        """Answer a right name and password with a session, anything else with one sentence."""
        try:
            self.authenticator.check_origin(
                headers_of(request), None, secure=is_secure(request.scope), method=request.method
            )
        except HandshakeError:
            return problem(403, "Pages of other sites may not sign anybody in.")
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind.lower() != "application/json":  # RFC 9110 8.3.1: types compare in any case
            return problem(415, "Send JSON.")
        if self.lobby.node.degraded:
            return problem(503, OUT_OF_REACH, RETRY)
        try:
            async with asyncio.timeout(BODY_WITHIN):
                given = await read_fields(request)
        except TimeoutError:
            return problem(408, "The request took too long.")
        if given is None:
            return problem(400, "Send a name and a password.")
        try:
            user = await self.people.check(*given, address=address_of(request.scope))
        except QueueFull as error:
            detail = "Too many sign-ins at once: try again in a moment."
            return problem(429 if error.per_key else 503, detail, RETRY)
        if user is None:
            return problem(403, "Name and password do not belong together.")
        cookie = cookie_header(self.issuer.issue(user), int(self.issuer.lifetime))
        return JSONResponse({"user": described(user)}, headers={"set-cookie": cookie})

    async def sign_out(self, request: Request) -> Response:
        """End the session, wherever a copy of its cookie lies, and every connection of it."""
        try:
            await self.lobby.sign_out(current(Claims))
        except SessionsError:
            return problem(503, OUT_OF_REACH, RETRY)
        return Response(status_code=204, headers={"set-cookie": cookie_header("", 0)})


def headers_of(request: Request) -> Headers:
    """Return the request's header lines as our own type. Raises AuthError for what is none."""
    lines = request.scope["headers"]
    try:
        return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in lines])
    except LocalProtocolError as error:
        raise AuthError("request", "got a header line that is none (RFC 9110 5.5)") from error


async def read_fields(request: Request) -> tuple[str, str] | None:
    """Return name and password from a small JSON body, or None where they are not there."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            return None
    try:
        fields = read_json(body.decode())
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    name, password = fields.get("name"), fields.get("password")
    return (name, password) if isinstance(name, str) and isinstance(password, str) else None


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal in JSON (RFC 9457), with words for a person."""
    body = problem_body(Refusal(status, "", detail))
    return Response(body, status, headers, media_type="application/problem+json")
