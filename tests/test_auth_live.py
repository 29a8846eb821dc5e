"""The doors on real sockets: uvicorn with every engine there is, and `refimpl.serve`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect

from refimpl.auth import (
    Authenticate,
    Authenticator,
    Claims,
    ServeAuth,
    Source,
    TicketOffice,
    Tickets,
)
from refimpl.auth.tickets import MemoryStore
from refimpl.lifecycle import ServerConnection, serve
from refimpl.middleware.asgi import Receive, Scope, Send
from refimpl.middleware.context import User, current
from tests.support.asgi import served
from tests.support.rawhttp import asked
from tests.support.signing import NOW, Clock, authenticator, forge, unsigned

ENGINES = ["refimpl.middleware.engine:Engine", "websockets-sansio", "wsproto"]


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    """Say to each who they are, and echo; sell tickets beside it."""
    if scope["type"] == "http":
        await scope["state"]["office"](scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
    await send({"type": "websocket.send", "text": f"hello {current(User).id}"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def door(clock: Clock | None = None, **options: Any) -> Authenticate:
    """Return the application above behind a door; options: the door's, `sources` the rule's."""
    clock = clock or Clock()
    tickets = Tickets(MemoryStore(now=clock), now=clock)
    office = TicketOffice(tickets)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["office"] = office
        await greet(scope, receive, send)

    sources = options.pop("sources", frozenset(Source) - {Source.FIRST_MESSAGE})
    return Authenticate(app, authenticator(clock, tickets=tickets, sources=sources), **options)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestSourcesFromRealClients:
    @pytest.mark.parametrize("source", ["authorization", "cookie", "subprotocol", "ticket"])
    async def test_four_sources_open_the_socket(self, engine: str, source: str) -> None:
        token, options, query = forge(), {}, ""
        async with served(door(), engine) as port:
            if source == "authorization":
                options = {"additional_headers": {"Authorization": f"Bearer {token}"}}
            elif source == "cookie":
                options = {
                    "additional_headers": {"Cookie": f"__Host-session={token}"},
                    "origin": f"http://127.0.0.1:{port}",
                }
            elif source == "subprotocol":
                options = {"subprotocols": ["chat.v1", f"bearer.{token}"]}
            else:
                head = f"Authorization: Bearer {token}\r\n"
                status, _, body = await asked(port, "POST /api/tickets", head)
                assert status == 201
                query = f"?ticket={json.loads(body)['ticket']}"
            async with connect(f"ws://127.0.0.1:{port}/ws{query}", **options) as client:  # type: ignore[arg-type]
                assert await client.recv() == "hello ada"
                assert client.subprotocol == ("chat.v1" if source == "subprotocol" else None)
            if source == "ticket":
                with pytest.raises(websockets.InvalidStatus) as caught:
                    await connect(f"ws://127.0.0.1:{port}/ws{query}")
                assert caught.value.response.status_code == 401

    async def test_first_message_opens_the_socket(self, engine: str) -> None:
        async with served(door(sources=frozenset(Source)), engine) as port:
            async with connect(f"ws://127.0.0.1:{port}/ws") as client:
                await client.send(json.dumps({"type": "auth", "token": forge()}))
                assert await client.recv() == "hello ada"
            async with connect(f"ws://127.0.0.1:{port}/ws") as client:
                await client.send("hello")
                with pytest.raises(websockets.ConnectionClosed):
                    await client.recv()
                assert client.close_code == 4401

    async def test_refusal_comes_before_101(self, engine: str) -> None:
        async with served(door(), engine) as port:
            for headers, status in (
                ({}, 401),
                ({"Authorization": f"Bearer {unsigned()}"}, 401),
                ({"Authorization": f"Bearer {forge()}", "Origin": "https://evil.example"}, 403),
                ({"Authorization": "Bearer a b"}, 400),
            ):
                with pytest.raises(websockets.InvalidStatus) as caught:
                    await connect(f"ws://127.0.0.1:{port}/ws", additional_headers=headers)
                response = caught.value.response
                assert response.status_code == status
                assert json.loads(response.body or b"")["status"] == status
                assert ("WWW-Authenticate" in response.headers) == (status == 401)


class TestEndOfTheToken:
    async def test_open_socket_gets_4401(self, engine: str) -> None:
        clock = Clock()
        async with served(door(clock, check_every=0.01), engine) as port:
            headers = {"Authorization": f"Bearer {forge()}"}
            async with connect(f"ws://127.0.0.1:{port}/ws", additional_headers=headers) as client:
                await client.recv()
                clock.now += 900
                with pytest.raises(websockets.ConnectionClosed):
                    await client.recv()
                assert (client.close_code, client.close_reason) == (4401, "the token has expired")


class TestBadClients:
    async def test_client_that_vanishes_in_the_handshake_leaves_nothing(self, engine: str) -> None:
        reached, stay = asyncio.Event(), asyncio.Event()

        class SlowStore(MemoryStore):
            async def take(self, key: str) -> str | None:
                reached.set()
                await stay.wait()
                return await super().take(key)

        guarded = door()
        tickets = Tickets(SlowStore(), now=lambda: NOW)
        guarded.authenticator = Authenticator(
            verifier=guarded.authenticator.verifier, tickets=tickets
        )
        tasks: set[asyncio.Task[None]] = set()

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            await guarded(scope, receive, send)

        async with served(noted, engine) as port:
            ticket = await tickets.issue(guarded.authenticator.verifier.verify(forge()))
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                f"GET /ws?ticket={ticket} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            async with asyncio.timeout(5):
                await reached.wait()
                writer.transport.abort()
                stay.set()
                await asyncio.wait(tasks)

    @pytest.mark.parametrize(
        "target",
        [
            "/assets/../ws",
            "/assets/%2e%2e/ws",
            "/assets%2f..%2fws",
            "//ws",
            "/ws%00",
            "/assets/%5c..%5cws",
            "/assets/%252e%252e/ws",
        ],
    )
    async def test_path_tricks_are_refused(self, engine: str, target: str) -> None:
        async with served(door(public=["/assets/"]), engine) as port:
            head = (
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            )
            status, _, _ = await asked(port, f"GET {target}", head)
            assert status == 400


class TestServeAuth:
    """The same decision in front of `refimpl.serve`."""

    @staticmethod
    async def hello(connection: ServerConnection) -> None:
        await connection.send(f"hello {current(User).id}, {current(Claims).token_id}")
        async for message in connection:
            await connection.send(message)

    async def test_it_lets_in_and_refuses(self) -> None:
        auth = ServeAuth(authenticator())
        async with serve(
            auth.protect(self.hello), "127.0.0.1", 0, process_request=auth.process_request
        ) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            headers = {"Authorization": f"Bearer {forge()}"}
            async with connect(uri, additional_headers=headers) as client:
                assert await client.recv() == "hello ada, token-1"
            for refused in ({}, {"Authorization": f"Bearer {forge(claims={'exp': NOW})}"}):
                with pytest.raises(websockets.InvalidStatus) as caught:
                    await connect(uri, additional_headers=refused)
                assert caught.value.response.status_code == 401
                assert caught.value.response.headers["Content-Type"] == "application/problem+json"
            with pytest.raises(websockets.InvalidStatus) as caught:
                await connect(f"{uri}?token={forge()}")
            assert caught.value.response.status_code == 400
            assert server.refused == {"missing": 1, "expired": 1, "token-in-url": 1}

    async def test_it_closes_with_4401(self) -> None:
        clock = Clock()
        auth = ServeAuth(authenticator(clock), check_every=0.01)
        async with serve(
            auth.protect(self.hello), "127.0.0.1", 0, process_request=auth.process_request
        ) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            headers = {"Authorization": f"Bearer {forge()}"}
            async with connect(uri, additional_headers=headers) as client:
                await client.recv()
                clock.now += 900
                with pytest.raises(websockets.ConnectionClosed):
                    await client.recv()
                assert client.close_code == 4401


async def test_starlette_application_needs_no_change(engine: str) -> None:
    clock, ends = Clock(), []

    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(f"hello {websocket.state.user.id}")
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect as error:
            ends.append((error.code, error.reason))

    app = Starlette(routes=[WebSocketRoute("/ws", chat)])
    guarded = Authenticate(app, authenticator(clock), check_every=0.01)
    async with served(guarded, engine) as port:
        headers = {"Authorization": f"Bearer {forge()}"}
        async with connect(f"ws://127.0.0.1:{port}/ws", additional_headers=headers) as client:
            assert await client.recv() == "hello ada"
            await client.send("still here")
            assert await client.recv() == "still here"
            clock.now += 900
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
            assert client.close_code == 4401
    assert ends == [(4401, "the token has expired")]
