"""One program, two stacks: a program for `websockets` runs on refimpl by changing its import."""

from __future__ import annotations

import importlib
from types import ModuleType, SimpleNamespace

import pytest

PROGRAM = """
import asyncio

{imports}

log = []


async def handler(websocket):
    log.append(("path", websocket.request.path))
    try:
        async for message in websocket:
            if message == "everyone":
                broadcast(server.connections, "to everyone")
            elif message == "fragments":
                await websocket.send(["frag", "ment", "ed"])
            elif message == "bye":
                await websocket.close(4001, "as you wish")
            else:
                await websocket.send(message)
    except ConnectionClosed:
        log.append(("server saw", websocket.close_code))


def process_request(connection, request):
    if request.path == "/healthz":
        return connection.respond(200, "OK")


async def conversation(uri):
    async with connect(uri + "/chat", subprotocols=["v1.chat"], max_size=2**21) as websocket:
        log.append(("subprotocol", websocket.subprotocol))
        log.append(("status", websocket.response.headers["Upgrade"]))
        await websocket.send("text")
        await websocket.send(b"binary")
        log.append((await websocket.recv(), await websocket.recv()))
        await websocket.send(bytes(100_000))
        log.append(len(await websocket.recv()))
        await websocket.send("fragments")
        log.append(await asyncio.wait_for(websocket.recv(), timeout=10))
        await websocket.send("everyone")
        log.append(await websocket.recv())
        pong = await websocket.ping()
        log.append(("latency", await pong >= 0, websocket.latency >= 0))
        await websocket.send("bye")
        try:
            await websocket.recv()
        except ConnectionClosed:
            log.append((websocket.close_code, websocket.close_reason))
        try:
            await websocket.send("too late")
        except ConnectionClosed:
            log.append("closed")


async def main():
    global server
    async with serve(
        handler,
        "127.0.0.1",
        0,
        subprotocols=["v1.chat"],
        process_request=process_request,
        origins=None,
        ping_interval=20,
        ping_timeout=20,
        close_timeout=10,
        open_timeout=10,
        max_size=2**20,
        max_queue=16,
        write_limit=32768,
        compression=None,
    ) as server:
        port = server.sockets[0].getsockname()[1]
        await conversation(f"ws://127.0.0.1:{{port}}")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        answer = await reader.read()
        log.append((answer[:12], answer[-2:]))
        writer.close()
        await writer.wait_closed()
        websocket = await connect(f"ws://127.0.0.1:{{port}}/", subprotocols=["v1.chat"])
        await websocket.send("quick")
        log.append(await websocket.recv())
        await websocket.close()
        log.append(("closed", websocket.close_code))
        log.append(("open", len(server.connections)))


def run():
    asyncio.run(main())
    return log
"""

IMPORTS = {
    "websockets": """
from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed
""",
    "refimpl": """
from refimpl import ConnectionClosed, broadcast, connect, serve
""",
}

EXPECTED = [
    ("path", "/chat"),
    ("subprotocol", "v1.chat"),
    ("status", "websocket"),
    ("text", b"binary"),
    100_000,
    "fragmented",
    "to everyone",
    ("latency", True, True),
    (4001, "as you wish"),
    ("server saw", 4001),
    "closed",
    (b"HTTP/1.1 200", b"OK"),
    ("path", "/"),
    "quick",
    ("closed", 1000),
    ("open", 0),
]


def load(stack: str) -> ModuleType | SimpleNamespace:
    importlib.import_module(stack)
    namespace: dict[str, object] = {}
    exec(
        compile(PROGRAM.format(imports=IMPORTS[stack]), f"<program on {stack}>", "exec"), namespace
    )
    return SimpleNamespace(**namespace)


@pytest.mark.parametrize("stack", ["websockets", "refimpl"])
def test_the_same_program_does_the_same(stack: str) -> None:
    # The order of the server's and the client's lines may differ: each side runs by itself.
    assert sorted(map(repr, load(stack).run())) == sorted(map(repr, EXPECTED))
