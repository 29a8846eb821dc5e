"""The scripts, one for each change: `lua/NAME.lua` behind `lua/common.lua`.

A server runs a script as one step, with nobody else's command in between; a cluster's only on keys
of one slot. It is called by the hash of its text; a server that does not know it says NOSCRIPT, and
gets the text.

>>> SCRIPTS["publish"].sha == sha1(SCRIPTS["publish"].text).hexdigest().encode()
True
"""

from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

__all__ = ["SCRIPTS", "Script"]

FOLDER = Path(__file__).with_name("lua")
COMMON = "common"


@dataclass(frozen=True, slots=True)
class Script:
    """One script. sha: of its text, in hexadecimal digits."""

    name: str
    text: bytes
    sha: bytes


def _load() -> dict[str, Script]:
    common = (FOLDER / f"{COMMON}.lua").read_bytes()
    scripts = {}
    for path in sorted(FOLDER.glob("*.lua")):
        if path.stem != COMMON:
            text = (common + path.read_bytes()).replace(b"\r\n", b"\n")
            digest = sha1(text, usedforsecurity=False).hexdigest().encode()
            scripts[path.stem] = Script(path.stem, text, digest)
    return scripts


SCRIPTS = _load()
