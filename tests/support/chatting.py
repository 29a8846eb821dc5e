"""A chat that starts at once, and guests that talk to it as a page does, over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
from argon2 import PasswordHasher

from refimpl import HandshakeError, connect
from refimpl.chat import MAX_FRAME, Chat
from refimpl.chat.limits import RateLimit
from refimpl.chat.lobby import Lobby
from refimpl.chat.people import DEMO
from refimpl.chat.rooms import Said, message_id
from refimpl.errors import ConnectionClosed
from refimpl.lifecycle import ClientConnection
from refimpl.middleware.serving import OUR_ENGINE, Running, running
from refimpl.sessions import START

COOKIE = "__Host-session"
PATIENCE = 10.0
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


# For tests that say more in a second than people do.
UNPACED = {"user": (1e9, 1e9), "address": (1e9, 1e9)}


class Clock:
    """The time of day, and a way to let hours pass at once."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def new_chat(*, paced: bool = True, **options: Any) -> Chat:
    if not paced:
        options["rate_limit"] = RateLimit(**UNPACED)
    return Chat(**{"hasher": CHEAP, **options})


async def said_before(
    lobby: Lobby, *texts: str, room: str = "harbour", user: str = "carol"
) -> None:
    """Have something said in a room by somebody who is not there."""
    for number, text in enumerate(texts):
        said = Said(f"before-{number}", user, user.title(), text, 1.0)
        await lobby.node.publish(room, message_id(user, said.id), said.as_bytes())


async def kept(lobby: Lobby, room: str = "harbour") -> list[str]:
    """Return the texts that a room keeps, oldest first."""
    texts, place, more = [], START, True
    while more:
        history = await lobby.store.history(room, place)
        texts += [Said.read(message.data).text for message in history.messages]
        place, more = history.position, history.more
    return texts


@asynccontextmanager
async def chatting(
    *, engine: str = OUR_ENGINE, settings: dict[str, object] | None = None, **options: Any
) -> AsyncIterator[tuple[Chat, Running]]:
    """Serve a chat on a free port. options: of the chat."""
    chat = new_chat(**options)
    limits = {
        "ws_max_size": MAX_FRAME,
        "ws_per_message_deflate": False,
        "timeout_graceful_shutdown": 1,
        **(settings or {}),
    }
    async with running(chat, engine=engine, settings=limits) as server:
        yield chat, server


@asynccontextmanager
async def browser(origin: str, chat: Chat | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client without a session that asks as a page would. chat: without a network."""
    transport = None if chat is None else httpx.ASGITransport(chat)
    headers = {"origin": origin}
    async with httpx.AsyncClient(
        base_url=origin, headers=headers, transport=transport, timeout=PATIENCE
    ) as client:
        yield client


@asynccontextmanager
async def signed_in(server: Running, name: str) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client with the session cookie of a user."""
    async with browser(server.http) as client:
        body = {"name": name, "password": DEMO[name]}
        response = await client.post("/api/sign-in", json=body)
        assert response.status_code == 200, response.text
        # By hand: httpx, unlike a browser, trusts no loopback address with a Secure cookie.
        client.headers["cookie"] = response.headers["set-cookie"].partition(";")[0]
        yield client


async def new_ticket(client: httpx.AsyncClient) -> str:
    response = await client.post("/api/tickets")
    assert response.status_code == 201, response.text
    ticket: str = response.json()["ticket"]
    return ticket


async def refusal(uri: str, **options: Any) -> int:
    """Return the status that a handshake is refused with, 0 where it is not."""
    try:
        async with connect(uri, **options):
            return 0
    except HandshakeError as error:
        return error.status


class Guest:
    """One connection of a user; every wait has a limit."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}

    async def send(self, **message: object) -> None:
        await self.socket.send(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(PATIENCE):
            heard: dict[str, Any] = json.loads(await self.socket.recv())
        return heard

    async def until(self, type: str) -> dict[str, Any]:
        """Return the next message of a type; what comes before it is dropped."""
        while (heard := await self.hear())["type"] != type:
            pass
        return heard

    async def join(self, room: str = "harbour", **where: object) -> dict[str, Any]:
        await self.send(type="join", room=room, **where)
        return await self.until("joined")

    async def say(self, text: str, id: str, room: str = "harbour") -> dict[str, Any]:
        await self.send(type="say", room=room, id=id, text=text)
        while (heard := await self.until("said"))["message"]["id"] != id:
            pass
        message: dict[str, Any] = heard["message"]
        return message

    async def end(self) -> tuple[int | None, str | None]:
        """Wait for the end of the connection; return its code and reason."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionClosed):  # its end lies behind what was not read
                while True:
                    await self.socket.recv()
            await self.socket.wait_closed()
        return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def guest(server: Running, client: httpx.AsyncClient, **options: Any) -> AsyncIterator[Guest]:
    """Open a connection with a ticket of the client's session."""
    uri = f"{server.ws}/ws/chat?ticket={await new_ticket(client)}"
    async with connect(uri, origin=server.http, **options) as socket:
        opened = Guest(socket)
        opened.welcome = await opened.until("welcome")
        yield opened


@asynccontextmanager
async def user(server: Running, name: str) -> AsyncIterator[Guest]:
    """Sign a user in and open a connection."""
    async with signed_in(server, name) as client, guest(server, client) as opened:
        yield opened
