"""The command line as processes: a server, clients from pipes and terminals, a proxy."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import websockets.asyncio.client as peer_client

from refimpl import Response, ServerConnection, connect, serve
from refimpl.lab.wire.capture import Capture
from tests.certificates import HERE as CERTIFICATES

PATIENCE = 30.0
ROOT = str(Path(__file__).resolve().parents[1])
COMMAND = (sys.executable, "-m", "refimpl")


async def start(
    *arguments: str, command: Sequence[str] = COMMAND, **environment: str
) -> asyncio.subprocess.Process:
    """Start a command with pipes on all three streams."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env={**os.environ, "PYTHONWARNINGS": "error", **environment},
    )


async def finish(
    process: asyncio.subprocess.Process, typed: bytes | None = None
) -> tuple[int | None, str, str]:
    """Give a command its input and wait for it; return status, output and error output."""
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate(typed)
    return process.returncode, out.decode(), err.decode()


async def first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readline()).decode()


@asynccontextmanager
async def served(*arguments: str) -> AsyncIterator[str]:
    """Run `refimpl serve` on a free port; give its address; see it end well."""
    process = await start("serve", "--port", "0", *arguments)
    line = await first_line(process)
    assert line.startswith("Listening on "), (await finish(process))[2]
    try:
        yield line.removeprefix("Listening on ").strip()
    finally:
        process.send_signal(signal.SIGINT)
        status, _, err = await finish(process)
        assert (status, err) == (0, "")


async def talk(uri: str, typed: bytes, *arguments: str) -> tuple[int | None, str, str]:
    """Pipe lines into `refimpl connect`, which waits long for answers: the machine may be busy."""
    patient = () if "--wait" in arguments else ("--wait", str(PATIENCE))
    return await finish(await start("connect", *arguments, *patient, uri), typed)


class TestServe:
    @pytest.mark.parametrize(
        ("app", "answer"), [("echo", "hello"), ("echo: ", "echo: hello"), ("chat", "hello")]
    )
    async def test_apps_answer_a_peer(self, app: str, answer: str) -> None:
        async with served("--app", app) as uri, peer_client.connect(uri) as peer:
            await peer.send("hello")
            assert await peer.recv() == answer

    async def test_an_app_of_ones_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mine.py").write_text(
            "async def handler(websocket):\n    await websocket.send('mine')\n"
        )
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", ROOT)
        async with served("--app", "mine:handler") as uri, connect(uri) as websocket:
            assert await websocket.recv() == "mine"

    async def test_limits_and_origins_reach_the_server(self) -> None:
        options = ("--max-size", "10", "--origins", "https://a.example", "--compression", "deflate")
        async with served(*options) as uri:
            origin = "https://a.example"
            async with connect(uri, origin=origin, compression="deflate") as websocket:
                assert websocket.core.agreement.extension is not None
                await websocket.send("x" * 11)
                await websocket.wait_closed()
                assert websocket.close_code == 1009

    async def test_hosts_proxies_and_the_size_of_a_head_reach_it_too(self) -> None:
        proxied = ("--allowed-host", "a.example", "--trusted-proxy", "127.0.0.1")
        async with served("--max-head", "400", *proxied) as uri:
            status, _, err = await talk(uri, b"")
            assert (status, "421" in err) == (1, True), err
            status, _, err = await talk(uri, b"", "--header", "X: " + 400 * "x")
            assert (status, "431" in err) == (1, True), err
            said = ("--header", "X-Forwarded-Host: a.example")
            assert await talk(uri, b"hello\n", *said) == (0, "hello\n", "")

    async def test_over_tls(self) -> None:
        certificate = CERTIFICATES / "localhost.pem"
        async with served("--ssl", str(certificate)) as uri:
            assert uri.startswith("wss://")
            status, out, err = await talk(uri, b"secret\n", "--insecure")
            assert (status, out, err) == (0, "secret\n", "")
            status, _, err = await talk(uri, b"secret\n")
            assert status == 1
            assert "certificate refused" in err

    async def test_a_port_that_is_taken_is_one_line(self) -> None:
        async with served() as uri:
            port = uri.rstrip("/").rpartition(":")[2]
            status, out, err = await finish(await start("serve", "--port", port))
        assert (status, out) == (1, "")
        assert err.startswith(f"refimpl: cannot listen on 127.0.0.1, port {port}: ")
        assert err.count("\n") == 1

    async def test_stopping_says_goodbye(self) -> None:
        process = await start("serve", "--port", "0")
        uri = (await first_line(process)).removeprefix("Listening on ").strip()
        async with connect(uri) as websocket:
            await websocket.send("opened")
            await websocket.recv()
            process.terminate()
            await websocket.wait_closed()
            assert websocket.close_code == 1001
        assert (await finish(process))[0] == 0


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


@asynccontextmanager
async def serving(handler: object = echo, **options: object) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type]
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


