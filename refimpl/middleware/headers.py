"""What headers tell a browser: how long to keep an answer, and what a page may do.

Two ASGI middlewares that add headers to HTTP answers, and to refusals of WebSockets, unless the
application has set them itself. `CACHE_RULES` is the table of what may be cached for how long.

>>> cache_control("/static/js/app.3f9a1c07.js")
'public, max-age=31536000, immutable'
>>> cache_control("/static/js/app.js"), cache_control("/api/health")
('no-cache', 'no-cache')
"""

import re
from collections.abc import Iterable, Mapping

from refimpl.errors import LocalProtocolError
from refimpl.handshake import Headers, as_tuple
from refimpl.middleware.asgi import App, Message, Receive, Scope, Send, is_secure, route_path

__all__ = ["CACHE_RULES", "CONTENT_SECURITY_POLICY", "CacheRules", "SecurityHeaders"]
__all__ += ["cache_control", "security_headers"]

ANSWERS = ("http.response.start", "websocket.http.response.start")
EVERY_PATH = r".*"

# First match wins. A fingerprint is a hash of the content in the file's name: new content, new
# name, so the old one never has to be asked for again. Without one the name promises nothing.
CACHE_RULES = (
    (r"/static/.*\.[0-9a-f]{8,64}\.[a-z0-9]+", "public, max-age=31536000, immutable"),
    (r"/assets/.*", "public, max-age=3600"),
    (r"/api/health", "no-cache"),
    (r"/api/.*", "no-store"),
    (r".*", "no-cache"),
)

# Scripts and styles from our own files only, so that injected text stays text. 'self' covers the
# WebSocket of the same host and port (CSP 3, 6.7.2.8); data: is for small drawn icons.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


def cache_control(path: str, rules: Iterable[tuple[str, str]] = CACHE_RULES) -> str:
    """Return the Cache-Control of the first rule whose pattern matches the whole path.

    Raises LookupError where none does.
    """
    for pattern, value in as_tuple("rules", rules):
        if re.fullmatch(pattern, path, re.DOTALL):
            return value
    raise LookupError("got no rule for this path, expected a last one for every path: '.*'")


def check_rules(rules: tuple[tuple[str, str], ...]) -> None:
    """Raise ValueError for rules that would fail during a request."""
    if not rules or rules[-1][0] != EVERY_PATH:
        raise ValueError(
            "got rules that leave paths out, expected a last one for every path: "
            f"({EVERY_PATH!r}, 'no-cache')"
        )
    for pattern, value in rules:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"got {pattern!r}, no regular expression: {error}") from error
        check_value("cache-control", value)


def check_value(name: str, value: str) -> None:
    """Raise ValueError for a value that may not be in a header line (RFC 9110 5.5)."""
    try:
        Headers([(name, value)])
    except LocalProtocolError as error:
        raise ValueError(f"got {value!r} for {name}, no header value (RFC 9110 5.5)") from error


def security_headers(*, secure: bool, csp: str = CONTENT_SECURITY_POLICY) -> dict[str, str]:
    """Return the headers that every answer gets. secure: whether it is sent over TLS."""
    headers = {
        "content-security-policy": csp,
        "x-content-type-options": "nosniff",  # an upload named .txt is not run as a script
        "x-frame-options": "DENY",  # frame-ancestors, for browsers that do not know it
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }
    if secure:  # over plain HTTP a browser must ignore it (RFC 6797 8.1)
        headers["strict-transport-security"] = "max-age=31536000"
    return headers


def with_defaults(message: Message, defaults: Mapping[str, str]) -> Message:
    """Return the start of a response, completed by the defaults that it does not set itself."""
    own = list(message.get("headers", ()))
    known = {name.lower() for name, _ in own}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in defaults.items()]
    return {**message, "headers": [*own, *(pair for pair in pairs if pair[0] not in known)]}


class SecurityHeaders:
    """ASGI middleware: adds `security_headers` to every answer. Belongs outermost.

    csp: a Content-Security-Policy in place of `CONTENT_SECURITY_POLICY`. Raises ValueError for one
    that may not be in a header.
    """

    def __init__(self, app: App, *, csp: str = CONTENT_SECURITY_POLICY) -> None:
        check_value("content-security-policy", csp)
        self.app = app
        self.plain = security_headers(secure=False, csp=csp)
        self.secure = security_headers(secure=True, csp=csp)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; complete the start of its answer."""
        defaults = self.secure if is_secure(scope) else self.plain

        async def send_completed(message: Message) -> None:
            await send(with_defaults(message, defaults) if message["type"] in ANSWERS else message)

        await self.app(scope, receive, send_completed)


class CacheRules:
    """ASGI middleware: says for each path how long its answer may be kept.

    Only success (and 304) is cached by path: an error under a fingerprinted name would otherwise be
    kept for a year. rules: pairs of pattern and Cache-Control, first match wins; the last pattern
    is ".*". Raises ValueError for rules that could fail.
    """

    def __init__(self, app: App, *, rules: Iterable[tuple[str, str]] = CACHE_RULES) -> None:
        self.app = app
        self.rules = as_tuple("rules", rules)
        check_rules(self.rules)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; complete the start of its answer."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        kept = cache_control(route_path(scope), self.rules)  # before routers change root_path

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                value = kept if message["status"] in (200, 206, 304) else "no-store"
                message = with_defaults(message, {"cache-control": value})
            await send(message)

        await self.app(scope, receive, send_completed)
