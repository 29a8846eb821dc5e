"""Who is at the door: credentials at the opening handshake, and sockets that end with their token.

`credentials` finds the one credential of a request, `tokens` verifies it with a key of `keys`,
`tickets` are credentials for a URL, `authenticator` decides, and two modules act on it: `asgi` in
front of an ASGI application, `serve` for `refimpl.serve`. `errors` says what a client is told,
`expiry` ends a socket with its token, `redaction` keeps tokens out of other programs' logs.

RFC 6455 10.5 leaves authentication to HTTP; RFC 6750, 7519, 8725 and 9068 say how. Passwords,
refresh and revocation are not here.
"""

from refimpl.auth.asgi import Authenticate
from refimpl.auth.authenticator import Authenticator
from refimpl.auth.credentials import Credential, Source, cookie_header, find_credential
from refimpl.auth.errors import AuthError
from refimpl.auth.keys import Key, Keyring
from refimpl.auth.redaction import Redact, redact
from refimpl.auth.serve import Doorkeeper
from refimpl.auth.tickets import MemoryStore, TicketOffice, Tickets
from refimpl.auth.tokens import Claims, Issuer, Verifier

__all__ = [
    "AuthError",
    "Authenticate",
    "Authenticator",
    "Claims",
    "Credential",
    "Doorkeeper",
    "Issuer",
    "Key",
    "Keyring",
    "MemoryStore",
    "Redact",
    "Source",
    "TicketOffice",
    "Tickets",
    "Verifier",
    "cookie_header",
    "find_credential",
    "redact",
]
