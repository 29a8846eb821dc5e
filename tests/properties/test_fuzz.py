"""Hostile bytes into every parser: documented errors only, and never more than 50 ms of CPU.

Inputs are noise, good inputs with a few bytes changed, and shapes that have hurt parsers elsewhere:
long runs of one separator, quotes that never close, a thousand tiny things. All from fixed seeds. A
call that seems slow is timed again, so that only what is always slow counts.
"""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from refimpl.errors import HandshakeError, LocalProtocolError, RemoteProtocolError
from refimpl.framing import parse_frame
from refimpl.handshake import (
    Policy,
    build_request,
    check_request,
    parse_extensions,
    parse_list,
    parse_request,
    parse_response,
    parse_subprotocols,
    parse_uri,
    read_response,
)
from refimpl.messages import (
    Parameters,
    PerMessageDeflate,
    Protocol,
    Role,
    Utf8Decoder,
    negotiate,
    parse_close,
)
from tests.support import wire
from tests.support.cpu import is_traced
from tests.support.pair import opened
from tests.support.streams import random_stream

LIMIT_S = 0.05
KIB_64 = 64 * 1024
REQUEST = build_request(parse_uri("ws://server.example.com/chat"), key="dGhlIHNhbXBsZSBub25jZQ==")
HEADS = [
    wire.request_head(),
    wire.request_head(add=[("Origin", "https://server.example.com:8443"), ("Cookie", "a=b; c=d")]),
    wire.request_head(add=[("Sec-WebSocket-Protocol", "chat, superchat, v2.json")]),
    wire.request_head(
        add=[("Sec-WebSocket-Extensions", 'permessage-deflate; client_max_window_bits, x; y="z"')]
    ),
    wire.response_head(),
    wire.response_head(add=[("Sec-WebSocket-Extensions", "permessage-deflate")]),
    wire.head("HTTP/1.1 403 Forbidden", [("Content-Length", "7"), ("Server", "x")]) + b"go away",
]
RUNS = [
    b",",
    b";",
    b'"',
    b"\\",
    b" ",
    b"\t",
    b"a",
    b"=",
    b"a,",
    b"a;",
    b'a="',
    b"/",
    b":",
    b"%",
    b"(",
]
RUNS += [
    b"\r",
    b"\n",
    b"\r\n",
    b"X: y\r\n",
    b"X:\r\n",
    b"\0",
    b"\xff",
    b"[",
    b".",
    b"@",
    b"#",
    b"?",
]


