"""Make the recordings of refimpl/lab/captures: real programs, our echo server, a wiretap between.

    python -m tools.record.programs                all of them
    python -m tools.record.programs wscat curl     only these

Needs Node.js with the packages of tests/interop/node (`npm ci` there), Chromium with the
`playwright` package, and curl: what is missing is an error. Notebooks and tests only read the
recordings.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from refimpl import ServerConnection, serve
from refimpl.lab.wire.capture import Capture, place_of
from refimpl.lab.wire.tap import Wiretap, wiretap
from tools.record.page import serve_page

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / "tests" / "interop" / "node" / "node_modules"
SAYINGS = ("Hello", "Good morning, good morning, good morning")
TIME_LIMIT = 60.0
FOLDER_HELP = "where to write (default: the captures of the package)"


class MissingProgram(Exception):
    """A program that is to be recorded is not installed: the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """How one recording is made.

    run: lets the program talk through the tap and returns its version. compression: what the server
    agrees to.
    """

    program: str
    run: Callable[[Wiretap], Awaitable[str]]
    compression: str | None = None


async def run_wscat(tap: Wiretap) -> str:
    """Let wscat send two messages; it then closes, without a code, after a second."""
    words = [part for saying in SAYINGS for part in ("-x", saying)]
    await run(
        "node", str(node_package("wscat") / "bin" / "wscat"), "-c", tap.uri, *words, "-w", "1"
    )
    return node_version("wscat")


async def run_node_ws(tap: Wiretap) -> str:
    """Let the `ws` package of Node.js hold the conversation of peers.cjs."""
    node_package("ws")
    await run(
        "node", str(Path(__file__).with_name("peers.cjs")), tap.uri, NODE_PATH=str(NODE_MODULES)
    )
    return node_version("ws")


async def run_curl(tap: Wiretap) -> str:
    """Let curl ask for a web page where there is only a WebSocket."""
    await run("curl", "--silent", "--http1.1", f"http://127.0.0.1:{tap.port}/")
    return (await run("curl", "--version")).split()[1]


async def run_websockets(tap: Wiretap) -> str:
    """Let the `websockets` client send a message whole and one in fragments, ping, and close."""
    from websockets.asyncio.client import connect

    async with connect(tap.uri) as connection:
        await connection.send(SAYINGS[0])
        await connection.recv()
        await connection.send(["one message ", "in ", "three parts"])
        await connection.recv()
        await (await connection.ping(b"still there?"))
        await connection.close(1000, "bye")
    return version("websockets")


async def run_chromium(tap: Wiretap) -> str:
    """Open the page in Chromium and press its buttons as a person would."""
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise MissingProgram("playwright is missing: pip install playwright") from error
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=which("chromium", "chromium-browser", "google-chrome"),
            args=["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [],
        )
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{tap.port}/")
        for saying in SAYINGS:
            await page.fill("#words", saying)
            await page.click("#send")
            await page.wait_for_function(
                f"document.body.innerText.includes('received: echo: {saying}')"
            )
        await page.click("#bye")
        await page.wait_for_function("document.body.innerText.includes('closed: 1000')")
        await browser.close()
        version_of_browser: str = browser.version
        return version_of_browser


RECORDINGS = {
    "wscat": Recording("wscat", run_wscat),
    "chromium": Recording("Chromium", run_chromium),
    "chromium_deflate": Recording("Chromium", run_chromium, "deflate"),
    "node_ws": Recording("ws for Node.js", run_node_ws),
    "websockets": Recording("websockets", run_websockets),
    "websockets_deflate": Recording("websockets", run_websockets, "deflate"),
    "curl": Recording("curl", run_curl),
}


async def echo(websocket: ServerConnection) -> None:
    """Answer each text with 'echo: ' in front, each message of bytes as it is."""
    async for message in websocket:
        await websocket.send(message if isinstance(message, bytes) else f"echo: {message}")


async def record(name: str) -> Capture:
    """Return a new recording of that name."""
    recording = RECORDINGS[name]
    page = serve_page if recording.run is run_chromium else None
    async with (
        asyncio.timeout(TIME_LIMIT),
        serve(
            echo, "127.0.0.1", 0, compression=recording.compression, process_request=page
        ) as server,
        wiretap("127.0.0.1", server.sockets[0].getsockname()[1]) as tap,
    ):
        program_version = await recording.run(tap)
        await tap.idle()
        capture = tap.capture
    capture.program, capture.version = recording.program, program_version
    capture.command = f"python -m tools.record.programs {name}"
    return capture


def keep(name: str, capture: Capture, folder: Path | None) -> None:
    """Write a recording into a folder, or else to its place in the package."""
    path = folder / f"{name}.json" if folder else place_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    capture.save(path)


async def run(program: str, *arguments: str, **environment: str) -> str:
    """Run a program to its end and return what it printed; RuntimeError when it fails."""
    process = await asyncio.create_subprocess_exec(
        which(program),
        *arguments,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,  # left open: wscat leaves when its input ends
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    printed, complaint = await asyncio.gather(process.stdout.read(), process.stderr.read())
    if await process.wait():
        raise RuntimeError(f"{program} failed: {complaint.decode(errors='replace').strip()}")
    return printed.decode(errors="replace")


def which(*names: str) -> str:
    """Return the path of the first of these programs that is installed."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise MissingProgram(f"{names[0]} is missing: install it and see that it is on the PATH")


def node_package(name: str) -> Path:
    """Return the folder of an installed Node.js package."""
    folder = NODE_MODULES / name
    if not folder.is_dir():
        raise MissingProgram(f"{name} is missing: run npm ci in tests/interop/node")
    return folder


def node_version(name: str) -> str:
    """Return the version of an installed Node.js package."""
    import json

    return str(
        json.loads((node_package(name) / "package.json").read_text(encoding="utf-8"))["version"]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Record what was asked for; return 0, or 1 where a program is missing or fails."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.record.programs", description=__doc__.split("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(RECORDINGS)}")
    parser.add_argument("--folder", type=Path, help=FOLDER_HELP)
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(RECORDINGS):
        parser.error(
            f"no recording named {', '.join(sorted(unknown))}; there are: {', '.join(RECORDINGS)}"
        )
    failed = 0
    for name in options.names or RECORDINGS:
        try:
            capture = asyncio.run(record(name))
        except (MissingProgram, RuntimeError, TimeoutError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
            continue
        keep(name, capture, options.folder)
        print(f"{name}: {capture.program} {capture.version}, {len(capture.decode())} steps")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
