"""What every peer written in Python does: listen on a free port, print it, end with its parent.

A peer is a process of its own. Its first line on standard output is JSON: the port, and the version
of the library. It ends when its standard input does, so that none outlives its parent.

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
"""Bytes of one message: the same limit for every peer, larger than in any workload."""
BACKLOG = 1024
"""Connections that may wait to be accepted: many come at once."""
JOINED = "joined"
"""What a broadcasting server sends to a client once it is in the room."""


def heartbeat(mode: str) -> float | None:
    """Return the seconds between pings for a library that sends them unless told otherwise.

    Only idle connections have heartbeats, and the first is due after the measurement: their memory
    belongs to the cost, their traffic does not.
    """
    return 300 if mode == "idle" else None


def listen() -> socket.socket:
    """Return a socket that listens on a free port of loopback."""
    return socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)


def named(package: str) -> str:
    """Return the name and the installed version of a package."""
    return f"{package} {version(package)}"


def announce(port: int, measured: str) -> None:
    """Print the port and the version; from now on the process ends with its standard input."""
    print(json.dumps({"port": port, "version": measured}), flush=True)  # noqa: T201
    threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
