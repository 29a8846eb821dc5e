"""`refimpl demo` inside this process: who may ask it, and what it leaves behind."""

from __future__ import annotations

import asyncio
import signal
from contextlib import nullcontext

import pytest

from refimpl.cli.demo import only_here, serve_until_stopped, told_to_stop
from tests.support.rawhttp import asked as asked_raw

SETTINGS: dict[str, object] = {
    "access_log": False,
    "log_level": "warning",
    "ssl_certfile": None,
    "timeout_graceful_shutdown": 1,
}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "127.1", "::1", "localhost", "::ffff:127.0.0.1"]
)
def test_what_only_this_machine_reaches(host: str) -> None:
    """27: on ::1 the demo took every Host, and so pages that point their own name at it."""
    assert only_here(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "no.invalid"])
def test_what_others_may_reach_too(host: str) -> None:
    assert not only_here(host)


class TestStopping:
    @staticmethod
    def handled() -> set[int]:
        """Return the signals that the running loop handles."""
        loop = asyncio.get_running_loop()
        return set(loop._signal_handlers)  # type: ignore[attr-defined]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    async def test_a_signal_stops_it(self, number: signal.Signals) -> None:
        with told_to_stop() as stop:
            signal.raise_signal(number)
            async with asyncio.timeout(10):
                await stop.wait()
        assert self.handled() == set()

    @pytest.mark.parametrize("error", [None, ZeroDivisionError, asyncio.CancelledError])
    async def test_no_handler_is_left_behind(self, error: type[BaseException] | None) -> None:
        """15: SIGINT and SIGTERM were dead for the rest of the loop's life."""
        with pytest.raises(error) if error else nullcontext(), told_to_stop():
            assert self.handled() == {signal.SIGINT, signal.SIGTERM}
            if error:
                raise error
        assert self.handled() == set()

    async def test_a_demo_that_cannot_listen_leaves_none_either(self) -> None:
        with pytest.raises(OSError, match=r"192\.0\.2\.1"):
            await serve_until_stopped("192.0.2.1", 0, SETTINGS)
        assert self.handled() == set()

    async def test_in_another_thread_there_are_no_signals(self) -> None:
        def elsewhere() -> None:
            async def main() -> None:
                with told_to_stop() as stop:
                    assert not stop.is_set()

            asyncio.run(main())

        await asyncio.to_thread(elsewhere)


async def test_on_ipv6_it_knows_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    serving = asyncio.create_task(serve_until_stopped("::1", 0, SETTINGS))
    try:
        shown = ""
        async with asyncio.timeout(30):
            while "http://[::1]:" not in shown and not serving.done():
                await asyncio.sleep(0.01)
                shown += capsys.readouterr().out
        if serving.done() and isinstance(serving.exception(), OSError):
            pytest.skip("this system has no IPv6")
        port = int(shown.rpartition(":")[2].strip("/\n"))
        for host, status in (
            (f"[::1]:{port}", 200),
            ("localhost", 200),
            ("evil.example", 400),
            ("[2001:db8::1]", 400),
            (f"[::1]:{port}.evil.example", 400),
        ):
            answer = await asked_raw(port, "GET /api/people", f"Host: {host}\r\n", address="::1")
            assert (answer[0], b"amber-ladder" in answer[2]) == (status, status == 200), host
    finally:
        serving.cancel()
        await asyncio.wait([serving])
