"""The cost of every tool grows with its input, not with the square of it.

Four times the input may take eight times the CPU time; see `assert_linear`.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from refimpl.bench.report import Report, Row
from refimpl.cli.connect import describe_refusal
from refimpl.cli.doctor import read_lock
from refimpl.cli.inspect import explain, parse_hex
from refimpl.cli.load import table
from refimpl.cli.main import one_line
from refimpl.errors import HandshakeError
from refimpl.lab import Capture, Wire, annotate, dissect_all, hexdump, preview
from refimpl.lab.draw.sequence import in_words, styles
from refimpl.lab.text import quoted
from refimpl.lab.wire.chaos import Chaos, Faults, Link
from refimpl.lab.wire.decode import CaptureDecoder, Chunk, Step
from refimpl.lab.wire.dissect import unmask
from refimpl.lab.wire.heads import annotate_head, stable_line
from refimpl.lab.wire.tap import Wiretap
from refimpl.messages import Protocol, Role
from refimpl.profiling import Histogram, Profile
from refimpl.profiling.flame import boxes, flame_graph, hot_path
from refimpl.profiling.render import Finding, speedscope
from refimpl.profiling.stacks import Call, hottest_table
from refimpl.profiling.taskdump import TaskState, grouped
from tests.support import wire
from tests.support.cpu import assert_linear
from tests.support.pair import opened

KIB = 1024


def text_frames(size: int) -> bytes:
    return wire.frame(wire.TEXT, b"0123456789", key=wire.KEY) * (size // 16)


def large_frame(size: int) -> bytes:
    return wire.frame(wire.TEXT, b"0123456789" * (size // 10), key=wire.KEY)


def fragments(size: int) -> bytes:
    more = wire.frame(wire.CONTINUATION, b"0123456789", fin=False, key=wire.KEY)
    return wire.frame(wire.TEXT, b"", fin=False, key=wire.KEY) + more * (size // 16)


def many_headers(size: int) -> list[tuple[str, str]]:
    return [("X-Filler", "f" * 588)] * (size // 600)


def request(size: int) -> bytes:
    return wire.request_head(add=many_headers(size))


def response(size: int) -> bytes:
    return wire.response_head(add=many_headers(size))


def refusal(size: int) -> bytes:
    return wire.head("HTTP/1.1 403 Forbidden", [("Content-Length", str(size))]) + b"x" * size


def endless_head(size: int) -> bytes:
    return wire.head(wire.REQUEST_LINE, many_headers(size))[:-2]


HANDSHAKE = (("client", wire.request_head()), ("server", wire.response_head()))


ASKED = HANDSHAKE[:1]
WHOLE = 10**9


def decode_in_pieces(
    before: tuple[tuple[str, bytes], ...], side: str, piece: int, data: bytes
) -> None:
    """Decode what one side says in pieces, behind what was said before."""
    decoder = CaptureDecoder()
    for direction, said in before:
        list(decoder.feed(Chunk(0, direction, said)))  # type: ignore[arg-type]
    for start in range(0, len(data), piece):
        list(decoder.feed(Chunk(0, side, data[start : start + piece])))  # type: ignore[arg-type]
    list(decoder.finish())


@pytest.mark.parametrize("piece", [1, 50, WHOLE])
@pytest.mark.parametrize(
    ("before", "side", "make"),
    [
        ((), "client", request),
        ((), "client", endless_head),
        ((), "client", lambda size: b"\x00" * size),
        ((), "client", lambda size: b"GET / HTTP/1.1\r\n\r\n" * (size // 18)),
        (ASKED, "server", response),
        (ASKED, "server", refusal),
        (ASKED, "client", text_frames),
        (HANDSHAKE, "client", text_frames),
        (HANDSHAKE, "client", fragments),
        (HANDSHAKE, "client", large_frame),
        (HANDSHAKE, "server", lambda size: b"\xff" * size),
    ],
    ids=["request", "endless head", "no head", "pipelined", "response", "refusal", "early frames",
         "frames", "fragments", "large frame", "broken frames"],
)  # fmt: skip
def test_decoding(before, side, make, piece: int) -> None:  # type: ignore[no-untyped-def]
    work = partial(decode_in_pieces, before, side, piece)
    assert_linear(lambda size: partial(work, make(size)), (8 if piece == 1 else 15) * KIB)


def deflated(size: int) -> Capture:
    compressor = zlib.compressobj(wbits=-15)
    frames = b""
    for number in range(size // 50):
        data = compressor.compress(b"message %d of many" % number)
        data += compressor.flush(zlib.Z_SYNC_FLUSH)
        frames += wire.frame(wire.TEXT, data[:-4], rsv=4, key=wire.KEY)
    accept = wire.response_head(add=[("Sec-WebSocket-Extensions", "permessage-deflate")])
    return Capture.of(HANDSHAKE[0], ("server", accept), ("client", frames))  # type: ignore[arg-type]


def capture_of(size: int) -> Capture:
    frames = [("client", wire.frame(wire.TEXT, b"Hello", key=wire.KEY))] * (size // 11)
    return Capture.of(*HANDSHAKE, *frames)  # type: ignore[arg-type]


def steps_of(size: int) -> list[Step]:
    return capture_of(size).decode()


def in_memory(size: int) -> None:
    client: Protocol = opened(Role.CLIENT)
    for _ in range(size // 20):
        client.send_text("0123456789")
    Wire(client, opened(Role.SERVER), split=3).run()


def saved(folder: Path, size: int) -> Path:
    path = folder / f"{size}.json"
    capture_of(size).save(path)
    return path


def locked(folder: Path, size: int) -> Path:
    path = folder / f"{size}.lock"
    path.write_text("".join(f"package-{n}==1.0\n" for n in range(size // 16)))
    return path


def profile_of(size: int) -> Profile:
    """Return a profile of stacks that are all different."""
    return Profile([((Call("main"), Call(f"f{n}"), Call("leaf")), 1.0) for n in range(size // 12)])


def deep_profile(size: int) -> Profile:
    return Profile([(tuple(Call(f"f{n}") for n in range(size)), 1.0)])


def finding_of(size: int) -> Finding:
    return Finding("cpu", "", profile_of(size), "")


def tasks_of(size: int) -> list[TaskState]:
    stack = (Call("main"), Call("wait"))
    return [
        TaskState(f"task {n}", "wait", stack, f"{n % 7}", f"place {n}", 1.0)
        for n in range(size // 4)
    ]


def record_latencies(size: int) -> None:
    found, other = Histogram(), Histogram()
    for number in range(size // 4):
        found.record(number / 1000)
        other.record(number / 7)
    found.merge(other)
    found.table()
    found.curve()
    list(found.buckets())


def refused(size: int) -> HandshakeError:
    return HandshakeError("no", status=403, body=b"\n \r\n" * size + b"x")


def line(name: str, part: str) -> Callable[[int], str]:
    return lambda size: f"{name}: /" + part * size


TOOLS: dict[str, tuple[Callable[[int], Any], Callable[[Any], object]]] = {
    "Capture.decode": (capture_of, Capture.decode),
    "Capture.decode, deflate": (deflated, Capture.decode),
    "Capture.text": (capture_of, Capture.text),
    "Capture.frames_of": (capture_of, lambda capture: capture.frames_of("client")),
    "Capture.wires_of": (capture_of, Capture.wires_of),
    "repr(capture)": (capture_of, repr),
    "in_words": (steps_of, in_words),
    "styles": (steps_of, styles),
    "Wire": (int, in_memory),
    "dissect_all, small": (text_frames, dissect_all),
    "dissect_all, large": (lambda size: large_frame(50 * size), dissect_all),
    "unmask": (lambda size: bytes(100 * size), lambda data: unmask(data, wire.KEY)),
    "annotate, small": (text_frames, annotate),
    "annotate, large": (large_frame, lambda data: annotate(data, limit=WHOLE)),
    "annotate, head": (request, annotate),
    "annotate_head": (lambda size: wire.head("GET", [("A", "b")] * size), annotate_head),
    "hexdump": (bytes, lambda data: hexdump(data, limit=None)),
    "quoted": (lambda size: b"x\xff" * 10 * size, quoted),
    "preview": (lambda size: b"x\n" * size, preview),
    "stable_line, port": (line("Host", "a:12"), stable_line),
    "stable_line, colons": (line("Host", ":"), stable_line),
    "stable_line, version": (line("Server", "1."), stable_line),
    "stable_line, digits": (line("Server", "1"), stable_line),
    "stable_line, slashes": (line("Server", "/1"), stable_line),
    "explain": (lambda size: request(size) + text_frames(size), lambda data: explain(data, False)),
    "parse_hex": (lambda size: "0x81 " * size, parse_hex),
    "one_line": (lambda size: " a\n" * 10 * size, one_line),
    "describe_refusal": (refused, describe_refusal),
    "table": (lambda size: Report("", [Row("a", 1.0)] * (size // 8)), table),
    "boxes": (profile_of, boxes),
    "boxes, deep": (deep_profile, boxes),
    "flame_graph": (profile_of, flame_graph),
    "hot_path": (profile_of, hot_path),
    "hottest_table": (profile_of, hottest_table),
    "Finding.to_json": (finding_of, Finding.to_json),
    "Finding.from_json": (lambda size: finding_of(size).to_json(), Finding.from_json),
    "speedscope": (finding_of, speedscope),
    "grouped": (tasks_of, grouped),
    "Histogram": (int, record_latencies),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tools(tool: str) -> None:
    make, use = TOOLS[tool]
    assert_linear(lambda size: partial(use, make(size)), 8 * KIB)


@pytest.mark.parametrize(("make", "use"), [(saved, Capture.load), (locked, read_lock)])
def test_files(make, use, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert_linear(lambda size: partial(use, make(tmp_path, size)), 40 * KIB)


class Wall:
    """Stands where a socket of the proxy would: takes everything, or nothing."""

    def __init__(self, blocked: bool = False) -> None:
        self.transport = self
        self.blocked = blocked
        self.taken = 0

    def write(self, data: bytes) -> None:
        self.taken += len(data)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


@pytest.mark.parametrize("blocked", [False, True])
async def test_a_bad_network(blocked: bool) -> None:
    def prepare(size: int) -> Callable[[], object]:
        def work() -> None:
            proxy = Chaos("127.0.0.1", 1, Faults(slices=(1, 3)), seed=1)
            out = Wall(blocked)
            link = Link(proxy, Wall(), out, "server")  # type: ignore[arg-type]
            for _ in range(size):
                link.take(b"0123456789")
            out.blocked = False
            link.pump()
            assert out.taken == 10 * size

        return work

    assert_linear(prepare, 2 * KIB)


async def test_a_tap_that_is_waited_for() -> None:
    """Looking for the WebSocket among what was heard costs the same however much it said."""

    def prepare(size: int) -> Callable[[], object]:
        def work() -> None:
            tap = Wiretap("127.0.0.1", 1)
            tap.captures.append(Capture.of(*HANDSHAKE))  # type: ignore[arg-type]
            for _ in range(size):
                tap.captures[0].add(0, "client", text_frames(1024))
                assert tap.capture is tap.captures[0]

        return work

    await asyncio.to_thread(assert_linear, prepare, 200)
