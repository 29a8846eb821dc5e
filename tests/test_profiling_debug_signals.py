"""A CPU profile beside asyncio's own signals: none is lost, and no traceback is printed.

asyncio hears of a signal by a byte in a socket. The profiling timer's signal writes there as well,
and nobody reads while the loop is blocked: `TICKS` of them fill it several times over.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from refimpl import connect
from refimpl.profiling import sample_cpu
from refimpl.profiling.cpu import CPUSampler
from tests.test_cli_live import PATIENCE, first_line, start
from tests.test_cli_profile import TOKEN, profile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

TICKS = 3000
ROOT = str(Path(__file__).resolve().parents[1])
BLOCK = f"""
import signal, sys

def block():
    for _ in range({TICKS}):
        signal.raise_signal(signal.SIGPROF)
    print("blocked", flush=True)
    sys.stdin.readline()  # until SIGTERM has come
"""
PROGRAM = """
import asyncio
from contextlib import nullcontext
from refimpl.profiling import sample_cpu

async def main(profiling, work):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with profiling:
        work()
        async with asyncio.timeout(10):
            await stop.wait()
    print("stopped", flush=True)

def say():
    print("blocked", flush=True)

"""
BLOCKED = "asyncio.run(main(sample_cpu(), block))"
IDLE = "asyncio.run(main(sample_cpu(), say))"
AROUND = "with sample_cpu(): asyncio.run(main(nullcontext(), block))"


class TestProcess:
    @pytest.mark.parametrize("ending", [BLOCKED, IDLE, AROUND], ids=["blocked", "idle", "around"])
    def test_sigterm_arrives_and_nothing_is_printed(self, ending: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", BLOCK + PROGRAM + ending],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": ROOT},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"blocked\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(b"\n", PATIENCE)
        assert (process.returncode, out, err) == (0, b"stopped\n", b"")

    async def test_serve_ends_while_it_is_profiled(self, tmp_path: Path) -> None:
        app = BLOCK + "async def handler(websocket):\n    await websocket.recv()\n    block()\n"
        (tmp_path / "blocking_app.py").write_text(app)
        process = await start(
            "serve", "--port", "0", "--debug-port", "0", "--app", "blocking_app:handler",
            PYTHONPATH=os.pathsep.join((str(tmp_path), ROOT)), REFIMPL_DEBUG_TOKEN=TOKEN,
        )  # fmt: skip
        assert process.stderr is not None
        said = ""
        async with asyncio.timeout(PATIENCE):
            while not said.startswith("Profiles at "):
                said = (await process.stderr.readline()).decode()
        url = said.removeprefix("Profiles at ").strip().removesuffix("/debug/pprof/")
        uri = (await first_line(process)).removeprefix("Listening on ").strip()
        looking = asyncio.create_task(profile(url, "--seconds", "1", "--out", "-"))
        async with asyncio.timeout(PATIENCE), connect(uri) as websocket:
            while signal.SIGPROF not in await caught(process.pid):  # noqa: ASYNC110 - its own time
                await asyncio.sleep(0.01)
            await websocket.send("block")
            assert await first_line(process) == "blocked\n"
            process.terminate()
            _, err = await process.communicate(b"\n")
        assert process.returncode == 0
        assert b"Exception ignored" not in err
        assert b"Traceback" not in err
        await looking


async def caught(pid: int) -> set[int]:
    """Return the signals that a process has handlers for, as Linux tells."""
    status = await asyncio.to_thread(Path(f"/proc/{pid}/status").read_text)
    [line] = [line for line in status.splitlines() if line.startswith("SigCgt:")]
    mask = int(line.split()[1], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


class TestNothingStays:
    async def test_the_descriptor_of_the_loop_is_back(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: None)
        try:
            before = wakeup_descriptor()
            files = open_files()
            with sample_cpu():
                assert wakeup_descriptor() != before
                await asyncio.sleep(0)
            assert wakeup_descriptor() == before
            assert open_files() == files
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)

    async def test_without_a_descriptor_none_is_made(self) -> None:
        assert wakeup_descriptor() == -1
        with sample_cpu():
            signal.raise_signal(signal.SIGPROF)
            assert wakeup_descriptor() == -1

    async def test_each_signal_is_handled_once(self) -> None:
        loop, heard = asyncio.get_running_loop(), []
        loop.add_signal_handler(signal.SIGUSR1, heard.append, 1)
        try:
            with sample_cpu():
                for _ in range(TICKS):
                    signal.raise_signal(signal.SIGPROF)
                for _ in range(3):
                    signal.raise_signal(signal.SIGUSR1)
                await settled()
                assert len(heard) == 3
                signal.raise_signal(signal.SIGUSR1)  # still on its way at the end
            await settled()
            assert len(heard) == 4
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)

    async def test_a_handler_added_meanwhile_is_heard(self) -> None:
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        with sample_cpu():
            loop.add_signal_handler(signal.SIGUSR1, heard.set)
            theirs = wakeup_descriptor()
            for _ in range(TICKS):
                signal.raise_signal(signal.SIGPROF)
            signal.raise_signal(signal.SIGUSR1)
            async with asyncio.timeout(PATIENCE):
                await heard.wait()
        assert wakeup_descriptor() == theirs
        loop.remove_signal_handler(signal.SIGUSR1)

    async def test_handlers_removed_meanwhile_stay_removed(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: None)
        files = open_files()
        with sample_cpu():
            loop.remove_signal_handler(signal.SIGUSR1)
            for _ in range(TICKS):
                signal.raise_signal(signal.SIGPROF)
        assert wakeup_descriptor() == -1
        assert open_files() == files

    def test_a_loop_that_ends_meanwhile(self) -> None:
        async def main() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: None)
            sampler.start()
            await asyncio.sleep(0)

        files, sampler = open_files(), CPUSampler()
        asyncio.run(main())
        sampler.stop()
        assert wakeup_descriptor() == -1
        assert open_files() == files


def wakeup_descriptor() -> int:
    """Return the descriptor to which signals are written."""
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    return descriptor


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


async def settled() -> None:
    """Let the loop hear of every signal that was raised: the byte, what it hands on, the call."""
    for _ in range(10):
        await asyncio.sleep(0)
