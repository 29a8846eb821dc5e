"""The server on sockets: its handlers, its end, its arguments, and a context a connection."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable

import pytest

from refimpl import ConnectionClosed, HandshakeError, Request, ServerConnection, connect, serve
from tests.support import wire
from tests.support.clockwork import timers

LOCAL = "127.0.0.1"


def uri(server: object, path: str = "/") -> str:
    port = server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    return f"ws://{LOCAL}:{port}{path}"


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


class TestHandlers:
    async def test_returning_closes_with_1000(self) -> None:
        async def greet(websocket: ServerConnection) -> None:
            await websocket.send("hello")

        async with serve(greet, LOCAL, 0) as server, connect(uri(server)) as client:
            assert [message async for message in client] == ["hello"]
            assert client.close_code == 1000

    async def test_raising_closes_with_1011_and_is_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def fail(websocket: ServerConnection) -> None:
            raise ZeroDivisionError("in the handler")

        async with serve(fail, LOCAL, 0) as server, connect(uri(server)) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        assert closed.value.received == (1011, "")
        assert "in the handler" in caplog.text

    async def test_a_client_that_leaves_is_no_error(self, caplog: pytest.LogCaptureFixture) -> None:
        ended = asyncio.Event()

        async def receive(websocket: ServerConnection) -> None:
            try:
                await websocket.recv()
            finally:
                ended.set()

        caplog.set_level(logging.INFO)
        async with serve(receive, LOCAL, 0) as server:
            client = await connect(uri(server))
            client.transport.abort()
            await ended.wait()
        assert "failed" not in caplog.text

    async def test_connections_are_the_open_ones(self) -> None:
        async with serve(echo, LOCAL, 0) as server:
            assert server.connections == set()
            async with connect(uri(server)) as client:
                await client.send("here")
                await client.recv()
                [connection] = server.connections
                assert connection.remote_address == client.local_address
                reader, writer = await asyncio.open_connection(
                    LOCAL, server.sockets[0].getsockname()[1]
                )
                assert len(server.connections) == 1  # TCP alone is no WebSocket
                writer.close()
                await writer.wait_closed()
                assert await reader.read() == b""

    async def test_subprotocol_and_origin(self) -> None:
        async with serve(
            echo, LOCAL, 0, subprotocols=["b", "a"], origins=["https://a.example"]
        ) as s:
            async with connect(
                uri(s), subprotocols=["a", "b"], origin="https://a.example"
            ) as client:
                assert client.subprotocol == "b"
            with pytest.raises(HandshakeError) as refused:
                await connect(uri(s))
            assert refused.value.status == 403
            assert s.refused == {"origin": 1}


class TestClosing:
    async def test_everyone_gets_1001_and_handlers_end(self) -> None:
        ended = 0

        async def receive(websocket: ServerConnection) -> None:
            nonlocal ended
            async for _ in websocket:
                pass
            ended += 1

        async with serve(receive, LOCAL, 0) as server:
            clients = [await connect(uri(server)) for _ in range(5)]
            for client in clients:
                await (await client.ping())
        assert ended == 5
        for client in clients:
            await client.wait_closed()
            assert client.close_code == 1001

    async def test_with_a_code_and_reason_of_ones_own(self) -> None:
        server = await serve(echo, LOCAL, 0)
        client = await connect(uri(server))
        await (await client.ping())
        server.close(code=1012, reason="a new version")
        await server.wait_closed()
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1012, "a new version")
        with pytest.raises(OSError):
            await connect(uri(server)) if server.sockets else await refuse()

    async def test_without_closing_connections_it_waits_for_them(self) -> None:
        server = await serve(echo, LOCAL, 0)
        client = await connect(uri(server))
        await (await client.ping())
        server.close(close_connections=False)
        waiting = asyncio.ensure_future(server.wait_closed())
        await client.send("still here")
        assert await client.recv() == "still here"
        assert not waiting.done()
        await client.close()
        await waiting

    async def test_a_connection_in_its_handshake_is_refused_with_503(self) -> None:
        server = await serve(echo, LOCAL, 0)
        reader, writer = await asyncio.open_connection(LOCAL, server.sockets[0].getsockname()[1])
        head = wire.request_head()
        writer.write(head[:10])
        while not any(each.driver.heard for each in server._accepted):  # noqa: ASYNC110
            await asyncio.sleep(0)
        server.close()
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        writer.close()
        await writer.wait_closed()
        await server.wait_closed()

    async def test_a_handler_that_does_not_end_is_cancelled(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("refimpl.lifecycle.server.GRACE", 0.01)
        cancelled = False

        async def stuck(websocket: ServerConnection) -> None:
            nonlocal cancelled
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled = True
                raise

        async with serve(stuck, LOCAL, 0, close_timeout=0.01) as server:
            client = await connect(uri(server))
            await (await client.ping())
        assert cancelled
        assert "is cancelled" in caplog.text
        await client.wait_closed()

    async def test_a_handler_that_swallows_its_cancellation_is_cancelled_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("refimpl.lifecycle.server.GRACE", 0.01)
        swallowed = 0

        async def stubborn(websocket: ServerConnection) -> None:
            nonlocal swallowed
            while swallowed < 3:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    swallowed += 1

        async with asyncio.timeout(10), serve(stubborn, LOCAL, 0, close_timeout=0.01) as server:
            client = await connect(uri(server))
            await (await client.ping())
        assert swallowed == 3
        await client.wait_closed()

    async def test_serve_forever_ends_when_closed_or_cancelled(self) -> None:
        server = await serve(echo, LOCAL, 0)
        serving = asyncio.ensure_future(server.serve_forever())
        client = await connect(uri(server))
        server.close()
        await serving
        await client.wait_closed()

        server = await serve(echo, LOCAL, 0)
        serving = asyncio.ensure_future(server.serve_forever())
        client = await connect(uri(server))
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        await client.wait_closed()
        assert client.close_code == 1001
        assert not server.is_serving()

    async def test_closing_twice_is_closing_once(self) -> None:
        server = await serve(echo, LOCAL, 0)
        server.close()
        server.close()
        await server.wait_closed()
        await server.wait_closed()
        assert timers() == []


async def refuse() -> None:
    raise OSError


class TestArguments:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"open_timeout": 0},
            {"close_timeout": -1},
            {"ping_interval": 0},
            {"max_size": 0},
            {"max_queue": 0},
            {"max_fragments": 0},
            {"write_limit": 0},
            {"compression": "gzip"},
        ],
        ids=str,
    )
    def test_wrong_limits_are_refused_at_the_call(self, wrong: dict[str, object]) -> None:
        [name] = wrong
        call: Callable[..., Awaitable[object]] = serve
        with pytest.raises(ValueError, match=name):
            call(echo, LOCAL, 0, **wrong)

    async def test_several_hosts_and_a_port_that_is_taken(self) -> None:
        async with serve(echo, [LOCAL], 0) as server:
            with pytest.raises(OSError):
                await serve(echo, LOCAL, server.sockets[0].getsockname()[1])

    @pytest.mark.parametrize("host", [None, ""])
    async def test_every_interface(self, host: str | None) -> None:
        async with serve(echo, host, 0) as server:
            port = server.sockets[0].getsockname()[1]
            name = "[::1]" if server.sockets[0].family.name == "AF_INET6" else LOCAL
            async with connect(f"ws://{name}:{port}") as client:
                await client.send("hello")
                assert await client.recv() == "hello"


class TestContext:
    """Each connection has a context of its own, from process_request to the handler's tasks."""

    @pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
    async def test_what_process_request_sets_the_handler_sees(self, later: bool) -> None:
        path: contextvars.ContextVar[str] = contextvars.ContextVar("path", default="nobody's")

        def note(connection: ServerConnection, request: Request) -> Awaitable[None] | None:
            if later:
                return note_later(request)
            path.set(request.path)
            return None

        async def note_later(request: Request) -> None:
            await asyncio.sleep(0)
            path.set(request.path)

        async def tell(websocket: ServerConnection) -> None:
            async def read() -> str:
                return path.get()

            assert websocket.context[path] == path.get()  # for code outside the handler
            await websocket.send(await asyncio.create_task(read()))

        async with serve(tell, LOCAL, 0, process_request=note) as server:
            for each in ("/ada", "/grace"):
                async with connect(uri(server, each)) as websocket:
                    assert await websocket.recv() == each
        assert path.get() == "nobody's"
