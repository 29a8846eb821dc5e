"""A host with two addresses, of which the first is dead, is reached by the second (RFC 8305).

Reported as libdatachannel#1556: the client waited for the first until its time was over.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from refimpl import connect, serve
from refimpl.lifecycle import client as client_module


async def test_the_second_address_is_tried_before_the_first_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def greet(websocket: Any) -> None:
        await websocket.send("hello")

    monkeypatch.setattr(client_module, "HAPPY_EYEBALLS_DELAY", 0.01)
    loop = asyncio.get_running_loop()
    never = asyncio.Event()
    reach = loop.sock_connect

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.1":
            await never.wait()  # a dead host: no answer, no error
        await reach(sock, address)

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.1", "127.0.0.2")
        ]

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    async with serve(greet, "0.0.0.0", 0, origins=["*"], allowed_hosts=["*"]) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        async with connect(f"ws://two.example:{port}/", tcp_timeout=10) as websocket:
            assert await websocket.recv() == "hello"
            assert websocket.remote_address[0] == "127.0.0.2"
