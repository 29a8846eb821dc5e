"""The web page that talks to our server: the browser in the first chapter and the recordings.

    async with serve(echo, "127.0.0.1", 8765, process_request=serve_page) as server:

Open http://127.0.0.1:8765/ then. The page comes from the server that it talks to, so that its
Origin is the server's own and no list of origins has to be widened for it.
"""

from __future__ import annotations

from pathlib import Path

from refimpl.handshake import Headers, Request, Response

PAGE = Path(__file__).with_name("page.html")


def serve_page(connection: object, request: Request) -> Response | None:
    """Return the page for a plain request of /, 404 for other paths, None for a WebSocket."""
    if "Upgrade" in request.headers:
        return None
    found = request.path == "/"
    body = PAGE.read_bytes() if found else b"not here\n"
    headers = Headers(
        [
            ("Content-Type", f"text/{'html' if found else 'plain'}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ]
    )
    return Response(200 if found else 404, headers, body)
