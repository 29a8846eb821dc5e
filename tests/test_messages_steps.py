"""Receiving in steps: a limit of events, an end that loses nothing, messages skipped."""

from __future__ import annotations

import pytest

from refimpl.errors import LocalProtocolError
from refimpl.handshake import Headers, Policy, Request, check_request
from refimpl.messages import (
    Closed,
    Event,
    HandshakeFailed,
    Ping,
    Pong,
    Protocol,
    Role,
    State,
    negotiate,
)
from refimpl.messages.utf8 import encode_text
from tests.support import wire
from tests.support.cpu import is_traced, quickest
from tests.support.pair import EXTENSIONS, ROLES, opened, to
from tests.support.wire import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT


def in_steps(protocol: Protocol, data: bytes, limit: int) -> list[Event]:
    """Return the events of data, taken limit at a time."""
    events = protocol.receive_data(data, limit=limit)
    while step := protocol.receive_data(limit=limit):
        assert len(step) <= limit
        events += step
    return events


@pytest.mark.parametrize("role", ROLES)
class TestLimit:
    def test_no_more_than_the_limit(self, role: Role) -> None:
        protocol = opened(role)
        data = to(role, (TEXT, b"1"), (PING, b"2"), (BINARY, b"3" * 200), (TEXT, b"4"))
        assert protocol.receive_data(data, limit=2) == ["1", Ping(b"2")]
        assert protocol.receive_data(limit=1) == [b"3" * 200]
        assert protocol.unparsed == len(to(role, (TEXT, b"4")))
        assert protocol.receive_data(limit=0) == []
        assert protocol.receive_data() == ["4"]
        assert protocol.unparsed == 0

    def test_more_data_behind_what_waits(self, role: Role) -> None:
        protocol = opened(role)
        stream = b"".join(to(role, (TEXT, b"%d" % number)) for number in range(50))
        events: list[Event] = []
        for at in range(0, len(stream), 20):
            events += protocol.receive_data(stream[at : at + 20], limit=1)
        assert len(events) < 50
        while step := protocol.receive_data(limit=3):
            events += step
        assert events == [str(number) for number in range(50)]

    def test_a_mistake_is_heard_in_its_turn(self, role: Role) -> None:
        protocol = opened(role)
        data = to(role, (TEXT, b"good"), (0x3, b"bad"))
        assert protocol.receive_data(data, limit=1) == ["good"]
        assert protocol.state is State.OPEN
        [closed] = protocol.receive_data(limit=1)
        assert isinstance(closed, Closed)
        assert protocol.unparsed == 0

    def test_a_close_is_the_last_event(self, role: Role) -> None:
        data = to(role, (TEXT, b"1"), (CLOSE, b""), (TEXT, b"late"))
        one, closed = in_steps(opened(role), data, 1)
        assert one == "1"
        assert isinstance(closed, Closed)

    def test_memory_is_given_back_in_time(self, role: Role) -> None:
        protocol = opened(role)
        protocol.receive_data(to(role, (BINARY, b"x")) * 40_000, limit=0)
        while protocol.receive_data(limit=16):
            assert len(protocol._input.buffer) <= 2 * protocol.unparsed + 16 * 7


def test_the_handshake_counts() -> None:
    server = Protocol(Role.SERVER)
    head = wire.request_head()
    assert server.receive_data(head, limit=0) == []
    assert server.unparsed == len(head)
    assert len(server.receive_data(limit=1)) == 1


