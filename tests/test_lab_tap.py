"""The wiretap between real programs, and the wire in memory."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from refimpl.handshake import build_request, check_request, parse_uri
from refimpl.lab import Capture, Wire, assert_nothing_left, expect_error, wiretap
from refimpl.messages import Protocol, Role
from tools.record.page import serve_page


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def port_of(server: object) -> int:
    return int(server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]


class TestWiretap:
    async def test_records_both_directions_and_changes_nothing(self) -> None:
        async with serve(echo, "127.0.0.1", 0, compression=None) as server:
            async with wiretap("127.0.0.1", port_of(server), program="websockets") as tap:
                async with connect(tap.uri, compression=None) as connection:
                    for message in ("Hello", bytes(200_000)):
                        await connection.send(message)
                        assert await connection.recv() == message
                await tap.idle()
            lines = tap.capture.text(headers=False, limit=6).splitlines()
        assert lines == [
            "client -> server  request: GET / HTTP/1.1",
            "server -> client  response: HTTP/1.1 101 Switching Protocols",
            "client -> server  TEXT         fin masked          5 bytes  'Hello'",
            "server -> client  TEXT         fin                 5 bytes  'Hello'",
            "client -> server  BINARY       fin masked      200,000 bytes  00 00 ...",
            "server -> client  BINARY       fin             200,000 bytes  00 00 ...",
            "client -> server  CLOSE        fin masked          2 bytes  1000 NORMAL_CLOSURE",
            "server -> client  CLOSE        fin                 2 bytes  1000 NORMAL_CLOSURE",
        ]
        seconds = [chunk.seconds for chunk in tap.capture.chunks]
        assert seconds == sorted(seconds) and seconds[0] >= 0
        assert tap.capture.program == "websockets"

    async def test_one_capture_a_connection_and_the_websocket_first(self) -> None:
        async with (
            serve(echo, "127.0.0.1", 0) as server,
            wiretap("127.0.0.1", port_of(server)) as tap,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 426")
            writer.close()
            async with connect(tap.uri):
                pass
            await tap.idle()
            assert len(tap.captures) == 2
            assert tap.capture is tap.captures[1]

    async def test_until_waits_for_what_is_to_be_heard(self) -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            tap = await wiretap("127.0.0.1", port_of(server)).start()
            connection = await connect(tap.uri)
            waiting = asyncio.create_task(tap.until(lambda capture: len(capture.frames_of()) == 2))
            await connection.send("Hello")
            assert len((await waiting).frames_of("server")) == 1
            await connection.close()
            await tap.close()

    async def test_a_target_that_is_not_there(self) -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            port = port_of(server)
        async with wiretap("127.0.0.1", port) as tap:
            with pytest.raises(LookupError):
                _ = tap.capture
            reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
            assert await reader.read() == b""
            writer.close()
            assert tap.capture.chunks == []

    async def test_closing_cuts_what_does_not_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("refimpl.lab.wire.tap.GRACE", 0.01)
        async with serve(echo, "127.0.0.1", 0) as server:
            async with wiretap("127.0.0.1", port_of(server)) as tap:
                connection = await connect(tap.uri)
            await connection.wait_closed()
        await assert_nothing_left()

    async def test_half_closed_client_still_gets_its_answer(self) -> None:
        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.read()).upper())
            writer.close()

        server = await asyncio.start_server(shout, "127.0.0.1", 0)
        async with server, wiretap("127.0.0.1", port_of(server)) as tap:
            reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"HELLO"
            writer.close()


class TestWire:
    def joined(self, split: int | None = None) -> Wire:
        client, server = Protocol(Role.CLIENT), Protocol(Role.SERVER)
        wire = Wire(client, server, split=split)
        request = build_request(parse_uri("ws://example.org/"), key="dGhlIHNhbXBsZSBub25jZQ==")
        client.send_request(request)
        [(_, heard)] = wire.run()
        server.accept(check_request(heard))
        wire.run()
        return wire

    @pytest.mark.parametrize("split", [None, 1, 7])
    def test_carries_until_both_are_silent(self, split: int | None) -> None:
        wire = self.joined(split)
        wire.client.send_text("Hello")  # type: ignore[attr-defined]
        assert wire.run() == [("server", "Hello")]
        wire.client.send_close(1000)  # type: ignore[attr-defined]
        wire.run()
        assert wire.capture.text(headers=False).splitlines() == [
            "client -> server  request: GET / HTTP/1.1",
            "server -> client  response: HTTP/1.1 101 Switching Protocols",
            "client -> server  TEXT         fin masked          5 bytes  'Hello'",
            "client -> server  CLOSE        fin masked          2 bytes  1000 NORMAL_CLOSURE",
            "server -> client  CLOSE        fin                 2 bytes  1000 NORMAL_CLOSURE",
        ]


class TestPage:
    async def test_is_served_beside_the_websocket(self) -> None:
        import refimpl

        async def answer(connection: refimpl.ServerConnection) -> None:
            async for message in connection:
                await connection.send(message)

        async with refimpl.serve(answer, "127.0.0.1", 0, process_request=serve_page) as server:
            found, missing = (
                await self.get(port_of(server), "/"),
                await self.get(port_of(server), "/x"),
            )
            assert found.startswith(b"HTTP/1.1 200 ") and b"new WebSocket(uri)" in found
            assert missing.startswith(b"HTTP/1.1 404 ")
            async with connect(f"ws://127.0.0.1:{port_of(server)}") as connection:
                await connection.send("Hello")
                assert await connection.recv() == "Hello"

    async def get(self, port: int, path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer


class TestNothingLeft:
    async def test_says_so(self) -> None:
        assert await assert_nothing_left() == "nothing left: no task, no socket"

    async def test_names_tasks_and_sockets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("refimpl.lab.leaks.PATIENCE", 0.0)
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)

        async def forgotten() -> None:
            await asyncio.Event().wait()

        task = asyncio.create_task(forgotten())
        words = f"1 socket (a socket on port {port_of(server)})"
        with expect_error(AssertionError, match=words) as block:
            await assert_nothing_left()
        assert "1 task (" in str(block.error) and "forgotten" in str(block.error)
        task.cancel()
        server.close()
        await server.wait_closed()

    async def test_waits_for_what_is_about_to_end(self) -> None:
        async def soon() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        task = asyncio.create_task(soon())
        await assert_nothing_left()
        await task


async def test_recording_is_made_with_our_own_server(tmp_path: object) -> None:
    from tools.record.programs import record

    capture = await record("websockets_deflate")
    assert isinstance(capture, Capture)
    kept = Capture.load("websockets_deflate")
    # the same conversation as the committed one, byte counts and all
    assert capture.text() == kept.text()
