"""Floor 3, how a connection ends: RFC 6455 sections 1.4, 5.5.1 and 7, both roles."""

from __future__ import annotations

import pytest

from refimpl.errors import Close, LocalProtocolError, RemoteProtocolError
from refimpl.framing import Opcode
from refimpl.messages import Closed, Ping, Role, State
from tests.support import wire
from tests.support.pair import ROLES, failed, opened, sent, to
from tests.support.wire import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT


class TestSection5_5_1:
    """Close: once from each side, and nothing behind it."""

    @pytest.mark.rule(59, 62)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_5_1_nothing_is_sent_after_close(self, role: Role) -> None:
        protocol = opened(role)
        protocol.send_close(1001, "going")
        assert protocol.close_sent == Close(1001, "going")
        for call in (
            lambda: protocol.send_text("x"),
            lambda: protocol.send_binary(b"x"),
            lambda: protocol.send_fragment(b"x", opcode=Opcode.TEXT, fin=True),
            protocol.send_ping,
            protocol.send_pong,
            protocol.send_close,
        ):
            with pytest.raises(LocalProtocolError, match="CLOSING"):
                call()
        events = protocol.receive_data(to(role, (PING, b"?"), (TEXT, b"late")))
        assert events == [Ping(b"?"), "late"]
        assert sent(protocol) == [(CLOSE, b"\x03\xe9going")]

    @pytest.mark.rule(59)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_5_1_pong_goes_out_before_close(self, role: Role) -> None:
        protocol = opened(role)
        protocol.receive_data(to(role, (PING, b"?"), (CLOSE, b"\x03\xe8")))
        assert sent(protocol) == [(PONG, b"?"), (CLOSE, b"\x03\xe8")]
        other = opened(role)
        other.receive_data(to(role, (PING, b"?")))
        other.send_close()
        assert sent(other) == [(PONG, b"?"), (CLOSE, b"\x03\xe8")]

    @pytest.mark.rule(64)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1011, 1014, 3000, 4999])
    def test_5_5_1_close_is_answered_once_with_its_code(self, role: Role, code: int) -> None:
        protocol = opened(role)
        close = to(role, (CLOSE, code.to_bytes(2, "big") + b"why"))
        [closed] = protocol.receive_data(close + close)
        assert isinstance(closed, Closed)
        assert closed.error.received == Close(code, "why")
        assert closed.error.order == "received"
        assert closed.error.clean is (code in (1000, 1001))
        [(opcode, payload)] = sent(protocol)
        assert (opcode, payload[:2]) == (CLOSE, code.to_bytes(2, "big"))
        assert protocol.receive_data(close) == []
        assert protocol.data_to_send() == b""
        assert protocol.state is State.CLOSING

    @pytest.mark.rule(64, 68)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_5_empty_close_is_1005_and_answered_empty(self, role: Role) -> None:
        protocol = opened(role)
        [closed] = protocol.receive_data(to(role, (CLOSE, b"")))
        assert isinstance(closed, Closed)
        assert (closed.error.code, closed.error.reason) == (1005, "")
        assert sent(protocol) == [(CLOSE, b"")]

    @pytest.mark.rule(64)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_5_1_answer_to_our_close_is_not_answered(self, role: Role) -> None:
        protocol = opened(role)
        protocol.send_close(3000, "mine")
        assert sent(protocol) == [(CLOSE, b"\x0b\xb8mine")]
        [closed] = protocol.receive_data(to(role, (CLOSE, b"\x0b\xb8")))
        assert isinstance(closed, Closed)
        assert closed.error.sent == Close(3000, "mine")
        assert closed.error.received == Close(3000, "")
        assert closed.error.order == "sent"
        assert protocol.data_to_send() == b""

    @pytest.mark.rule(65)
    @pytest.mark.parametrize("role", ROLES)
    def test_1_4_data_after_close_is_discarded(self, role: Role) -> None:
        protocol = opened(role)
        stream = to(role, (CLOSE, b"\x03\xe8"), (TEXT, b"late"), (PING, b"late"), (3, b"wrong"))
        [closed] = protocol.receive_data(stream)
        assert isinstance(closed, Closed)
        assert sent(protocol) == [(CLOSE, b"\x03\xe8")]
        assert protocol.receive_data(stream) == []
        assert protocol.data_to_send() == b""

    @pytest.mark.rule(65)
    @pytest.mark.parametrize("role", ROLES)
    def test_1_4_messages_before_the_peers_close_still_arrive(self, role: Role) -> None:
        protocol = opened(role)
        protocol.send_close()
        events = protocol.receive_data(to(role, (TEXT, b"a"), (BINARY, b"b"), (CLOSE, b"")))
        assert events[:2] == ["a", b"b"]
        assert isinstance(events[2], Closed)

    @pytest.mark.rule(60, 61, 63)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"\x03", 1002),
            (b"\x03\xec", 1002),
            (b"\x03\xed", 1002),
            (b"\x03\xee", 1002),
            (b"\x03\xf7", 1002),
            (b"\x00\x00", 1002),
            (b"\x0b\xb7", 1002),
            (b"\x13\x88", 1002),
            (b"\x03\xe8\xff", 1007),
        ],
    )
    def test_5_5_1_malformed_close_fails(self, role: Role, body: bytes, code: int) -> None:
        protocol = opened(role)
        error = failed(protocol, protocol.receive_data(to(role, (CLOSE, body))), code)
        assert (error.received, error.code, error.clean) == (None, 1006, False)

    @pytest.mark.rule(62, 63)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_4_1_wrong_code_or_reason_is_our_mistake_and_changes_nothing(
        self, role: Role
    ) -> None:
        protocol = opened(role)
        for code, reason in [(1006, ""), (1015, ""), (999, ""), (5000, ""), (1000, "x" * 124)]:
            with pytest.raises(LocalProtocolError):
                protocol.send_close(code, reason)
        with pytest.raises(LocalProtocolError):
            protocol.send_close(1000, "\ud800")
        assert protocol.state is State.OPEN
        assert protocol.close_sent is None
        protocol.send_text("still open")
        assert sent(protocol) == [(TEXT, b"still open")]

    @pytest.mark.rule(62)
    def test_7_4_1_1005_is_sent_as_an_empty_close(self) -> None:
        protocol = opened(Role.SERVER)
        protocol.send_close(1005)
        assert sent(protocol) == [(CLOSE, b"")]


