"""The cost of parsing grows with the bytes, not with their square, however small the pieces are.

Four times the bytes may take eight times the CPU time here, where a quadratic parser needs sixteen;
the quickest of three runs counts, since other load only ever adds.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from refimpl.messages import Protocol, Role
from tests.support import wire
from tests.support.cpu import quickest
from tests.support.pair import opened
from tests.support.wire import BINARY, CONTINUATION, KEY, TEXT

SMALL, TIMES = 16_000, 4


def one_binary(size: int) -> bytes:
    """Return one binary message of that size."""
    return wire.frame(BINARY, bytes(size), key=KEY)


def one_text(size: int) -> bytes:
    """Return one text message of that size, with characters of two bytes."""
    return wire.frame(TEXT, "é".encode() * (size // 2), key=KEY)


def many_small(size: int) -> bytes:
    """Return messages of ten bytes, that many bytes of them."""
    return wire.frame(TEXT, b"0123456789", key=KEY) * (size // 16)


def many_fragments(size: int) -> bytes:
    """Return one message in fragments of ten bytes."""
    more = wire.frame(CONTINUATION, b"0123456789", fin=False, key=KEY)
    return wire.frame(BINARY, b"", fin=False, key=KEY) + more * (size // 16)


def one_head(size: int) -> bytes:
    """Return the beginning of a request head of that size, in lines of 600 bytes."""
    return b"GET / HTTP/1.1\r\n" + (b"X-Filler: " + b"f" * 588 + b"\r\n") * (size // 600)


def seconds(data: bytes, piece: int) -> float:
    """Return the CPU seconds that a server needs for data in pieces; the quickest of three."""
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]

    def serve() -> None:
        server = opened(Role.SERVER, max_size=2**24, max_fragments=2**20)
        for part in pieces:
            server.receive_data(part)

    def shake_hands() -> None:
        server = Protocol(Role.SERVER)
        for part in pieces:
            assert server.receive_data(part) == []

    return quickest(shake_hands if data[:3] == b"GET" else serve, times=3)


@pytest.mark.rule(46)
@pytest.mark.parametrize("stream", [one_binary, one_text, many_small, many_fragments])
@pytest.mark.parametrize("piece", [1, 50])
def test_cost_is_linear_for_any_pieces(stream: Callable[[int], bytes], piece: int) -> None:
    size = SMALL * (1 if piece == 1 else 10)
    for _ in range(3):
        small, large = (seconds(stream(size * times), piece) for times in (1, TIMES))
        if large < 2 * TIMES * small:
            return
    raise AssertionError(f"{TIMES} times the bytes took {large / small:.1f} times as long")


def test_a_head_of_64_kib_byte_by_byte_takes_less_than_half_a_second() -> None:
    assert seconds(one_head(64_000), 1) < 0.5
