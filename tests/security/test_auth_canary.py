"""Credentials that name themselves are sent in by every door, and looked for wherever text goes.

Searched: every log record at level DEBUG with all that hangs on it, what the log prints, response
heads and bodies, close reasons, counters, errors with their tracebacks, reprs of every object.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import connect

from refimpl.auth import (
    Authenticate,
    AuthError,
    Credential,
    Key,
    Redact,
    ServeAuth,
    Source,
    find_credential,
    redact,
)
from refimpl.handshake import Headers
from refimpl.lifecycle import serve
from refimpl.middleware.asgi import Receive, Scope, Send
from tests.support.asgi import served
from tests.support.rawhttp import asked
from tests.support.signing import (
    HEADER,
    NOW,
    SECRET,
    Clock,
    authenticator,
    canary,
    encode,
    forge,
    verifier,
)

ENGINE = "refimpl.middleware.engine:Engine"
# Those whose own log at DEBUG shows every header line; only the filter keeps that clean.
TALKATIVE = ["websockets-sansio"]
QUIET = [ENGINE, "wsproto"]


class Ear(logging.Handler):
    """Keeps every record as text: formatted, and with all of its attributes."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record))
        self.heard.append(repr(record.__dict__))


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    names = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "refimpl.auth", "websockets.server")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(ear)
    yield ear
    logging.getLogger().removeHandler(ear)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def marked(word: str, **forged: Any) -> str:
    """Return a token whose claims and key id spell the canary; its text holds it in base64 too."""
    return forge(claims={"jti": word, "name": word}, **forged)


def parts(secret: str) -> list[str]:
    """Return what betrays a secret: each of its parts, and a good piece of each."""
    return [part[at : at + 16] for part in secret.split(".") for at in range(0, len(part), 16)][:-1]


def betrayed(secrets: list[str], texts: list[str]) -> list[tuple[str, str]]:
    """Return what was found of the secrets, and where. The header of a token is no secret."""
    header = encode({"alg": "HS256", "typ": "at+jwt", "kid": "k1"})
    pieces = [
        piece
        for secret in secrets
        for piece in parts(secret)
        if len(piece) == 16 and piece not in header and piece not in forge()
    ]
    assert pieces
    return [(piece, text) for text in texts for piece in pieces if piece in text]


async def clumsy(scope: Scope, receive: Receive, send: Send) -> None:
    """Log the whole scope, say it, and fail with it: the worst that an application can do."""
    logging.getLogger("application").warning("serving %r", scope)
    if scope["path"] == "/early":
        raise RuntimeError(repr(scope))
    if scope["type"] == "http":
        body = repr(scope).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    await receive()
    subprotocol = next(iter(scope["subprotocols"]), None)
    await send({"type": "websocket.accept", "subprotocol": subprotocol})
    await send({"type": "websocket.send", "text": repr(scope)})
    raise RuntimeError(repr(scope))


async def visits(port: int, door: Authenticate, texts: list[str]) -> list[str]:
    """Come in by every source, well and badly; note the answers, return the secrets."""
    tokens = [marked(canary(name)) for name in ("good", "other")]
    bad = marked(canary("bad"), secret=bytes(32))
    expired = forge(claims={"jti": canary("old"), "iat": NOW - 900, "exp": NOW - 60})
    assert door.authenticator.tickets is not None
    tickets = [
        await door.authenticator.tickets.issue(verifier().verify(tokens[0])) for _ in range(2)
    ]
    own = f"http://127.0.0.1:{port}"
    for path in ("/ws", "/early"):
        for token in (*tokens, bad, expired):
            for headers, options, query in (
                ({"Authorization": f"Bearer {token}"}, {}, ""),
                ({"Authorization": f"Bearer {token} x"}, {}, ""),
                ({"Authorization": f"Basic {token}"}, {}, ""),
                ({"Authorization": f"Bearer {token}"}, {}, f"?ticket={token}"),
                ({"Cookie": f"__Host-session={token}; a=b"}, {"origin": own}, ""),
                ({"Cookie": f"__Host-session={token}"}, {"origin": "https://evil.example"}, ""),
                ({}, {"subprotocols": ["v1", f"bearer.{token}"]}, ""),
                ({}, {"subprotocols": [f"bearer.{token}"]}, ""),
                ({}, {}, f"?token={token}"),
                ({}, {}, f"?access_token={token}&x=1"),
                ({}, {}, f"?x=1&ticket={token}"),
                ({}, {}, f"?ticket={tickets[0]}&ticket={tickets[1]}"),
            ):
                await visit(f"ws://127.0.0.1:{port}{path}{query}", headers, options, texts)
            for head, query in (
                (f"Authorization: Bearer {token}\r\n", ""),
                (f"Cookie: __Host-session={token}\r\n", ""),
                ("", f"?token={token}"),
                (f"Authorization: Bearer {token}\r\n" * 2, ""),
            ):
                status, lines, body = await asked(port, f"GET /api/x{query}", head)
                texts.append(f"{status} {lines!r} {body!r}")
    for ticket in tickets * 2:
        await visit(f"ws://127.0.0.1:{port}/ws?ticket={ticket}", {}, {}, texts)
    return [*tokens, bad, expired, *tickets]


