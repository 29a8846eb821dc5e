"""Make the recordings of chapter 09: a browser at the door, by each way that it has.

    python -m tools.record.auth

A page of https://chat.example.com signs in, then opens a WebSocket by cookie, by subprotocol, by a
ticket and by its first message. TLS ends at a proxy in front of the wiretap, as it does in front of
most servers, so the recordings are of what the server reads. Tokens are made with the key and at
the time given here: they verify in the notebook, and nowhere else.

Needs Chromium with the `playwright` package.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from refimpl.auth import (
    Authenticate,
    Authenticator,
    Issuer,
    Key,
    Keyring,
    Source,
    TicketOffice,
    Tickets,
    Verifier,
    cookie_header,
)
from refimpl.lab.wire.capture import Capture
from refimpl.lab.wire.tap import wiretap
from refimpl.middleware.asgi import Receive, Scope, Send
from refimpl.middleware.context import User, current
from refimpl.middleware.serving import running
from tools.record.programs import FOLDER_HELP, TIME_LIMIT, MissingProgram, keep, which

HOST = "chat.example.com"
ORIGIN = f"https://{HOST}"
SECRET = b"never use a key that is printed!"  # 32 bytes
NOW = 1_800_000_000.0  # 15 January 2027
PAGE = b"<!doctype html><title>Chat</title><p>Sign in first."

# What the page's scripts do; each opens a socket, and is done when it was greeted.
GREETED = "new Promise((greeted) => { socket.onmessage = (event) => greeted(event.data) })"
SCRIPTS = {
    "cookie": f"const socket = new WebSocket('wss://{HOST}/ws/cookie'); await {GREETED};",
    "subprotocol": f"const socket = new WebSocket('wss://{HOST}/ws/subprotocol', "
    f"['chat.v1', 'bearer.' + token]); await {GREETED};",
    "ticket": "const answer = await fetch('/api/tickets', {method: 'POST'}); "
    "const {ticket} = await answer.json(); "
    f"const socket = new WebSocket('wss://{HOST}/ws/ticket?ticket=' + ticket); await {GREETED};",
    "first_message": f"const socket = new WebSocket('wss://{HOST}/ws/first'); "
    "socket.onopen = () => socket.send(JSON.stringify({type: 'auth', token})); "
    f"await {GREETED};",
}
CLOSE = "const closed = new Promise((done) => { socket.onclose = done }); socket.close(1000); "


def now() -> float:
    """Return the time of every recording."""
    return NOW


def keyring() -> Keyring:
    """Return the one key of every recording."""
    return Keyring(Key("2027-01", "HS256", SECRET))


class Chat:
    """The server: a page, a sign-in that trusts everybody, tickets, four doors to a greeting."""

    def __init__(self) -> None:
        ids = (f"token-{number}" for number in range(1, 100))
        tickets = (f"ticket-{number}-of-43-characters-that-are-random" for number in range(1, 100))
        self.issuer = Issuer(keyring(), ORIGIN, "chat", now=now, new_id=lambda: next(ids))
        self.tickets = Tickets(now=now, new_ticket=lambda: next(tickets))
        verifier = Verifier(keyring(), ORIGIN, "chat", now=now)

        def door(app: Any, *sources: Source) -> Authenticate:
            rules = Authenticator(
                verifier=verifier,
                tickets=self.tickets,
                sources=frozenset(sources),
                origins=[ORIGIN],
            )
            return Authenticate(app, rules, subprotocols=["chat.v1"])

        self.doors = {
            "/api/tickets": door(TicketOffice(self.tickets), Source.COOKIE),
            "/ws/cookie": door(greet, Source.COOKIE),
            "/ws/subprotocol": door(greet, Source.SUBPROTOCOL),
            "/ws/ticket": door(greet, Source.TICKET),
            "/ws/first": door(greet, Source.FIRST_MESSAGE),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            raise RuntimeError("no lifespan here")
        if scope["path"] in self.doors:
            return await self.doors[scope["path"]](scope, receive, send)
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        if scope["path"] == "/api/login":
            cookie = cookie_header(self.issuer.issue(User("ada", "Ada")), 900)
            headers.append((b"set-cookie", cookie.encode()))
        headers.append((b"content-length", str(len(PAGE)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE})


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    """Say hello to whoever it is, and wait for the end."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
    await send({"type": "websocket.send", "text": f"hello {current(User).name}"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@asynccontextmanager
async def tls_in_front_of(port: int) -> AsyncIterator[int]:
    """Run a proxy that takes TLS from the browser and hands plain bytes on; yield its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(self_signed(Path(folder)))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # one end is gone: so is the other
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as group:
            group.create_task(copy(reader, ahead))
            group.create_task(copy(behind, writer))

    async with await asyncio.start_server(join, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


def self_signed(folder: Path) -> Path:
    """Write a key and a certificate for HOST, good for a day, and return their file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "both.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


async def record() -> dict[str, Capture]:
    """Let Chromium sign in and come in by each door; return the recordings by name."""
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise MissingProgram("playwright is missing: pip install playwright") from error
    chat, captures = Chat(), {}
    async with (
        running(chat) as server,
        wiretap("127.0.0.1", server.port) as tap,
        tls_in_front_of(tap.port) as port,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(
            executable_path=which("chromium", "chromium-browser", "google-chrome"),
            args=[f"--host-resolver-rules=MAP {HOST}:443 127.0.0.1:{port}"]
            + (["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        )
        context = await browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        await page.goto(f"{ORIGIN}/")
        await page.evaluate("fetch('/api/login', {method: 'POST'})")
        token = chat.issuer.issue(User("ada", "Ada"))
        for name, script in SCRIPTS.items():
            await page.evaluate(f"async (token) => {{ {script} {CLOSE} await closed; }}", token)
            path = f" /ws/{name.partition('_')[0]}".encode()
            captures[f"chromium_{name}"] = next(c for c in tap.captures if path in c.sent("client"))
        captures["chromium_sign_in"] = next(
            c for c in tap.captures if b"POST /api/login" in c.sent("client")
        )
        version = browser.version
        await browser.close()
        await tap.idle()
    for capture in captures.values():
        capture.program, capture.version = "Chromium", version
        capture.command = "python -m tools.record.auth"
    return captures


def main(arguments: Sequence[str] | None = None) -> int:
    """Record; return the exit status."""
    about_it = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tools.record.auth", description=about_it)
    parser.add_argument("--folder", type=Path, help=FOLDER_HELP)
    options = parser.parse_args(arguments)

    async def run() -> dict[str, Capture]:
        async with asyncio.timeout(TIME_LIMIT):
            return await record()

    try:
        captures = asyncio.run(run())
    except (MissingProgram, TimeoutError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for name, capture in captures.items():
        keep(name, capture, options.folder)
        print(f"{name}: {capture.program} {capture.version}, {len(capture.decode())} steps")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
