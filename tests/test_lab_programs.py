"""A coroutine function in a process of its own: it prints a port, and can be killed."""

from __future__ import annotations

import asyncio

import pytest

from refimpl import connect
from refimpl.lab import program


async def echo(greeting: str) -> None:
    from typing import Any

    from refimpl import serve

    async def answer(websocket: Any) -> None:
        async for message in websocket:
            await websocket.send(f"{greeting}, {message}")

    async with serve(answer, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


async def silent() -> None:
    pass


async def broken() -> None:
    raise KeyError("no such room")


async def test_it_serves_in_another_process_and_ends_with_the_block() -> None:
    async with program(echo, "hello") as one:
        async with connect(one.ws) as websocket:
            await websocket.send("ada")
            assert await websocket.recv() == "hello, ada"
        assert one.running
    assert not one.running


async def test_it_can_be_killed_and_says_no_goodbye() -> None:
    async with program(echo, "hello") as one, connect(one.ws) as websocket:
        one.kill()
        assert not one.running
        await websocket.wait_closed()
        assert websocket.close_code == 1006


async def test_it_ends_where_its_parent_is_gone() -> None:
    async with program(echo, "hello") as one:
        assert one._process.stdin is not None
        one._process.stdin.close()
        await asyncio.to_thread(one._process.wait, 30)
        assert not one.running


@pytest.mark.parametrize(("main", "words"), [(silent, "[]"), (broken, "no such room")])
async def test_a_program_without_a_port_says_why(main: object, words: str) -> None:
    with pytest.raises(RuntimeError, match=r"expected a port") as failed:
        async with program(main):  # type: ignore[arg-type]
            pass
    assert words in str(failed.value)
