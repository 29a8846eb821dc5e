"""One of our nodes under load: people join a room each and talk, over a store that nodes share.

A connection's first message names its room; the answer is "ready". Each later one is published in
the room. A payload that is delivered is a number of LEAD digits and the text that was sent.
"""

import asyncio
import itertools
import json
import sys
from contextlib import AsyncExitStack

from refimpl.bench.machine import FIRST, on_core, raise_file_limit
from refimpl.errors import ConnectionClosed
from refimpl.lifecycle import WebSocket, serve
from refimpl.sessions import Event, Message, Node, SessionsError, ValkeyStore, as_json

__all__ = ["LEAD", "main"]

LEAD = 16


def render(event: Event) -> str:
    """Return a message as a payload of fixed size, any other event as JSON."""
    if isinstance(event, Message):
        return f"{event.number:0{LEAD}d}{event.data.decode()}"
    return as_json(event)


async def run_node(name: str, url: str, prefix: str) -> None:
    """Serve until standard input ends; print the port first, or why there is none."""
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(ValkeyStore(url, prefix=prefix))
            node: Node[WebSocket] = Node(store, name, render=render)
            await stack.enter_async_context(node)
        except SessionsError as error:
            print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201
            return

        async def talk(websocket: WebSocket) -> None:
            """Join the room that the first message names, and say what follows."""
            room = str(await websocket.recv())
            async with node.connected("load", websocket) as connection:
                await node.join(connection, room)
                await websocket.send("ready")
                try:
                    for number in itertools.count():
                        text = await websocket.recv()
                        await node.publish(room, f"{connection.id}:{number}", str(text).encode())
                except ConnectionClosed:
                    pass

        async with serve(talk, "127.0.0.1", 0, backlog=1000) as server:
            print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)  # noqa: T201
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


def main(name: str, url: str, prefix: str) -> None:
    """Run in a node's process."""
    raise_file_limit()
    with on_core(FIRST):
        asyncio.run(run_node(name, url, prefix))
