"""Floor 3, the protocol without I/O: RFC 6455 sections 1.4, 4, 5 and 7, both roles."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest

from refimpl.errors import (
    Close,
    ConnectionClosed,
    HandshakeError,
    LocalProtocolError,
    RemoteProtocolError,
)
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
from refimpl.messages import (
    TRANSITIONS,
    Closed,
    Event,
    HandshakeFailed,
    Phase,
    Ping,
    Pong,
    Protocol,
    Role,
    State,
    Trigger,
)
from refimpl.messages.state import next_phase
from tests import wire
from tests.handshakes import MALFORMED, STILL_GOOD, Bad
from tests.pair import Pair, opened
from tests.wire import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT

ROLES = [Role.SERVER, Role.CLIENT]
SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def key_for(role: Role) -> bytes | None:
    """Return the key that frames to this role are masked with: servers get masked frames."""
    return KEY if role is Role.SERVER else None


def to(role: Role, *frames: tuple[object, ...], **options: object) -> bytes:
    """Return the bytes of frames (opcode, payload, fin) as they go to this role."""
    stream = b""
    for opcode, payload, *rest in frames:
        fin = bool(rest[0]) if rest else True
        stream += wire.frame(opcode, payload, fin=fin, key=key_for(role), **options)  # type: ignore[arg-type]
    return stream


def sent(protocol: Protocol) -> list[tuple[int, bytes]]:
    """Return opcode and payload of each frame that the protocol has to send."""
    return [(opcode, payload) for opcode, _, _, _, payload in frames(protocol)]


def frames(protocol: Protocol) -> list[tuple[int, bool, int, bytes | None, bytes]]:
    """Return the frames that the protocol has to send."""
    return wire.split_frames(protocol.data_to_send())


def failed(protocol: Protocol, events: list[Event], code: int) -> ConnectionClosed:
    """Assert that the last event is a failure answered with that code; return its error."""
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert isinstance(closed.error.__cause__, RemoteProtocolError)
    assert closed.error.__cause__.close_code == code
    assert sum(isinstance(event, Closed) for event in events) == 1
    [*_, (opcode, payload)] = sent(protocol)
    assert (opcode, payload[:2]) == (CLOSE, code.to_bytes(2, "big"))
    assert closed.error.sent == Close(code, payload[2:].decode())
    return closed.error


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


class TestSection5_1:
    """Who masks."""

    @pytest.mark.rule(36, 37)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG])
    def test_5_1_wrong_masking_fails_with_1002(self, role: Role, opcode: int) -> None:
        protocol = opened(role)
        wrong = None if role is Role.SERVER else KEY
        events = protocol.receive_data(wire.frame(opcode, b"\x03\xe8", key=wrong))
        failed(protocol, events, 1002)

    @pytest.mark.rule(38, 40)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_1_client_masks_every_frame_and_server_none(self, role: Role) -> None:
        protocol = opened(role)
        protocol.receive_data(to(role, (PING, b"echo")))
        protocol.send_text("text")
        protocol.send_text("")
        protocol.send_binary(b"\0" * 70000)
        protocol.send_fragment(b"a", opcode=Opcode.BINARY, fin=False)
        protocol.send_ping(b"ping")
        protocol.send_fragment(b"b", opcode=Opcode.BINARY, fin=True)
        protocol.send_pong(b"pong")
        protocol.send_close(1000, "bye")
        out = frames(protocol)
        assert len(out) == 9
        assert all((key is not None) == (role is Role.CLIENT) for _, _, _, key, _ in out)
        assert [payload for *_, payload in out if payload[:1] != b"\0"].count(b"text") == 1

    @pytest.mark.rule(38, 40)
    def test_5_1_failing_client_masks_its_close_and_server_does_not(self) -> None:
        for role in ROLES:
            protocol = opened(role)
            protocol.receive_data(to(role, (3, b"")))
            [(opcode, _, _, key, _)] = frames(protocol)
            assert (opcode, key is not None) == (CLOSE, role is Role.CLIENT)

    @pytest.mark.rule(39)
    def test_5_3_each_frame_has_a_key_of_its_own(self) -> None:
        made: list[bytes] = []

        def random_bytes(size: int) -> bytes:
            made.append(len(made).to_bytes(size, "big"))
            return made[-1]

        client = opened(Role.CLIENT, random_bytes=random_bytes)
        made.clear()
        for _ in range(5):
            client.send_text("Hello")
        client.send_ping(b"Hello")
        client.send_fragment(b"Hello", opcode=Opcode.TEXT, fin=False)
        client.receive_data(wire.frame(PING, b"Hello"))
        client.send_close()
        keys = [key for _, _, _, key, _ in frames(client)]
        assert sorted(keys) == made
        assert len(set(made)) == len(made) == 9
        assert {len(key) for key in made} == {4}

    @pytest.mark.rule(39)
    def test_5_3_keys_are_unpredictable_by_default(self) -> None:
        client = opened(Role.CLIENT)
        for _ in range(200):
            client.send_binary(b"")
        assert len({key for _, _, _, key, _ in frames(client)}) >= 199

    @pytest.mark.rule(40)
    def test_5_1_server_never_asks_for_random_bytes(self) -> None:
        def random_bytes(size: int) -> bytes:
            raise AssertionError("a server has no masking key")

        server = opened(Role.SERVER, random_bytes=random_bytes)
        server.send_text("Hello")
        assert sent(server) == [(TEXT, b"Hello")]


class TestSection5_4:
    """Fragmentation: what frames mean together."""

    @pytest.mark.rule(50)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_4_control_frame_between_fragments_is_handled_at_once(self, role: Role) -> None:
        protocol = opened(role)
        assert protocol.receive_data(to(role, (TEXT, b"Hel", False), (PING, b"!"))) == [Ping(b"!")]
        assert sent(protocol) == [(PONG, b"!")]
        assert protocol.receive_data(to(role, (PONG, b"?"))) == [Pong(b"?")]
        assert protocol.receive_data(to(role, (CONTINUATION, b"lo"))) == ["Hello"]

    @pytest.mark.rule(50, 70)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_4_close_between_fragments_drops_the_message(self, role: Role) -> None:
        protocol = opened(role)
        [closed] = protocol.receive_data(
            to(role, (TEXT, b"Hel", False), (CLOSE, b"\x03\xe8"), (CONTINUATION, b"lo"))
        )
        assert isinstance(closed, Closed)
        assert closed.error.code == 1000

    @pytest.mark.rule(51)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("fin", [True, False])
    @pytest.mark.parametrize("before", [b"", b"ok"])
    def test_5_4_orphan_continuation_fails(self, role: Role, fin: bool, before: bytes) -> None:
        protocol = opened(role)
        first = to(role, (BINARY, b"o", False), (CONTINUATION, b"k")) if before else b""
        events = protocol.receive_data(first + to(role, (CONTINUATION, b"x", fin)))
        assert events[:-1] == ([b"ok"] if before else [])
        failed(protocol, events, 1002)

    @pytest.mark.rule(52)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("types", list(itertools.product([TEXT, BINARY], repeat=2)))
    @pytest.mark.parametrize("fin", [True, False])
    def test_5_4_new_message_inside_a_fragmented_one_fails(
        self, role: Role, types: tuple[int, int], fin: bool
    ) -> None:
        protocol = opened(role)
        events = protocol.receive_data(to(role, (types[0], b"a", False), (types[1], b"b", fin)))
        assert len(events) == 1
        failed(protocol, events, 1002)

    @pytest.mark.rule(51, 52)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_4_wrong_order_fails_before_the_frame_is_whole(self, role: Role) -> None:
        protocol = opened(role)
        events = protocol.receive_data(to(role, (CONTINUATION, b"xyz"))[:-1])
        failed(protocol, events, 1002)

    @pytest.mark.rule(53, 55)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize(("opcode", "event"), [(TEXT, "abcde"), (BINARY, b"abcde")])
    def test_5_4_every_cut_means_the_same(self, role: Role, opcode: int, event: Event) -> None:
        for cuts in itertools.product([True, False], repeat=4):
            pieces = [b"a"]
            for letter, cut in zip(b"bcde", cuts, strict=True):
                if cut:
                    pieces.append(b"")
                pieces[-1] += bytes([letter])
            stream = [
                (CONTINUATION if number else opcode, piece, number == len(pieces) - 1)
                for number, piece in enumerate(pieces)
            ]
            assert opened(role).receive_data(to(role, *stream)) == [event]

    @pytest.mark.rule(53)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_4_messages_keep_their_order_and_type(self, role: Role) -> None:
        stream = to(
            role,
            (TEXT, b"1", False),
            (CONTINUATION, b"2"),
            (BINARY, b"3"),
            (BINARY, b"4", False),
            (CONTINUATION, b"5", False),
            (CONTINUATION, b"6"),
            (TEXT, b"7"),
        )
        expected = ["12", b"3", b"456", "7"]
        assert opened(role).receive_data(stream) == expected

    @pytest.mark.rule(54)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize("payload", [b"", b"x"])
    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_5_4_fragments_are_counted(
        self, role: Role, opcode: int, payload: bytes, over: int
    ) -> None:
        limit = 5
        protocol = opened(role, max_fragments=limit)
        count = limit + over
        stream = [(opcode, payload, False)]
        stream += [(CONTINUATION, payload, number == count) for number in range(2, count + 1)]
        for _ in range(2):  # the count begins anew with each message
            events = protocol.receive_data(to(role, *stream))
            if over > 0:
                failed(protocol, events, 1008)
                break
            data = payload * count
            assert events == [data.decode() if opcode == TEXT else data]

    @pytest.mark.rule(54)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_4_empty_fragments_are_legal(self, role: Role) -> None:
        stream = to(
            role, (TEXT, b"", False), (CONTINUATION, b"", False), (CONTINUATION, b"a"), (TEXT, b"")
        )
        assert opened(role).receive_data(stream) == ["a", ""]

    @pytest.mark.rule(55)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_4_fragments_are_sent_as_one_message(self, role: Role) -> None:
        protocol = opened(role)
        for number, piece in enumerate([b"Hel", b"", b"lo"]):
            protocol.send_fragment(piece, opcode=Opcode.TEXT, fin=number == 2)
        protocol.send_binary(b"next")
        assert [(opcode, fin, data) for opcode, fin, _, _, data in frames(protocol)] == [
            (TEXT, False, b"Hel"),
            (CONTINUATION, False, b""),
            (CONTINUATION, True, b"lo"),
            (BINARY, True, b"next"),
        ]

    @pytest.mark.rule(52)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_4_message_inside_our_fragmented_one_is_our_mistake(self, role: Role) -> None:
        protocol = opened(role)
        protocol.send_fragment(b"a", opcode=Opcode.BINARY, fin=False)
        with pytest.raises(LocalProtocolError):
            protocol.send_text("b")
        with pytest.raises(LocalProtocolError):
            protocol.send_binary(b"b")
        protocol.send_ping(b"!")
        assert sent(protocol) == [(BINARY, b"a"), (PING, b"!")]

    @pytest.mark.rule(51)
    @pytest.mark.parametrize(
        "opcode", [Opcode.CONTINUATION, Opcode.PING, Opcode.CLOSE, Opcode.PONG]
    )
    def test_5_4_fragment_of_no_message_is_our_mistake(self, opcode: Opcode) -> None:
        protocol = opened(Role.SERVER)
        for fin in (True, False):
            with pytest.raises(LocalProtocolError):
                protocol.send_fragment(b"x", opcode=opcode, fin=fin)
        assert protocol.data_to_send() == b""


class TestSection5_5_2:
    """Ping and Pong."""

    @pytest.mark.rule(56)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("payload", [b"", b"!", b"\xff\x00" * 30, b"x" * 124, b"x" * 125])
    def test_5_5_3_pong_echoes_the_payload(self, role: Role, payload: bytes) -> None:
        protocol = opened(role)
        assert protocol.receive_data(to(role, (PING, payload))) == [Ping(payload)]
        assert sent(protocol) == [(PONG, payload)]

    @pytest.mark.rule(57)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_5_3_unsolicited_pong_is_ignored(self, role: Role) -> None:
        protocol = opened(role)
        assert protocol.receive_data(to(role, (PONG, b"x"), (TEXT, b"y"))) == [
            Pong(b"x"),
            "y",
        ]
        assert protocol.data_to_send() == b""
        assert protocol.state is State.OPEN

    @pytest.mark.rule(58)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_5_3_latest_of_the_pings_that_could_not_be_answered_is(self, role: Role) -> None:
        protocol = opened(role)
        for count in (1, 2, 3, 4, 100):  # nothing is written meanwhile: the peer does not read
            for number in range(count):
                protocol.receive_data(to(role, (PING, b"%d" % number)))
            # The latest, and at most the one before it, which waited when the latest came.
            answered = sent(protocol)
            latest = [(PONG, b"%d" % number) for number in range(count)]
            assert answered == latest[-len(answered) :]
            assert 1 <= len(answered) <= 2
            assert protocol.data_to_send() == b""

    @pytest.mark.rule(56, 58)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_5_2_pings_of_one_read_are_answered_in_order(self, role: Role) -> None:
        protocol = opened(role)
        pings = [(PING, b"%d" % number) for number in range(10)]
        assert len(protocol.receive_data(to(role, *pings))) == 10
        assert sent(protocol)[-1] == (PONG, b"9")

    @pytest.mark.rule(56)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_5_2_own_ping_and_pong(self, role: Role) -> None:
        protocol = opened(role)
        protocol.send_ping()
        protocol.send_ping(b"x" * 125)
        protocol.send_pong(b"heartbeat")
        assert sent(protocol) == [(PING, b""), (PING, b"x" * 125), (PONG, b"heartbeat")]
        for call in (protocol.send_ping, protocol.send_pong):
            with pytest.raises(LocalProtocolError):
                call(b"x" * 126)
        assert protocol.data_to_send() == b""


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


class TestStates:
    """One table that is total, and steps that nobody may take."""

    def test_the_table_is_total(self) -> None:
        assert set(TRANSITIONS) == set(itertools.product(Phase, Trigger))
        assert set(TRANSITIONS.values()) <= {*Phase, None}

    def test_there_is_no_way_back(self) -> None:
        order = list(Phase)
        for (before, _), after in TRANSITIONS.items():
            assert after is None or order.index(after) >= order.index(before)

    def test_every_state_leads_to_closed(self) -> None:
        assert all(TRANSITIONS[phase, Trigger.LOSE_TCP] is Phase.CLOSED for phase in Phase)

    def test_only_accept_opens(self) -> None:
        opening = {pair for pair, after in TRANSITIONS.items() if after is Phase.OPEN != pair[0]}
        assert opening == {(Phase.CONNECTING, Trigger.ACCEPT)}

    @pytest.mark.parametrize(("pair", "after"), list(TRANSITIONS.items()))
    def test_illegal_step_names_state_and_trigger(
        self, pair: tuple[Phase, Trigger], after: Phase | None
    ) -> None:
        if after is not None:
            assert next_phase(*pair) is after
        else:
            with pytest.raises(LocalProtocolError, match=rf"{pair[1].name}.*{pair[0].name}"):
                next_phase(*pair)

    @pytest.mark.parametrize("role", ROLES)
    def test_a_life_goes_through_all_four(self, role: Role) -> None:
        protocol = Protocol(role)
        assert protocol.state is State.CONNECTING
        protocol = opened(role)
        assert protocol.state is State.OPEN
        protocol.send_close()
        assert protocol.state is State.CLOSING
        protocol.receive_eof()
        assert protocol.state is State.CLOSED


class TestLimits:
    """Message size: at the limit, one below, one above; in one frame or in many (10.4)."""

    @pytest.mark.rule(47)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize("limit", [1, 125, 126, 65536])
    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_10_4_message_in_one_frame(
        self, role: Role, opcode: int, limit: int, over: int
    ) -> None:
        protocol = opened(role, max_size=limit)
        data = b"a" * (limit + over)
        events = protocol.receive_data(to(role, (opcode, data)))
        if over > 0:
            failed(protocol, events, 1009)
        else:
            assert events == [data.decode() if opcode == TEXT else data]

    @pytest.mark.rule(47)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize(
        "sizes", [(4, 5), (0, 10), (10, 0), (3, 3, 4), (10, 1), (5, 6), (4, 4, 4)]
    )
    def test_10_4_message_in_fragments(
        self, role: Role, opcode: int, sizes: tuple[int, ...]
    ) -> None:
        protocol = opened(role, max_size=10)
        last = len(sizes) - 1
        stream = [
            (CONTINUATION if number else opcode, b"a" * size, number == last)
            for number, size in enumerate(sizes)
        ]
        data = b"a" * sum(sizes)
        for _ in range(2):  # the sum begins anew with each message
            events = protocol.receive_data(to(role, *stream))
            if sum(sizes) > 10:
                failed(protocol, events, 1009)
                break
            assert events == [data.decode() if opcode == TEXT else data]

    @pytest.mark.rule(47)
    @pytest.mark.parametrize("role", ROLES)
    def test_10_4_the_header_alone_fails(self, role: Role) -> None:
        protocol = opened(role, max_size=1000)
        header = wire.frame(BINARY, b"", length=1001, key=key_for(role))
        failed(protocol, protocol.receive_data(header), 1009)
        protocol = opened(role, max_size=1000)
        first = wire.frame(BINARY, b"a" * 600, fin=False, key=key_for(role))
        header = wire.frame(CONTINUATION, b"", length=401, key=key_for(role))
        failed(protocol, protocol.receive_data(first + header), 1009)

    @pytest.mark.rule(47)
    @pytest.mark.parametrize("role", ROLES)
    def test_10_4_control_frames_pass_a_small_limit(self, role: Role) -> None:
        protocol = opened(role, max_size=1)
        assert protocol.receive_data(to(role, (PING, b"x" * 125))) == [Ping(b"x" * 125)]

    @pytest.mark.rule(47)
    @pytest.mark.parametrize("role", ROLES)
    def test_10_4_no_limit(self, role: Role) -> None:
        protocol = opened(role, max_size=None)
        data = b"a" * (2**20 + 1)
        assert protocol.receive_data(to(role, (BINARY, data))) == [data]

    @pytest.mark.rule(47)
    def test_10_4_default_limit_is_1_mib(self) -> None:
        for size, code in ((2**20, None), (2**20 + 1, 1009)):
            server = opened(Role.SERVER)
            events = server.receive_data(wire.frame(BINARY, b"", length=size, key=KEY))
            assert bool(events) is (code is not None)

    @pytest.mark.rule(20, 47)
    def test_10_4_a_client_that_talks_before_the_answer_is_limited(self) -> None:
        server = Protocol(Role.SERVER, max_size=1000)
        [request] = server.receive_data(wire.request_head())
        tracemalloc.start()
        try:
            for _ in range(64):  # while the application still makes up its mind
                server.receive_data(bytes(64 * 1024))
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept <= 256 * 1024
        assert isinstance(request, Request)
        with pytest.raises(LocalProtocolError):
            server.accept(check_request(request))

    @pytest.mark.rule(54)
    @pytest.mark.parametrize("role", ROLES)
    def test_5_4_default_limit_is_1024_fragments(self, role: Role) -> None:
        for count, fails in ((1024, False), (1025, True)):
            protocol = opened(role)
            stream = [(BINARY, b"a", False)]
            stream += [(CONTINUATION, b"a", number == count) for number in range(2, count + 1)]
            events = protocol.receive_data(to(role, *stream))
            assert events == [b"a" * count] or fails
            if fails:
                failed(protocol, events, 1008)


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


class TestLinkedPair:
    """Both roles against each other, in any pieces."""

    @pytest.mark.rule(46)
    @pytest.mark.parametrize("chunk", [None, 1, 2, 3, 7, 1000])
    def test_a_conversation(self, chunk: int | None) -> None:
        pair = Pair(chunk=chunk)
        pair.client.send_text("Hello")
        pair.client.send_binary(b"\x00" * 300)
        pair.client.send_ping(b"?")
        pair.server.send_text("größer")
        at_server, at_client = pair.pump()
        assert at_server == ["Hello", b"\x00" * 300, Ping(b"?")]
        assert at_client == ["größer", Pong(b"?")]
        pair.client.send_close(1000, "bye")
        [at_server], [at_client] = pair.pump()
        assert isinstance(at_server, Closed)
        assert isinstance(at_client, Closed)
        assert at_server.error.clean
        assert at_client.error.clean
        assert (at_server.error.order, at_client.error.order) == ("received", "sent")

    @pytest.mark.rule(64)
    def test_both_close_at_once(self) -> None:
        pair = Pair()
        pair.client.send_close(1000, "mine")
        pair.server.send_close(1001, "mine too")
        [at_server], [at_client] = pair.pump()
        assert isinstance(at_server, Closed)
        assert isinstance(at_client, Closed)
        assert (at_server.error.code, at_client.error.code) == (1000, 1001)
        assert len(wire.split_frames(pair.from_client)) == 1
        assert len(wire.split_frames(pair.from_server)) == 1

    def test_everything_queued_is_one_write(self) -> None:
        pair = Pair()
        for number in range(100):
            pair.server.send_text(str(number))
        data = pair.server.data_to_send()
        assert len(wire.split_frames(data)) == 100
        assert pair.server.data_to_send() == b""


def test_4_1_an_answer_before_the_question_is_kept_and_bounded() -> None:
    client = Protocol(Role.CLIENT)
    assert client.receive_data(wire.response_head()) == []
    [failure] = client.receive_data(bytes(64 * 1024))
    assert isinstance(failure, HandshakeFailed)