class TestSection7:
    """The end, seen from one side or the other."""

    @pytest.mark.rule(68, 70)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize(
        "stream", [[], [(TEXT, b"a", False)], [(TEXT, b"a", False), (CONTINUATION, b"b", False)]]
    )
    def test_7_1_5_end_of_stream_without_close_is_1006(
        self, role: Role, stream: list[tuple[object, ...]]
    ) -> None:
        protocol = opened(role)
        assert protocol.receive_data(to(role, *stream)) == []
        [closed] = protocol.receive_eof()
        assert isinstance(closed, Closed)
        error = closed.error
        assert (error.code, error.sent, error.received, error.order) == (1006, None, None, None)
        assert protocol.state is State.CLOSED
        assert protocol.data_to_send() == b""
        assert protocol.receive_eof() == []
        assert protocol.receive_data(to(role, (TEXT, b"late"))) == []

    @pytest.mark.rule(70)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_7_end_of_stream_inside_a_frame_gives_no_partial_message(self, role: Role) -> None:
        data = to(role, (BINARY, b"x" * 300))
        for end in range(1, len(data)):
            protocol = opened(role)
            assert protocol.receive_data(data[:end]) == []
            [closed] = protocol.receive_eof()
            assert isinstance(closed, Closed)
            assert closed.error.code == 1006

    @pytest.mark.rule(68)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_5_our_close_without_an_answer_is_1006(self, role: Role) -> None:
        protocol = opened(role)
        protocol.send_close(1001)
        [closed] = protocol.receive_eof()
        assert isinstance(closed, Closed)
        assert (closed.error.code, closed.error.clean) == (1006, False)
        assert (closed.error.sent, closed.error.order) == (Close(1001), "sent")

    @pytest.mark.rule(68)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_4_end_of_stream_after_both_closes_adds_nothing(self, role: Role) -> None:
        protocol = opened(role)
        protocol.receive_data(to(role, (CLOSE, b"")))
        assert protocol.receive_eof() == []
        assert protocol.state is State.CLOSED

    @pytest.mark.rule(69)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_7_nothing_is_processed_after_failing(self, role: Role) -> None:
        protocol = opened(role)
        late = to(role, (TEXT, b"late"), (PING, b"late"), (CLOSE, b"\x03\xe8"))
        events = protocol.receive_data(to(role, (TEXT, b"before"), (3, b"")) + late)
        assert events[0] == "before"
        failed(protocol, events, 1002)
        assert protocol.receive_data(late) == []
        assert protocol.receive_eof() == []
        assert protocol.data_to_send() == b""
        assert protocol.close_received is None

    @pytest.mark.rule(59, 69)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_7_failing_after_our_close_sends_no_second_one(self, role: Role) -> None:
        protocol = opened(role)
        protocol.send_close()
        assert sent(protocol) == [(CLOSE, b"\x03\xe8")]
        [closed] = protocol.receive_data(to(role, (3, b"")))
        assert isinstance(closed, Closed)
        assert isinstance(closed.error.__cause__, RemoteProtocolError)
        assert (closed.error.sent, closed.error.order) == (Close(1000), "sent")
        assert protocol.data_to_send() == b""

    @pytest.mark.rule(69)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_7_what_was_queued_goes_out_before_the_close(self, role: Role) -> None:
        protocol = opened(role)
        protocol.send_text("queued")
        protocol.receive_data(to(role, (3, b"")))
        assert [opcode for opcode, _ in sent(protocol)] == [TEXT, CLOSE]

    @pytest.mark.rule(59, 69)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_7_answers_to_what_came_before_go_out_before_the_close(self, role: Role) -> None:
        protocol = opened(role)
        assert not protocol.can_answer
        events = protocol.receive_data(to(role, (TEXT, b"question"), (PING, b"?"), (3, b"")))
        assert events[:2] == ["question", Ping(b"?")]
        assert protocol.can_answer
        protocol.send_text("answer")
        with pytest.raises(LocalProtocolError):
            protocol.send_close()
        assert [opcode for opcode, _ in sent(protocol)] == [TEXT, PONG, CLOSE]
        assert not protocol.can_answer
        with pytest.raises(LocalProtocolError):
            protocol.send_text("too late")
        assert protocol.data_to_send() == b""

    @pytest.mark.rule(69)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_7_the_end_of_the_stream_ends_the_time_for_answers(self, role: Role) -> None:
        protocol = opened(role)
        protocol.receive_data(to(role, (TEXT, b"question"), (PING, b"?"), (3, b"")))
        protocol.send_text("answer")
        assert protocol.receive_eof() == []
        assert protocol.state is State.CLOSED
        assert not protocol.can_answer
        with pytest.raises(LocalProtocolError):
            protocol.send_text("too late")
        assert [opcode for opcode, _ in sent(protocol)] == [TEXT, PONG, CLOSE]
        assert protocol.data_to_send() == b""

    @pytest.mark.rule(63, 69)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_7_reason_of_a_failure_fits_into_a_close(self, role: Role) -> None:
        for data in (to(role, (3, b"")), to(role, (TEXT, b"\xff")), to(role, (PING, b"x" * 126))):
            protocol = opened(role)
            protocol.receive_data(data)
            [(_, payload)] = sent(protocol)
            assert 2 < len(payload) <= 125
            payload[2:].decode()

    @pytest.mark.rule(72, 73, 75)
    def test_no_secret_of_a_message_stands_in_the_reason(self) -> None:
        for data in (wire.frame(TEXT, b"SECRET\xff", key=KEY), wire.frame(TEXT, b"SECRET")):
            server = opened(Role.SERVER)
            [closed] = server.receive_data(data)
            assert isinstance(closed, Closed)
            assert b"SECRET" not in server.data_to_send()
            assert "SECRET" not in f"{closed.error} {closed.error.__cause__}"
