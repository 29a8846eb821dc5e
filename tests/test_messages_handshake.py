"""Floor 3, the handshake in the protocol without I/O: RFC 6455 section 4, both roles."""

from __future__ import annotations

import pytest

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.framing import Opcode
from refimpl.handshake import (
    Headers,
    Request,
    Response,
    build_request,
    check_request,
    parse_uri,
    refuse,
)
from refimpl.messages import Closed, HandshakeFailed, Ping, Protocol, Role, State
from tests.support import wire
from tests.support.handshakes import MALFORMED, STILL_GOOD, Bad
from tests.support.pair import ROLES, sent, to
from tests.support.wire import BINARY, PING, PONG, TEXT

SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def new_client() -> Protocol:
    """Return a client whose request is on its way."""
    client = Protocol(Role.CLIENT)
    uri = parse_uri("ws://server.example.com/chat")
    client.send_request(build_request(uri, key=SAMPLE_KEY))
    assert client.data_to_send() == wire.request_head()
    return client


class TestSection4_2:
    """The opening handshake of a server."""

    @pytest.mark.rule(20)
    def test_4_2_1_frames_behind_the_request_are_kept(self) -> None:
        server = Protocol(Role.SERVER)
        behind = to(Role.SERVER, (TEXT, b"Hello"), (PING, b"!"))
        [request] = server.receive_data(wire.request_head() + behind)
        assert request == Request("/chat", Headers(wire.REQUEST_HEADERS))
        events = server.accept(check_request(request))
        assert events == ["Hello", Ping(b"!")]
        assert server.state is State.OPEN
        head, _, rest = server.data_to_send().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert wire.split_frames(rest) == [(PONG, True, 0, None, b"!")]

    @pytest.mark.rule(20)
    @pytest.mark.parametrize("size", [1, 2, 7, 50, 1000])
    def test_4_2_1_any_pieces_before_and_after_accept(self, size: int) -> None:
        data = wire.request_head() + to(Role.SERVER, (TEXT, b"Hello"), (BINARY, b"x" * 300))
        for accept_late in (True, False):
            server, events = Protocol(Role.SERVER), []
            for at in range(0, len(data), size):
                events += server.receive_data(data[at : at + size])
                if events and server.state is State.CONNECTING and not accept_late:
                    events += server.accept(check_request(events[0]))
            if accept_late:
                assert len(events) == 1
                events += server.accept(check_request(events[0]))
            assert events[1:] == ["Hello", b"x" * 300]

    @pytest.mark.rule(20)
    def test_4_2_1_wrong_frames_behind_the_request_fail_after_accept(self) -> None:
        server = Protocol(Role.SERVER)
        [request] = server.receive_data(wire.request_head() + wire.frame(TEXT, b"not masked"))
        [closed] = server.accept(check_request(request))
        assert isinstance(closed, Closed)
        assert server.state is State.CLOSING

    @pytest.mark.rule(21)
    @pytest.mark.parametrize("bad", MALFORMED, ids=lambda bad: f"{bad.number}-{bad.name}")
    def test_4_2_2_malformed_request_is_answered_once_and_never_opens(self, bad: Bad) -> None:
        server = Protocol(Role.SERVER)
        events = server.receive_data(bad.head)
        assert len(events) == 1
        if isinstance(events[0], Request):
            with pytest.raises(HandshakeError) as caught:
                check_request(events[0])
            server.reject(refuse(caught.value))
        else:
            assert isinstance(events[0], HandshakeFailed)
            assert events[0].error.status == bad.status
        answer = server.data_to_send()
        assert answer.startswith(b"HTTP/1.1 %d " % bad.status)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert server.state is State.CLOSED
        # What follows is never looked at, smuggled requests least of all.
        assert server.receive_data(wire.request_head()) == []
        assert server.receive_eof() == []
        assert server.data_to_send() == b""

    @pytest.mark.rule(21)
    def test_4_2_2_rejected_request_gets_the_response_given(self) -> None:
        server = Protocol(Role.SERVER)
        server.receive_data(wire.request_head())
        response = Response(404, Headers([("Content-Length", "4")]), b"gone")
        server.reject(response)
        assert server.data_to_send() == response.serialize()
        assert server.state is State.CLOSED
        for call in (lambda: server.send_text("late"), server.send_close, server.send_ping):
            with pytest.raises(LocalProtocolError, match="CLOSED"):
                call()
        with pytest.raises(LocalProtocolError):
            server.accept(check_request(Request("/", Headers(wire.REQUEST_HEADERS))))

    @pytest.mark.parametrize("good", STILL_GOOD, ids=lambda good: good.name)
    def test_4_2_unusual_request_opens(self, good: object) -> None:
        server = Protocol(Role.SERVER)
        [request] = server.receive_data(good.head + good.behind)  # type: ignore[attr-defined]
        events = server.accept(check_request(request))
        assert events == (["Hello"] if good.behind else [])  # type: ignore[attr-defined]

    @pytest.mark.rule(70)
    @pytest.mark.parametrize("end", [0, 1, 30, len(wire.request_head()) - 1, None])
    def test_4_2_end_of_stream_inside_the_handshake(self, end: int | None) -> None:
        server = Protocol(Role.SERVER)
        events = server.receive_data(wire.request_head()[:end])
        assert len(events) == (1 if end is None else 0)
        [failure] = server.receive_eof()
        assert isinstance(failure, HandshakeFailed)
        assert failure.error.status == 0
        assert server.state is State.CLOSED
        assert server.data_to_send() == b""
        assert server.receive_eof() == []

    def test_4_2_accept_twice_is_our_mistake(self) -> None:
        server = Protocol(Role.SERVER)
        [request] = server.receive_data(wire.request_head())
        server.accept(check_request(request))
        with pytest.raises(LocalProtocolError, match=r"ACCEPT.*OPEN"):
            server.accept(check_request(request))


