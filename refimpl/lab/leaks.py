"""The last cell of a notebook: none of its tasks runs any more, and none of its sockets is open.

A kernel has tasks and sockets of its own. Those that existed when `refimpl.lab` was imported are
not counted, nor are tasks whose code belongs to the kernel.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref

from refimpl.lab.text import Text, plural

KERNEL = (
    "ipykernel",
    "IPython",
    "jupyter_client",
    "tornado",
    "zmq",
    "traitlets",
    "anyio",
    "debugpy",
    "nbclient",
)
PATIENCE = 3.0
"""Seconds for tasks to end and sockets to close before they count as left."""

_known_tasks: weakref.WeakSet[asyncio.Task[object]] = weakref.WeakSet()
_known_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def start_counting() -> None:
    """Note what exists now, which is not counted; called once, as `refimpl.lab` is imported."""
    _known_sockets.update(_open_sockets())
    try:
        _known_tasks.update(asyncio.all_tasks())
    except RuntimeError:
        pass  # imported outside a running loop: no task exists


def tasks_left() -> list[asyncio.Task[object]]:
    """Return the loop's unfinished tasks that a notebook or its libraries made, sorted by name."""
    current = asyncio.current_task()
    left = [
        task
        for task in asyncio.all_tasks()
        if task is not current and task not in _known_tasks and not _is_kernels(task)
    ]
    return sorted(left, key=lambda task: task.get_name())


def sockets_left() -> list[socket.socket]:
    """Return the open TCP sockets made since `refimpl.lab` was imported."""
    return [each for each in _open_sockets() if each not in _known_sockets]


def _open_sockets() -> list[socket.socket]:
    """Return every open TCP socket of this process, without the loop's wake-up pair."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = []
    for each in gc.get_objects():
        # type(), not isinstance(): a proxy object's __class__ may run code
        if (
            issubclass(type(each), socket.socket)
            and each.fileno() != -1
            and each.family in families
        ):
            found.append(each)
    return found


def _is_kernels(task: asyncio.Task[object]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    path = getattr(code, "co_filename", "").replace("\\", "/")
    return any(f"/{package}/" in path for package in KERNEL)


def _name(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())


def _address(each: socket.socket) -> str:
    try:
        here = each.getsockname()
    except OSError:
        return "a socket"
    try:
        return f"a connection to port {each.getpeername()[1]}"
    except OSError:
        return f"a socket on port {here[1]}"


async def assert_nothing_left() -> Text:
    """Return 'nothing left: no task, no socket', or raise AssertionError naming what is left.

    Waits for up to three seconds, since a closing connection may need a few turns of the loop.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE
    await asyncio.sleep(0)  # aborted transports close first: searching a large heap takes seconds
    while True:
        gc.collect()
        tasks, sockets = tasks_left(), sockets_left()
        if not tasks and not sockets:
            return Text("nothing left: no task, no socket")
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.02)
    parts = []
    if tasks:
        parts.append(f"{plural(len(tasks), 'task')} ({', '.join(map(_name, tasks))})")
    if sockets:
        parts.append(f"{plural(len(sockets), 'socket')} ({', '.join(map(_address, sockets))})")
    raise AssertionError(f"still there: {' and '.join(parts)}; close what the notebook opened")
