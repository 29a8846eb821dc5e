"""What every peer written in Python does: take a free port, say so, and go when its parent goes.

A peer is a process of its own. Its first line on standard output is JSON: the port, and the version
it measures. It ends when its standard input does, so that none outlives the one who started it.

>>> JOINED
'joined'
"""

import json
import os
import socket
import sys
import threading
from importlib.metadata import version

__all__ = ["BACKLOG", "JOINED", "LIMIT", "announce", "heartbeat", "listen", "named"]

LIMIT = 2**24
"""Bytes of one message: every peer gets the same limit, above all workloads."""
BACKLOG = 1024
"""Connections that may wait to be accepted: crowds come fast."""
JOINED = "joined"
"""What a broadcasting server tells a client that is in the crowd from then on."""


def heartbeat(mode: str) -> float | None:
    """Return the seconds between pings for a library that sends them unless told otherwise.

    Only idle connections have them, and later than the measurement lasts: what a heartbeat takes in
    memory belongs to the cost, its traffic does not.
    """
    return 300 if mode == "idle" else None


def listen() -> socket.socket:
    """Return a socket that listens on a free port of loopback."""
    return socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)


def named(package: str) -> str:
    """Return a package's name and version, as it is installed."""
    return f"{package} {version(package)}"


def announce(port: int, measured: str) -> None:
    """Say the port and the version; from now on the process ends with its standard input."""
    print(json.dumps({"port": port, "version": measured}), flush=True)  # noqa: T201
    threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
