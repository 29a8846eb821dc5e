"""The cost of parsing grows with the bytes, not with their square, however small the pieces are.

Four times the bytes may take eight times the CPU time here, where a quadratic parser needs sixteen;
the quickest of three runs counts, since other load only ever adds.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

import pytest

from refimpl.framing import parse_frame
from refimpl.handshake import Headers, Response, build_request, parse_uri
from refimpl.messages import Protocol, Role
from tests.support import wire
from tests.support.cpu import quickest
from tests.support.pair import opened
from tests.support.wire import BINARY, CONTINUATION, KEY, PING, TEXT

TIMES = 4


def one_binary(size: int) -> bytes:
    """Return one binary message of that size."""
    return wire.frame(BINARY, bytes(size), key=KEY)


def one_text(size: int) -> bytes:
    """Return one text message of that size, with characters of two bytes."""
    return wire.frame(TEXT, "é".encode() * (size // 2), key=KEY)


def many_small(size: int) -> bytes:
    """Return messages of ten bytes, that many bytes of them."""
    return wire.frame(TEXT, b"0123456789", key=KEY) * (size // 16)


def many_pings(size: int) -> bytes:
    """Return pings without a payload, that many bytes of them."""
    return wire.frame(PING, b"", key=KEY) * (size // 6)


def many_fragments(size: int) -> bytes:
    """Return one message in fragments of ten bytes."""
    more = wire.frame(CONTINUATION, b"0123456789", fin=False, key=KEY)
    return wire.frame(BINARY, b"", fin=False, key=KEY) + more * (size // 16)


def many_compressed(size: int) -> bytes:
    """Return one compressed message in fragments of ten bytes, of what cannot be compressed."""
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(random.Random(1).randbytes(size * 10 // 16))
    data += compressor.flush(zlib.Z_SYNC_FLUSH)
    first, *parts = wire.cuts(data, [10] * len(data))
    more = [wire.frame(CONTINUATION, part, fin=False, key=KEY) for part in parts]
    return wire.frame(BINARY, first, fin=False, rsv=4, key=KEY) + b"".join(more)


def one_head(size: int) -> bytes:
    """Return the beginning of a request head of that size, in lines of 600 bytes."""
    return b"GET / HTTP/1.1\r\n" + (b"X-Filler: " + b"f" * 588 + b"\r\n") * (size // 600)


STREAMS = [one_binary, one_text, many_small, many_pings, many_fragments, many_compressed]


def server() -> Protocol:
    """Return a server that takes nearly anything."""
    return opened(Role.SERVER, extension="permessage-deflate", max_size=2**24, max_fragments=2**20)


def in_pieces(data: bytes, size: int) -> None:
    """Feed data in pieces of that size."""
    protocol = server()
    for at in range(0, len(data), size):
        protocol.receive_data(data[at : at + size])


def in_steps(data: bytes) -> None:
    """Feed data at once, and take one event at a time."""
    protocol = server()
    protocol.receive_data(data, limit=0)
    while protocol.receive_data(limit=1):
        pass


def skipping(data: bytes) -> None:
    """Feed data in pieces of 50 bytes to a server that hears no message."""
    protocol = server()
    protocol.skip_messages()
    for at in range(0, len(data), 50):
        protocol.receive_data(data[at : at + 50])


def frame_by_frame(data: bytes) -> None:
    """Parse the whole frames of data, which lie in a bytearray."""
    buffer, position = bytearray(data), 0
    while (parsed := parse_frame(buffer, position, masked=True, compressed=True)) is not None:
        position = parsed[1]


def assert_linear(
    parse: Callable[[bytes], None], stream: Callable[[int], bytes], size: int
) -> None:
    """Assert that more bytes cost in proportion; three tries, since a machine may be busy."""
    small, large = stream(size), stream(size * TIMES)
    for _ in range(3):
        short = quickest(lambda: parse(small), times=3)
        long = quickest(lambda: parse(large), times=3)
        if long < 2 * TIMES * short:
            return
    raise AssertionError(f"{TIMES} times the bytes took {long / short:.1f} times as long")


@pytest.mark.rule(46)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("piece", [1, 50])
def test_cost_is_linear_for_any_pieces(stream: Callable[[int], bytes], piece: int) -> None:
    assert_linear(lambda data: in_pieces(data, piece), stream, 12_000 if piece == 1 else 100_000)


@pytest.mark.rule(46)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("parse", [in_steps, skipping, frame_by_frame])
def test_cost_is_linear_for_any_parser(
    stream: Callable[[int], bytes], parse: Callable[[bytes], None]
) -> None:
    assert_linear(parse, stream, 40_000)


def test_a_head_of_64_kib_byte_by_byte_takes_less_than_half_a_second() -> None:
    def shake_hands() -> None:
        protocol = Protocol(Role.SERVER)
        for byte in one_head(64_000):
            assert protocol.receive_data(bytes([byte])) == []

    assert quickest(shake_hands, times=3) < 0.5


def test_a_refusal_of_60_kb_byte_by_byte_takes_less_than_half_a_second() -> None:
    """25: the client parsed the head of the answer from its start again for each byte."""
    request = build_request(parse_uri("ws://a.example/"), key="dGhlIHNhbXBsZSBub25jZQ==")
    answer = Response(
        403, Headers([("X", "y" * 8000)] * 3 + [("Content-Length", "40000")]), bytes(40_000)
    )

    def be_refused() -> None:
        protocol = Protocol(Role.CLIENT)
        protocol.send_request(request)
        events = [
            event for byte in answer.serialize() for event in protocol.receive_data(bytes([byte]))
        ]
        assert len(events) == 1

    assert quickest(be_refused, times=3) < 0.5
