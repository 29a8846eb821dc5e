"""What stands between a server and an application: ASGI middlewares, and an engine for uvicorn.

`context` says who is asking, `registry` hands WebSockets to named endpoints, `headers` adds cache
and security headers, `hosts` refuses requests for another host. Import `static` (needs starlette),
`engine` and `serving` (need uvicorn) by their own names: nobody pays for what is not used.
"""

from refimpl.middleware.asgi import App, Message, Receive, Scope, Send, deny, header_values
from refimpl.middleware.closable import Connection, Ended
from refimpl.middleware.context import (
    AddContext,
    Context,
    RequestID,
    TenantID,
    User,
    bind,
    current,
    find,
    with_state,
)
from refimpl.middleware.headers import CacheRules, SecurityHeaders, cache_control, security_headers
from refimpl.middleware.hosts import AllowedHosts
from refimpl.middleware.registry import Registry

__all__ = [
    "AddContext",
    "AllowedHosts",
    "App",
    "CacheRules",
    "Connection",
    "Context",
    "Ended",
    "Message",
    "Receive",
    "Registry",
    "RequestID",
    "Scope",
    "SecurityHeaders",
    "Send",
    "TenantID",
    "User",
    "bind",
    "cache_control",
    "current",
    "deny",
    "find",
    "header_values",
    "security_headers",
    "with_state",
]
