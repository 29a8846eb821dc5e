"""Registry, context and files under a real uvicorn, with clients that no one here wrote."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, nullcontext

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route, websocket_session
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from refimpl.middleware import AddContext, Connection, Context, Registry, RequestID, current
from refimpl.middleware.serving import OUR_ENGINE, running
from refimpl.middleware.static import site
from tests.support.asgi_peer import echo

ENGINES = [OUR_ENGINE, "websockets-sansio", "wsproto"]
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="

PATH_TRICKS = [
    b"/ws/../ws/echo",
    b"/ws/%2e%2e/ws/echo",
    b"/ws//echo",
    b"//ws/echo",
    b"/ws%2fecho",
    b"/ws/%65cho",
    b"/ws/echo%00",
    b"/ws/echo/",
    b"/ws/echo.",
    b"/ws/echo%20",
    b"/ws/ECHO",
    b"/ws/echo;x=1",
    b"/WS/echo",
    b"/x/../ws/echo",
    b"/ws/./echo",
    b"/ws/%C3%A9cho",
]


@pytest.fixture(params=ENGINES, ids=["ours", "websockets", "wsproto"])
async def live(request, tmp_path):
    """A server with everything around everything, as a product has it, and its registry."""
    (tmp_path / "index.html").write_text("the page", encoding="utf-8")

    async def whoami(request):
        return JSONResponse({"request": current(RequestID).value})

    registry = Registry(site(tmp_path, api=[Route("/whoami", whoami)]))
    registry.add("echo", echo)
    async with running(Context(registry), engine=request.param) as server:
        yield server, registry


def upgrade(path: bytes, *headers: bytes) -> bytes:
    """Return a handshake with a path as it stands, which no proper client would send."""
    lines = [
        b"GET " + path + b" HTTP/1.1",
        b"Host: a.example",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + KEY,
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def status_of(server, request: bytes) -> int:
    """Return the status that a server answers a raw request with."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()
        await writer.wait_closed()


