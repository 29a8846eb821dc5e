"""Files, an API and WebSockets under one address, with exactly one owner for each path.

Starlette finds and sends the files, with ETag, 304 and ranges. What may be requested, and who owns
which path, is decided here. The table of `path_table`, first match wins:

==================  =======================================  ==================================
path                owner                                    kept
==================  =======================================  ==================================
/ws/**              the Registry; plain HTTP gets 426        no-store
/api/**             the API's routes, else 404 as JSON       no-store; /api/health: no-cache
/assets/**          files                                    1 hour
/static/**          files                                    a year if the name has a
                                                             fingerprint, else ask first
everything else     pages (index.html)                       ask first
==================  =======================================  ==================================
"""

import errno
import os
import re
from collections.abc import Sequence
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Router
from starlette.staticfiles import StaticFiles

from refimpl.handshake import as_tuple
from refimpl.middleware.asgi import (
    App,
    Receive,
    Scope,
    Send,
    no_such_endpoint,
    respond,
    route_path,
)
from refimpl.middleware.headers import CacheRules, SecurityHeaders

__all__ = ["Files", "is_public", "not_found", "path_table", "site", "upgrade_required"]

# No leading dot (.git, .env, ..), no trailing dot or blank (Windows drops them, so "app.map." is
# "app.map"), no slash of either kind, no colon (C:, file.js::$DATA), no control character.
SEGMENT = re.compile(r"(?!\.)[^\x00-\x1f\x7f/\\:]+(?<![. ])")
PRIVATE = (".map", ".bak", ".orig", "~")
PathLike = str | os.PathLike[str]


def is_public(path: str) -> bool:
    """Whether a path below the files' folder may be asked for at all.

    Source maps hold the sources that the build took apart; they go to the error tracker instead.
    """
    inner = path.removeprefix("/").removesuffix("/")  # "app.js.map/" is found as the file, too
    plain = all(SEGMENT.fullmatch(segment) for segment in inner.split("/")) or path in ("", "/")
    return plain and not inner.lower().endswith(PRIVATE)


class Files(StaticFiles):
    """Starlette's static files, for GET and HEAD, of what `is_public`; everything else is 404.

    Refuses paths under /ws/ itself, so that no mount, wherever it stands, can swallow them.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file; a WebSocket is denied with 404, since there are none here."""
        if scope["type"] == "websocket":
            return await no_such_endpoint(scope, receive, send)
        if is_socket_path(scope["path"]):
            return await upgrade_required(scope, receive, send)
        await super().__call__(scope, receive, send)

    def get_path(self, scope: Scope) -> str:
        """Return the file's path below the folder; HTTPException 404 for what is not public."""
        path = route_path(scope)
        if not is_public(path):
            raise HTTPException(404)
        return os.path.normpath(os.path.join(*path.split("/")))

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return Starlette's answer; redirects stay on this server, whatever Host says.

        A file without read permission is 404 as well: 401 would have to ask for credentials (RFC
        9110 15.5.2), and there are none here.
        """
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 401:
                raise
            raise HTTPException(404) from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise HTTPException(404) from error
            raise
        if "location" in response.headers:
            response.headers["location"] = quote(scope["path"]) + "/"
        return response


def is_socket_path(path: str) -> bool:
    """Whether a path belongs to WebSockets only."""
    return path == "/ws" or path.startswith("/ws/")


async def upgrade_required(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer plain HTTP on a path for WebSockets with 426 (RFC 9110 15.5.22)."""
    if scope["type"] == "websocket":
        return await no_such_endpoint(scope, receive, send)
    body, headers = b"This address speaks WebSocket only.\n", [("upgrade", "websocket")]
    await respond(scope, send, 426, body, headers)


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 404 in JSON if no API route matches: a client must not get a page in place of data."""
    if scope["type"] == "websocket":
        return await no_such_endpoint(scope, receive, send)
    headers = [("content-type", "application/json")]
    await respond(scope, send, 404, b'{"error":"not found"}', headers)


def path_table(directory: PathLike, api: Sequence[BaseRoute] = ()) -> list[BaseRoute]:
    """Return the table above as routes, in order.

    directory: holds index.html and everything below it. api: routes with paths below /api.
    """
    return [
        Mount("/ws", upgrade_required),
        Mount("/api", Router(as_tuple("api", api), redirect_slashes=False, default=not_found)),
        Mount("/", Files(directory=directory, html=True)),
    ]


def site(directory: PathLike, api: Sequence[BaseRoute] = ()) -> App:
    """Return an application of the path table with all its headers, on errors too.

    Put a `Registry` around it for the WebSockets, then `SecurityHeaders` for the registry's own
    answers (none is added twice), then `Context`.
    """
    return SecurityHeaders(CacheRules(Starlette(routes=path_table(directory, api))))
