"""`close` inside a fragmented message must not call half a message whole.

Reported as nim-websock#126: the peer got two of three fragments and a clean 1000.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from refimpl import ConnectionClosed
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.rawpeer import client_close, open_server


@pytest.mark.parametrize(
    ("code", "said"), [(1000, 1011), (1001, 1011), (1005, 1011), (1013, 1013), (4000, 4000)]
)
def test_a_clean_code_becomes_1011(code: int, said: int) -> None:
    @virtual_time
    async def run() -> None:
        server, peer = await open_server()
        gate = asyncio.Event()

        async def fragments() -> AsyncIterator[str]:
            yield "half"
            await gate.wait()
            yield "more"

        sending = asyncio.ensure_future(server.send(fragments()))
        await settle()
        closing = asyncio.ensure_future(server.close(code))
        await settle()
        gate.set()
        await peer.send(client_close(said))
        with pytest.raises(ConnectionClosed):
            await sending
        await closing
        [first, (opcode, payload)] = peer.frames()
        assert first == (wire.TEXT, b"half")
        assert (opcode, int.from_bytes(payload[:2], "big")) == (wire.CLOSE, said)

    run()


@virtual_time
async def test_outside_of_one_the_code_is_what_was_asked_for() -> None:
    server, peer = await open_server()
    await server.send(["whole", "message"])
    closing = asyncio.ensure_future(server.close())
    await peer.send(client_close(1000))
    await closing
    assert peer.frames()[-1] == (wire.CLOSE, b"\x03\xe8")