class TestCost:
    @pytest.mark.skipif(is_traced(), reason="a tracer is no clock")
    def test_going_on_is_linear_and_cheap(self) -> None:
        frame = to(Role.SERVER, (TEXT, b"x"))

        def seconds(size: int) -> float:
            data = frame * (size // len(frame))
            return quickest(lambda: in_steps(opened(Role.SERVER), data, 16), times=3)

        for _ in range(3):
            small, large = seconds(64 * 1024), seconds(256 * 1024)
            if large < 8 * small and large < 0.5:
                return
        raise AssertionError(f"4 times the bytes took {large / small:.1f} times as long")


@pytest.mark.parametrize("role", ROLES)
class TestEnd:
    def test_whole_frames_come_before_the_end(self, role: Role) -> None:
        protocol = opened(role)
        data = to(role, *[(TEXT, b"x")] * 50, (CLOSE, b"\x03\xe8"))
        assert protocol.receive_data(data, limit=20) == ["x"] * 20
        *messages, closed = protocol.receive_eof()
        assert messages == ["x"] * 30
        assert isinstance(closed, Closed)
        assert closed.error.received == (1000, "")
        assert protocol.state is State.CLOSED

    def test_half_a_frame_does_not(self, role: Role) -> None:
        protocol = opened(role)
        protocol.receive_data(to(role, (TEXT, b"x"), (TEXT, b"half"))[:-1], limit=0)
        message, closed = protocol.receive_eof()
        assert message == "x"
        assert isinstance(closed, Closed)
        assert closed.error.code == 1006
        assert protocol.unparsed == 0
        assert protocol.receive_eof() == []


@pytest.mark.parametrize("role", ROLES)
class TestSkip:
    def test_control_frames_are_still_heard(self, role: Role) -> None:
        data = to(
            role, (TEXT, b"1"), (PING, b"?"), (BINARY, b"3" * 70_000), (PONG, b"!"), (CLOSE, b"")
        )
        for size in (1, 7, 5000, len(data)):
            protocol = opened(role, max_size=10)
            protocol.send_close(1000)
            protocol.skip_messages()
            events: list[Event] = []
            for at in range(0, len(data), size):
                events += protocol.receive_data(data[at : at + size])
            assert events[:2] == [Ping(b"?"), Pong(b"!")]
            assert isinstance(events[2], Closed)
            assert events[2].error.clean

    def test_a_message_that_has_begun(self, role: Role) -> None:
        protocol = opened(role)
        frame = to(role, (CONTINUATION, b"x" * 300))
        begun = to(role, (BINARY, b"first", False))
        assert protocol.receive_data(begun + frame[:100]) == []
        protocol.skip_messages()
        assert protocol.receive_data(frame[100:] + to(role, (PING, b""))) == [Ping(b"")]

    def test_nothing_of_a_frame_is_kept(self, role: Role) -> None:
        protocol = opened(role)
        protocol.skip_messages()
        head = wire.frame(BINARY, b"", length=2**40, key=KEY if role is Role.SERVER else None)
        assert protocol.receive_data(head) == []
        for _ in range(20):
            assert protocol.receive_data(bytes(10_000)) == []
            assert protocol.unparsed == 0
            assert not protocol._input.buffer

    def test_a_limit_holds_here_too(self, role: Role) -> None:
        protocol = opened(role)
        protocol.skip_messages()
        data = to(role, (PING, b"1"), (TEXT, b"x"), (PING, b"2"))
        assert protocol.receive_data(data, limit=1) == [Ping(b"1")]
        assert protocol.receive_data(limit=1) == [Ping(b"2")]

    @pytest.mark.parametrize("payload", [b"\xff", b""])
    def test_neither_text_nor_order_is_looked_at(self, role: Role, payload: bytes) -> None:
        protocol = opened(role)
        protocol.skip_messages()
        data = to(role, (TEXT, payload), (CONTINUATION, payload), (PING, b""))
        assert protocol.receive_data(data) == [Ping(b"")]

    def test_the_rules_of_heads_hold(self, role: Role) -> None:
        protocol = opened(role)
        protocol.skip_messages()
        [closed] = protocol.receive_data(to(role, (TEXT, b"x"), (0x3, b"")))
        assert isinstance(closed, Closed)
        assert protocol.close_sent is not None
        assert protocol.close_sent.code == 1002

    def test_a_mask_on_the_wrong_side_fails(self, role: Role) -> None:
        protocol = opened(role)
        protocol.skip_messages()
        other = Role.CLIENT if role is Role.SERVER else Role.SERVER
        [closed] = protocol.receive_data(to(other, (TEXT, b"x")))
        assert isinstance(closed, Closed)

    @pytest.mark.parametrize("first", [0x41, 0xC2, 0x02, 0x80])
    def test_compressed_frames_are_skipped_like_others(self, role: Role, first: int) -> None:
        protocol = opened(role, extension="permessage-deflate")
        protocol.skip_messages()
        rsv, fin = first >> 4 & 7, first >= 128
        key = KEY if role is Role.SERVER else None
        for size in (0, 125, 126, 70_000):
            data = wire.frame(first & 15, b"x" * size, rsv=rsv, fin=fin, key=key) * 2
            assert protocol.receive_data(data + to(role, (PING, b""))) == [Ping(b"")]

    def test_the_end_of_the_stream(self, role: Role) -> None:
        protocol = opened(role)
        protocol.skip_messages()
        protocol.receive_data(to(role, (TEXT, b"x")))
        [closed] = protocol.receive_eof()
        assert isinstance(closed, Closed)


def test_skipping_before_the_handshake() -> None:
    server = Protocol(Role.SERVER)
    server.skip_messages()
    [failed] = server.receive_eof()
    assert isinstance(failed, HandshakeFailed)


def test_skipping_on_a_connection_that_then_agrees_on_compression() -> None:
    request = Request("/", Headers([*wire.REQUEST_HEADERS, (EXTENSIONS, "permessage-deflate")]))
    server = Protocol(Role.SERVER)
    server.receive_data(request.serialize())
    server.skip_messages()
    server.accept(check_request(request, Policy(negotiate=negotiate)))
    data = wire.frame(BINARY, b"\xff", rsv=4, key=KEY) + wire.frame(PING, b"", key=KEY)
    assert server.receive_data(data) == [Ping(b"")]


class TestLoneSurrogate:
    def test_encode_text(self) -> None:
        assert encode_text("é") == "é".encode()
        with pytest.raises(LocalProtocolError, match="got text with a lone surrogate, which has"):
            encode_text("\ud800")

    @pytest.mark.parametrize("role", ROLES)
    def test_the_same_error_from_every_way_in(self, role: Role) -> None:
        protocol = opened(role)
        for send in (protocol.send_text, lambda text: protocol.send_close(1000, text)):
            with pytest.raises(LocalProtocolError, match="got text with a lone surrogate"):
                send("\ud800")
        assert protocol.state is State.OPEN
        assert protocol.data_to_send() == b""


class TestWaiting:
    """How much of what came is not an event yet, and which bytes."""

    def test_a_beginning_is_unparsed(self) -> None:
        protocol = opened(Role.SERVER)
        assert (protocol.unparsed, protocol.pending, protocol.peek()) == (0, 0, b"")
        data = to(Role.SERVER, (TEXT, b"Hello"))
        assert protocol.receive_data(data[:-1]) == []
        assert (protocol.unparsed, protocol.pending) == (len(data) - 1,) * 2
        assert protocol.peek() == data[:-1]
        assert protocol.receive_data(data[-1:]) == ["Hello"]
        assert (protocol.unparsed, protocol.pending, protocol.peek()) == (0, 0, b"")

    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_fragments_are_pending_until_their_message_is_whole(self, opcode: int) -> None:
        protocol = opened(Role.SERVER)
        first = wire.frame(opcode, b"x" * 1000, fin=False, key=KEY)
        assert protocol.receive_data(first) == []
        assert protocol.unparsed == 0
        assert 1000 <= protocol.pending <= 1200  # a str is a little more than its letters
        assert len(protocol.receive_data(wire.frame(CONTINUATION, b"", key=KEY))) == 1
        assert protocol.pending == 0

    def test_nothing_is_pending_where_no_message_is_wanted(self) -> None:
        protocol = opened(Role.SERVER)
        protocol.skip_messages()
        protocol.receive_data(wire.frame(TEXT, b"x" * 1000, fin=False, key=KEY))
        assert protocol.pending == 0