class TestConnectFromAPipe:
    @pytest.mark.parametrize(
        ("typed", "printed"),
        [
            (b"hello\n", "hello\n"),
            (b"no end of line", "no end of line\n"),
            (b"one\n\nthree\r\n", "one\n\nthree\n"),
            ("Grüße 🧦\n".encode(), "Grüße 🧦\n"),
        ],
        ids=["line", "no newline", "empty line", "UTF-8"],
    )
    async def test_each_line_is_answered_and_printed(self, typed: bytes, printed: str) -> None:
        async with serving() as uri:
            assert await talk(uri, typed) == (0, printed, "")

    async def test_ten_thousand_lines_and_not_one_lost(self) -> None:
        lines = "".join(f"line {number}\n" for number in range(10_000))
        async with serving() as uri:
            status, out, err = await talk(uri, lines.encode())
        assert (status, err) == (0, "")
        assert out == lines

    async def test_a_reader_that_has_had_enough_ends_it_quietly(self) -> None:
        async with serving() as uri:
            process = await start("connect", uri)
            assert process.stdin is not None
            process.stdin.write(b"one\n")
            assert await first_line(process) == "one\n"
            process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
            process.stdin.write(b"two\n")
            async with asyncio.timeout(PATIENCE):
                status = await process.wait()
            assert process.stderr is not None
            assert (status, await process.stderr.read()) == (1, b"")

    async def test_hex_both_ways(self) -> None:
        async with serving() as uri:
            assert await talk(uri, b"00ff 10\n", "--hex") == (0, "00 ff 10\n", "")
            status, _, err = await talk(uri, b"no hex\n", "--hex")
        assert status == 2
        assert "expected hex" in err

    async def test_answers_that_are_due_are_waited_for(self) -> None:
        late = asyncio.Event()

        async def later(websocket: ServerConnection) -> None:
            await websocket.recv()
            late.set()
            await asyncio.sleep(0.3)  # not at once, and within --wait
            await websocket.send("late, but here")
            await websocket.wait_closed()

        async with serving(later) as uri:
            assert await talk(uri, b"question\n") == (0, "late, but here\n", "")
        assert late.is_set()

    async def test_no_answer_is_waited_for_only_so_long(self) -> None:
        async def deaf(websocket: ServerConnection) -> None:
            async for _ in websocket:
                pass

        async with serving(deaf) as uri:
            assert await talk(uri, b"question\n", "--wait", "0.1") == (0, "", "")

    async def test_what_comes_before_the_peers_close_is_printed(self) -> None:
        async def answer_twice(websocket: ServerConnection) -> None:
            async for message in websocket:
                await websocket.send(message)
                await websocket.send("and one more")

        async with serving(answer_twice) as uri:
            status, out, _ = await talk(uri, b"one\n")
        assert (status, out) == (0, "one\nand one more\n")

    async def test_the_server_ends_it_while_input_is_still_open(self) -> None:
        async def leave(websocket: ServerConnection) -> None:
            await websocket.send("bye")

        async with serving(leave) as uri:
            process = await start("connect", uri)
            async with asyncio.timeout(PATIENCE):
                status = await process.wait()  # its input was never closed
            assert (status, (await finish(process))[1]) == (0, "bye\n")

    async def test_an_end_that_is_not_clean_fails(self) -> None:
        async def fail(websocket: ServerConnection) -> None:
            await websocket.close(4000, "not today")

        async with serving(fail) as uri:
            status, _, err = await talk(uri, b"hello\n")
        assert status == 1
        assert "4000" in err
        assert "not today" in err
        assert err.count("\n") == 1

    async def test_input_that_is_no_text_fails(self) -> None:
        async with serving() as uri:
            status, _, err = await talk(uri, b"fine\n\xff\n")
        assert (status, err) == (1, "refimpl: line 2 of the input is not UTF-8\n")

    async def test_a_refusal_shows_status_and_reason(self) -> None:
        def refuse(connection: ServerConnection, request: object) -> Response:
            return connection.respond(403, "members only\nsecond line")

        async with serving(process_request=refuse) as uri:
            status, out, err = await talk(uri, b"hello\n")
        assert (status, out) == (1, "")
        assert "403" in err
        assert "members only" in err
        assert err.count("\n") == 1

    async def test_nobody_there_is_one_line(self) -> None:
        async with serving() as uri:
            pass
        status, out, err = await talk(uri, b"hello\n")
        assert (status, out) == (1, "")
        assert err.startswith(f"refimpl: cannot connect to {uri}: ")
        assert err.count("\n") == 1

    async def test_headers_origin_and_subprotocol(self) -> None:
        seen = []

        async def look(websocket: ServerConnection) -> None:
            assert websocket.request is not None
            seen.append((websocket.request.headers["X-Name"], websocket.subprotocol))

        async with serving(look, subprotocols=["a"], origins=["https://a.example"]) as uri:
            options = ("--header", "X-Name: Ada", "--origin", "https://a.example")
            status, _, err = await talk(uri, b"", *options, "--subprotocols", "a")
        assert (status, err) == (0, "")
        assert seen == [("Ada", "a")]


