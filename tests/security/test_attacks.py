"""Attacks that succeeded once, each under the promise that it broke."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time

import pytest

from refimpl import HandshakeError, connect
from refimpl.auth import AuthError, redact
from refimpl.auth.credentials import read_message
from refimpl.cli.demo import serve_until_stopped
from refimpl.lifecycle.driver import Driver
from refimpl.lifecycle.memory_limit import memory_of
from refimpl.middleware.asgi import Receive, Scope, Send
from refimpl.middleware.serving import running
from refimpl.middleware.static import is_public
from tests.support.asgi import Exchange, scope_of
from tests.support.chatting import Guest, chatting, guest, new_ticket, said_before, signed_in, user
from tests.support.guarded import guarded
from tests.support.rawhttp import asked as asked_raw

LONG = 60_000  # characters: what a server still takes as the head of a request


class TestRedaction:
    @pytest.mark.parametrize("piece", ["-eyJ", "eyJ-", " eyJa.", "__Host-", "__Host-a ", "bearer "])
    def test_a_hostile_url_in_the_log_costs_no_more_than_its_length(self, piece: str) -> None:
        text = piece * (LONG // len(piece))
        began = time.process_time()
        redact(text)
        assert time.process_time() - began < 0.5  # in proportion 20 ms; with the square 4 s

    @pytest.mark.parametrize("before", ["", "-", "_", "x", "eyJ-", "a.", "/"])
    def test_a_token_is_found_whatever_stands_before_it(self, before: str) -> None:
        assert "c2VjcmV0" not in redact(f"at {before}eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0 end")


@pytest.mark.parametrize("path", ["/a.js.map/", "/A.MAP/", "/static/x.bak/", "/x.orig/", "/x~/"])
def test_no_source_map_is_public_with_a_slash_behind_it_either(path: str) -> None:
    assert not is_public(path)
    assert is_public("/static/app.js/")


async def test_a_path_that_is_refused_leaves_no_ticket_for_the_log() -> None:
    exchange = Exchange(guarded(), scope_of("http", "/a//b", query="ticket=canary&room=1"))
    await exchange.task
    assert exchange.status == 400
    assert exchange.scope["query_string"] == b"room=1"


@pytest.mark.parametrize("doubled", ['"token": "b"', '"t\\u006fken": "b"', '"type": "auth"'])
def test_9_two_credentials_in_one_first_message_are_refused(doubled: str) -> None:
    assert read_message('{"type": "auth", "token": "a"}').secret == "a"
    with pytest.raises(AuthError) as refused:
        read_message(f'{{"type": "auth", "token": "a", {doubled}}}')
    assert refused.value.close_code == 4400


class TestChat:
    PATHS = ("/api/nothing", "/api//me", "/api/../x", "/", "/api/me", "/ws/chat", "/static/main.js")

    @pytest.mark.parametrize("engine", [None, "websockets-sansio", "wsproto"])
    async def test_no_ticket_is_in_the_access_log(
        self, engine: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        options = {"engine": engine} if engine else {}
        settings: dict[str, object] = {"access_log": True, "log_level": "info"}
        async with chatting(settings=settings, **options) as (_, server):  # type: ignore[arg-type]
            for path in self.PATHS:
                await asked_raw(server.port, f"GET {path}?ticket=canary&room=1")
            with pytest.raises(HandshakeError):
                await connect(f"{server.ws}/ws/nowhere?ticket=canary", origin=server.http)
            async with signed_in(server, "Alice") as client:
                ticket = await new_ticket(client)
                uri = f"{server.ws}/ws/chat?ticket={ticket}"
                async with connect(uri, origin=server.http):
                    pass
        assert "/api/nothing?room=1" in caplog.text
        assert "/ws/chat" in caplog.text
        assert "canary" not in caplog.text
        assert ticket not in caplog.text

    async def test_signing_in_without_a_host_is_refused_and_no_crash(self) -> None:
        body = b'{"name": "Alice", "password": "amber-ladder"}'
        head = f"POST /api/sign-in HTTP/1.0\r\nOrigin: http://a\r\nContent-Length: {len(body)}\r\n"
        async with chatting() as (_, server):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            assert (await reader.readline()).split()[1] == b"403"
            writer.close()

    async def test_full_rooms_lock_nobody_out(self) -> None:
        rooms = ("harbour", "workshop", "library")
        async with chatting() as (chat, server):
            for name in rooms:
                await said_before(chat.lobby, *['"' * 2000] * 200, room=name, user="ada")
            async with user(server, "Bob") as bob:
                for name in rooms:  # at once, and read afterwards
                    await bob.send(type="join", room=name)
                for name in rooms:
                    joined = await bob.until("joined")
                    assert joined["room"] == name
                    assert joined["messages"][-1]["seq"] == 200

    async def test_a_flood_costs_its_sender_time_and_nobody_a_connection(self) -> None:
        """26: of 20 readers 20 were closed with 1013 by one that sent 2 MB/s."""
        async with chatting() as (_, server), signed_in(server, "Bob") as client:
            async with contextlib.AsyncExitStack() as stack:
                readers = []
                for _ in range(20):
                    readers.append(await stack.enter_async_context(guest(server, client)))
                    await readers[-1].join()
                flooder = await stack.enter_async_context(user(server, "Carol"))
                await flooder.join()
                honest = await stack.enter_async_context(user(server, "Alice"))
                await honest.join()

                async def flood() -> None:
                    for number in range(20_000):  # 40 MB: more than the kernels hold
                        await flooder.send(
                            type="say", room="harbour", id=f"f{number}", text="x" * 2000
                        )

                flooding = asyncio.create_task(flood())
                for number in range(5):
                    await honest.say("is anybody here?", f"h{number}")
                assert not flooding.done()  # its program waits: the server reads no more
                for reader in readers:
                    heard = []
                    while len(heard) < 5:
                        message = (await reader.until("said"))["message"]
                        heard += [message["id"]] if message["user"] == "alice" else []
                    assert reader.socket.close_code is None
                flooding.cancel()
                await asyncio.wait([flooding])
                flooder.socket.transport.abort()

    async def test_signing_out_ends_the_wire_panel_too(self) -> None:
        async with chatting() as (_, server), signed_in(server, "Alice") as client:
            async with guest(server, client) as alice:
                ticket = await new_ticket(client)
                uri = f"{server.ws}/ws/wire?ticket={ticket}"
                name = alice.welcome["connection"]
                async with connect(f"{uri}&connection={name}", origin=server.http) as socket:
                    panel = Guest(socket)
                    await panel.hear()
                    await client.post("/api/sign-out")
                    assert await panel.end() == (4401, "signed out")

    async def test_a_ticket_from_before_signing_out_opens_nothing(self) -> None:
        async with chatting() as (_, server), signed_in(server, "Alice") as client:
            ticket = await new_ticket(client)
            await client.post("/api/sign-out")
            uri = f"{server.ws}/ws/chat?ticket={ticket}"
            with pytest.raises(HandshakeError) as refused:
                await connect(uri, origin=server.http)
            assert refused.value.status == 401
            async with user(server, "Alice") as again:  # another session of the same user
                assert await again.join()

    async def test_a_copy_of_the_cookie_is_worth_nothing_after_signing_out(self) -> None:
        """26: it bought tickets and named its user for 8 hours more."""
        async with chatting() as (_, server), signed_in(server, "Alice") as client:
            async with signed_in(server, "Alice") as elsewhere:
                assert (await client.post("/api/sign-out")).status_code == 204
                assert (await client.post("/api/tickets")).status_code == 401
                assert (await client.post("/api/sign-out")).status_code == 401
                me = (await client.get("/api/me")).json()
                assert me == {"user": None, "reason": "invalid"}
                assert (await elsewhere.post("/api/tickets")).status_code == 201


async def test_what_a_join_answers_is_bounded_in_characters_too() -> None:
    async with chatting(limit=40_000) as (chat, server), user(server, "Bob") as bob:
        await said_before(chat.lobby, *['"\n' * 500] * 100, user="ada")
        epoch = (await bob.join())["epoch"]
        joined = await bob.join(after=1, epoch=epoch)
    size = sum(len(json.dumps(message)) + 1 for message in joined["messages"])
    assert 0 < size <= 11_000
    assert joined["lost"] == 99 - len(joined["messages"])  # and what is not told is counted


class TestDemo:
    HOSTS = (
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("evil.example:{port}", 400),
        ("127.0.0.1.evil.example", 400),
        ("evil.example@127.0.0.1", 400),
        ("", 400),
    )

    async def test_a_rebound_name_reaches_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        settings: dict[str, object] = {
            "access_log": False,
            "log_level": "warning",
            "ssl_certfile": None,
            "timeout_graceful_shutdown": 1,
        }
        serving = asyncio.create_task(serve_until_stopped("127.0.0.1", 0, settings))
        try:
            shown = ""
            async with asyncio.timeout(10):
                while "http://" not in shown:
                    await asyncio.sleep(0.01)
                    shown += capsys.readouterr().out
            port = int(shown.rpartition(":")[2].strip("/\n"))
            for host, status in self.HOSTS:
                head = f"Host: {host.format(port=port)}\r\n"
                answer = await asked_raw(port, "GET /api/people", head)
                assert (answer[0], b"amber-ladder" in answer[2]) == (status, status == 200), host
        finally:
            serving.cancel()
            await asyncio.wait([serving])


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "deflate"])
async def test_what_waits_for_an_application_is_bounded_in_bytes(compressed: bool) -> None:
    """A queue of 32 messages of 16 MiB, uvicorn's defaults, would be 512 MiB a connection."""
    drivers: list[Driver] = []
    leave = asyncio.Event()

    async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            drivers.append(scope["extensions"]["refimpl.wire"]["observe"].__self__._driver)
            await receive()
            await send({"type": "websocket.accept"})
            await leave.wait()

    settings = {"timeout_graceful_shutdown": 1, "log_level": "critical"}
    async with running(deaf, settings=settings) as server:
        offer = "deflate" if compressed else None
        uri = f"{server.ws}/"
        async with connect(uri, compression=offer, close_timeout=0.2, ping_interval=None) as flood:
            sending = asyncio.gather(*[flood.send(bytes(4 << 20)) for _ in range(10)])
            async with asyncio.timeout(20):
                while not (drivers and memory_of(drivers[0].inbox) >= 16 << 20):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            for _ in range(100):  # turns of the loop in which more would come
                await asyncio.sleep(0)
            waiting = memory_of(drivers[0].inbox)
            sending.cancel()
            leave.set()
    assert waiting <= 17 << 20
