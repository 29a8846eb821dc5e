"""Authentication: credentials at the opening handshake, and sockets that end with their token.

`credentials` finds the one credential of a request, `tokens` verifies it with a key of `keys`,
`strict_json` reads what is in it, and `tickets` are credentials for a URL. `authenticator` decides;
`asgi` applies the decision to an ASGI application, `serve` to `refimpl.serve`. `errors` holds what
clients are told, `expiry` ends a socket with its token, `redaction` keeps tokens out of logs.

RFC 6455 10.5 leaves authentication to HTTP; RFC 6750, 7519, 8725 and 9068 say how. Passwords,
refresh and revocation are not here.
"""

from refimpl.auth.asgi import Authenticate
from refimpl.auth.authenticator import Authenticator
from refimpl.auth.credentials import Credential, Source, cookie_header, find_credential
from refimpl.auth.errors import AuthError
from refimpl.auth.keys import Key, Keyring
from refimpl.auth.redaction import Redact, redact
from refimpl.auth.serve import ServeAuth
from refimpl.auth.tickets import MemoryStore, TicketOffice, Tickets
from refimpl.auth.tokens import Claims, Issuer, Verifier

__all__ = [
    "AuthError",
    "Authenticate",
    "Authenticator",
    "Claims",
    "Credential",
    "Issuer",
    "Key",
    "Keyring",
    "MemoryStore",
    "Redact",
    "ServeAuth",
    "Source",
    "TicketOffice",
    "Tickets",
    "Verifier",
    "cookie_header",
    "find_credential",
    "redact",
]