def mutated(source: random.Random, data: bytes) -> bytes:
    """Return data with a few bytes changed, cut out, doubled or put in."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 6)):
        at = source.randrange(len(changed) + 1)
        kind = source.randrange(4)
        if kind == 0:
            changed[at : at + 1] = bytes([source.randrange(256)])
        elif kind == 1:
            del changed[at : at + source.randint(1, 20)]
        elif kind == 2:
            changed[at:at] = changed[at : at + source.randint(1, 40)]
        else:
            changed[at:at] = source.choice(RUNS) * source.choice([1, 1, 2, 100])
    return bytes(changed)


def head_inputs(source: random.Random) -> Iterator[bytes]:
    """Yield heads without end: broken good ones, noise, and runs inside a good one."""
    for run in RUNS:
        for size in (8000, KIB_64):
            filler = run * (size // len(run))
            yield filler
            yield b"GET " + filler
            yield b"HTTP/1.1 101 " + filler
            for line in (b"X: ", b"Origin: ", b"Host: ", b"Sec-WebSocket-Protocol: "):
                yield HEADS[0][:-2] + line + filler + b"\r\n\r\n"
            many = b"Sec-WebSocket-Extensions: " + filler[:8000] + b"\r\n"
            yield HEADS[0][:-2] + many * (size // 8000) + b"\r\n"
    while True:
        yield mutated(source, source.choice(HEADS))
        yield source.randbytes(source.choice([1, 10, 100, 10_000]))


def frame_inputs(source: random.Random) -> Iterator[bytes]:
    """Yield frame streams without end: random ones, changed ones, noise and tiny frames."""
    yield wire.frame(wire.TEXT, b"", key=wire.KEY) * 4000
    yield wire.frame(wire.PING, b"", key=wire.KEY) * 4000
    yield wire.frame(wire.CONTINUATION, b"", fin=False, key=wire.KEY) * 4000
    yield wire.frame(wire.TEXT, b"a" * KIB_64, key=wire.KEY)
    yield wire.frame(wire.BINARY, b"", length=2**63 - 1, key=wire.KEY) + bytes(KIB_64)
    while True:
        stream = random_stream(source, masked=source.random() < 0.7, deflate=source.random() < 0.5)
        yield stream
        yield mutated(source, stream)
        yield source.randbytes(source.choice([1, 2, 14, 200, 5000]))


def deflate_inputs(source: random.Random) -> Iterator[bytes]:
    """Yield compressed messages without end: bombs, corrupt ones, final blocks, noise."""
    compressor = zlib.compressobj(9, wbits=-15)
    yield compressor.compress(bytes(100 * 2**20)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    yield b"\x03\x00" * (KIB_64 // 2)
    yield b"\x00\x00\x00\xff\xff" * (KIB_64 // 5)
    yield bytes(KIB_64)
    while True:
        compressor = zlib.compressobj(source.randint(0, 9), wbits=-source.randint(9, 15))
        data = source.randbytes(source.randint(0, 300)) * source.choice([1, 2, 50])
        compressed = compressor.compress(data) + compressor.flush(
            source.choice([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH])
        )
        yield compressed
        yield mutated(source, compressed)
        yield source.randbytes(source.choice([1, 10, 300]))


def text_inputs(source: random.Random) -> Iterator[bytes]:
    """Yield header values without end."""
    for run in RUNS:
        for size in (100, 8000):
            yield run * (size // len(run))
    values = [
        b'permessage-deflate; client_max_window_bits=15; server_max_window_bits="10", x; y=z',
        b"ws://user@[2001:db8::1]:8443/chat/%20?room=1&x=/y#top",
        b"https://server.example.com:8443",
        b"chat, superchat, v2.json",
    ]
    while True:
        yield mutated(source, source.choice(values))


def spent(
    call: Callable[[bytes], object], data: bytes, errors: tuple[type[Exception], ...]
) -> float:
    """Return the CPU seconds of a call that may raise these errors and no others."""
    began = time.process_time()
    try:
        call(data)
    except errors as error:
        assert str(error)
    return time.process_time() - began


def survives(
    call: Callable[[bytes], object],
    inputs: Iterator[bytes],
    count: int,
    *errors: type[Exception],
) -> None:
    """Assert that the call takes count inputs with these errors only, each in time."""
    for data in islice(inputs, count):
        if spent(call, data, errors) > LIMIT_S and not is_traced():
            best = min(spent(call, data, errors) for _ in range(5))
            assert best <= LIMIT_S, f"{best * 1000:.0f} ms for {data[:60]!r} ({len(data)} bytes)"


def text(call: Callable[[str], object]) -> Callable[[bytes], object]:
    """Return the call for bytes that stand for Latin-1 text, as heads are read."""
    return lambda data: call(data.decode("latin-1"))


@pytest.mark.rule(16, 21)
def test_request_parser_and_checks() -> None:
    policies = [Policy(negotiate=negotiate), Policy(origins=["https://a.example"], secure=True)]

    def call(data: bytes) -> None:
        parsed = parse_request(data)
        if parsed is not None:
            for policy in policies:
                check_request(parsed[0], policy)

    survives(call, head_inputs(random.Random(1)), 6000, HandshakeError)


@pytest.mark.rule(28)
def test_response_parser_and_checks() -> None:
    survives(parse_response, head_inputs(random.Random(2)), 2000, HandshakeError)

    def read(data: bytes) -> None:
        read_response(REQUEST, data, ended=len(data) % 2 == 0)

    survives(read, head_inputs(random.Random(3)), 4000, HandshakeError)


@pytest.mark.rule(16, 27)
@pytest.mark.parametrize("call", [parse_extensions, parse_list, parse_subprotocols])
def test_header_parsers(call: Callable[[list[str]], object]) -> None:
    def lines(data: bytes) -> object:
        return call([data.decode("latin-1")] * 8)

    survives(lines, text_inputs(random.Random(4)), 1500, HandshakeError)


@pytest.mark.rule(23)
def test_uri_parser() -> None:
    survives(text(parse_uri), text_inputs(random.Random(5)), 3000, LocalProtocolError)


@pytest.mark.rule(47)
@pytest.mark.parametrize("masked", [True, False, None])
def test_frame_parser(masked: bool | None) -> None:
    def call(data: bytes) -> None:
        position = 0
        while (found := parse_frame(data, position, masked=masked, compressed=True)) is not None:
            position = found[1]

    survives(call, frame_inputs(random.Random(6)), 3000, RemoteProtocolError)


@pytest.mark.rule(60, 63)
def test_close_parser_and_decoder() -> None:
    source = random.Random(7)
    inputs = (source.randbytes(source.randint(0, 125)) for _ in iter(int, 1))
    survives(parse_close, inputs, 3000, RemoteProtocolError)
    survives(lambda data: Utf8Decoder().decode(data, True), inputs, 3000, RemoteProtocolError)


@pytest.mark.rule(85)
@pytest.mark.parametrize("role", [Role.SERVER, Role.CLIENT])
def test_inflate(role: Role) -> None:
    def call(data: bytes) -> None:
        deflate = PerMessageDeflate(Parameters(), role)
        deflate.decompress(data, limit=2**20, final=True)
        deflate.decompress(data[::-1], limit=1000, final=False)

    survives(call, deflate_inputs(random.Random(8)), 3000, RemoteProtocolError)


@pytest.mark.rule(69)
@pytest.mark.parametrize("role", [Role.SERVER, Role.CLIENT])
@pytest.mark.parametrize("extension", [None, "permessage-deflate"])
def test_an_open_connection_never_raises(role: Role, extension: str | None) -> None:
    def call(data: bytes) -> None:
        protocol = opened(role, extension=extension)
        protocol.receive_data(data)
        protocol.receive_data(data)
        protocol.receive_eof()
        protocol.data_to_send()

    survives(call, frame_inputs(random.Random(9)), 1500)


@pytest.mark.rule(21, 28)
@pytest.mark.parametrize("role", [Role.SERVER, Role.CLIENT])
def test_a_handshake_never_raises(role: Role) -> None:
    def call(data: bytes) -> None:
        protocol = Protocol(role)
        if role is Role.CLIENT:
            protocol.send_request(REQUEST)
        protocol.receive_data(data)
        protocol.receive_data(data)
        protocol.receive_eof()
        protocol.data_to_send()

    survives(call, head_inputs(random.Random(10)), 2500)
