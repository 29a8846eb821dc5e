"""Floor 3, text in messages: RFC 6455 section 8.1, both roles."""

from __future__ import annotations

import pytest

from refimpl.errors import LocalProtocolError
from refimpl.messages import Event, Ping, Role
from tests.support.pair import ROLES, failed, opened, sent, to
from tests.support.wire import BINARY, CONTINUATION, PING, PONG, TEXT


class TestSection8_1:
    """Text in messages: whole, in fragments, in pieces."""

    @pytest.mark.rule(72, 75)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize(
        "data", [b"\xff", b"ok\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a" * 200 + b"\x80"]
    )
    def test_8_1_message_that_is_not_utf8_fails_with_1007(self, role: Role, data: bytes) -> None:
        for cut in range(len(data) + 1):
            protocol = opened(role)
            stream = [(TEXT, data[:cut], False), (CONTINUATION, data[cut:], True)]
            failed(protocol, protocol.receive_data(to(role, *stream)), 1007)
        protocol = opened(role)
        failed(protocol, protocol.receive_data(to(role, (TEXT, data))), 1007)

    @pytest.mark.rule(72)
    @pytest.mark.parametrize("role", ROLES)
    def test_8_1_binary_may_hold_anything(self, role: Role) -> None:
        data = bytes(range(256))
        stream = [(BINARY, data), (BINARY, data[:200], False), (CONTINUATION, data[200:])]
        events = opened(role).receive_data(to(role, *stream))
        assert events == [data, data]

    @pytest.mark.rule(73)
    @pytest.mark.parametrize("role", ROLES)
    def test_8_1_code_point_split_across_fragments(self, role: Role) -> None:
        text = "aé€\U0001f984z"
        data = text.encode()
        for size in (1, 2, 3):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            stream: list[tuple[object, ...]] = []
            for number, piece in enumerate(pieces):
                stream.append((CONTINUATION if number else TEXT, piece, number == len(pieces) - 1))
                stream.append((PING, b""))
            events = opened(role).receive_data(to(role, *stream))
            assert [event for event in events if event != Ping(b"")] == [text]

    @pytest.mark.rule(76)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize(
        ("data", "index"),
        [(b"\xff", 0), (b"ab\xc0", 2), (b"\xed\xa0", 1), (b"\xf4\x90", 1), (b"\xe2\x82A", 2)],
    )
    def test_8_1_fails_on_the_first_byte_that_cannot_continue(
        self, role: Role, data: bytes, index: int
    ) -> None:
        # Inside a frame whose payload goes on for long: nobody waits for the rest.
        header_size = 8 if role is Role.SERVER else 4
        stream = to(role, (TEXT, data + b"x" * 1000))
        for size in (1, 2, 3, 5):
            protocol = opened(role)
            end = header_size + index + 1
            events: list[Event] = []
            for at in range(0, end, size):
                assert events == []
                events += protocol.receive_data(stream[at : min(at + size, end)])
            failed(protocol, events, 1007)
        protocol = opened(role)
        assert protocol.receive_data(stream[: header_size + index]) == []

    @pytest.mark.rule(76)
    @pytest.mark.parametrize("role", ROLES)
    def test_8_1_fails_fast_inside_a_later_fragment(self, role: Role) -> None:
        protocol = opened(role)
        first = to(role, (TEXT, b"a\xe2\x82", False), (PING, b""))
        assert protocol.receive_data(first) == [Ping(b"")]
        assert sent(protocol) == [(PONG, b"")]
        second = to(role, (CONTINUATION, b"(" + b"x" * 100))
        failed(protocol, protocol.receive_data(second[:-100]), 1007)

    @pytest.mark.rule(72)
    @pytest.mark.parametrize("role", ROLES)
    def test_8_1_text_with_a_lone_surrogate_is_our_mistake(self, role: Role) -> None:
        protocol = opened(role)
        with pytest.raises(LocalProtocolError):
            protocol.send_text("\ud800")
        assert protocol.data_to_send() == b""
        protocol.send_text("ok")
        assert sent(protocol) == [(TEXT, b"ok")]
