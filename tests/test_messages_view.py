"""Reading from memory that is used again: the same events as from bytes, and nothing kept of it."""

from __future__ import annotations

import random

import pytest

from refimpl.handshake import parse_request
from refimpl.messages import Closed, Event, Protocol, Role, State
from tests.support import wire
from tests.support.pair import opened
from tests.support.wire import BINARY, CLOSE, CONTINUATION, KEY, PING, TEXT

LARGE = random.Random(5).randbytes(70_000)
LONG_TEXT = "é" * 40_000


class Reader:
    """Feeds a protocol from one piece of memory, which is overwritten after each read."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.memory = bytearray(300_000)

    def read(self, data: bytes) -> list[Event]:
        self.memory[: len(data)] = data
        events = self.protocol.receive_data(memoryview(self.memory)[: len(data)])
        self.memory[: len(data)] = b"\xff" * len(data)
        return events


def server_reads(*reads: bytes, **limits: int) -> tuple[list[Event], Protocol]:
    """Return the events of a server's reads, and the server."""
    protocol = opened(Role.SERVER, **limits)
    reader = Reader(protocol)
    return [event for read in reads for event in reader.read(read)], protocol


def masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    return wire.frame(opcode, payload, fin=fin, key=KEY)


class TestTheSameEvents:
    def test_a_large_message_in_one_read(self) -> None:
        assert server_reads(masked(BINARY, LARGE))[0] == [LARGE]

    def test_what_follows_it_in_the_same_read(self) -> None:
        read = masked(BINARY, LARGE) + masked(TEXT, b"and this") + masked(BINARY, LARGE)[:999]
        events, protocol = server_reads(read, masked(BINARY, LARGE)[999:])
        assert events == [LARGE, "and this", LARGE]
        assert protocol.receive_data(masked(TEXT, b"still")) == ["still"]

    @pytest.mark.parametrize("first", [1, 2, 9, 13, 14, 15, 20_000, 70_013])
    def test_a_large_message_in_two_reads(self, first: int) -> None:
        frame = masked(BINARY, LARGE)
        assert server_reads(frame[:first], frame[first:])[0] == [LARGE]

    def test_a_large_message_in_fragments(self) -> None:
        reads = [
            masked(BINARY, LARGE, fin=False),
            masked(CONTINUATION, LARGE, fin=False),
            masked(CONTINUATION, b"end"),
        ]
        assert server_reads(*reads)[0] == [LARGE + LARGE + b"end"]

    def test_a_client_reads_unmasked_frames(self) -> None:
        reader = Reader(opened(Role.CLIENT))
        assert reader.read(wire.frame(BINARY, LARGE)) == [LARGE]

    def test_small_frames(self) -> None:
        assert server_reads(masked(TEXT, b"one") * 3)[0] == ["one"] * 3

    def test_an_empty_read(self) -> None:
        assert server_reads(b"")[0] == []

    def test_a_request(self) -> None:
        head = wire.request_head()
        parsed = parse_request(head)
        assert parsed is not None
        assert Reader(Protocol(Role.SERVER)).read(head) == [parsed[0]]

    def test_any_reads(self) -> None:
        source = random.Random(1)
        for _ in range(30):
            frames = source.choices(
                [
                    masked(BINARY, LARGE),
                    masked(TEXT, LONG_TEXT.encode()),
                    masked(TEXT, b"small"),
                    masked(PING, b"?"),
                ],
                k=4,
            )
            stream = b"".join(frames) + masked(CLOSE, b"\x03\xe8")
            cuts = sorted(source.sample(range(len(stream)), 6))
            reads = [stream[at:to] for at, to in zip([0, *cuts], [*cuts, None], strict=True)]
            *seen, last = server_reads(*reads)[0]
            *wanted, _ = opened(Role.SERVER).receive_data(stream)
            assert seen == wanted
            assert isinstance(last, Closed)


class TestTheSameErrors:
    def closes(self, read: bytes, code: int, **limits: int) -> None:
        [event], protocol = server_reads(read, **limits)
        assert isinstance(event, Closed)
        assert event.error.sent is not None
        assert event.error.sent.code == code
        assert protocol.state is State.CLOSING
        assert Reader(protocol).read(masked(BINARY, LARGE)) == []

    def test_too_big(self) -> None:
        self.closes(masked(BINARY, LARGE), 1009, max_size=len(LARGE) - 1)

    def test_too_big_and_not_there_yet(self) -> None:
        self.closes(masked(BINARY, LARGE)[:100], 1009, max_size=len(LARGE) - 1)

    def test_unmasked(self) -> None:
        self.closes(wire.frame(BINARY, LARGE), 1002)

    def test_no_utf8(self) -> None:
        self.closes(masked(TEXT, LONG_TEXT.encode() + b"\xff"), 1007)

    def test_no_utf8_before_it_is_whole(self) -> None:
        self.closes(masked(TEXT, b"\xff" + LARGE)[:1000], 1007)

    def test_a_continuation_of_nothing(self) -> None:
        self.closes(masked(CONTINUATION, LARGE), 1002)


def test_nothing_is_kept_of_what_was_read_whole() -> None:
    _, protocol = server_reads(masked(BINARY, LARGE), masked(TEXT, b"x"))
    assert not protocol.unparsed
