"""`refimpl inspect --listen`: what it keeps is bounded, whatever passes, and it ends when told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from refimpl import ConnectionClosed, HandshakeError, connect
from refimpl.cli.proxy import ProxiedConnection, Proxy
from refimpl.framing import Opcode
from refimpl.lab.draw.sequence import in_words, label
from refimpl.lab.wire.capture import Capture
from refimpl.lab.wire.decode import CaptureDecoder, Chunk, Large, Malformed, Step, Unfinished
from refimpl.lab.wire.transcript import describe
from tests.support import wire
from tests.test_cli_live import PATIENCE, finish, first_line, serving, start, until_exists

KIB, MIB = 1024, 1024 * 1024
LIMIT = 64 * KIB
PIECE = 4 * KIB
HANDSHAKE = [("client", wire.request_head()), ("server", wire.response_head())]
DEFLATE = wire.response_head(add=[("Sec-WebSocket-Extensions", "permessage-deflate")])


def small_frames() -> bytes:
    return wire.frame(wire.BINARY, bytes(1000), key=wire.KEY) * 4


def bomb() -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return wire.frame(wire.BINARY, data[:-4], rsv=4, key=wire.KEY)


WAYS: dict[str, tuple[list[tuple[str, bytes]], str, Callable[[], bytes]]] = {
    "frames": (HANDSHAKE, "client", small_frames),
    "fragments that never end": (
        HANDSHAKE, "client", lambda: wire.frame(wire.TEXT, bytes(1000), fin=False, key=wire.KEY)
    ),
    "one endless frame": (
        [*HANDSHAKE, ("client", wire.frame(wire.BINARY, length=2**62, key=wire.KEY))],
        "client", lambda: bytes(PIECE),
    ),
    "one endless compressed frame": (
        [HANDSHAKE[0], ("server", DEFLATE),
         ("client", wire.frame(wire.BINARY, length=2**62, key=wire.KEY, rsv=4))],
        "client", lambda: bytes(PIECE),
    ),
    "bombs": ([HANDSHAKE[0], ("server", DEFLATE)], "client", bomb),
    "no answer to the handshake": (HANDSHAKE[:1], "client", small_frames),
    "an endless head": ([("client", wire.REQUEST_LINE.encode())], "client", lambda: b"x" * PIECE),
    "requests without answers": ([], "client", lambda: b"GET / HTTP/1.1\r\nA: b\r\n\r\n" * 30),
    "an endless answer": (
        [HANDSHAKE[0], ("server", b"HTTP/1.1 200 OK\r\n\r\n")], "server", lambda: bytes(PIECE)
    ),
    "no HTTP": ([], "client", lambda: b"\x00" * PIECE),
    "broken frames": ([*HANDSHAKE, ("client", b"\xff" * 14)], "client", lambda: bytes(PIECE)),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_memory_does_not_grow_with_what_passes(way: str) -> None:
    before, side, more = WAYS[way]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        connection = ProxiedConnection(1, False, limit=LIMIT, clock=lambda: 0.0)
        for direction, data in before:
            connection.saw(direction, data)  # type: ignore[arg-type]
        piece = more()
        for _ in range(60):  # what is made once is made
            connection.saw(side, piece)  # type: ignore[arg-type]
        tracemalloc.start()
        try:
            for _ in range(min(150, MIB // len(piece))):
                connection.saw(side, piece)  # type: ignore[arg-type]
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held < LIMIT


class TestLargeFrames:
    """A decoder with a limit shows the frames around one that it does not keep."""

    @staticmethod
    def decode(*said: bytes, limit: int = 1000, deflate: bool = False) -> list[Step]:
        decoder = CaptureDecoder(limit=limit)
        accept = DEFLATE if deflate else wire.response_head()
        chunks = [("client", wire.request_head()), ("server", accept)]
        chunks += [("client", data) for data in said]
        steps = [s for who, data in chunks for s in decoder.feed(Chunk(0, who, data))]  # type: ignore[arg-type]
        return [*steps, *decoder.finish()][2:]

    @pytest.mark.parametrize("cut", [1, 2, 8, 9, 700])
    def test_its_opcode_and_its_length_are_told(self, cut: int) -> None:
        large = wire.frame(wire.TEXT, b"x" * 5000, key=wire.KEY)
        ping = wire.frame(wire.PING, b"hi", key=wire.KEY)
        steps = self.decode(ping + large[:cut], large[cut:900], large[900:] + ping, limit=4000)
        assert [type(step.item).__name__ for step in steps] == ["Frame", "Large", "Frame"]
        assert steps[1].item == Large(Opcode.TEXT, 5000)
        assert not any(step.problem for step in steps)
        assert label(steps[1]) == ("TEXT", "5,000 bytes, too large to be kept")
        assert "5,000 bytes  too large to be kept" in describe(steps[1])
        assert "a large frame" in in_words(steps)

    @pytest.mark.parametrize("excess", [-1, 0, 1])
    def test_the_limit_is_exact(self, excess: int) -> None:
        frame = wire.frame(wire.BINARY, b"x" * 500, key=wire.KEY)
        steps = self.decode(frame[:20], frame[20:], limit=len(frame) - excess)
        assert isinstance(steps[0].item, Large) == (excess == 1)

    def test_a_message_goes_on_behind_it(self) -> None:
        half = "é".encode()
        large = wire.frame(wire.TEXT, b"x" * 5000 + half[:1], fin=False, key=wire.KEY)
        rest = wire.frame(wire.CONTINUATION, half[1:], key=wire.KEY)
        steps = self.decode(
            large[:50], large[50:], rest, wire.frame(wire.TEXT, b"\xff", key=wire.KEY)
        )
        assert [bool(step.problem) for step in steps] == [False, False, True]

    def test_what_breaks_a_rule_is_still_told(self) -> None:
        unmasked = wire.frame(wire.BINARY, b"x" * 5000)
        reserved = wire.frame(3, b"x" * 5000, key=wire.KEY)
        orphan = wire.frame(wire.CONTINUATION, b"x" * 5000, key=wire.KEY)
        [first] = self.decode(unmasked[:50], unmasked[50:])
        [second] = self.decode(reserved[:50], reserved[50:])
        [third] = self.decode(orphan[:50], orphan[50:])
        assert "must be masked" in first.problem
        assert isinstance(second.item, Malformed) and "reserved" in second.item.problem
        assert "no message to continue" in third.problem

    def test_what_is_compressed_behind_it_is_left_so(self) -> None:
        large = wire.frame(wire.TEXT, b"x" * 5000, rsv=4, key=wire.KEY)
        small = wire.frame(wire.TEXT, b"xyz", rsv=4, key=wire.KEY)
        steps = self.decode(large[:50], large[50:], small, deflate=True)
        assert "compressed" in steps[0].problem
        assert steps[1].inflated is None and not steps[1].problem

    def test_one_that_never_ends_is_unfinished(self) -> None:
        large = wire.frame(wire.TEXT, b"x" * 5000, key=wire.KEY)
        steps = self.decode(large[:50], large[50:100])
        assert isinstance(steps[-1].item, Unfinished)
        assert steps[-1].item.missing == len(large) - 100

    def test_what_waits_for_an_answer_is_given_up(self) -> None:
        decoder = CaptureDecoder(limit=1000)
        said = [wire.request_head(), bytes(999), bytes(1), bytes(1), bytes(10)]
        steps = [step for data in said for step in decoder.feed(Chunk(0, "client", data))]
        assert [type(step.item).__name__ for step in steps] == ["Request", "Malformed", "Malformed"]


class TestSaving:
    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_the_file_is_that_of_a_capture(self, count: int, tmp_path: Path) -> None:
        said = [("client", wire.request_head()), ("server", wire.response_head()), ("server", b"")]
        path = tmp_path / "seen.json"
        clock = iter([10, 10.25, 10.25, 10.25])
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            with ProxiedConnection(1, False, path, clock=lambda: next(clock)) as connection:
                for direction, data in said[:count]:
                    connection.saw(direction, data)  # type: ignore[arg-type]
        whole = Capture("refimpl inspect")
        for direction, data in said[:count]:
            whole.add(0.25, direction, data)  # type: ignore[arg-type]
        whole.save(tmp_path / "whole.json")
        assert path.read_text() == (tmp_path / "whole.json").read_text()
        assert Capture.load(path) == whole

    async def test_it_is_written_while_it_passes(self, tmp_path: Path) -> None:
        saved = tmp_path / "seen.json"
        async with serving() as uri:
            proxy = await start("inspect", "--listen", "0", "--to", uri, "--save", str(saved))
            address = (await first_line(proxy)).removeprefix("Listening on ").strip()
            async with connect(address) as websocket:
                await websocket.send("x" * 100_000)
                await websocket.recv()
                await until_exists([saved])
                async with asyncio.timeout(PATIENCE):
                    while saved.stat().st_size < 100_000:  # noqa: ASYNC110 - another process
                        await asyncio.sleep(0.01)
            proxy.send_signal(signal.SIGINT)
            status, _, err = await finish(proxy)
        assert (status, err) == (0, "")
        [text, _] = Capture.load(saved).frames_of("client")
        assert len(text.payload) == 100_000


class TestEnding:
    async def test_ctrl_c_while_connections_are_open(self, tmp_path: Path) -> None:
        saved = tmp_path / "seen.json"
        async with serving() as uri:
            proxy = await start("inspect", "--listen", "0", "--to", uri, "--save", str(saved))
            address = (await first_line(proxy)).removeprefix("Listening on ").strip()
            websocket = await connect(address, close_timeout=1)
            await websocket.send("hello")
            await websocket.recv()
            proxy.send_signal(signal.SIGINT)
            status, _, err = await finish(proxy)
            await websocket.close()
        assert (status, err) == (0, "")
        assert len(Capture.load(saved).frames_of()) == 2  # the file is whole

    async def test_a_reader_that_has_had_enough_ends_it(self) -> None:
        async with serving() as uri:
            proxy = await start("inspect", "--listen", "0", "--to", uri)
            address = (await first_line(proxy)).removeprefix("Listening on ").strip()
            proxy._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
            with pytest.raises((OSError, ConnectionClosed, HandshakeError)):
                async with connect(address, close_timeout=1) as websocket:
                    await websocket.send("hello")
                    await websocket.recv()
            async with asyncio.timeout(PATIENCE):
                assert proxy.stderr is not None
                err = await proxy.stderr.read()
                assert (await proxy.wait(), err) == (1, b"")

    async def test_no_room_for_the_file_ends_one_connection(self, tmp_path: Path) -> None:
        folder = tmp_path / "later"
        folder.mkdir()
        async with serving() as uri:
            saved = folder / "seen.json"
            proxy = await start("inspect", "--listen", "0", "--to", uri, "--save", str(saved))
            address = (await first_line(proxy)).removeprefix("Listening on ").strip()
            folder.rmdir()
            with pytest.raises((OSError, HandshakeError)):
                await connect(address)
            folder.mkdir()
            async with connect(address) as websocket:
                await websocket.send("hello")
                assert await websocket.recv() == "hello"
            proxy.send_signal(signal.SIGINT)
            status, _, err = await finish(proxy)
        assert status == 0
        assert err.startswith("#1 ") and err.count("\n") == 1


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_a_port_that_is_taken(taken: int) -> None:
    with pytest.raises(OSError, match="in use"):
        await Proxy("127.0.0.1", taken, "ws://127.0.0.1:1/").run()