class TestSection4_1:
    """The opening handshake of a client."""

    @pytest.mark.rule(34)
    @pytest.mark.parametrize("size", [1, 13, 10_000])
    def test_4_1_response_opens_and_frames_behind_it_are_kept(self, size: int) -> None:
        client = new_client()
        data = wire.response_head() + wire.frame(TEXT, b"Hello") + wire.frame(PING, b"!")
        events = []
        for at in range(0, len(data), size):
            events += client.receive_data(data[at : at + size])
        assert isinstance(events[0], Response)
        assert events[0].status == 101
        assert events[1:] == ["Hello", Ping(b"!")]
        assert client.state is State.OPEN
        assert sent(client) == [(PONG, b"!")]

    @pytest.mark.rule(34)
    @pytest.mark.parametrize("role", ROLES)
    def test_4_1_no_data_before_validation(self, role: Role) -> None:
        protocol = new_client() if role is Role.CLIENT else Protocol(role)
        if role is Role.SERVER:
            protocol.receive_data(wire.request_head())
        calls = [
            lambda: protocol.send_text("x"),
            lambda: protocol.send_binary(b"x"),
            lambda: protocol.send_fragment(b"x", opcode=Opcode.TEXT, fin=False),
            protocol.send_ping,
            protocol.send_pong,
            protocol.send_close,
        ]
        for call in calls:
            with pytest.raises(LocalProtocolError, match="CONNECTING"):
                call()
        assert protocol.data_to_send() == b""
        assert protocol.state is State.CONNECTING

    @pytest.mark.rule(28, 29, 30, 31)
    @pytest.mark.parametrize(
        "data",
        [
            wire.response_head("HTTP/1.1 200 OK", add=[("Content-Length", "0")]),
            wire.response_head(replace={"Upgrade": "h2c"}),
            wire.response_head(replace={"Connection": "close"}),
            wire.response_head(replace={"Sec-WebSocket-Accept": "x"}),
            wire.response_head(add=[("Sec-WebSocket-Protocol", "chat")]),
            wire.response_head(add=[("Sec-WebSocket-Extensions", "permessage-deflate")]),
            b"SSH-2.0-OpenSSH\r\n\r\n",
        ],
    )
    def test_4_1_wrong_response_never_opens(self, data: bytes) -> None:
        client = new_client()
        [failure] = client.receive_data(data + wire.frame(TEXT, b"Hello"))
        assert isinstance(failure, HandshakeFailed)
        assert client.state is State.CLOSED
        assert client.data_to_send() == b""
        assert client.receive_data(wire.response_head()) == []
        assert client.receive_eof() == []

    @pytest.mark.rule(28)
    def test_4_1_refusal_is_seen_with_its_body(self) -> None:
        client = new_client()
        head = wire.head("HTTP/1.1 403 Forbidden", [("Content-Length", "5"), ("X", "y")])
        assert client.receive_data(head + b"sor") == []
        [failure] = client.receive_data(b"ry")
        assert isinstance(failure, HandshakeFailed)
        assert (failure.error.status, failure.error.body) == (403, b"sorry")
        assert ("X", "y") in failure.error.headers

    @pytest.mark.rule(28)
    def test_4_1_refusal_without_length_ends_with_the_stream(self) -> None:
        client = new_client()
        assert client.receive_data(wire.head("HTTP/1.1 500 Oops", []) + b"sor") == []
        assert client.receive_data(b"ry") == []
        [failure] = client.receive_eof()
        assert isinstance(failure, HandshakeFailed)
        assert (failure.error.status, failure.error.body) == (500, b"sorry")
        assert client.state is State.CLOSED

    @pytest.mark.rule(70)
    @pytest.mark.parametrize("end", [0, 1, 50])
    def test_4_1_end_of_stream_inside_the_handshake(self, end: int) -> None:
        client = new_client()
        client.receive_data(wire.response_head()[:end])
        [failure] = client.receive_eof()
        assert isinstance(failure, HandshakeFailed)
        assert failure.error.status == 0
        assert client.receive_eof() == []


def test_4_1_an_answer_before_the_question_is_kept_and_bounded() -> None:
    client = Protocol(Role.CLIENT)
    assert client.receive_data(wire.response_head()) == []
    [failure] = client.receive_data(bytes(64 * 1024))
    assert isinstance(failure, HandshakeFailed)
