"""Floor 3, permessage-deflate: RFC 7692, both roles, with zlib itself as the peer."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest

from refimpl.errors import RemoteProtocolError
from refimpl.framing import Opcode
from refimpl.handshake import parse_extensions
from refimpl.messages import Closed, Event, Parameters, PerMessageDeflate, Ping, Protocol, Role
from refimpl.messages.deflate import MAX_FINAL_BLOCKS
from tests.support import wire
from tests.support.pair import Pair, opened
from tests.support.wire import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT

ROLES = [Role.SERVER, Role.CLIENT]
NAME = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
RSV1 = 4


def deflated(data: bytes, *, bits: int = 15, full: bool = False) -> bytes:
    """Return data as one compressed message, made by zlib alone (7.2.1)."""
    compressor = zlib.compressobj(wbits=-bits)
    flush = zlib.Z_FULL_FLUSH if full else zlib.Z_SYNC_FLUSH
    return (compressor.compress(data) + compressor.flush(flush))[:-4]


def message(role: Role, payload: bytes, opcode: int = BINARY, *, cut: int | None = None) -> bytes:
    """Return a compressed message as it goes to this role, in two fragments where cut is given."""
    key = KEY if role is Role.SERVER else None
    if cut is None:
        return wire.frame(opcode, payload, rsv=RSV1, key=key)
    first = wire.frame(opcode, payload[:cut], rsv=RSV1, fin=False, key=key)
    return first + wire.frame(CONTINUATION, payload[cut:], key=key)


def plain(role: Role, payload: bytes, opcode: int = BINARY, **options: object) -> bytes:
    """Return an uncompressed frame as it goes to this role."""
    key = KEY if role is Role.SERVER else None
    return wire.frame(opcode, payload, key=key, **options)  # type: ignore[arg-type]


def failed(protocol: Protocol, events: list[Event], code: int) -> None:
    """Assert that the connection failed with that code."""
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert isinstance(closed.error.__cause__, RemoteProtocolError)
    assert closed.error.__cause__.close_code == code
    opcode, *_, payload = wire.split_frames(protocol.data_to_send())[-1]
    assert (opcode, payload[:2]) == (CLOSE, code.to_bytes(2, "big"))


class TestSection7_2:
    """Compressing and inflating messages."""

    # RFC 7692 7.2.3: "Hello" in the worked examples.
    EXAMPLES = (
        ("f248cdc9c90700", "7.2.3.1 one block"),
        ("000500faff48656c6c6f00", "7.2.3.3 a block without compression"),
        ("f348cdc9c9070000", "7.2.3.4 a block with BFINAL"),
        ("f248050000 00ffff cac9c90700", "7.2.3.5 two blocks"),
    )

    @pytest.mark.rule(83, 84)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize(("data", "name"), EXAMPLES)
    def test_7_2_3_worked_examples(self, role: Role, data: str, name: str) -> None:
        payload = bytes.fromhex(data)
        for cut in (None, *range(len(payload) + 1)):
            protocol = opened(role, extension=NAME)
            assert protocol.receive_data(message(role, payload, TEXT, cut=cut)) == ["Hello"]

    @pytest.mark.rule(80, 83)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_2_3_2_sliding_window_is_shared(self, role: Role) -> None:
        protocol = opened(role, extension=NAME)
        first, second = bytes.fromhex("f248cdc9c90700"), bytes.fromhex("f200110000")
        assert protocol.receive_data(message(role, first, TEXT)) == ["Hello"]
        assert protocol.receive_data(message(role, second, TEXT)) == ["Hello"]

    @pytest.mark.rule(83)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_2_3_6_empty_message(self, role: Role) -> None:
        protocol = opened(role, extension=NAME)
        assert protocol.receive_data(message(role, b"\x00", TEXT) * 3) == [""] * 3
        for _ in range(3):
            protocol.send_text("")
        out = wire.split_frames(protocol.data_to_send())
        assert [(rsv, payload) for _, _, rsv, _, payload in out] == [(RSV1, b"\x00")] * 3

    @pytest.mark.rule(84)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_2_3_4_messages_go_on_behind_bfinal(self, role: Role) -> None:
        protocol = opened(role, extension=NAME)
        final = bytes.fromhex("f348cdc9c9070000")
        events = protocol.receive_data(
            message(role, final, TEXT) + message(role, deflated(b"World")) + message(role, final)
        )
        assert events == ["Hello", b"World", b"Hello"]

    @pytest.mark.rule(84)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_2_3_4_bfinal_in_the_middle_of_a_message(self, role: Role) -> None:
        compressor = zlib.compressobj(wbits=-15)
        one = compressor.compress(b"one ") + compressor.flush(zlib.Z_FINISH)
        payload = one + one + deflated(b"two")
        for cut in (None, *range(len(payload) + 1)):
            protocol = opened(role, extension=NAME)
            events = protocol.receive_data(message(role, payload, cut=cut))
            assert events == [b"one one two"]

    @pytest.mark.rule(84)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_2_3_4_bfinal_without_a_block_behind_it_is_never_misread(self, role: Role) -> None:
        protocol = opened(role, extension=NAME)
        events = protocol.receive_data(
            message(role, bytes.fromhex("f348cdc9c90700")) + message(role, deflated(b"World"))
        )
        good = [b"Hello", b"World"]
        assert events == good or isinstance(events[-1], Closed)
        binary = [event for event in events if isinstance(event, bytes)]
        assert binary == good[: len(binary)]

    @pytest.mark.rule(84)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_7_2_3_4_final_blocks_are_counted(self, role: Role, over: int) -> None:
        protocol = opened(role, extension=NAME)
        payload = b"\x03\x00" * (MAX_FINAL_BLOCKS + over) + deflated(b"end")
        events = protocol.receive_data(message(role, payload))
        if over > 0:
            failed(protocol, events, 1008)
        else:
            assert events == [b"end"]

    @pytest.mark.rule(84, 85)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_2_3_4_a_million_final_blocks_cost_little(self, role: Role) -> None:
        protocol = opened(role, extension=NAME)
        events = protocol.receive_data(message(role, b"\x03\x00" * 400_000 + b"\x00"))
        assert len(events) == 1
        assert isinstance(events[0], Closed)

    @pytest.mark.rule(80)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_1_no_context_takeover_resets_the_window_of_what_we_send(self, role: Role) -> None:
        side = role.name.lower()
        for takeover in (True, False):
            extension = NAME if takeover else f"{NAME}; {side}_no_context_takeover"
            protocol = opened(role, extension=extension)
            data = random.Random(1).randbytes(500)
            for _ in range(3):
                protocol.send_binary(data)
            sizes = [len(payload) for *_, payload in wire.split_frames(protocol.data_to_send())]
            assert sizes[0] >= 500
            if takeover:
                assert sizes[1] < 100
                assert sizes[2] < 100
            else:
                assert sizes[0] == sizes[1] == sizes[2]

    @pytest.mark.rule(80)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_1_no_context_takeover_resets_the_window_of_what_we_get(self, role: Role) -> None:
        other = "client" if role is Role.SERVER else "server"
        first, second = bytes.fromhex("f248cdc9c90700"), bytes.fromhex("f200110000")
        protocol = opened(role, extension=f"{NAME}; {other}_no_context_takeover")
        assert protocol.receive_data(message(role, first, TEXT) * 2) == ["Hello"] * 2
        # A reference to the message before reaches behind the beginning of the window.
        failed(protocol, protocol.receive_data(message(role, second, TEXT)), 1007)

    @pytest.mark.rule(79)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("bits", range(9, 16))
    def test_7_1_2_what_we_send_fits_into_the_agreed_window(self, role: Role, bits: int) -> None:
        protocol = opened(role, extension=f"{NAME}; {role.name.lower()}_max_window_bits={bits}")
        source = random.Random(bits)
        unit = source.randbytes(2**bits - 300)
        data = [unit, source.randbytes(2**bits), unit, unit[:200] * 5, b"end"]
        for item in data:
            protocol.send_binary(item)
        inflater = zlib.decompressobj(wbits=-bits)
        for item, (_, _, rsv, _, payload) in zip(
            data, wire.split_frames(protocol.data_to_send()), strict=True
        ):
            assert rsv == RSV1
            assert inflater.decompress(payload + TAIL) == item

    @pytest.mark.rule(79)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("bits", range(9, 16))
    def test_7_1_2_what_we_get_may_use_the_whole_agreed_window(self, role: Role, bits: int) -> None:
        other = "client" if role is Role.SERVER else "server"
        protocol = opened(role, extension=f"{NAME}; {other}_max_window_bits={bits}")
        compressor = zlib.compressobj(wbits=-bits)
        unit = random.Random(bits).randbytes(2**bits - 262)
        for _ in range(3):
            payload = (compressor.compress(unit) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
            assert protocol.receive_data(message(role, payload)) == [unit]

    @pytest.mark.rule(79)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_1_2_window_of_8_bits_is_not_compressed_for(self, role: Role) -> None:
        # zlib cannot keep so small a window; sending plain messages is always allowed (6.1).
        protocol = opened(role, extension=f"{NAME}; {role.name.lower()}_max_window_bits=8")
        protocol.send_text("Hello" * 10)
        [(opcode, _, rsv, _, payload)] = wire.split_frames(protocol.data_to_send())
        assert (opcode, rsv, payload) == (TEXT, 0, b"Hello" * 10)

    @pytest.mark.rule(83)
    @pytest.mark.parametrize("role", ROLES)
    def test_7_2_1_tail_is_stripped_and_put_back(self, role: Role) -> None:
        protocol = opened(role, extension=NAME)
        data = [b"Hello" * 20, b"", b"\x00\x00\xff\xff", bytes(5000)]
        for item in data:
            protocol.send_binary(item)
        inflater = zlib.decompressobj(wbits=-15)
        for item, (_, _, _, _, payload) in zip(
            data, wire.split_frames(protocol.data_to_send()), strict=True
        ):
            assert inflater.decompress(payload + TAIL) == item

    @pytest.mark.rule(73, 83)
    @pytest.mark.parametrize("role", ROLES)
    def test_6_1_text_is_checked_after_inflating_across_fragments(self, role: Role) -> None:
        text = "größer \U0001f984 " * 5
        payload = deflated(text.encode())
        for cut in range(len(payload) + 1):
            protocol = opened(role, extension=NAME)
            events = protocol.receive_data(message(role, payload, TEXT, cut=cut))
            assert events == [text]


class TestSection6:
    """RSV1: on the first frame of a compressed message, and nowhere else."""

    @pytest.mark.rule(81)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("opcode", [PING, PONG, CLOSE, CONTINUATION])
    def test_6_rsv1_on_control_or_continuation_fails(self, role: Role, opcode: int) -> None:
        protocol = opened(role, extension=NAME)
        begin = b"" if opcode != CONTINUATION else plain(role, b"", fin=False)
        events = protocol.receive_data(begin + message(role, b"", opcode))
        failed(protocol, events, 1002)

    @pytest.mark.rule(82)
    @pytest.mark.parametrize("role", ROLES)
    def test_6_messages_with_rsv1_clear_are_still_accepted(self, role: Role) -> None:
        protocol = opened(role, extension=NAME)
        stream = (
            plain(role, b"plain", TEXT)
            + message(role, deflated(b"small" * 9))
            + plain(role, b"pla", TEXT, fin=False)
            + plain(role, b"?", PING)
            + plain(role, b"in", CONTINUATION)
            + message(role, deflated(b"small" * 9))
        )
        small = b"small" * 9
        expected = ["plain", small, Ping(b"?"), "plain", small]
        assert protocol.receive_data(stream) == expected

    @pytest.mark.rule(82)
    @pytest.mark.parametrize("role", ROLES)
    def test_6_plain_payload_is_not_inflated(self, role: Role) -> None:
        protocol = opened(role, extension=NAME)
        payload = deflated(b"Hello")
        assert protocol.receive_data(plain(role, payload)) == [payload]

    @pytest.mark.rule(86)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, PING])
    def test_6_rsv1_without_negotiation_fails(self, role: Role, opcode: int) -> None:
        protocol = opened(role)
        failed(protocol, protocol.receive_data(message(role, deflated(b"x"), opcode)), 1002)

    @pytest.mark.rule(81, 82)
    @pytest.mark.parametrize("role", ROLES)
    def test_6_we_set_rsv1_on_compressed_messages_only(self, role: Role) -> None:
        protocol = opened(role, extension=NAME)
        protocol.send_text("Hello")
        protocol.send_fragment(b"a", opcode=Opcode.TEXT, fin=False)
        protocol.send_ping(b"?")
        protocol.send_fragment(b"b", opcode=Opcode.TEXT, fin=True)
        protocol.send_close()
        out = wire.split_frames(protocol.data_to_send())
        assert out[0][2] == RSV1
        assert [rsv for opcode, _, rsv, _, _ in out if opcode in (CONTINUATION, PING, CLOSE)] == [
            0,
            0,
            0,
        ]


class TestSection8:
    """What a hostile peer can send: corrupt streams and bombs."""

    @pytest.mark.rule(85)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize(
        "payload",
        [b"\xff", b"\x07", b"\x06\x00", b"\x02\x01", b"\x01" * 9],
    )
    def test_8_corrupt_stream_fails(self, role: Role, payload: bytes) -> None:
        protocol = opened(role, extension=NAME)
        events = protocol.receive_data(message(role, payload))
        if not events:  # zlib waits for more of a block: the next message shows that it is wrong
            events = protocol.receive_data(message(role, deflated(b"Hello")))
        closed = events[-1]
        assert isinstance(closed, Closed)
        assert isinstance(closed.error.__cause__, RemoteProtocolError)
        assert closed.error.__cause__.close_code in (1002, 1007)

    @pytest.mark.rule(72, 85)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("data", [b"\xff", b"ok\xc3", b"\xed\xa0\x80"])
    def test_8_text_that_inflates_to_no_utf8_fails(self, role: Role, data: bytes) -> None:
        payload = deflated(data)
        for cut in (None, 0, 1, len(payload)):
            protocol = opened(role, extension=NAME)
            failed(protocol, protocol.receive_data(message(role, payload, TEXT, cut=cut)), 1007)

    @pytest.mark.rule(76, 85)
    @pytest.mark.parametrize("role", ROLES)
    def test_8_compressed_bytes_are_not_checked_as_text(self, role: Role) -> None:
        payload = deflated("ä".encode() * 100)
        data = message(role, payload, TEXT)
        protocol = opened(role, extension=NAME)
        events = [event for byte in data for event in protocol.receive_data(bytes([byte]))]
        assert events == ["ä" * 100]

    @pytest.mark.rule(47, 85)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("bits", range(9, 16))
    @pytest.mark.parametrize("limit", [1000, 2044, 65536])
    def test_8_exact_limit_or_1009_and_never_truncated(
        self, role: Role, bits: int, limit: int
    ) -> None:
        other = "client" if role is Role.SERVER else "server"
        extension = f"{NAME}; {other}_max_window_bits={bits}"
        source = random.Random(limit)
        for over in (-1, 0, 1, 2, 3):
            size = limit + over
            for data in (bytes(size), source.randbytes(size)):
                payload = deflated(data, bits=bits)
                for cut in (None, len(payload) // 2, len(payload) - 1):
                    protocol = opened(role, extension=extension, max_size=limit)
                    events = protocol.receive_data(message(role, payload, cut=cut))
                    if over > 0:
                        failed(protocol, events, 1009)
                    else:
                        assert events == [data]

    @pytest.mark.rule(47, 82)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_10_4_limit_of_a_plain_message_beside_compression(self, role: Role, over: int) -> None:
        size = 1000 + over
        whole = plain(role, bytes(size))
        parts = plain(role, bytes(600), fin=False) + plain(role, bytes(size - 600), CONTINUATION)
        for stream in (whole, parts):
            protocol = opened(role, extension=NAME, max_size=1000)
            events = protocol.receive_data(stream)
            if over > 0:
                failed(protocol, events, 1009)
            else:
                assert events == [bytes(size)]

    @pytest.mark.rule(85)
    @pytest.mark.parametrize("role", ROLES)
    def test_8_bomb_costs_no_more_than_the_limit(self, role: Role) -> None:
        limit = 2**20
        payload = deflated(bytes(100 * 2**20))
        assert len(payload) < 110_000
        for cut in (None, len(payload) // 2):
            data = message(role, payload, cut=cut)
            protocol = opened(role, extension=NAME, max_size=limit)
            tracemalloc.start()
            try:
                events = protocol.receive_data(data)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            failed(protocol, events, 1009)
            assert peak < limit + 4 * 2**20

    @pytest.mark.rule(47, 85)
    @pytest.mark.parametrize("role", ROLES)
    def test_8_limit_holds_for_the_whole_message_not_a_fragment(self, role: Role) -> None:
        protocol = opened(role, extension=NAME, max_size=1000)
        key = KEY if role is Role.SERVER else None
        compressor = zlib.compressobj(wbits=-15)
        events: list[Event] = []
        for number in range(11):
            piece = compressor.compress(bytes(100)) + compressor.flush(zlib.Z_SYNC_FLUSH)
            first = number == 0
            events += protocol.receive_data(
                wire.frame(
                    BINARY if first else CONTINUATION, piece, rsv=RSV1 * first, fin=False, key=key
                )
            )
        failed(protocol, events, 1009)


class TestLinkedPair:
    """Our compression against our own, in any pieces."""

    @pytest.mark.rule(83)
    @pytest.mark.parametrize("chunk", [None, 1, 3, 1000])
    @pytest.mark.parametrize(
        "parameters",
        [
            "",
            "client_max_window_bits",
            "server_max_window_bits=9; client_max_window_bits=9",
            "server_no_context_takeover; client_no_context_takeover",
            "client_max_window_bits=8",
        ],
    )
    def test_a_conversation(self, chunk: int | None, parameters: str) -> None:
        offers = parse_extensions([f"{NAME}; {parameters}" if parameters else NAME])
        pair = Pair(offers=offers, chunk=chunk)
        assert pair.server.agreement == pair.client.agreement
        assert pair.server.agreement.extension is not None
        texts = ["Hello " * 50, "", "größer" * 40, "Hello " * 50]
        for text in texts:
            pair.client.send_text(text)
            pair.server.send_binary(text.encode())
        at_server, at_client = pair.pump()
        assert at_server == list(texts)
        assert at_client == [text.encode() for text in texts]
        assert len(pair.from_server) < sum(len(text.encode()) for text in texts)

    def test_two_ends_made_by_hand(self) -> None:
        parameters = Parameters(client_max_window_bits=10, server_no_context_takeover=True)
        ends = {role: PerMessageDeflate(parameters, role) for role in ROLES}
        for data in (b"a" * 1000, b"", b"b", random.Random(3).randbytes(5000)):
            for sender, receiver in ((Role.CLIENT, Role.SERVER), (Role.SERVER, Role.CLIENT)):
                compressed = ends[sender].compress(data)
                inflated = ends[receiver].decompress(compressed, limit=len(data), final=True)
                assert inflated == data