async def until(condition) -> None:
    """Wait until a condition holds that another task brings about."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the other task is the server's, unknown to us
            await asyncio.sleep(0.005)


class TestSideBySide:
    async def test_page_api_and_socket_at_one_address(self, live):
        server, _ = live
        async with httpx.AsyncClient(base_url=server.http) as client:
            assert (await client.get("/")).text == "the page"
            answer = await client.get("/api/whoami", headers={"x-request-id": "mine"})
            assert answer.json() == {"request": "mine"}
            assert answer.headers["x-request-id"] == "mine"
            assert (await client.get("/ws/echo")).status_code == 426
        async with connect(f"{server.ws}/ws/echo") as client:
            await client.send("hello")
            assert await client.recv() == "echo: hello"
            assert client.response.headers["x-request-id"]

    async def test_an_unknown_endpoint_is_404_with_a_body(self, live):
        server, _ = live
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{server.ws}/ws/nobody").__aenter__()
        response = caught.value.response
        assert (response.status_code, bytes(response.body)) == (
            404,
            b"There is no such endpoint.\n",
        )
        assert response.headers["x-request-id"]

    async def test_a_foreign_page_is_refused(self, live):
        server, _ = live
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"{server.ws}/ws/echo", origin="http://evil.example").__aenter__()
        async with connect(f"{server.ws}/ws/echo", origin=server.http):
            pass


class TestChangesWhileServing:
    async def test_removed_clients_are_told_and_a_late_name_is_served(self, live):
        server, registry = live
        registry.add("late", echo)
        async with (
            connect(f"{server.ws}/ws/late") as client,
            connect(f"{server.ws}/ws/echo") as other,
        ):
            await registry.remove("late", 1012, "back soon")
            with pytest.raises(ConnectionClosedError) as caught:
                await client.recv()
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1012, "back soon")
            await other.send("still here")
            assert await other.recv() == "echo: still here"
        with pytest.raises(InvalidStatus, match="404"):
            await connect(f"{server.ws}/ws/late").__aenter__()

    async def test_downstream_code_closes_by_the_context(self, live):
        server, registry = live

        @websocket_session
        async def endpoint(websocket):
            await websocket.accept()
            await leave()

        async def leave():
            await current(Connection).send("bye")
            await current(Connection).close(4000, "enough")

        registry.add("short", endpoint)
        async with connect(f"{server.ws}/ws/short") as client:
            assert await client.recv() == "bye"
            with pytest.raises(ConnectionClosedError) as caught:
                await client.recv()
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "enough")
        await until(lambda: registry.connections("short") == 0)


class TestBadInput:
    async def test_only_the_plain_path_leads_to_the_endpoint(self, live):
        server, _ = live
        for path in PATH_TRICKS:
            assert await status_of(server, upgrade(path)) in (400, 404), path

    async def test_the_plain_path_does_and_a_query_does_no_harm(self, live):
        server, _ = live
        assert await status_of(server, upgrade(b"/ws/echo")) == 101
        assert await status_of(server, upgrade(b"/ws/echo?next=/ws/../x")) == 101

    async def test_host_decides_nothing_about_the_path(self, live):
        server, _ = live
        for host in (b"a.example/ws/echo?", b"a.example/ws/echo#", b"evil@a.example"):
            request = upgrade(b"/other").replace(b"a.example", host)
            assert await status_of(server, request) in (400, 403, 404)

    async def test_an_application_that_raises_before_accept_is_a_500(self, live):
        server, registry = live

        async def broken(scope, receive, send):
            await receive()
            raise ZeroDivisionError

        registry.add("broken", broken)
        assert await status_of(server, upgrade(b"/ws/broken")) == 500
        await until(lambda: registry.connections("broken") == 0)

    async def test_an_application_that_raises_after_accept_ends_that_connection_only(self, live):
        server, registry = live

        async def broken(scope, receive, send):
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            raise ZeroDivisionError

        registry.add("broken", broken)
        async with connect(f"{server.ws}/ws/echo") as other:
            async with connect(f"{server.ws}/ws/broken") as client:
                await client.send("go")
                with pytest.raises(ConnectionClosedError):
                    await client.recv()
            await other.send("x")
            assert await other.recv() == "echo: x"
        await until(lambda: registry.connections("broken") == 0)

    async def test_a_client_that_vanishes_inside_the_handshake_leaves_nothing(self, live):
        server, registry = live
        entered, seen = asyncio.Event(), []

        async def slow(scope, receive, send):
            await receive()
            entered.set()
            seen.append((await receive())["type"])

        registry.add("slow", slow)
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(upgrade(b"/ws/slow"))
        async with asyncio.timeout(5):
            await entered.wait()
        writer.transport.abort()
        await until(lambda: registry.connections("slow") == 0)
        assert seen == ["websocket.disconnect"]

    async def test_a_client_that_vanishes_while_its_guard_waits(self, live):
        server, registry = live
        asked, answer = asyncio.Event(), asyncio.Event()

        async def guard(scope):
            asked.set()
            await answer.wait()
            return ()

        registry.add("guarded", echo, guard=guard)
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(upgrade(b"/ws/guarded"))
        async with asyncio.timeout(5):
            await asked.wait()
        writer.transport.abort()
        answer.set()
        await until(lambda: registry.connections("guarded") == 0)

    async def test_half_a_handshake_reaches_nobody(self, live):
        server, registry = live
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(upgrade(b"/ws/echo")[:-20])
        await writer.drain()
        writer.transport.abort()
        assert await status_of(server, upgrade(b"/ws/echo")) == 101
        await until(lambda: registry.connections("echo") == 0)


class TestLogLines:
    async def test_the_servers_own_line_about_an_error_carries_the_id(self, live, caplog):
        server, registry = live

        async def broken(scope, receive, send):
            await receive()
            raise ZeroDivisionError

        registry.add("broken", broken)
        caplog.handler.addFilter(completes := AddContext())
        try:
            request = upgrade(b"/ws/broken", b"X-Request-ID: find-me")
            assert await status_of(server, request) == 500
            await until(lambda: any(line.levelno >= logging.ERROR for line in caplog.records))
        finally:
            caplog.handler.removeFilter(completes)
        errors = [line for line in caplog.records if line.levelno >= logging.ERROR]
        assert [line.request_id for line in errors] == ["find-me"]


class TestServing:
    async def test_a_lifespan_that_fails_is_an_error_here_not_the_end_of_the_process(self):
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        with pytest.raises(RuntimeError, match="lifespan failed"):
            async with running(app, engine="wsproto"):
                raise AssertionError("never runs")

    async def test_an_engine_that_is_not_there_is_an_error_too(self):
        with pytest.raises(RuntimeError, match="no_such_module"):
            async with running(echo, engine="no_such_module:Engine"):
                raise AssertionError("never runs")

    async def test_two_servers_in_one_loop_and_nothing_left_behind(self):
        before = asyncio.all_tasks()
        async with running(echo, engine="wsproto") as one, running(echo, engine="wsproto") as two:
            assert one.port != two.port
        assert asyncio.all_tasks() == before


class TestLoggingIsLeftAsItWas:
    """15: a server with its access log off took the access log from every later one."""

    QUIET = {"access_log": False, "log_level": "critical", "lifespan": "off"}  # noqa: RUF012

    @staticmethod
    def state():
        loggers = [logging.getLogger(f"uvicorn.{name}") for name in ("error", "access", "asgi")]
        return [(each.level, list(each.handlers), each.propagate) for each in loggers]

    @pytest.mark.parametrize("error", [None, ZeroDivisionError, asyncio.CancelledError])
    async def test_behind_one_server(self, error):
        handler = logging.NullHandler()
        logging.getLogger("uvicorn.access").addHandler(handler)
        try:
            before = self.state()
            with pytest.raises(error) if error else nullcontext():
                async with running(echo, settings=self.QUIET):
                    assert self.state() != before
                    if error:
                        raise error
            assert self.state() == before
        finally:
            logging.getLogger("uvicorn.access").removeHandler(handler)

    async def test_behind_one_that_does_not_start(self):
        before = self.state()
        with pytest.raises(RuntimeError, match="cannot load"):
            async with running("nothing:here", settings=self.QUIET):
                pass
        assert self.state() == before

    async def test_behind_several_whichever_ends_first(self):
        before = self.state()
        for ends_first in (0, 1):
            stacks = [AsyncExitStack(), AsyncExitStack()]
            for stack, level in zip(stacks, ("critical", "error"), strict=True):
                settings = {**self.QUIET, "log_level": level}
                await stack.enter_async_context(running(echo, settings=settings))
            await stacks[ends_first].aclose()
            assert self.state() != before
            await stacks[1 - ends_first].aclose()
            assert self.state() == before
