"""What stands between a server and an application: ASGI middlewares, and an engine for uvicorn.

`context` says who is asking, `registry` hands WebSockets to named endpoints, `headers` adds what a
browser should be told. `static` (needs starlette) and `engine` (needs uvicorn) are imported by
their own names, so that nobody pays for what is not used.
"""

from refimpl.middleware.asgi import App, Message, Receive, Scope, Send, deny, header_values
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

__all__ = [
    "AddContext",
    "App",
    "Context",
    "Message",
    "Receive",
    "RequestID",
    "Scope",
    "Send",
    "TenantID",
    "User",
    "bind",
    "current",
    "deny",
    "find",
    "header_values",
    "with_state",
]
