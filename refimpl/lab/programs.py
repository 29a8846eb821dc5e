"""program: a coroutine function of a notebook, run in a process of its own, which can be killed.

    async def node(name):
        from refimpl import serve
        async with serve(echo, "127.0.0.1", 0) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()

    async with program(node, "node-1") as first:
        async with websockets.connect(first.ws) as client: ...
        first.kill()                         SIGKILL: no finally runs in there, no goodbye is sent

The process gets the function's source, so the function imports what it needs itself. It ends with
the block, and also where the notebook's kernel dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import IO, Any

__all__ = ["Program", "program"]

PACKAGE = Path(__file__).resolve().parents[1]
PATIENCE = 30.0  # seconds for the first line

# A thread waits for the end of standard input, which comes when the kernel is gone.
SOURCE = """\
import asyncio, os, sys, threading

threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()

{source}

asyncio.run({name}(*sys.argv[1:]))
"""


class Program:
    """A running process. port: what its first line says; ws: the address that this makes."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    @property
    def ws(self) -> str:
        """The ws:// address of the server in the process."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process at once (SIGKILL where there are signals), and wait until it is gone."""
        self._process.kill()
        self._process.wait()


@contextlib.asynccontextmanager
async def program(
    main: Callable[..., Coroutine[Any, Any, None]], *arguments: str
) -> AsyncIterator[Program]:
    """Run a coroutine function in a process of its own while the block runs.

    main: prints its port as its first line, flushed. arguments: for main, as text. Raises
    RuntimeError where the first line is no port, with it and the last line of standard error;
    TimeoutError where none comes.
    """
    with tempfile.TemporaryFile("w+") as errors, _start(main, arguments, errors) as process:
        try:
            yield Program(process, await _port(process, errors))
        finally:
            process.kill()


def _start(
    main: Callable[..., object], arguments: tuple[str, ...], errors: IO[str]
) -> subprocess.Popen[str]:
    source = textwrap.dedent(inspect.getsource(main))
    code = SOURCE.format(source=source, name=main.__name__)
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


async def _port(process: subprocess.Popen[str], errors: IO[str]) -> int:
    """Return what the process prints first, as a port."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = await asyncio.to_thread(process.stdout.readline)
    if line.strip().isdecimal():
        return int(line)
    process.kill()
    process.wait()
    errors.seek(0)
    tail = errors.read().strip().splitlines()[-1:]
    said = [line.strip()] * bool(line.strip()) + tail
    raise RuntimeError(f"got {said}, expected a port as the first line that the program prints")
