"""A node as a program: `python -m tests.fleet.program NAME URL LEASE`; prints its port.

A page says what it wants in JSON: `join` a room (with its place), `say` something, ask `who` is
there, ask for the node's `metrics`. Each say is answered, by `said` or `refused`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

from refimpl import serve
from refimpl.sessions import (
    START,
    BadValue,
    Limits,
    Node,
    Position,
    SessionsError,
    StoreUnavailable,
    ValkeyStore,
)


class Service:
    """What a node does for its pages."""

    def __init__(self, node: Node[Any]) -> None:
        self.node = node

    async def __call__(self, websocket: Any) -> None:
        """Serve one page."""
        (user,) = parse_qs(urlsplit(websocket.request.target).query)["user"]
        try:
            async with self.node.connected(user, websocket) as connection:
                async for text in websocket:
                    request = json.loads(text)
                    answer = await self.answer(connection, request)
                    if answer:
                        await websocket.send(json.dumps(answer))
        except StoreUnavailable:
            await websocket.close(1013, "no store")
        except SessionsError as error:
            await websocket.close(1012, type(error).__name__)

    async def answer(self, connection: Any, request: Any) -> Any:
        """Return what a page is answered."""
        match request:
            case {"join": room, "after": after}:
                await self.node.join(connection, room, after=Position(*after) if after else START)
                return None
            case {"say": room, "id": id}:
                try:
                    place, new = await self.node.publish(room, id, id.encode())
                except SessionsError as error:
                    return {"type": "refused", "id": id, "why": type(error).__name__}
                return {"type": "said", "id": id, "number": place.number, "new": new}
            case {"who": room}:
                users = (await self.node.store.present(room)).users
                return {"type": "who", "users": sorted(users)}
            case {"metrics": _}:
                metrics = self.node.metrics()
                return {
                    "type": "metrics",
                    "degraded": metrics.degraded,
                    "connections": metrics.connections,
                    **metrics.counts,
                }
        raise BadValue("got an unknown request")


async def main(name: str, url: str, lease: float) -> None:
    """Run a node until it is killed, or its standard input ends."""
    limits = Limits(lease=lease)
    store = ValkeyStore(url, limits=limits, prefix="fleet:", timeout=min(2.0, lease))
    loop = asyncio.get_running_loop()
    async with store, Node[Any](store, name, compare=0.2) as node:
        async with serve(Service(node), "127.0.0.1", 0, close_timeout=1) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
