"""Make the recordings of chapter 01: opening handshakes, and a page that rides on a cookie.

    python -m tools.record.handshakes                 all of them
    python -m tools.record.handshakes node            only these

node: the WebSocket that Node.js has built in. curl_http2: a request that asks for an upgrade, but
not to us. chromium_login, chromium_neighbour, chromium_stranger: Chromium signs in at
notes.example.com, then opens a page of pages.example.com and one of evil.example, both of which
open a WebSocket to the first. wrong_accept: a client hangs up on a server that miscalculates.

Needs Node.js 20 or newer, curl, and Chromium with the `playwright` package.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from refimpl import serve
from refimpl.handshake import GUID, Headers, Response, parse_request
from refimpl.lab.wire.capture import Capture
from refimpl.lab.wire.tap import wiretap
from tools.record.programs import FOLDER_HELP, TIME_LIMIT, MissingProgram, echo, keep, run, which

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request as PeersRequest
    from websockets.http11 import Response as PeersResponse

COOKIE = "session=7f3a91"
NOTES = {COOKIE: "the alarm code is 2580"}
LOGIN = "<!doctype html><title>Notes</title><p>You are signed in."
PAGE = """<!doctype html><title>Kittens</title><p>Look at these kittens!<pre id="loot"></pre>
<script>
const socket = new WebSocket("ws://notes.example.com/");
socket.onmessage = (event) => { document.getElementById("loot").textContent += event.data };
socket.onclose = () => { document.getElementById("loot").textContent += " (closed)" };
</script>"""
NODE_SCRIPT = """
const socket = new WebSocket(process.argv[1]);
socket.onopen = () => socket.send("Hello");
socket.onmessage = () => socket.close(1000);
"""


async def record_node() -> dict[str, Capture]:
    """Let Node.js say Hello with its own WebSocket, without any package."""
    flags = ("--experimental-websocket", "--no-warnings")
    async with (
        serve(echo, "127.0.0.1", 0) as server,
        wiretap("127.0.0.1", server.sockets[0].getsockname()[1]) as tap,
    ):
        await run("node", *flags, "-e", NODE_SCRIPT, tap.uri)
        await tap.idle()
    version = (await run("node", "--version")).strip().lstrip("v")
    return {"node": about(tap.capture, "Node.js", version)}


async def record_curl_http2() -> dict[str, Capture]:
    """Let curl offer to change to HTTP/2: an upgrade, but not to WebSocket."""
    async with (
        serve(echo, "127.0.0.1", 0) as server,
        wiretap("127.0.0.1", server.sockets[0].getsockname()[1]) as tap,
    ):
        await run("curl", "--silent", "--http2", f"http://127.0.0.1:{tap.port}/")
        await tap.idle()
    return {"curl_http2": about(tap.capture, "curl", (await run("curl", "--version")).split()[1])}


async def notes(connection: ServerConnection) -> None:
    """Send the note of whoever's session the cookie names: all the authentication there is."""
    cookie = connection.request.headers.get("Cookie") if connection.request else None
    await connection.send(NOTES.get(cookie or "", "sign in first"))


def site(connection: ServerConnection, request: PeersRequest) -> PeersResponse | None:
    """Answer plain requests: notes.example.com signs in who comes, other hosts show the page."""
    if "Upgrade" in request.headers:
        return None
    is_notes = request.headers["Host"].startswith("notes.")
    response = connection.respond(200, LOGIN if is_notes else PAGE)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    if is_notes:
        response.headers["Set-Cookie"] = f"{COOKIE}; HttpOnly; SameSite=Strict"
    return response


async def record_hijack() -> dict[str, Capture]:
    """Let Chromium sign in, then visit two pages of others; the server is `websockets` as it comes.

    Host names are mapped inside the browser: what it says on the wire is what it would say on the
    Internet.
    """
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise MissingProgram("playwright is missing: pip install playwright") from error
    from websockets.asyncio import server as peer

    captures = {}
    async with (
        peer.serve(notes, "127.0.0.1", 0, compression=None, process_request=site) as server,
        wiretap("127.0.0.1", server.sockets[0].getsockname()[1]) as tap,
        async_playwright() as playwright,
    ):
        elsewhere = server.sockets[0].getsockname()[1]
        rules = f"MAP notes.example.com:80 127.0.0.1:{tap.port},MAP *:80 127.0.0.1:{elsewhere}"
        browser = await playwright.chromium.launch(
            executable_path=which("chromium", "chromium-browser", "google-chrome"),
            args=[f"--host-resolver-rules={rules}"]
            + (["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        )
        page = await browser.new_page()
        await page.goto("http://notes.example.com/")
        login = next(each for each in tap.captures if b"Set-Cookie" in each.sent("server"))
        captures["chromium_login"] = about(login, "Chromium", browser.version)
        for name, host in (("neighbour", "pages.example.com"), ("stranger", "evil.example")):
            await page.goto(f"http://{host}/")
            await page.wait_for_function("document.body.innerText.includes('(closed)')")
            origin = f"Origin: http://{host}".encode()
            found = next(each for each in tap.captures if origin in each.sent("client"))
            captures[f"chromium_{name}"] = about(found, "Chromium", browser.version)
        await browser.close()
        await tap.idle()
    return captures


async def record_wrong_accept() -> dict[str, Capture]:
    """Let the `websockets` client hang up on a server that hashes the key's bytes, not its text."""
    from importlib.metadata import version

    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parsed = parse_request(await reader.readuntil(b"\r\n\r\n"))
        assert parsed is not None
        nonce = base64.b64decode(parsed[0].headers["Sec-WebSocket-Key"])
        digest = hashlib.sha1(nonce + GUID.encode(), usedforsecurity=False).digest()
        accept = base64.b64encode(digest).decode()
        lines = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        headers = Headers([*lines, ("Sec-WebSocket-Accept", accept)])
        writer.write(Response(101, headers).serialize())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, wiretap("127.0.0.1", server.sockets[0].getsockname()[1]) as tap:
        try:
            await connect(tap.uri)
        except InvalidHandshake:
            pass
        await tap.idle()
    return {"wrong_accept": about(tap.capture, "websockets", version("websockets"))}


def about(capture: Capture, program: str, version: str) -> Capture:
    """Return the capture with a note of what was recorded."""
    capture.program, capture.version = program, version
    capture.command = "python -m tools.record.handshakes"
    return capture


RECORDINGS: dict[str, Callable[[], Awaitable[dict[str, Capture]]]] = {
    "node": record_node,
    "curl_http2": record_curl_http2,
    "hijack": record_hijack,
    "wrong_accept": record_wrong_accept,
}


async def record(names: Sequence[str], folder: Path | None) -> int:
    """Make and write the recordings; return 1 where a program is missing or fails, else 0."""
    failed = 0
    for name in names:
        try:
            async with asyncio.timeout(TIME_LIMIT):
                captures = await RECORDINGS[name]()
        except (MissingProgram, RuntimeError, TimeoutError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
            continue
        for each, capture in captures.items():
            keep(each, capture, folder)
            print(f"{each}: {capture.program} {capture.version}, {len(capture.decode())} steps")
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Record what was asked for; return the exit status."""
    about_it = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tools.record.handshakes", description=about_it)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of: {', '.join(RECORDINGS)}"
    )
    parser.add_argument("--folder", type=Path, help=FOLDER_HELP)
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(RECORDINGS):
        parser.error(f"no recording named {', '.join(sorted(unknown))}")
    return asyncio.run(record(options.names or list(RECORDINGS), options.folder))


if __name__ == "__main__":
    raise SystemExit(main())
