"""`refimpl profile` and `refimpl serve --debug-port`: from the server's terminal to a picture."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from refimpl import connect
from refimpl.cli.main import run
from refimpl.profiling import serve_debug
from refimpl.profiling.render import CONTENT_TYPES, Finding, render
from tests.test_cli_live import PATIENCE, finish, start

TOKEN = "t0ken-" * 6
APP = """
def hot_spot(text):
    return sum(ord(letter) for letter in text * 40)

async def handler(websocket):
    async for message in websocket:
        await websocket.send(str(hot_spot(message)))
"""


@asynccontextmanager
async def served(folder: Path, *arguments: str, **environment: str) -> AsyncIterator[list[str]]:
    """Run `refimpl serve` with profiles; give [its address, its profiles' address, its log]."""
    (folder / "hot_app.py").write_text(APP)
    process = await start(
        "serve", "--port", "0", "--debug-port", "0", "--app", "hot_app:handler", *arguments,
        PYTHONPATH=str(folder), REFIMPL_DEBUG_TOKEN=TOKEN, **environment,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    said = [""]
    async with asyncio.timeout(PATIENCE):
        while not said[-1].startswith("Profiles at "):
            said.append((await process.stderr.readline()).decode())
            assert said[-1], said
        uri = (await process.stdout.readline()).decode().removeprefix("Listening on ").strip()
    found = [uri, said[-1].removeprefix("Profiles at ").strip(), ""]
    try:
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        status, _, err = await finish(process)
        found[2] = err
        assert status == 0


async def chatter(uri: str) -> None:
    async with connect(uri) as websocket:
        while True:
            await websocket.send("x" * 200)
            await websocket.recv()


async def profile(*arguments: str, token: str = TOKEN) -> tuple[int | None, str, str]:
    return await finish(await start("profile", *arguments, REFIMPL_DEBUG_TOKEN=token))


class TestAgainstALiveServer:
    async def test_it_prints_and_draws_the_hot_function(self, tmp_path: Path) -> None:
        svg, scope = tmp_path / "cpu.svg", tmp_path / "cpu.speedscope.json"
        async with served(tmp_path) as found:
            load = asyncio.create_task(chatter(found[0]))
            root = found[1].removesuffix("/debug/pprof/")
            status, out, err = await profile(root, "--seconds", "0.5", "--out", str(svg))
            assert (status, err) == (0, "")
            status, _, err = await profile(root, "--seconds", "0.5", "--out", str(scope))
            assert (status, err) == (0, "")
            load.cancel()
        assert '"hot_spot"' in scope.read_text()
        rows = out.splitlines()
        assert re.match(r"CPU profile of 0\.5", rows[0])
        assert any("hot_spot" in row for row in rows[3:5])
        assert out.endswith(f"Wrote {svg}\n")
        assert "hot_spot" in svg.read_text()
        assert "profile as json for 0.5 s for 127.0.0.1:" in found[2]
        assert TOKEN not in out + found[2]

    async def test_tasks_and_heap(self, tmp_path: Path) -> None:
        async with served(tmp_path) as found, connect(found[0]):
            url = found[1].removesuffix("/debug/pprof/")
            out = ""
            async with asyncio.timeout(PATIENCE):
                while "waits for WebSocket." not in out:  # its handler has to get there
                    status, out, err = await profile(url, "--kind", "tasks", "--out", "-")
                    assert (status, err) == (0, "")
            file = tmp_path / "heap.json"
            status, out, _ = await profile(
                url, "--kind", "heap", "--seconds", "0.2", "--out", str(file)
            )
            assert status == 0
            assert "allocated since, and still held:" in out
            assert json.loads(file.read_text())["kind"] == "heap"


class TestServe:
    async def test_a_token_is_not_written_where_no_terminal_is(self) -> None:
        process = await start("serve", "--port", "0", "--debug-port", "0")
        status, out, err = await finish(process)
        assert (status, out) == (2, "")
        assert "REFIMPL_DEBUG_TOKEN" in err
        assert err.count("\n") == 1

    async def test_a_short_token_is_one_line(self) -> None:
        process = await start("serve", "--debug-port", "0", REFIMPL_DEBUG_TOKEN="short")
        status, _, err = await finish(process)
        assert status == 1
        assert "expected at least 32" in err
        assert "short" not in err

    async def test_without_the_option_nothing_is_open(self) -> None:
        process = await start("serve", "--port", "0", REFIMPL_DEBUG_TOKEN=TOKEN)
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, _, err = await finish(process)
        assert err == ""


class TestWrongCalls:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["ftp://127.0.0.1"], "expected http://127.0.0.1:PORT"),
            (["http://example.com:6060"], "this machine only"),
            (["http://127.0.0.1:1/?token=x"], "expected http://127.0.0.1:PORT"),
            (["http://127.0.0.1:1", "--seconds", "0"], "--seconds"),
            (["http://127.0.0.1:1", "--seconds", "-1"], "--seconds"),
            (["http://127.0.0.1:1", "--seconds", "nan"], "--seconds"),
            (["http://127.0.0.1:1", "--seconds", "1e9"], "--seconds"),
            (["http://127.0.0.1:1", "--seconds", "soon"], "--seconds"),
            (["http://127.0.0.1:1", "--kind", "disk"], "--kind"),
            (["http://127.0.0.1:1", "--out", "cpu.png"], ".svg"),
            ([], "URL"),
        ],
        ids=" ".join,
    )
    def test_one_line_and_status_2(
        self,
        arguments: list[str],
        says: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("REFIMPL_DEBUG_TOKEN", TOKEN)
        assert run(["profile", *arguments]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert says in err

    def test_no_token(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("REFIMPL_DEBUG_TOKEN", raising=False)
        assert run(["profile", "http://127.0.0.1:1"]) == 2
        assert "REFIMPL_DEBUG_TOKEN" in capsys.readouterr().err


ANSWERS = {
    "another server": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nhi",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "nothing": b"",
    "no profile": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{",
    "a redirection": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
    b"Content-Length: 0\r\n\r\n",
    "controls": b"HTTP/1.1 500 No\r\nContent-Length: 8\r\n\r\n500 \x1b[2J",
}


GOOD = {
    "kind": "cpu", "title": "A profile", "text": "all", "unit": "seconds", "duration": 1.0,
    "idle": 0.0, "calls": [["serve", "a.py", 1, "application"]], "samples": [[[0], 1.0]],
}  # fmt: skip
BAD = {
    "deep": "[" * 100_000,
    "no object": [],
    "a long number": '{"calls": [[1, 2, ' + "1" * 5000 + ", 4]]}",
    "a line without end": {"calls": [["serve", "a.py", float("inf"), "application"]]},
    "a weight without end": {"samples": [[[0], float("inf")]]},
    "no number as a weight": {"samples": [[[0], float("nan")]]},
    "a weight below 0": {"samples": [[[0], -1.0]]},
    "weights that add up to no number": {"samples": [[[0], 1e308]] * 20},
    "no number as the time": {"duration": float("nan")},
    "a time without end": {"idle": float("inf")},
    "a huge number": {"samples": [[[0], 10**400]]},
    "an unknown call": {"samples": [[[1], 1.0]]},
    "a call from the end": {"samples": [[[-1], 1.0]]},
    "a call by no number": {"samples": [[[True], 1.0]]},
}
ODD = {
    "surrogates": {"title": "\ud800", "text": "\udfff", "unit": "\ud800"},
    "another origin": {"calls": [["serve", "a.py", 1, "elsewhere"]]},
    "another unit": {"unit": "parsecs"},
    "bytes": {"unit": "bytes", "samples": [[[0], 1e15]]},
    "nothing": {"samples": []},
    "deep stacks": {"samples": [[[0] * 5000, 1.0]]},
}


def document(changes: object) -> str:
    if isinstance(changes, str):
        return changes
    return json.dumps({**GOOD, **changes} if isinstance(changes, dict) else changes)


class TestDocuments:
    """What a server that is none of ours may answer instead of a profile."""

    @pytest.mark.parametrize("kind", BAD)
    def test_a_bad_one_is_one_kind_of_error(self, kind: str) -> None:
        with pytest.raises(ValueError, match="expected a profile as JSON"):
            Finding.from_json(document(BAD[kind]))

    @pytest.mark.parametrize("form", CONTENT_TYPES)
    @pytest.mark.parametrize("kind", ODD)
    def test_an_odd_one_can_be_drawn(self, kind: str, form: str) -> None:
        render(Finding.from_json(document(ODD[kind])), form).encode("utf-8", "surrogatepass")

    @pytest.mark.parametrize(
        ("kind", "status"), [("deep", 1), ("a line without end", 1), ("surrogates", 0)]
    )
    @pytest.mark.parametrize("ending", ["svg", "txt"])
    async def test_the_command_prints_no_traceback(
        self,
        kind: str,
        status: int,
        ending: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        content = document({**BAD, **ODD}[kind]).encode()

        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
            writer.close()

        monkeypatch.setenv("REFIMPL_DEBUG_TOKEN", TOKEN)
        async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            out = str(tmp_path / f"out.{ending}")
            assert await asyncio.to_thread(run, ["profile", url, "--out", out]) == status
        assert capsys.readouterr().err.count("\n") == status


class TestOtherServers:
    @pytest.mark.parametrize("answer", ANSWERS)
    async def test_one_line_and_status_1(
        self, answer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWERS[answer])
            writer.close()

        monkeypatch.setenv("REFIMPL_DEBUG_TOKEN", TOKEN)
        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            status = await asyncio.to_thread(run, ["profile", url, "--seconds", "0.1"])
        err = capsys.readouterr().err
        assert status == 1
        assert err.count("\n") == 1
        assert url in err
        assert "\x1b" not in err
        assert TOKEN not in err

    async def test_nobody_there(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REFIMPL_DEBUG_TOKEN", TOKEN)
        async with serve_debug() as debug:
            url = f"http://127.0.0.1:{debug.port}"
        assert await asyncio.to_thread(run, ["profile", url]) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"refimpl: cannot reach {url}: ")
        assert err.count("\n") == 1

    async def test_a_refusal_is_passed_on(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REFIMPL_DEBUG_TOKEN", TOKEN)
        async with serve_debug() as debug:
            url = f"http://127.0.0.1:{debug.port}"
            assert await asyncio.to_thread(run, ["profile", url]) == 1
        assert capsys.readouterr().err == (
            f"refimpl: {url} answered 401 Unauthorized: got a wrong token\n"
        )


def test_the_command_loads_no_profiler() -> None:
    import subprocess

    code = "import sys, refimpl.cli.profile; print({'memray', 'pyinstrument'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
