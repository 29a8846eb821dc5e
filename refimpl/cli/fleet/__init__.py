"""Several nodes of the chat on this machine: Valkey behind them, Caddy in front, one address.

Caddy gives a new connection to the node with the fewest, and a request whose node is gone to
another one.
"""

import asyncio
import secrets
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from refimpl.cli.fleet.parts import (
    Missing,
    answers,
    find_caddy,
    port_of,
    start_caddy,
    start_node,
    start_valkey,
)
from refimpl.cli.output import say

__all__ = ["Missing", "fleet"]

ENDED_WITHIN = 5.0  # seconds until a process that was told to end is killed


async def fleet(
    stop: asyncio.Event, host: str, port: int, count: int, *, url: str | None, compression: str
) -> None:
    """Start all processes, print the address, and end them all when `stop` is set.

    url: of the store; None for one of our own. Raises OSError where the address cannot be had,
    Missing, and RuntimeError where a process does not start, or none is left that could go on.
    """
    program = find_caddy()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    key, nodes, others = secrets.token_hex(32), dict[str, Process](), list[Process]()
    with (
        TemporaryDirectory(prefix="refimpl-fleet-") as folder,
        socket.create_server((host, port), family=family) as listener,
    ):
        name, port = listener.getsockname()[:2]
        try:
            if url is None:
                url, valkey = await start_valkey(Path(folder))
                others.append(valkey)
            for number in range(count):
                each = f"node-{number + 1}"
                nodes[each] = await start_node(each, url, key, compression)
            ports = {each: await port_of(each, process) for each, process in nodes.items()}
            caddy = await start_caddy(program, ports, listener, Path(folder))
            others.append(caddy)
            listener.close()
            await answers(name, port)
            say(f"The chat is on http://{f'[{name}]' if ':' in name else name}:{port}/")
            sys.stdout.flush()
            await until_over(stop, nodes, caddy)
        finally:
            await end(nodes.values())  # each says goodbye to its clients, through Caddy
            await end(others)


async def until_over(stop: asyncio.Event, nodes: dict[str, Process], proxy: Process) -> None:
    """Wait until told to stop; say which node ends. Raises RuntimeError where none, or no Caddy, is
    left."""
    create = asyncio.get_running_loop().create_task
    told = create(stop.wait())
    ends = {create(process.wait()): name for name, process in nodes.items()}
    ends[create(proxy.wait())] = "Caddy"
    try:
        while not told.done():
            done, _ = await asyncio.wait([told, *ends], return_when=asyncio.FIRST_COMPLETED)
            over = [ends.pop(task) for task in done if task is not told]
            for name in over:
                say(f"{name} has ended", err=True)
            if not told.done() and ("Caddy" in over or len(ends) == 1):
                raise RuntimeError("the fleet cannot go on without Caddy and one node at least")
    finally:
        for task in (told, *ends):
            task.cancel()


async def end(processes: Iterable[Process]) -> None:
    """Tell processes to end, and kill those that do not."""
    running = [process for process in processes if process.returncode is None]
    for process in running:
        with suppress(ProcessLookupError):
            process.terminate()
    waiting = [asyncio.ensure_future(process.wait()) for process in running]
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=ENDED_WITHIN)
        for process, waits in zip(running, waiting, strict=True):
            if waits in late:
                with suppress(ProcessLookupError):
                    process.kill()
                await waits
