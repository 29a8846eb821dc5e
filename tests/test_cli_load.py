"""`refimpl load`: a table, files where they are asked for, and one line for a wrong size."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from refimpl.cli.main import run
from refimpl.lifecycle import ServerConnection, serve


def test_the_command_prints_a_table_and_writes_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart, record = tmp_path / "chart.png", tmp_path / "record.json"
    files = ["--chart", str(chart), "--json", str(record)]
    assert run(["load", "churn", "--rate", "20", "--seconds", "1", *files]) == 0
    out = capsys.readouterr().out
    assert out.startswith("20 connects and disconnects a second for 1 s")
    assert "at most 2  kept" in out
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert json.loads(record.read_text())["rows"]["visits"]["value"] == 20


@pytest.mark.parametrize("arguments", [["room", "--members", "0"], ["idle", "--seconds", "never"]])
def test_a_wrong_size_is_refused_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["load", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


class TestEcho:
    """`refimpl load echo` on servers that this test starts, in threads of their own."""

    @pytest.mark.parametrize("how", [["--rate", "40"], ["--rate", "40", "--poisson"], ["--closed"]])
    def test_any_server_that_echoes(
        self, how: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        chart, record = tmp_path / "chart.png", tmp_path / "record.json"
        files = ["--chart", str(chart), "--json", str(record)]
        with echoing() as uri:
            assert run(["load", "echo", uri, *how, "--seconds", "0.5", *files]) == 0
        out = capsys.readouterr().out
        assert "p99.9" in out
        assert "messages never answered" in out
        assert ("p99, from when it left" in out) == ("--closed" not in how)
        assert chart.read_bytes().startswith(b"\x89PNG")
        assert json.loads(record.read_text())["rows"]["answers"]["value"] > 0

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            (lambda message: message.upper(), "got another message back"),
            (lambda message: None, "closed a connection"),
        ],
    )
    def test_a_wrong_answer_is_one_line(
        self,
        answer: Callable[[str], str | None],
        says: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        with echoing(answer) as uri:
            assert run(["load", "echo", uri, "--rate", "40", "--seconds", "2"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert says in err
        assert err.count("\n") == 1

    def test_a_dead_or_foreign_address_is_one_line(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with echoing() as uri:
            pass
        assert run(["load", "echo", uri, "--closed"]) == 1
        err = capsys.readouterr().err
        assert "Connection refused" in err
        assert err.count("\n") == 1
        assert run(["load", "echo", "http://127.0.0.1", "--closed"]) == 1
        assert "without ws://" in capsys.readouterr().err

    @pytest.mark.parametrize("how", [[], ["--rate", "1", "--closed"], ["--closed", "--poisson"]])
    def test_one_kind_of_loop_is_chosen(
        self, how: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["load", "echo", "ws://127.0.0.1:9", *how]) == 2
        assert "expected either --rate" in capsys.readouterr().err


@contextmanager
def echoing(answer: Callable[[str], str | None] = lambda message: message) -> Iterator[str]:
    """Serve in a thread, since the command runs a loop of its own in this one."""

    async def handle(websocket: ServerConnection) -> None:
        async for message in websocket:
            answered = answer(str(message))
            if answered is None:
                return
            await websocket.send(answered)

    async def serve_until_told() -> None:
        stop = asyncio.Event()
        async with serve(handle, "127.0.0.1", 0, close_timeout=1) as server:
            port = server.sockets[0].getsockname()[1]
            told.set_result((port, asyncio.get_running_loop(), stop))
            await stop.wait()

    told: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asyncio.run, serve_until_told())
        port, loop, stop = told.result(10)
        try:
            yield f"ws://127.0.0.1:{port}/"
        finally:
            loop.call_soon_threadsafe(stop.set)
            running.result(10)
