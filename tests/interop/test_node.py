"""Node's `ws` both ways, and `wscat` from a terminal."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from typing import Any

import pytest

from refimpl import connect, serve
from refimpl.errors import ConnectionClosed
from tests.interop.conversation import COMPRESSIONS, conversation, echo_server
from tests.interop.node_peer import node_running, run_node

pytestmark = pytest.mark.node
both_compressions = pytest.mark.parametrize("compression", COMPRESSIONS)


def as_json(messages: list[str | bytes]) -> bytes:
    """Write messages as client.mjs reads them."""
    rows = [
        {"text": one} if isinstance(one, str) else {"base64": base64.b64encode(one).decode()}
        for one in messages
    ]
    return json.dumps(rows).encode()


def switch(compression: str | None) -> str:
    return "true" if compression else "false"


@both_compressions
async def test_ws_client_on_our_server(compression: str | None) -> None:
    messages = conversation()
    async with echo_server(compression=compression) as (uri, seen):
        said = await run_node("client.mjs", uri, switch(compression), stdin=as_json(messages))
    report = json.loads(said)
    assert report["echoed"] == seen.messages == len(messages)
    assert report["pong"] == "are you there"
    assert report["code"] == 3001
    assert ("permessage-deflate" in report["extensions"]) == (compression == "deflate")
    assert seen.end is not None
    assert seen.end.received == (3001, "done")
    assert seen.end.order == "received"


@both_compressions
async def test_our_client_on_ws_server(compression: str | None) -> None:
    async with node_running("server.mjs", switch(compression)) as process:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        async with connect(f"ws://127.0.0.1:{port}/", compression=compression) as ours:
            for message in conversation():
                await ours.send(message)
                assert await ours.recv() == message
            agreed = ours.response.headers.get("Sec-WebSocket-Extensions")
            await ours.close(3001, "done")
        async with asyncio.timeout(10):
            end = json.loads(await process.stdout.readline())
    assert end == {"code": 3001, "reason": "done"}
    assert (agreed is not None) == (compression == "deflate")


async def test_wscat_on_our_server() -> None:
    heard: list[str] = []

    async def answer_once(connection: Any) -> None:
        heard.append(await connection.recv())
        await connection.send("echo: " + heard[0])
        await connection.close()

    async with serve(answer_once, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        uri = f"ws://127.0.0.1:{port}/"
        async with node_running("wscat", "-c", uri, "-x", "hello", "-w", "30") as process:
            assert process.stdout is not None
            async with asyncio.timeout(30):
                said = await process.stdout.read()
                assert await process.wait() == 0
    assert heard == ["hello"]
    assert said.decode().splitlines() == ["echo: hello"]


async def first_connection(uri: str) -> Any:
    """Connect to a program that is still starting and does not say when it listens."""
    while True:
        try:
            return await connect(uri)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)


async def test_our_client_on_a_listening_wscat() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with node_running("wscat", "--listen", str(port)) as process, asyncio.timeout(30):
        assert process.stdin is not None
        assert process.stdout is not None
        async with await first_connection(f"ws://127.0.0.1:{port}/") as ours:
            await ours.send("from refimpl")
            assert (await process.stdout.readline()).endswith(b"from refimpl\n")  # after a prompt
            process.stdin.write(b"from wscat\n")
            assert await ours.recv() == "from wscat"
            process.kill()
            with pytest.raises(ConnectionClosed) as closed:
                await ours.recv()
    assert closed.value.code == 1006
