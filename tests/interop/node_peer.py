"""Finds and runs the Node programs; a missing one fails the test with the way to get it."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).with_name("node")


def node_command(script: str, *arguments: str) -> list[str]:
    """Return the command that runs a script of ours, or a program under node_modules/.bin."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("Node.js is missing: install node 18 or newer, with npm", pytrace=False)
    path = HERE / script if script.endswith(".mjs") else HERE / "node_modules" / ".bin" / script
    if not (HERE / "node_modules" / "ws").is_dir() or not path.exists():
        pytest.fail(
            "the Node peers are missing: run `make browser`, or npm ci in tests/interop/node"
        )
    return [node, str(path), *arguments]


async def run_node(script: str, *arguments: str, stdin: bytes = b"") -> str:
    """Run a program to its end and return what it printed; a failure fails the test."""
    process = await asyncio.create_subprocess_exec(
        *node_command(script, *arguments), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(60):
            out, errors = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return out.decode()


@asynccontextmanager
async def node_running(script: str, *arguments: str) -> AsyncIterator[Process]:
    """Run a program beside the test, its standard input and output being pipes; end it after."""
    process = await asyncio.create_subprocess_exec(
        *node_command(script, *arguments), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
