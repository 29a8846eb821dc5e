"""What the commands log: one line a record, and no more than one of a kind a second."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from contextlib import ExitStack

import pytest

from refimpl import connect
from refimpl.cli.output import MOST_KINDS, LogFormatter, Repeats, is_terminal
from tests.test_cli_live import COMMAND, PATIENCE, finish, first_line, start


def record(
    message: str = "failed", *, level: int = logging.ERROR, error: Exception | None = None
) -> logging.LogRecord:
    found = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("x", level, "", 1, message, None, found)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TestRepeats:
    def test_one_a_second_and_the_next_says_how_many_there_were(self) -> None:
        clock = Clock()
        repeats, formatter = Repeats(clock), LogFormatter("%(message)s")
        passed = []
        for tenth in range(25):
            clock.now = tenth / 10
            each = record()
            if repeats.filter(each):
                passed.append(formatter.format(each))
        assert passed == ["failed", "failed (9 more like it)", "failed (9 more like it)"]

    def test_other_kinds_are_not_held_back(self) -> None:
        def fail(kind: type[Exception]) -> Exception:
            try:
                raise kind
            except Exception as error:
                return error

        def fail_elsewhere() -> Exception:
            try:
                raise ValueError
            except Exception as error:
                return error

        repeats = Repeats(Clock())
        errors = [None, fail(ValueError), fail(KeyError), fail_elsewhere(), OSError()]
        assert all(repeats.filter(record(error=error)) for error in errors)
        assert not any(repeats.filter(record(error=error)) for error in errors)
        assert repeats.filter(record("other"))
        assert not repeats.filter(record("other\nbut for its second line"))

    def test_below_a_warning_nothing_is_held_back(self) -> None:
        repeats = Repeats(Clock())
        assert all(repeats.filter(record(level=logging.INFO)) for _ in range(9))

    def test_what_it_remembers_is_bounded(self) -> None:
        repeats = Repeats(Clock())
        for number in range(10 * MOST_KINDS):
            assert repeats.filter(record(f"message {number}"))
        assert len(repeats._seen) == MOST_KINDS


class TestFormat:
    def test_an_error_that_asyncio_reports_is_one_line(self) -> None:
        each = record(
            "socket.accept() out of system resource\nsocket: <>", error=OSError(24, "Too")
        )
        each.name = "asyncio"
        assert LogFormatter("%(name)s: %(message)s").format(each) == (
            "asyncio: socket.accept() out of system resource: [Errno 24] Too"
        )


@pytest.mark.skipif(sys.platform == "win32", reason="limits the number of files")
class TestDescriptorsExhausted:
    """A client that opens more connections than the server may have files open."""

    async def test_the_log_is_short_and_the_server_recovers(self) -> None:
        limited = ["sh", "-c", 'ulimit -n 40 && exec "$@"', "sh", *COMMAND]
        process = await start("serve", "--port", "0", command=limited)
        uri = (await first_line(process)).removeprefix("Listening on ").strip()
        port = int(uri.strip("/").rpartition(":")[2])
        assert process.stderr is not None
        said = b""
        with ExitStack() as crowd:
            for _ in range(200):
                link = crowd.enter_context(socket.socket())
                link.setblocking(False)
                link.connect_ex(("127.0.0.1", port))
            while b"Too many open files" not in said:
                said += await process.stderr.readline()
        async with connect(uri, open_timeout=PATIENCE) as websocket:
            await websocket.send("here again")
            assert await websocket.recv() == "here again"
        process.send_signal(signal.SIGINT)
        status, _, err = await finish(process)
        said += err.encode()
        assert status == 0
        assert len(said) < 2000
        assert b"Traceback" not in said


def test_a_stream_may_be_closed() -> None:
    assert not is_terminal(None)
    with open(os.devnull, encoding="utf-8") as stream:
        assert not is_terminal(stream)
    assert not is_terminal(stream)