async def visit(
    uri: str, headers: dict[str, str], options: dict[str, Any], texts: list[str]
) -> None:
    """Open a socket and note everything that the server says."""
    quiet = logging.getLogger("canary.client")
    quiet.disabled = True  # the client's own log may show what the client sends
    try:
        async with connect(uri, additional_headers=headers, logger=quiet, **options) as client:
            texts.append(str(client.response))
            try:
                while True:
                    texts.append(str(await client.recv()))
            except websockets.ConnectionClosed as closed:
                texts.append(str(closed))
    except websockets.InvalidStatus as refused:
        texts.append(f"{refused.response.headers!r} {refused.response.body!r}")
    except websockets.InvalidHandshake as refused:
        texts.append(type(refused).__name__)


def new_door() -> Authenticate:
    return Authenticate(clumsy, authenticator(sources=frozenset(Source) - {Source.FIRST_MESSAGE}))


@pytest.mark.parametrize("engine", QUIET)
async def test_no_canary_in_anything_written(ear: Ear, engine: str) -> None:
    texts: list[str] = []
    door = new_door()
    async with served(door, engine) as port:
        secrets = await visits(port, door, texts)
    texts += [*ear.heard, repr(door.refused), repr(door.__dict__)]
    assert any("WebSocket /ws" in text for text in ear.heard), "the access log was not heard"
    assert any("RuntimeError" in text for text in ear.heard), "the errors were not heard"
    assert any("serving {" in text for text in ear.heard)
    assert betrayed(secrets, texts) == []


@pytest.mark.parametrize("engine", [*QUIET, *TALKATIVE])
async def test_no_canary_at_debug_with_the_filter(ear: Ear, engine: str) -> None:
    ear.addFilter(Redact())
    texts: list[str] = []
    door = new_door()
    async with served(door, engine) as port:
        secrets = await visits(port, door, texts)
    assert betrayed(secrets, [*texts, *ear.heard]) == []


async def test_the_search_finds_what_is_there(ear: Ear) -> None:
    """Without the filter, `websockets` at DEBUG writes header lines: the search must see it."""
    texts: list[str] = []
    door = new_door()
    async with served(door, TALKATIVE[0]) as port:
        secrets = await visits(port, door, texts)
    assert betrayed(secrets, texts) == []
    assert betrayed(secrets, ear.heard)


async def test_no_canary_in_a_first_message(ear: Ear) -> None:
    door = Authenticate(clumsy, authenticator())
    secrets = [marked(canary("good")), marked(canary("bad"), secret=bytes(32))]
    texts: list[str] = []
    async with served(door, ENGINE) as port:
        for secret in secrets:
            async with connect(f"ws://127.0.0.1:{port}/ws") as client:
                await client.send(json.dumps({"type": "auth", "token": secret}))
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    while True:
                        texts.append(str(await client.recv()))
                texts.append(str(closed.value))
    ours = [text for text in ear.heard if "websockets.client" not in text]
    assert betrayed(secrets, [*texts, *ours]) == []


