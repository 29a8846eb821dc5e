"""The peer `gorilla`: gorilla/websocket in Go, built on first use.

With Debian's package of it no network is needed. Otherwise Go downloads the module, and checks it
against its checksum database.
"""

import os
import shutil
import subprocess
from pathlib import Path

from refimpl.errors import WebSocketError

__all__ = ["BuildFailed", "command", "missing"]

SOURCES = Path(__file__).with_name("gorilla")
DEBIAN_PACKAGE = "golang-github-gorilla-websocket-dev"
DEBIAN = Path("/usr/share/gocode")
IN_DEBIAN = DEBIAN / "src/github.com/gorilla/websocket"
BUILD_LIMIT = 300  # seconds; the first time, Go compiles its HTTP server too


class BuildFailed(WebSocketError):
    """The peer's program could not be built: the compiler's first words say why."""


def missing() -> str | None:
    """Return how to install Go, or None if it is there."""
    if shutil.which("go"):
        return None
    return f"install Go 1.19 or newer; on Debian: apt install golang {DEBIAN_PACKAGE}"


def command(mode: str, folder: Path) -> list[str]:
    """Return the command that runs the peer; build it in that folder if need be."""
    program = folder / "gorilla"
    if not program.exists():
        build(program)
    return [str(program), mode]


def build(program: Path) -> None:
    """Build the peer. Raises BuildFailed."""
    sources = program.with_name("gorilla-source")
    sources.mkdir(exist_ok=True)
    for name in ("main.go", "go.mod"):
        shutil.copy(SOURCES / name, sources)
    flags = ["-o", str(program), "-ldflags", f"-X main.version={wanted_version()}"]
    settings, what = {"GOFLAGS": "-mod=mod"}, ["."]
    if IN_DEBIAN.is_dir():
        settings, what = {"GO111MODULE": "off", "GOPATH": str(DEBIAN), "GOFLAGS": ""}, ["main.go"]
    try:
        done = subprocess.run(
            ["go", "build", *flags, *what],
            cwd=sources,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=BUILD_LIMIT,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"gorilla: go build took more than {BUILD_LIMIT} s") from error
    if done.returncode:
        raise BuildFailed(f"gorilla: go build failed: {' '.join(done.stderr.split())[:300]}")


def wanted_version() -> str:
    """Return the version that will be used: Debian's, or the one that go.mod asks for."""
    if not IN_DEBIAN.is_dir():
        return (SOURCES / "go.mod").read_text(encoding="utf-8").split()[-1].removeprefix("v")
    try:
        asked = ["dpkg-query", "-W", "-f=${Version}", DEBIAN_PACKAGE]
        told = subprocess.run(asked, capture_output=True, text=True).stdout
    except OSError:
        told = ""
    return told or "of unknown version"
