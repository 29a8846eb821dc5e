"""What was received before an end is delivered before that end, whatever the end is."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refimpl import ConnectionClosed, ServerConnection, State, memory_pipe, serve
from refimpl.lifecycle import Settings
from tests.certificates import HERE as CERTIFICATES
from tests.support import wire
from tests.support.clockwork import settle, virtual_time
from tests.support.rawpeer import RawPeer, client_close, client_frame, open_server

PATIENCE = 30


async def take_all(server: ServerConnection) -> tuple[list[str | bytes], ConnectionClosed]:
    """Receive until the connection has ended; return the messages and the error."""
    got: list[str | bytes] = []
    try:
        while True:
            got.append(await asyncio.wait_for(server.recv(), PATIENCE))
    except ConnectionClosed as error:
        return got, error


async def close_from_here(peer: RawPeer, end: str) -> None:
    if end == "reset":
        peer.transport.abort()
    elif end == "eof":
        peer.transport.write_eof()
    else:
        peer.transport.close()
    await settle()


class TestEnds:
    @given(
        count=st.integers(0, 60),
        max_queue=st.sampled_from([1, 4, 16, None]),
        end=st.sampled_from(["eof", "close", "reset"]),
        says_close=st.booleans(),
        takes_early=st.integers(0, 5),
        piece=st.sampled_from([1, 7, 100, 100_000]),
    )
    @settings(max_examples=60)
    def test_whole_messages_in_hand_are_received_then_the_end(
        self,
        count: int,
        max_queue: int | None,
        end: str,
        says_close: bool,
        takes_early: int,
        piece: int,
    ) -> None:
        @virtual_time
        async def run() -> None:
            server, peer = await open_server(
                Settings(ping_interval=None, max_queue=max_queue, close_timeout=None)
            )
            sent = [f"message {number}" for number in range(count)]
            stream = b"".join(client_frame(wire.TEXT, text.encode()) for text in sent)
            stream += client_close(1000) if says_close else b""
            taken: list[str | bytes] = []
            if end == "reset":  # what the kernel had in hand is lost, what we had is not
                for at in range(0, len(stream), piece):
                    server.driver.data_received(stream[at : at + piece])
            else:
                peer.transport.write(stream)
            await settle()
            for _ in range(min(takes_early, count)):
                taken.append(await server.recv())
            await close_from_here(peer, end)
            rest, error = await take_all(server)
            assert [*taken, *rest] == sent
            assert error.code == (1000 if says_close else 1006)
            assert server.state in (State.CLOSED, State.CLOSING)
            peer.transport.abort()
            await server.wait_closed()

        run()

    @virtual_time
    async def test_a_reset_with_compressed_messages_unparsed(self) -> None:
        settings = Settings(ping_interval=None, max_queue=4)
        client, server = await memory_pipe(settings, compression=True)
        sent = [f"{number} " * 2_000 for number in range(40)]
        for text in sent:
            client.core.send_text(text)
        server.driver.data_received(client.core.data_to_send())
        client.transport.abort()
        await server.wait_closed()
        got, error = await take_all(server)
        assert got == sent
        assert error.code == 1006

    @virtual_time
    async def test_a_send_after_the_loss_does_not_wait_for_unread_messages(self) -> None:
        server, peer = await open_server(Settings(ping_interval=None, max_queue=1))
        server.driver.data_received(client_frame(wire.TEXT, b"x") * 5 + client_close(1000))
        peer.transport.abort()
        await server.wait_closed()
        with pytest.raises(ConnectionClosed):
            await server.send("too late")
        got, error = await take_all(server)
        assert (got, error.code) == (["x"] * 5, 1000)

    @pytest.mark.parametrize("max_queue", [1, 16, 100])
    async def test_over_tls_a_close_behind_a_full_inbox_is_seen(self, max_queue: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / "localhost.pem")
        trusting = ssl.create_default_context(cafile=str(CERTIFICATES / "ca.pem"))
        gone = asyncio.Event()
        outcome: asyncio.Future[tuple[list[str | bytes], int]] = asyncio.Future()

        async def handler(websocket: ServerConnection) -> None:
            await gone.wait()
            got, error = await take_all(websocket)
            outcome.set_result((got, error.code))

        async with serve(handler, "127.0.0.1", 0, ssl=context, max_queue=max_queue) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting, server_hostname="localhost"
            )
            writer.write(wire.request_head(replace={"Host": f"localhost:{port}"}))
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            messages = b"".join(client_frame(wire.TEXT, b"%d" % number) for number in range(50))
            writer.write(messages + client_close(1000))
            writer.close()
            with contextlib.suppress(ssl.SSLError):  # the server's Close comes behind the end
                await asyncio.wait_for(writer.wait_closed(), PATIENCE)
            gone.set()
            got, code = await asyncio.wait_for(outcome, PATIENCE)
            assert got == [str(number) for number in range(50)]
            assert code == 1000
