"""The peer `ws` on Node.js: where Node and the package are, and how to install them."""

import os
import shutil
from pathlib import Path

__all__ = ["command", "missing"]

SERVER = Path(__file__).with_name("echo_ws.cjs")
CHECKOUT = Path("tests") / "interop" / "node" / "node_modules"


def missing() -> str | None:
    """Return how to install Node or `ws`, whichever is not there."""
    if shutil.which("node") is None:
        return "install Node.js 18 or newer with npm, then: npm install ws"
    if find() is None:
        return "npm install ws, in this folder (in a checkout: npm ci in tests/interop/node)"
    return None


def find() -> Path | None:
    """Return where `ws` is: on NODE_PATH, or below the working directory."""
    named = [Path(each) for each in os.environ.get("NODE_PATH", "").split(os.pathsep) if each]
    for folder in (*named, Path.cwd() / "node_modules", Path.cwd() / CHECKOUT):
        if (folder / "ws" / "package.json").is_file():
            return folder / "ws"
    return None


def command(mode: str, folder: Path) -> list[str]:
    """Return the command that runs the peer; its last argument is where `ws` is."""
    return ["node", str(SERVER), mode, str(find())]
