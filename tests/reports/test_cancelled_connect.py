"""`connect` cancelled at any turn of the loop leaves nothing behind, and nothing is logged.

Reported as websockets#570: an opening that was cancelled late left its connection, and a future
whose exception nobody had asked for.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from refimpl import WebSocket, connect, memory_pipe, serve
from tests.support.clockwork import virtual_time
from tests.support.rawpeer import PLAIN

MOST_TURNS = 200


async def echo(websocket: Any) -> None:
    async for message in websocket:
        await websocket.send(message)


async def cancelled_after(turns: int, work: Any) -> bool:
    """Run work, cancel it after so many turns; return whether it was over before that."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    was_over = task.done()
    task.cancel()
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, WebSocket):
        await outcome.close()
    return was_over


@pytest.mark.parametrize("refuse", [False, True], ids=["accepted", "refused"])
async def test_nothing_is_left_of_a_cancelled_connect(
    refuse: bool, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context))
    origins = ["https://other.example"] if refuse else None
    async with serve(echo, "127.0.0.1", 0, origins=origins) as server:
        uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

        async def attempt() -> Any:
            try:
                return await connect(uri)
            except Exception:
                assert refuse
                raise asyncio.CancelledError from None

        for turns in range(MOST_TURNS):
            if await cancelled_after(turns, attempt()):
                break
        else:
            assert refuse, "connect never came to its end"
        gc.collect()
    assert said == []
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


async def test_one_connect_cannot_be_entered_twice_at_once() -> None:
    async with serve(echo, "127.0.0.1", 0) as server:
        once = connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        async with once as websocket:
            with pytest.raises(RuntimeError, match="entered already"):
                async with once:
                    pass
            await websocket.send("still there")
            assert await websocket.recv() == "still there"
        async with once as websocket:  # one after the other is no mistake
            await websocket.send("again")
            assert await websocket.recv() == "again"
        assert len(server.connections) <= 1


@pytest.mark.parametrize("call", ["recv", "send", "ping", "close", "wait_closed"])
def test_a_call_cancelled_at_any_turn_leaves_the_connection_usable(call: str) -> None:
    @virtual_time
    async def run() -> None:
        for turns in range(8):
            client, server = await memory_pipe(PLAIN)
            arguments = {"send": ("x",)}.get(call, ())
            task = asyncio.ensure_future(getattr(client, call)(*arguments))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if call not in ("close",):
                await server.send("kept")
                assert await client.recv() == "kept"
            await asyncio.gather(client.close(), server.close())
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run()
