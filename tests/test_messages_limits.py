"""Floor 3, limits of size and number: RFC 6455 sections 5.4 and 10.4, both roles."""

from __future__ import annotations

import tracemalloc

import pytest

from refimpl.errors import LocalProtocolError
from refimpl.handshake import Request, check_request
from refimpl.messages import Ping, Protocol, Role
from tests.support import wire
from tests.support.pair import ROLES, failed, key_for, opened, to
from tests.support.wire import BINARY, CONTINUATION, KEY, PING, TEXT


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


class TestOneCodeForAnyPieces:
    """What is wrong in two ways at once fails with the same code, however it arrives."""

    @pytest.mark.rule(46)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("first", ["whole", "fragment"])
    def test_plain_text_too_long_and_no_utf8_beside_compression(
        self, role: Role, first: str
    ) -> None:
        # A compressed frame may be a little longer than the limit, so the head alone lets it pass.
        payload = b"\xff" + b"x" * 1000
        data = to(role, (TEXT, payload))
        if first == "fragment":
            data = to(role, (TEXT, b"ok", False), (CONTINUATION, payload))
        for size in (1, 5, 100, len(data)):
            protocol = opened(role, extension="permessage-deflate", max_size=1000)
            events = [
                event
                for at in range(0, len(data), size)
                for event in protocol.receive_data(data[at : at + size])
            ]
            failed(protocol, events, 1009)
