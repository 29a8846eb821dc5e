"""The servers that are measured side by side: how each is started, and how to install it.

Each is a small file in this folder and runs as a process of its own. All echo, or broadcast in the
mode `bcast`, without compression and with the same limit on a message. Each uses the API that its
users write against: awaited messages if there is such an API. Heartbeats have the library's default
in the mode `idle`, where their memory counts, and are off elsewhere.

>>> list(PEERS)[:4]
['refimpl', 'refimpl-pure', 'refimpl-uvloop', 'websockets']
>>> PEERS["raw"].missing() is None
True
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from refimpl.bench.peers import gorilla, node

__all__ = ["OURS", "PEERS", "SUBJECT", "Peer", "find_peers", "is_ours"]

SUBJECT = "refimpl"
"""The peer that the others are compared with."""

Command = Callable[[str, Path], list[str]]


@dataclass(frozen=True, slots=True)
class Peer:
    """One server under test.

    command: called with a mode and a folder for what it builds; returns what to run. missing:
    returns how to install what is missing, or None. handshake: False for a server of plain TCP,
    which sends frames back unchanged.
    """

    name: str
    command: Command
    missing: Callable[[], str | None] = lambda: None
    handshake: bool = True


def in_python(
    module: str, function: str = "main", before: str = "", place: str = "refimpl.bench.peers"
) -> Command:
    """Return the command of a peer written in Python. before: statements that run first."""

    def command(mode: str, folder: Path) -> list[str]:
        program = f"{before}from {place}.{module} import {function}; {function}({mode!r})"
        return [sys.executable, "-c", program]

    return command


def in_checkout(name: str) -> Peer:
    """Return a peer of ours from another checkout: "refimpl@../before".

    Raises LookupError for a name that is not ours, or a folder without the package.
    """
    variant, _, folder = name.partition("@")
    package = Path(folder).absolute() / "refimpl"
    if variant not in OURS or not (package / "__init__.py").is_file():
        raise LookupError(f"got peer {name!r}, expected one of ours, @, and a checkout's folder")
    module, function, before = OURS[variant]
    path = f"import sys; sys.path.insert(0, {str(package.parent)!r}); "
    # Older checkouts, in which the bench is no package of its own, have the servers in the stack.
    floor = "bench" if (package / "bench").is_dir() else "profiling"
    command = in_python(module, function, path + before, f"refimpl.{floor}.peers")
    return Peer(name, command, PEERS[variant].missing)


def packages(*names: str, remedy: str = "") -> Callable[[], str | None]:
    """Return a function that tells how to install the packages, or None if all are there."""

    def missing() -> str | None:
        if all(map(installed, names)):
            return None
        return remedy or f"pip install {' '.join(names)}"

    return missing


def installed(name: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent package is missing too
        return False


# Importing a module that is None in sys.modules fails: the core then uses its mask in Python.
WITHOUT_C_MASK = "import sys; sys.modules['websockets.speedups'] = None; "
NO_ENGINE = "pip install uvicorn, and a refimpl that has refimpl.middleware.engine"

OURS = {
    "refimpl": ("echo_refimpl", "main", ""),
    "refimpl-pure": ("echo_refimpl", "main", WITHOUT_C_MASK),
    "refimpl-uvloop": ("echo_refimpl", "main_on_uvloop", ""),
    "uvicorn+refimpl": ("echo_uvicorn", "main_with_engine", ""),
}
"""The peers that are ours: module, function, and the statements that run first."""
PEERS = {
    peer.name: peer
    for peer in (
        Peer("refimpl", in_python(*OURS["refimpl"])),
        Peer("refimpl-pure", in_python(*OURS["refimpl-pure"])),
        Peer("refimpl-uvloop", in_python(*OURS["refimpl-uvloop"]), packages("uvloop")),
        Peer("websockets", in_python("echo_websockets"), packages("websockets")),
        Peer("aiohttp", in_python("echo_aiohttp"), packages("aiohttp")),
        Peer("wsproto", in_python("echo_wsproto"), packages("wsproto")),
        Peer("uvicorn", in_python("echo_uvicorn"), packages("uvicorn", "websockets")),
        Peer(
            "uvicorn+refimpl",
            in_python(*OURS["uvicorn+refimpl"]),
            packages("uvicorn", "refimpl.middleware.engine", remedy=NO_ENGINE),
        ),
        Peer("picows", in_python("echo_picows"), packages("picows")),
        Peer("gorilla", gorilla.command, gorilla.missing),
        Peer("ws", node.command, node.missing),
        Peer("raw", in_python("echo_raw"), handshake=False),
    )
}
"""Every peer by name, ours first."""


def find_peers(names: list[str]) -> tuple[list[Peer], dict[str, str]]:
    """Return the peers of those names that are installed, and how to install the others.

    Ours comes first, and always. Raises LookupError for an unknown name; one of ours may be from
    another checkout, as in "refimpl@../before".
    """
    unknown = [name for name in names if name not in PEERS and "@" not in name]
    if unknown:
        raise LookupError(f"got peer {unknown[0]!r}, expected one of {', '.join(PEERS)}")
    wanted = [PEERS.get(name) or in_checkout(name) for name in dict.fromkeys((SUBJECT, *names))]
    remedies = {peer.name: remedy for peer in wanted if (remedy := peer.missing())}
    return [peer for peer in wanted if peer.name not in remedies], remedies


def is_ours(name: str) -> bool:
    """Return whether a peer is this package, in any variant and from any checkout."""
    return name.partition("@")[0] in OURS
