"""Why requests are refused, and what clients are told: one table, one error.

RFC 6750 section 3 (the challenge of a 401), RFC 9457 (the body, a problem in JSON). The client
learns what it can do next, and nothing that helps to guess a token: the text is the same whatever
is wrong with one, unless it has expired. Counters and logs get the exact `reason`. Neither gets a
credential.

>>> error = AuthError("expired", "got an expired token, expected exp ahead")
>>> error.status, error.reason, error.close_code
(401, 'expired', 4401)
>>> dict(error.headers)["WWW-Authenticate"].partition(", ")[2]
'error="invalid_token", error_description="the token has expired: get a new one"'
"""

import json
from http import HTTPStatus
from typing import NamedTuple

from refimpl.errors import HandshakeError

__all__ = ["INVALID", "REFUSALS", "AuthError", "Refusal"]

REALM = "refimpl"
CLOSE_BASE = 4000  # codes 4000-4999 are for applications (RFC 6455 7.4.2)


class Refusal(NamedTuple):
    """What a client is told: the status, the code of RFC 6750 section 3.1, and one sentence."""

    status: int
    error: str
    detail: str


INVALID = Refusal(401, "invalid_token", "the token is not valid here: sign in again")

# Every other reason is INVALID: the same answer to every forged token tells a forger nothing.
REFUSALS = {
    "missing": Refusal(
        401, "", "nobody is signed in: send one credential, say a ticket from POST /api/tickets"
    ),
    "expired": Refusal(401, "invalid_token", "the token has expired: get a new one"),
    "ticket": Refusal(
        401, "invalid_token", "the ticket is unknown, used or too old: get a new one"
    ),
    "source": Refusal(401, "", "credentials are not taken this way here"),
    "two": Refusal(400, "invalid_request", "send exactly one credential, once"),
    "malformed": Refusal(400, "invalid_request", "the credential is malformed"),
    "too-long": Refusal(400, "invalid_request", "the credential is too long"),
    "token-in-url": Refusal(
        400, "invalid_request", "a token in a URL is read by every log: get a ticket"
    ),
    "no-real-protocol": Refusal(
        400, "invalid_request", "offer a real subprotocol beside bearer.<token>"
    ),
    "request": Refusal(400, "invalid_request", "the request is malformed"),
    "path": Refusal(400, "invalid_request", "the path can be read in two ways"),
    "subject": Refusal(403, "invalid_token", "the token belongs to another user"),
    "origin": Refusal(403, "insufficient_scope", "pages of this origin may not connect"),
    "often": Refusal(429, "", "too many tickets in half a minute: try again in a few seconds"),
    "full": Refusal(503, "", "too many tickets are open: try again in a few seconds"),
    "unavailable": Refusal(503, "", "the store of sessions is out of reach: try again later"),
}


class AuthError(HandshakeError):
    """A request has no credential that is accepted here; `body` tells the client what to do.

    A HandshakeError, so that `refimpl.serve` answers with it when process_request raises it. On a
    socket that is open already, `close_code` and `detail` take the place of status and body.
    """

    def __init__(self, reason: str, message: str) -> None:
        refusal = REFUSALS.get(reason, INVALID)
        super().__init__(
            message,
            status=refusal.status,
            reason=reason,
            headers=headers_of(refusal),
            body=problem(refusal),
        )
        self.detail = refusal.detail

    @property
    def close_code(self) -> int:
        """The status as a close code for applications: 401 is 4401."""
        return CLOSE_BASE + self.status


def headers_of(refusal: Refusal) -> list[tuple[str, str]]:
    """Return the header lines of a refusal; a 401 must name the scheme (RFC 9110 15.5.2)."""
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    if refusal.status == 401:
        challenge = f'Bearer realm="{REALM}"'
        if refusal.error:  # no code if no credential was sent (RFC 6750 3.1)
            challenge += f', error="{refusal.error}", error_description="{refusal.detail}"'
        headers.append(("WWW-Authenticate", challenge))
    elif refusal.status in (429, 503):
        headers.append(("Retry-After", "5"))
    return headers


def problem(refusal: Refusal) -> bytes:
    """Return the body of a refusal: problem details in JSON (RFC 9457 section 3)."""
    title = HTTPStatus(refusal.status).phrase
    details = {"title": title, "status": refusal.status, "detail": refusal.detail}
    return json.dumps(details).encode() + b"\n"