class TestInspectLive:
    async def test_a_proxy_prints_and_saves_and_changes_nothing(self, tmp_path: Path) -> None:
        saved = tmp_path / "seen.json"
        async with serving(compression="deflate") as uri:
            proxy = await start("inspect", "--listen", "0", "--to", uri, "--save", str(saved))
            address = (await first_line(proxy)).removeprefix("Listening on ").strip()
            for compression in (None, "deflate"):
                async with peer_client.connect(address, compression=compression) as peer:
                    await peer.send("through the proxy")
                    assert await peer.recv() == "through the proxy"
            await until_exists([saved, saved.with_suffix(".2.json")])
            proxy.send_signal(signal.SIGINT)
            status, out, err = await finish(proxy)
        assert (status, err) == (0, "")
        assert "GET / HTTP/1.1" in out
        assert "Sec-WebSocket-Accept: " in out
        assert out.count("'through the proxy'") == 4
        assert "1000 NORMAL_CLOSURE" in out
        capture = Capture.load(saved)
        assert [frame.opcode.name for frame in capture.frames_of("client")] == ["TEXT", "CLOSE"]

    async def test_a_server_that_is_not_there(self) -> None:
        async with serving() as uri:
            pass
        proxy = await start("inspect", "--listen", "127.0.0.1:0", "--to", uri, "--bits")
        address = (await first_line(proxy)).removeprefix("Listening on ").strip()
        status, _, err = await talk(address, b"hello\n")
        assert status == 1
        assert err.count("\n") == 1
        proxy.send_signal(signal.SIGINT)
        status, _, err = await finish(proxy)
        assert status == 0
        assert err.startswith("#1 ")


async def until_exists(paths: Iterable[Path]) -> None:
    async with asyncio.timeout(PATIENCE):
        for path in paths:
            while not path.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.01)


# A process whose standard streams are a terminal, and the one it is controlled by: Ctrl+C works.
CONTROLLED = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.executable, [sys.executable, '-m', 'refimpl', *sys.argv[1:]])"
)


class Terminal:
    """A person at a terminal: types, and waits until something is on the screen."""

    def __init__(self, *arguments: str, home: Path) -> None:
        self.screen = ""
        self._descriptor, theirs = os.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", CONTROLLED, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "XDG_STATE_HOME": str(home), "TERM": "xterm"},
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def wait_for(self, text: str) -> str:
        """Read until text has appeared; return what came before it, and forget it all."""
        while text not in self.screen:
            self.screen += os.read(self._descriptor, 4096).decode()
        before, _, self.screen = self.screen.partition(text)
        return before

    def end(self) -> int:
        """Read until the program has gone; return its exit status."""
        try:
            while data := os.read(self._descriptor, 4096):
                self.screen += data.decode()
        except OSError:  # Linux: the last process has let go of the terminal
            pass
        os.close(self._descriptor)
        return self._process.wait(PATIENCE)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX pseudo-terminal")
class TestConnectAtATerminal:
    async def test_prompt_answers_history_and_ctrl_d(self, tmp_path: Path) -> None:
        async with serving() as uri:
            terminal = await asyncio.to_thread(self.session, uri, tmp_path)
        assert "Connection closed: 1000" in terminal.screen
        history = (tmp_path / "refimpl" / "history").read_text()
        assert history.split("\n") == ["first", "first!", ""]

    @staticmethod
    def session(uri: str, home: Path) -> Terminal:
        terminal = Terminal("connect", uri, home=home)
        terminal.wait_for("> ")
        terminal.type("first\r")
        terminal.wait_for("< first")
        terminal.wait_for("> ")
        terminal.type("\x1b[A")  # the arrow up brings the line back
        terminal.wait_for("first")
        terminal.type("!\r")
        terminal.wait_for("< first!")
        terminal.wait_for("> ")
        terminal.type("\x04")
        assert terminal.end() == 0
        return terminal

    async def test_a_message_does_not_garble_what_is_typed(self, tmp_path: Path) -> None:
        typing = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def interrupt(websocket: ServerConnection) -> None:
            await typing.wait()
            await websocket.send("news")
            assert await websocket.recv() == "half a line, the rest"

        def session(uri: str) -> str:
            terminal = Terminal("connect", uri, home=tmp_path)
            terminal.wait_for("> ")
            terminal.type("half a line")
            terminal.wait_for("half a line")
            loop.call_soon_threadsafe(typing.set)
            terminal.wait_for("< news")
            terminal.wait_for("> half a line")  # the prompt is back, with what was typed
            terminal.type(", the rest\r")
            assert terminal.end() == 0
            return terminal.screen

        async with serving(interrupt) as uri:
            screen = await asyncio.to_thread(session, uri)
        assert "Connection closed: 1000" in screen

    async def test_ctrl_c_leaves_with_130(self, tmp_path: Path) -> None:
        def session(uri: str) -> int:
            terminal = Terminal("connect", uri, home=tmp_path)
            terminal.wait_for("> ")
            terminal.type("\x03")
            return terminal.end()

        async with serving() as uri:
            assert await asyncio.to_thread(session, uri) == 130
