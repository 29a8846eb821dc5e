"""`refimpl demo` as a process: one address, a working chat behind it, a quick and clean end."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing

import httpx
import pytest

from refimpl import connect
from refimpl.chat import DEMO
from tests.certificates import HERE as CERTIFICATES
from tests.test_cli_live import COMMAND, finish, first_line, start

QUICK = 8.0  # seconds for the end of a process on a busy machine; a client that hangs costs 10
# The command, with less patience for a head that does not come.
HASTY = """
import sys
from refimpl.cli.main import run
from refimpl.middleware.engine.http import HTTP

HTTP.head_timeout = 0.1
sys.exit(run(sys.argv[1:]))
"""


@asynccontextmanager
async def demo(
    *arguments: str, command: Sequence[str] = COMMAND
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the demo on a free port; give the process and its address."""
    process = await start("demo", "--port", "0", *arguments, command=command)
    line = await first_line(process)
    found = re.fullmatch(r"The chat is on (https?://127\.0\.0\.1:\d+)/\n", line)
    assert found, (line, await finish(process))
    try:
        yield process, found[1]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def sign_in(client: httpx.AsyncClient) -> dict[str, str]:
    """Sign in, and return the session as a header."""
    body = {"name": "Alice", "password": DEMO["Alice"]}
    response = await client.post("/api/sign-in", json=body)
    assert response.status_code == 200
    return {"cookie": response.headers["set-cookie"].partition(";")[0]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_and_ends_in_front_of_open_connections(number: signal.Signals) -> None:
    async with demo() as (process, address):
        headers = {"origin": address}
        async with httpx.AsyncClient(base_url=address, headers=headers) as client:
            page = await client.get("/")
            assert "<title>refimpl chat</title>" in page.text
            session = await sign_in(client)
            ticket = (await client.post("/api/tickets", headers=session)).json()["ticket"]
            uri = f"{address.replace('http', 'ws', 1)}/ws/chat?ticket={ticket}"
            async with connect(uri, compression="deflate") as websocket:
                assert websocket.core.agreement.extension is None
                assert json.loads(await websocket.recv())["connection"]
                begun = time.monotonic()
                process.send_signal(number)
                await websocket.wait_closed()
                assert websocket.close_code == 1012
                status, out, err = await finish(process)
    assert (status, out, err) == (0, "", "")
    assert time.monotonic() - begun < QUICK


async def test_a_head_that_does_not_end_is_waited_for_only_so_long() -> None:
    async with demo(command=(sys.executable, "-c", HASTY)) as (_, address):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.split(":")[2]))
        with closing(writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: ")
            async with asyncio.timeout(QUICK):
                answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_port_that_is_taken_is_one_line() -> None:
    async with demo() as (_, address):
        port = address.rpartition(":")[2]
        status, out, err = await finish(await start("demo", "--port", port))
    assert (status, out) == (1, "")
    assert err.startswith(f"refimpl: cannot listen on 127.0.0.1, port {port}: ")
    assert err.count("\n") == 1


async def test_an_address_that_is_not_ours_is_one_line() -> None:
    status, out, err = await finish(await start("demo", "--host", "192.0.2.1", "--port", "0"))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("refimpl: cannot listen on 192.0.2.1, port 0: ")


async def test_over_tls_and_compressed() -> None:
    certificate = str(CERTIFICATES / "localhost.pem")
    async with demo("--ssl", certificate, "--compression", "deflate") as (_, address):
        assert address.startswith("https://")
        async with httpx.AsyncClient(base_url=address, verify=False) as client:
            response = await client.get("/")
            assert response.status_code == 200
            assert "strict-transport-security" in response.headers


async def test_a_file_that_is_no_certificate() -> None:
    status, out, err = await finish(await start("demo", "--port", "0", "--ssl", __file__))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "no certificate with its key in it" in err
