"""The engine under real uvicorn: TLS, both event loops, the command line, and uninvited guests."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
import socket
import struct
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest
import uvicorn
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import ConnectionClosed

import refimpl
from refimpl.middleware.engine.protocol import Engine
from refimpl.middleware.serving import OUR_ENGINE, Running, running
from tests.bench.engine import main as bench_engines
from tests.certificates import HERE as CERTIFICATES
from tests.certificates import client_context
from tests.support import wire
from tests.support.engine_pair import until
from tests.support.handshakes import MALFORMED

TLS = {
    "ssl_certfile": str(CERTIFICATES / "localhost.pem"),
    "ssl_keyfile": str(CERTIFICATES / "localhost.pem"),
}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


@contextlib.asynccontextmanager
async def raw(server: Running) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a bare TCP connection to a server; cut it after."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class TestTLS:
    async def test_wss_is_told_compressed_and_closed(self) -> None:
        told: dict[str, Any] = {}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            told.update(scope)
            await echo(scope, receive, send)

        async with running(app, settings=TLS) as server:
            uri = f"wss://localhost:{server.port}/"
            async with connect(uri, ssl=client_context()) as connection:
                assert connection.response is not None
                assert "permessage-deflate" in str(connection.response.headers)
                for message in ("x" * 200_000, bytes(200_000), "short"):
                    await connection.send(message)
                    assert await connection.recv() == message
                await connection.close(4000)
                assert connection.close_code == 4000
        assert told["scheme"] == "wss"
        assert told["server"] == ("127.0.0.1", server.port)

    async def test_refusals_over_tls(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.close"})

        async with running(app, settings=TLS) as server:
            uri = f"wss://localhost:{server.port}/"
            with pytest.raises(refimpl.HandshakeError) as caught:
                await refimpl.connect(uri, ssl=client_context())
            assert caught.value.status == 403

    async def test_frames_can_be_watched(self) -> None:
        seen: list[tuple[str, bytes]] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            observe = scope["extensions"]["refimpl.wire"]["observe"]
            observe(lambda direction, frame: seen.append((direction, frame)))
            await send({"type": "websocket.send", "text": "go"})
            await send({**(await receive()), "type": "websocket.send"})

        async with running(app, settings=TLS) as server:
            uri = f"wss://localhost:{server.port}/"
            async with connect(uri, ssl=client_context(), compression=None) as connection:
                assert await connection.recv() == "go"
                await connection.send("watched")
                assert await connection.recv() == "watched"
        (_, went), (direction, came), (_, back), *_ = seen
        assert (direction, came[:2]) == ("in", b"\x81\x87")
        assert (went, back) == (wire.frame(1, b"go"), wire.frame(1, b"watched"))


class TestEventLoops:
    @pytest.mark.peers
    def test_uvloop_runs_it_and_lets_frames_be_watched(self) -> None:
        import uvloop

        seen: list[tuple[str, int]] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            observe = scope["extensions"]["refimpl.wire"]["observe"]
            stop = observe(lambda direction, frame: seen.append((direction, len(frame))))
            while (message := await receive())["type"] == "websocket.receive":
                await send({**message, "type": "websocket.send"})
                if message["text"] == "stop":
                    stop()

        async def main() -> None:
            async with running(app) as server:
                async with connect(server.ws, compression=None) as connection:
                    for message in ("x", "x" * 300_000, "stop", "unseen"):
                        await connection.send(message)
                        assert await connection.recv() == message

        uvloop.run(main())
        assert seen == [
            *(("in", 7), ("out", 3)),
            *(("in", 300_014), ("out", 300_010)),
            *(("in", 10), ("out", 6)),
        ]


# What uvicorn's HTTP parser forgives before the engine gets to see it: it writes each head out anew
# as HTTP/1.1 with CR LF. The last is let in on purpose: Origins are the application's to judge.
LET_IN = {2: "HTTP/1.0", 3: "HTTP/2.0", 27: "bare LF", 30: "foreign Origin"}


class Known(Engine):
    """An engine that can be counted."""

    made: ClassVar[weakref.WeakSet[Engine]] = weakref.WeakSet()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.made.add(self)


@pytest.fixture
def known() -> Iterator[type[Known]]:
    Known.made = weakref.WeakSet()
    gc.collect()
    gc.disable()
    yield Known
    gc.enable()


class TestUninvited:
    async def test_no_malformed_handshake_opens_a_connection(self) -> None:
        asked: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            asked.append(scope["type"])  # uvicorn gives what asks for no WebSocket to HTTP
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close"})
            else:
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b""})

        reached = {}
        async with running(app, settings={"lifespan": "off"}) as server:
            for bad in MALFORMED:
                asked.clear()
                async with raw(server) as (reader, writer):
                    writer.write(bad.head)
                    status = await asyncio.wait_for(reader.read(12), 10)
                    assert status[:9] == b"HTTP/1.1 " and status[9:10] in b"45", bad
                if "websocket" in asked:
                    reached[bad.number] = bad.name
        assert reached == LET_IN

    async def test_what_comes_behind_the_request_in_one_segment_is_uvicorns_loss(self) -> None:
        async with running(echo) as server, raw(server) as (reader, writer):
            frame = wire.frame(wire.TEXT, b"early", key=wire.KEY)
            writer.write(wire.request_head() + frame)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(wire.frame(wire.TEXT, b"later", key=wire.KEY))
            assert await reader.readexactly(7) == wire.frame(wire.TEXT, b"later")

    @pytest.mark.parametrize("engine", [OUR_ENGINE, "websockets-sansio"])
    async def test_but_not_where_our_http_reads_it(self, engine: str) -> None:
        settings = {"http": "refimpl.middleware.engine.http:HTTP"}
        async with running(echo, engine=engine, settings=settings) as server:
            async with raw(server) as (reader, writer):
                frame = wire.frame(wire.TEXT, b"early", key=wire.KEY)
                writer.write(wire.request_head() + frame)
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(7) == wire.frame(wire.TEXT, b"early")

    @pytest.mark.parametrize("cut", [1, 20, 100])
    async def test_a_client_that_vanishes_inside_its_request(self, cut: int) -> None:
        async with running(echo) as server:
            async with raw(server) as (_, writer):
                writer.write(wire.request_head()[:cut])
            async with connect(server.ws) as connection:
                await connection.send("others live")
                assert await connection.recv() == "others live"

    async def test_a_connection_that_closed_is_in_no_circle(self, known: type[Known]) -> None:
        async with running(echo, engine=known, settings={"ws_ping_interval": None}) as server:
            async with connect(server.ws) as connection:
                await connection.send("one")
                await connection.recv()
                assert len(known.made) == 1
            await until(lambda: not known.made)  # freed at once: nobody collects here

    async def test_a_hundred_clients_that_vanish_leave_nothing(self, known: type[Known]) -> None:
        async with running(echo, engine=known) as server:
            for number in range(100):
                with socket.create_connection(("127.0.0.1", server.port)) as client:
                    client.sendall(wire.request_head())
                    if number % 2:  # its end is a reset
                        linger = struct.pack("ii", 1, 0)
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    await asyncio.sleep(0)
            async with connect(server.ws) as connection:  # accepted behind all the others
                await connection.send("the last")
                await connection.recv()
            state = server.server_state
            await until(lambda: not state.connections and not state.tasks)
            gc.collect()
            assert not known.made


PROGRAM = """
import json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps(scope["asgi"])})
    print(json.dumps(await receive()), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors and signals of POSIX")
class TestTheCommandLine:
    async def test_uvicorn_takes_it_by_name_and_sigterm_ends_it(self, tmp_path: Any) -> None:
        (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            command = [
                sys.executable,
                "-m",
                "uvicorn",
                "--ws",
                "refimpl.middleware.engine:Engine",
            ]
            command += ["--fd", str(listener.fileno()), "--app-dir", str(tmp_path), "program:app"]
            process = await asyncio.create_subprocess_exec(
                *command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
            )
            try:
                port = listener.getsockname()[1]
                async with connect(f"ws://127.0.0.1:{port}/") as connection:
                    assert json.loads(await connection.recv())["version"] == "3.0"
                    process.send_signal(signal.SIGTERM)
                    with pytest.raises(ConnectionClosed):
                        await connection.recv()
                    assert connection.close_code == 1012
                out, _ = await asyncio.wait_for(process.communicate(), 20)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        assert json.loads(out)["code"] == 1012

    async def test_uds_with_our_http_in_front(self, tmp_path: Any) -> None:
        (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
        path = str(tmp_path / "socket")
        command = [sys.executable, "-m", "uvicorn", "--uds", path, "--app-dir", str(tmp_path)]
        command += ["--ws", "refimpl.middleware.engine:Engine"]
        command += ["--http", "refimpl.middleware.engine.http:HTTP", "program:app"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            assert process.stderr is not None
            async with asyncio.timeout(20):
                while b"running on unix socket" not in await process.stderr.readline():
                    assert process.returncode is None
            async with unix_connect(path) as connection:
                assert json.loads(await connection.recv())["version"] == "3.0"
                await connection.send("over a path")
            process.send_signal(signal.SIGTERM)
            out, log = await asyncio.wait_for(process.communicate(), 20)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert json.loads(out) == {"type": "websocket.receive", "text": "over a path"}
        assert b' - "WebSocket /" [accepted]' in log and b"Traceback" not in log


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets only")
class TestUnixSockets:
    async def test_have_no_client_address_and_no_port(
        self, tmp_path: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        uvicorns = logging.getLogger("uvicorn")
        monkeypatch.setattr(uvicorns, "propagate", True)  # another test's configuration
        caplog.set_level(logging.INFO, "uvicorn.error")
        path = str(tmp_path / "socket")
        told: dict[str, Any] = {}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            told.update(scope)
            await echo(scope, receive, send)

        config = uvicorn.Config(
            app, ws=Engine, lifespan="off", log_config=None, proxy_headers=False
        )
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve([listener]))
            async with unix_connect(path) as connection:
                await connection.send("hello")
                assert await connection.recv() == "hello"
            server.should_exit = True
            await serving
        assert (told["client"], told["server"]) == (None, (path, None))
        assert ' - "WebSocket /" [accepted]' in caplog.messages


class TestTheBench:
    def test_measures_all_three_engines(self, capsys: pytest.CaptureFixture[str]) -> None:
        bench_engines(["--rounds", "1", "--seconds", "0.02", "--workloads", "64k"])
        lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
        names = ["uvicorn+refimpl", "uvicorn", "uvicorn+wsproto"]
        assert [line[1] for line in lines] == [*names, "goal"]
        assert all(float(line[2]) > 0 for line in lines[:3])


class TestImports:
    @pytest.mark.parametrize(
        ("module", "unwanted"),
        [
            ("refimpl", {"asyncio", "uvicorn", "starlette", "refimpl.middleware"}),
            ("refimpl.middleware.engine.protocol", {"uvicorn", "starlette", "websockets.asyncio"}),
        ],
    )
    def test_loads_no_more_than_it_needs(self, module: str, unwanted: set[str]) -> None:
        program = f"import sys, {module}; print(*sys.modules)"
        found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        assert not unwanted & set(found.stdout.split())
