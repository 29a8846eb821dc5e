"""No text of a peer steers the terminal or forges a line of the log, on any way out.

`NASTY` holds one of each kind; what may be printed is `\\x1b`, not the byte. A terminal also gets
escape sequences of ours: `\\r\\x1b[K` before a line that is written over, and colours.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from refimpl import Headers, Response, ServerConnection, connect
from refimpl.cli import doctor
from refimpl.cli.main import run
from refimpl.cli.output import LogFormatter
from refimpl.lab import Capture, annotate, expect_error, hexdump
from refimpl.lab.wire.dissect import dissect
from tests.support import wire
from tests.test_cli_live import PATIENCE, Terminal, finish, first_line, serving, start, talk

NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x00\u202eevil\u200b\ufeff\x7f"
NASTY_HEADER = "\x9b2J\x85\xad evil"  # of those, what a header may hold
OURS = re.compile(r"\r\x1b\[K|\x1b\[(0|36)m|\x1b\[\?2004[hl]\r?|\x1b\[\?1034h|\r\n")


def harmless(text: str) -> bool:
    """Whether text has no character but those that can be seen, and line feeds."""
    return all(letter.isprintable() or letter == "\n" for letter in text)


def on_screen(text: str) -> str:
    """Return what a program wrote to a terminal, without the sequences that are ours."""
    return OURS.sub("\n", text)


async def nasty(websocket: ServerConnection) -> None:
    """Say something nasty, and close with a nasty reason where one is asked for."""
    async for message in websocket:
        await websocket.send(f"{message} {NASTY}")
        if message == "bye":
            await websocket.close(4000, NASTY)


def refuse(connection: ServerConnection, request: object) -> Response:
    headers = Headers([("X-Nasty", NASTY_HEADER)])
    body = f"{NASTY} members only\nsecond line".replace("\r", "")
    return Response(403, headers, body.encode(), NASTY_HEADER)


class TestConnect:
    @pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX pseudo-terminal")
    @pytest.mark.parametrize("reason", ["", NASTY], ids=["clean", "nasty"])
    async def test_messages_and_reasons_at_a_terminal(self, tmp_path: Path, reason: str) -> None:
        async def handler(websocket: ServerConnection) -> None:
            await websocket.recv()
            await websocket.send(f"one\n{NASTY}\n> two")
            await websocket.close(4000 if reason else 1000, reason)

        def session(uri: str) -> str:
            terminal = Terminal("connect", uri, home=tmp_path)
            terminal.wait_for("> ")
            terminal.type("hi\r")
            assert terminal.end() == bool(reason)
            return terminal.screen

        async with serving(handler) as uri:
            screen = on_screen(await asyncio.to_thread(session, uri))
        assert harmless(screen)
        assert "< one\n  \\x1b]0;owned\\x07" in screen
        assert "\n  > two" in screen  # a prompt of the peer's is not at the beginning of a line
        assert "\\u202e" in screen

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX pseudo-terminal")
    async def test_messages_from_a_pipe_to_a_terminal(self) -> None:
        here, theirs = os.openpty()
        async with serving(nasty) as uri:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "refimpl", "connect", uri,
                stdin=asyncio.subprocess.PIPE, stdout=theirs, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            os.close(theirs)
            async with asyncio.timeout(PATIENCE):
                await process.communicate(b"hello\n")
        screen = on_screen(os.read(here, 65536).decode())
        os.close(here)
        assert harmless(screen)
        assert "hello \\x1b]0;owned" in screen

    async def test_a_program_gets_messages_as_they_came(self) -> None:
        async with serving(nasty) as uri:
            status, out, err = await talk(uri, b"hello\n")
        assert (status, out, err) == (0, f"hello {NASTY}\n", "")

    async def test_a_reason_on_stderr(self) -> None:
        async with serving(nasty) as uri:
            status, _, err = await talk(uri, b"bye\n")
        assert status == 1
        assert harmless(err)
        assert "4000" in err and "\\x1b]0;owned" in err
        assert err.count("\n") == 1

    async def test_a_refusal(self) -> None:
        async with serving(process_request=refuse) as uri:
            status, _, err = await talk(uri, b"hello\n")
        assert status == 1
        assert harmless(err)
        assert "403" in err and "members only" in err
        assert err.count("\n") == 1


class TestInspect:
    HEAD = wire.request_head(add=[("X-Nasty", NASTY_HEADER)])
    RAW = f"GET /{NASTY} HTTP/1.1\r\nX: {NASTY}\nY: 1\r\n\r\n".encode()
    TALK = (
        ("client", HEAD),
        ("server", wire.response_head(add=[("X-Nasty", NASTY_HEADER)])),
        ("client", wire.frame(wire.TEXT, NASTY.encode(), key=wire.KEY)),
        ("server", wire.frame(wire.PING, NASTY.encode())),
        ("server", wire.close(4000, NASTY.encode())),
        ("server", NASTY.encode()),
    )
    BODY = (
        ("client", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("server", f"HTTP/1.1 403 {NASTY_HEADER}\r\nContent-Length: 9\r\n\r\n".encode("latin-1")),
        ("server", NASTY.encode()),
    )
    BROKEN = (("client", RAW), ("client", NASTY.encode()))

    @pytest.mark.parametrize(
        "data",
        [HEAD, RAW, TALK[2][1], TALK[4][1], TALK[5][1]],
        ids=["head", "raw", "text", "close", "rubbish"],
    )
    def test_bytes(self, data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "raw.bin").write_bytes(data)
        for arguments in ([data.hex()], ["--file", str(tmp_path / "raw.bin")]):
            assert run(["inspect", *arguments]) == 0
            assert harmless(capsys.readouterr().out)

    @pytest.mark.parametrize("said", [TALK, BODY, BROKEN], ids=["talk", "body", "broken"])
    @pytest.mark.parametrize("bits", [[], ["--bits"]])
    def test_a_capture(
        self,
        said: tuple[tuple[str, bytes], ...],
        bits: list[str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        Capture.of(*said).save(tmp_path / "capture.json")  # type: ignore[arg-type]
        assert run(["inspect", "--file", str(tmp_path / "capture.json"), *bits]) == 0
        out = capsys.readouterr().out
        assert harmless(out)
        assert "\\x9b" in out or "MALFORMED" in out

    @pytest.mark.parametrize(
        "content",
        [
            {"chunks": [[0, NASTY, "00"]]},
            {"chunks": [[0, "client", NASTY]]},
            {"chunks": [[NASTY, "client", ""]]},
            {"chunks": NASTY},
            {NASTY: 1},
        ],
    )
    def test_a_capture_that_is_none(
        self, content: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "capture.json"
        path.write_text(json.dumps(content))
        assert run(["inspect", "--file", str(path)]) == 1
        err = capsys.readouterr().err
        assert harmless(err)
        assert err.count("\n") == 1

    @pytest.mark.parametrize("bits", [[], ["--bits"]])
    async def test_a_proxy(self, bits: list[str]) -> None:
        async with proxied(nasty, *bits) as (uri, printed):
            async with connect(uri, additional_headers=[("X-Nasty", NASTY_HEADER)]) as websocket:
                await websocket.send("bye")
                await websocket.recv()
                await websocket.wait_closed()
        assert harmless(printed[0])
        assert "\\x9b2J\\x85\\xad evil" in printed[0]
        assert "4000" in printed[0]

    async def test_a_proxy_with_a_refusal_and_with_rubbish(self) -> None:
        async with proxied(nasty, process_request=refuse) as (uri, printed):
            status, _, _ = await talk(uri, b"hello\n")
            assert status == 1
            port = int(uri.rpartition(":")[2].strip("/"))
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(self.RAW + NASTY.encode())
            writer.write_eof()
            await writer.drain()
            async with asyncio.timeout(PATIENCE):
                while "MALFORMED" not in printed[0]:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.01)
            writer.close()
        assert harmless(printed[0])
        assert "\\x9b2J\\x85\\xad evil" in printed[0]


@asynccontextmanager
async def proxied(
    handler: object, *arguments: str, **options: object
) -> AsyncIterator[tuple[str, list[str]]]:
    """Run `refimpl inspect --listen` before a server; give its address, and what it prints."""
    printed = [""]
    async with serving(handler, **options) as uri:
        process = await start("inspect", "--listen", "0", "--to", uri, *arguments)
        address = (await first_line(process)).removeprefix("Listening on ").strip()
        assert process.stdout is not None

        async def read() -> None:
            async for line in process.stdout:  # type: ignore[union-attr]
                printed[0] += line.decode()

        reading = asyncio.create_task(read())
        yield address, printed
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            await process.wait()
            await reading
        assert process.stderr is not None
        printed[0] += (await process.stderr.read()).decode()


class TestOthers:
    @pytest.mark.parametrize("options", [{"process_request": refuse}, {"handler": nasty}])
    async def test_load(
        self, options: dict[str, object], capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def bye(websocket: ServerConnection) -> None:
            await websocket.close(4000, NASTY)

        options = {"handler": bye} if "handler" in options else options
        async with serving(**options) as uri:  # type: ignore[arg-type]
            command = ["load", "echo", uri, "--closed", "--seconds", "1"]
            assert await asyncio.to_thread(run, command) == 1
        err = capsys.readouterr().err
        assert harmless(err)
        assert err.count("\n") == 1
        assert "evil" in err or "members only" in err

    def test_doctor(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        lock = tmp_path / "requirements.lock"
        lock.write_text(f"click==0.0.1{NASTY}\nx{NASTY}==1.0\n", newline="")
        monkeypatch.setattr(doctor, "find_lock", lambda: lock)
        run(["doctor"])
        out, err = capsys.readouterr()
        assert harmless(out + err)

    async def test_what_the_server_logs(self, tmp_path: Path) -> None:
        (tmp_path / "failing_app.py").write_text(
            "import logging\n"
            "async def handler(websocket):\n"
            "    message = await websocket.recv()\n"
            "    logging.getLogger('mine').warning('got %s', message)\n"
            "    raise ValueError(message)\n"
        )
        process = await start(
            "serve", "--port", "0", "--app", "failing_app:handler",
            PYTHONPATH=os.pathsep.join((str(tmp_path), os.getcwd())),
        )  # fmt: skip
        uri = (await first_line(process)).removeprefix("Listening on ").strip()
        async with connect(uri) as websocket:
            await websocket.send(f"{NASTY}\n2030-01-01 root logged in")
            await websocket.wait_closed()
        process.send_signal(signal.SIGINT)
        status, _, err = await finish(process)
        assert status == 0
        assert harmless(err)
        assert "ValueError" in err
        starts = [line for line in err.splitlines() if not line.startswith("  ")]
        assert len(starts) == 2  # the warning and the failure; a traceback is indented
        assert "\\n2030-01-01 root logged in" in err

    def test_a_traceback_that_another_formatter_has_made(self) -> None:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "got %s", (NASTY,), None)
        record.exc_text = f"Traceback\n{NASTY}"
        record.stack_info = f"Stack\n{NASTY}"
        text = LogFormatter("%(message)s").format(record)
        assert harmless(text)
        assert [line[:2] == "  " for line in text.split("\n")] == [False, True, True, True, True]


class TestLab:
    def test_text_forms(self, capsys: pytest.CaptureFixture[str]) -> None:
        for said in (TestInspect.TALK, TestInspect.BODY, TestInspect.BROKEN):
            capture = Capture.of(*said)  # type: ignore[arg-type]
            for exact in (True, False):
                assert harmless(capture.text(exact=exact, pings=True, ends=True))
            for _, data in said:
                assert harmless(annotate(data))
                assert harmless(hexdump(data))
                assert harmless(dissect(data).title)
        with expect_error(ValueError):
            raise ValueError(NASTY)
        assert harmless(capsys.readouterr().out)
        capture = Capture(program=NASTY, version=NASTY)
        assert harmless(repr(capture))
