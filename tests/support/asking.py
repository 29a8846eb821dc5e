"""An HTTP client for the debug endpoints that also sends what no library would."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from refimpl.handshake import parse_response
from refimpl.profiling.debug import DebugServer

PATIENCE = 20.0


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str


def head(debug: DebugServer, path: str, method: str = "GET", **headers: str | None) -> bytes:
    """A request with Host and token, unless headers say otherwise; None leaves one out."""
    fields = {"host": f"127.0.0.1:{debug.port}", "authorization": f"Bearer {debug.token}"}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{k}: {v}" for k, v in {**fields, **given}.items() if v is not None]
    return "\r\n".join([f"{method} /debug/pprof/{path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


async def send(debug: DebugServer, data: bytes) -> Reply:
    """Send bytes on a connection of their own, and read until the server hangs up."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", debug.port)
        try:
            writer.write(data)
            answer = await reader.read(-1)
        finally:
            writer.close()
    parsed = parse_response(answer)
    assert parsed is not None, answer
    response, end = parsed
    headers = {name.lower(): value for name, value in response.headers}
    assert int(headers["content-length"]) == len(answer) - end
    return Reply(response.status, headers, answer[end:].decode())


async def ask(
    debug: DebugServer, path: str = "", method: str = "GET", **headers: str | None
) -> Reply:
    return await send(debug, head(debug, path, method, **headers))


async def until(debug: DebugServer, words: str) -> None:
    """Ask for the index page until it says so."""
    async with asyncio.timeout(PATIENCE):
        while words not in (await ask(debug)).text:
            pass