async def test_no_canary_from_the_refimpls_own_server(ear: Ear) -> None:
    auth = ServeAuth(authenticator())

    async def handler(connection: Any) -> None:
        raise RuntimeError("the handler failed")

    secrets = [marked(canary("good")), marked(canary("bad"), secret=bytes(32))]
    texts: list[str] = []
    async with serve(
        auth.protect(handler), "127.0.0.1", 0, process_request=auth.process_request
    ) as server:
        uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for secret in secrets:
            await visit(uri, {"Authorization": f"Bearer {secret}"}, {}, texts)
            await visit(f"{uri}?token={secret}", {}, {}, texts)
        texts.append(repr(server.refused))
    assert any("the handler failed" in text for text in ear.heard)
    assert betrayed(secrets, [*texts, *ear.heard]) == []


def whole(error: BaseException) -> str:
    """Return all that an error and those behind it say, attributes too."""
    texts = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        texts.append(f"{seen} {seen!r} {seen.args!r} {getattr(seen, '__dict__', {})!r}")
        seen = seen.__cause__ or seen.__context__
    return "\n".join(texts)


@pytest.mark.parametrize(
    "forged",
    [
        {"secret": bytes(32)},
        {"header": {"alg": "none"}},
        {"header": {"typ": canary("typ")}},
        {"header": {"kid": canary("kid")}},
        {"header": {"kid": [canary("kid")]}},
        {"header": {"crit": [canary("crit")]}},
        {"claims": {"iss": canary("iss")}},
        {"claims": {"aud": canary("aud")}},
        {"claims": {"sub": [canary("sub")]}},
        {"claims": {"exp": canary("exp")}},
        {"claims": {"iat": canary("iat")}},
        {"claims": {"roles": canary("roles")}},
        {"drop": ("exp",)},
    ],
    ids=str,
)
def test_no_canary_in_an_error(forged: dict[str, Any]) -> None:
    token = forge(**forged)
    with pytest.raises(AuthError) as caught:
        verifier().verify(token)
    text = whole(caught.value)
    assert "canary" not in text.replace("test_auth_canary", "").replace("test_no_canary", "")
    assert token.split(".")[1][:40] not in text
    assert token.split(".")[2] not in text or forged.get("secret") is None


def test_no_canary_in_the_error_of_claims_that_are_no_json() -> None:
    text = f"{encode(HEADER)}.{encode(canary('claims').encode())}"
    mac = encode(hmac.new(SECRET, text.encode(), hashlib.sha256).digest())
    with pytest.raises(AuthError) as caught:
        verifier().verify(f"{text}.{mac}")
    assert canary("claims") not in whole(caught.value)


def test_no_canary_in_a_repr() -> None:
    word = canary("secret") * 2
    door = authenticator(Clock())
    things: list[object] = [
        Credential(Source.TICKET, word),
        Key("k1", "HS256", word.encode()),
        door,
        door.tickets,
        find_credential(Headers([("Authorization", f"Bearer {word}")])),
    ]
    assert word not in "".join(f"{thing!r}{thing}" for thing in things)


@pytest.mark.parametrize(
    "text",
    [
        "GET /ws?ticket={} HTTP/1.1",
        "GET /ws?a=1&access_token={}&b=2",
        "GET /ws?TOKEN={}",
        "< Authorization: Bearer {}",
        "{{'authorization': 'bearer {}'}}",
        "< Sec-WebSocket-Protocol: chat, bearer.{}",
        "< Cookie: a=b; __Host-session={}; c=d",
        "Set-Cookie: __Secure-id={}; Path=/",
        '< TEXT \'{{"type": "auth", "token": "{}"}}\'',
        r'"{{\"ticket\": \"{}\"}}"',
    ],
)
def test_redact_knows_every_place(text: str) -> None:
    for secret in ("4cKq_-x" * 6, forge()):
        assert secret not in redact(text.format(secret))
        assert "***" in redact(text.format(secret))


@pytest.mark.parametrize(
    "text", ["a token of 30 s", "ticket office", "GET /ws?room=token HTTP/1.1", "the bearer, ada"]
)
def test_redact_leaves_other_text(text: str) -> None:
    assert redact(text) == text


def test_redact_cleans_tracebacks_and_arguments() -> None:
    ear, logger = Ear(), logging.Logger("redaction")
    ear.addFilter(Redact())
    logger.addHandler(ear)
    try:
        raise ValueError(forge())
    except ValueError:
        logger.exception("failed for %s and %s", forge(), "ada")
    logger.info("plain")
    assert forge()[-30:] not in "".join(ear.heard)
    assert "failed for *** and ada" in ear.heard[0]
    assert "ValueError: ***" in ear.heard[0]
