"""Floor 3, frames in the protocol without I/O: RFC 6455 sections 5.1 to 5.5, both roles."""

from __future__ import annotations

import itertools

import pytest

from refimpl.errors import LocalProtocolError
from refimpl.framing import Opcode
from refimpl.messages import Closed, Event, Ping, Pong, Role, State
from tests.support import wire
from tests.support.pair import ROLES, Pair, failed, frames, opened, sent, to
from tests.support.wire import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT


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
    def test_5_4_our_close_may_end_a_fragmented_message(self) -> None:
        pair = Pair()
        pair.client.send_fragment(b"half a mess", opcode=Opcode.TEXT, fin=False)
        pair.client.send_close(1011, "the rest cannot be sent")
        with pytest.raises(LocalProtocolError):
            pair.client.send_fragment(b"age", opcode=Opcode.TEXT, fin=True)
        [closed], _ = pair.pump()
        assert isinstance(closed, Closed)
        assert closed.error.code == 1011

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
