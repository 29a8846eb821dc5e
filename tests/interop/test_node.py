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
    assert (report["code"], report["reason"]) == (3001, "done")
    assert ("permessage-deflate" in report["extensions"]) == (compression == "deflate")
    assert seen.end is not None
    assert seen.end.received == (3001, "done")


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
        said = await run_node("wscat", "--no-color", "-c", uri, "-x", "hello", "-w", "30")
    assert heard == ["hello"]
    assert "echo: hello" in said


async def test_our_client_on_a_listening_wscat() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with node_running("wscat", "--no-color", "--listen", str(port)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while b"Listening" not in await process.stdout.readline():
                pass
            async with connect(f"ws://127.0.0.1:{port}/") as ours:
                await ours.send("from refimpl")
                while b"from refimpl" not in await process.stdout.readline():
                    pass
                process.stdin.write(b"from wscat\n")
                assert await ours.recv() == "from wscat"
                process.stdin.close()
                process.kill()
                with pytest.raises(ConnectionClosed) as closed:
                    await ours.recv()
    assert closed.value.code == 1006
