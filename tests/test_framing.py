"""Floor 2, one frame: RFC 6455 section 5.1 to 5.5, 5.7 and 10.4, bytes in and frames out."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Callable

import pytest

from refimpl import framing
from refimpl.errors import RemoteProtocolError
from refimpl.framing import (
    Frame,
    Opcode,
    mask,
    mask_int,
    mask_pure,
    mask_strides,
    parse_frame,
    serialize_frame,
)
from tests.support import wire
from tests.support.wire import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT

DATA = (CONTINUATION, TEXT, BINARY)
CONTROL = (CLOSE, PING, PONG)
LENGTHS = (0, 1, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 100_000)


def whole(data: bytes, **options: object) -> Frame:
    """Return the one frame that data consists of."""
    parsed = parse_frame(data, 0, **options)  # type: ignore[arg-type]
    assert parsed is not None
    parsed_frame, position = parsed
    assert position == len(data)
    return parsed_frame


def fails(data: bytes, close_code: int = 1002, **options: object) -> None:
    """Assert that data fails with the close code, and that nothing shorter gives a frame."""
    with pytest.raises(RemoteProtocolError) as caught:
        parse_frame(data, 0, **options)  # type: ignore[arg-type]
    assert caught.value.close_code == close_code
    for end in range(min(len(data), 14)):
        try:
            assert parse_frame(data[:end], 0, **options) is None  # type: ignore[arg-type]
        except RemoteProtocolError as early:
            assert early.close_code == close_code


class TestSection5_1:
    """Who masks."""

    @pytest.mark.rule(36)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG])
    @pytest.mark.parametrize("payload", [b"", b"ab"])
    def test_5_1_server_fails_on_unmasked_frame(self, opcode: int, payload: bytes) -> None:
        fails(wire.frame(opcode, payload), masked=True)

    @pytest.mark.rule(37)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG])
    @pytest.mark.parametrize("payload", [b"", b"ab"])
    def test_5_1_client_fails_on_masked_frame(self, opcode: int, payload: bytes) -> None:
        fails(wire.frame(opcode, payload, key=KEY), masked=False)

    @pytest.mark.rule(36, 37)
    @pytest.mark.parametrize("masked", [True, False, None])
    def test_5_1_expected_masking_passes(self, masked: bool | None) -> None:
        for key in (KEY, None):
            if masked in (None, key is not None):
                parsed = whole(wire.frame(TEXT, b"Hello", key=key), masked=masked)
                assert (parsed.payload, parsed.masking_key) == (b"Hello", key)

    @pytest.mark.rule(36, 37)
    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("length", [5, 126, 65536])
    def test_5_1_wrong_masking_fails_before_the_payload(self, masked: bool, length: int) -> None:
        data = wire.frame(BINARY, b"", length=length, key=None if masked else KEY)
        with pytest.raises(RemoteProtocolError):
            parse_frame(data, 0, masked=masked)


class TestSection5_2:
    """The header: FIN, RSV, opcode, MASK, payload length."""

    @pytest.mark.rule(41)
    @pytest.mark.parametrize("rsv", range(1, 8))
    @pytest.mark.parametrize("opcode", [*DATA, *CONTROL])
    def test_5_2_rsv_without_extension_fails(self, rsv: int, opcode: int) -> None:
        fails(wire.frame(opcode, rsv=rsv))
        fails(wire.frame(opcode, b"ab", rsv=rsv, key=KEY), masked=True)

    @pytest.mark.rule(41)
    @pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
    @pytest.mark.parametrize("opcode", [*DATA, *CONTROL])
    def test_5_2_rsv2_and_rsv3_fail_even_with_compression(self, rsv: int, opcode: int) -> None:
        fails(wire.frame(opcode, rsv=rsv), compressed=True)

    @pytest.mark.rule(81, 86)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_5_2_rsv1_passes_on_first_data_frame_with_compression(self, opcode: int) -> None:
        assert whole(wire.frame(opcode, b"x", rsv=4), compressed=True).rsv1 is True
        assert whole(wire.frame(opcode, b"x"), compressed=True).rsv1 is False

    @pytest.mark.rule(81)
    @pytest.mark.parametrize("opcode", [CONTINUATION, CLOSE, PING, PONG])
    def test_5_2_rsv1_on_control_or_continuation_fails(self, opcode: int) -> None:
        fails(wire.frame(opcode, rsv=4), compressed=True)

    @pytest.mark.rule(42)
    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF])
    @pytest.mark.parametrize("key", [None, KEY])
    @pytest.mark.parametrize("fin", [True, False])
    def test_5_2_reserved_opcode_fails(self, opcode: int, key: bytes | None, fin: bool) -> None:
        fails(wire.frame(opcode, b"x", key=key, fin=fin))

    @pytest.mark.rule(42)
    def test_5_2_every_defined_opcode_passes(self) -> None:
        for number, opcode in zip((0, 1, 2, 8, 9, 10), Opcode, strict=True):
            assert opcode == number
            assert whole(wire.frame(number)).opcode is opcode

    @pytest.mark.rule(42)
    def test_5_2_all_first_bytes_pass_or_fail_as_the_rfc_says(self) -> None:
        for first in range(256):
            fin, rsv, opcode = first >> 7, first >> 4 & 7, first & 0xF
            legal = not rsv and (opcode <= 2 or (8 <= opcode <= 10 and fin))
            if legal:
                parsed = whole(bytes([first, 0]))
                assert (parsed.fin, parsed.rsv1, parsed.opcode) == (bool(fin), False, opcode)
            else:
                fails(bytes([first, 0]))

    @pytest.mark.rule(43)
    @pytest.mark.parametrize(
        ("length", "form"), [(0, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64)]
    )
    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION])
    def test_5_2_length_not_in_minimal_form_fails(
        self, length: int, form: int, opcode: int
    ) -> None:
        fails(wire.frame(opcode, b"", length=length, form=form))
        fails(wire.frame(opcode, bytes(length), form=form, key=KEY), masked=True)

    @pytest.mark.rule(43, 45)
    @pytest.mark.parametrize("length", LENGTHS)
    def test_5_2_length_in_minimal_form_passes(self, length: int) -> None:
        assert len(whole(wire.frame(BINARY, bytes(length))).payload) == length

    @pytest.mark.rule(44)
    @pytest.mark.parametrize("length", [2**63, 2**63 + 1, 2**64 - 1])
    @pytest.mark.parametrize("max_size", [None, 100, 2**70])
    def test_5_2_top_bit_of_64_bit_length_fails(self, length: int, max_size: int | None) -> None:
        data = wire.frame(BINARY, b"", length=length, form=64)
        with pytest.raises(RemoteProtocolError) as caught:
            parse_frame(data, 0, max_size=max_size)
        # Both are broken when there is a limit too; either code tells the peer so.
        assert caught.value.close_code in ((1002,) if max_size in (None, 2**70) else (1002, 1009))

    @pytest.mark.rule(44)
    def test_5_2_length_of_63_bits_waits_for_its_payload(self) -> None:
        assert parse_frame(wire.frame(BINARY, b"abc", length=2**63 - 1)) is None

    @pytest.mark.rule(45)
    @pytest.mark.parametrize("length", LENGTHS)
    @pytest.mark.parametrize("key", [None, KEY])
    def test_5_2_lengths_round_trip(self, length: int, key: bytes | None) -> None:
        payload = random.Random(length).randbytes(length)
        data = serialize_frame(Frame(Opcode.BINARY, payload, masking_key=key))
        assert data == wire.frame(BINARY, payload, key=key)
        assert whole(data) == Frame(Opcode.BINARY, payload, True, False, key)

    @pytest.mark.rule(45)
    @pytest.mark.parametrize(
        ("opcode", "fin", "rsv1"),
        [
            *((opcode, True, False) for opcode in Opcode),
            *((opcode, False, False) for opcode in list(Opcode)[:3]),
            *((opcode, fin, True) for opcode in list(Opcode)[1:3] for fin in (True, False)),
        ],
    )
    def test_5_2_header_bits_round_trip(self, opcode: Opcode, fin: bool, rsv1: bool) -> None:
        sent = Frame(opcode, b"abc", fin, rsv1)
        data = serialize_frame(sent)
        assert data == wire.frame(opcode, b"abc", fin=fin, rsv=4 * rsv1)
        assert whole(data, compressed=True) == sent


class TestWords:
    """What goes out as a close reason: what was got, what was expected, and the section."""

    @pytest.mark.parametrize(
        ("head", "masked", "reason"),
        [
            ("83 80", True, "got reserved opcode 0x3 (RFC 6455 5.2)"),
            ("a1 80", True, "got a reserved bit that no extension defines (RFC 6455 5.2)"),
            ("c1 80", True, "got a reserved bit that no extension defines (RFC 6455 5.2)"),
            ("09 80", True, "got a fragment of a PING frame (RFC 6455 5.5)"),
            ("89 fe", True, "got a control frame over 125 bytes (RFC 6455 5.5)"),
            ("81 05", True, "got an unmasked frame, expected a masked one (RFC 6455 5.1)"),
            ("81 85", False, "got a masked frame, expected an unmasked one (RFC 6455 5.1)"),
            (
                "81 fe 00 05",
                True,
                "got length 5 in 2 bytes, expected the shortest form (RFC 6455 5.2)",
            ),
            ("81 fe ff ff", True, "got 65535 bytes, expected at most 200 (RFC 6455 10.4)"),
        ],
    )
    def test_each_rule_names_its_own_fault(self, head: str, masked: bool, reason: str) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            parse_frame(bytes.fromhex(head), masked=masked, max_size=200)
        assert caught.value.close.reason == reason

    def test_rsv1_stands_on_the_first_frame_of_a_message_only(self) -> None:
        for head, name in (("c0 80", "CONTINUATION"), ("c9 80", "PING")):
            with pytest.raises(RemoteProtocolError) as caught:
                parse_frame(bytes.fromhex(head), compressed=True)
            assert caught.value.close.reason == f"got RSV1 on a {name} frame (RFC 7692 6)"


class TestSection5_2_Incremental:
    """The same bytes in any pieces: nothing until the last one is there."""

    @pytest.mark.rule(46)
    @pytest.mark.parametrize("length", [0, 5, 125, 126, 300])
    @pytest.mark.parametrize("key", [None, KEY])
    def test_5_2_every_prefix_needs_more(self, length: int, key: bytes | None) -> None:
        data = wire.frame(BINARY, bytes(range(256))[:length].ljust(length, b"z"), key=key)
        for end in range(len(data)):
            assert parse_frame(data[:end]) is None
        assert whole(data).payload[:length] == (bytes(range(256))[:length].ljust(length, b"z"))

    @pytest.mark.rule(46)
    @pytest.mark.parametrize("key", [None, KEY])
    def test_5_2_prefixes_of_64_bit_form_need_more(self, key: bytes | None) -> None:
        data = wire.frame(BINARY, bytes(65536), key=key)
        for end in [*range(20), 65536, len(data) - 1]:
            assert parse_frame(data[:end]) is None

    @pytest.mark.rule(46)
    def test_5_2_position_is_where_parsing_starts_and_ends(self) -> None:
        first, second = wire.frame(TEXT, b"Hello", key=KEY), wire.frame(PING, b"!")
        data = b"junk" + first + second
        parsed = parse_frame(data, 4)
        assert parsed == (Frame(Opcode.TEXT, b"Hello", masking_key=KEY), 4 + len(first))
        assert parse_frame(data, parsed[1]) == (Frame(Opcode.PING, b"!"), len(data))
        assert parse_frame(data, len(data)) is None

    @pytest.mark.rule(46)
    @pytest.mark.parametrize(
        "kind", [bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data))]
    )
    def test_5_2_any_bytes_like_buffer_gives_bytes(self, kind: Callable[[bytes], bytes]) -> None:
        for key in (None, KEY):
            for length in (5, 200):
                parsed = parse_frame(kind(wire.frame(BINARY, b"a" * length, key=key)))
                assert parsed is not None
                assert parsed[0] == Frame(Opcode.BINARY, b"a" * length, masking_key=key)
                assert type(parsed[0].payload) is bytes
                assert type(parsed[0].masking_key) in (bytes, type(None))

    @pytest.mark.rule(46)
    def test_5_2_the_buffer_is_left_alone(self) -> None:
        buffer = bytearray(wire.frame(TEXT, b"Hello", key=KEY))
        before = bytes(buffer)
        assert parse_frame(buffer) is not None
        assert buffer == before
        buffer.clear()  # would raise BufferError if the frame still held a view of it


WAYS = [mask, mask_pure, mask_int, mask_strides]


class TestSection5_3:
    """Masking."""

    @pytest.mark.rule(38)
    @pytest.mark.parametrize("way", WAYS)
    def test_5_3_worked_example(self, way: object) -> None:
        assert way(b"Hello", KEY) == bytes.fromhex("7f9f4d5158")  # type: ignore[operator]

    @pytest.mark.rule(38)
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("length", [*range(70), 1023, 1024, 1025, 4095, 4096, 4097, 65537])
    def test_5_3_all_ways_agree_with_the_byte_loop(self, way: object, length: int) -> None:
        source = random.Random(length)
        data, key = source.randbytes(length), source.randbytes(4)
        masked = way(data, key)  # type: ignore[operator]
        assert masked == wire.xor(data, key)
        assert way(masked, key) == data  # type: ignore[operator]

    @pytest.mark.rule(38)
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        "key", [bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01", b"\x80\x00\x00\x00"]
    )
    def test_5_3_keys_at_the_edges(self, way: object, key: bytes) -> None:
        for length in (0, 1, 3, 4, 5, 8, 9, 2000):
            data = bytes(length)
            assert way(data, key) == wire.xor(data, key)  # type: ignore[operator]

    def test_5_3_accelerated_where_websockets_brings_its_c_function(self) -> None:
        speedups = pytest.importorskip("websockets.speedups")
        assert framing.ACCELERATED is True
        assert framing.mask is speedups.apply_mask

    def test_5_3_pure_where_there_is_no_c_function(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "websockets.speedups", None)  # importing it now fails
        spec = importlib.util.spec_from_file_location("framing_without_c", framing.__file__)
        assert spec is not None
        assert spec.loader is not None
        pure = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "framing_without_c", pure)
        spec.loader.exec_module(pure)
        assert pure.ACCELERATED is False
        assert pure.mask is pure.mask_pure
        data = wire.frame(TEXT, b"Hello", key=KEY)
        assert pure.parse_frame(data, masked=True)[0].payload == b"Hello"

    @pytest.mark.rule(38)
    @pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 7, 8, 125, 126, 65536])
    def test_5_3_parse_undoes_the_mask_on_the_wire(self, length: int) -> None:
        payload = random.Random(length).randbytes(length)
        data = wire.frame(BINARY, payload, key=KEY)
        assert whole(data, masked=True).payload == payload
        assert serialize_frame(Frame(Opcode.BINARY, payload, masking_key=KEY)) == data


class TestSection5_5:
    """Control frames."""

    @pytest.mark.rule(48)
    @pytest.mark.parametrize("opcode", CONTROL)
    def test_5_5_fragmented_control_frame_fails(self, opcode: int) -> None:
        fails(wire.frame(opcode, fin=False))
        fails(wire.frame(opcode, b"ab", fin=False, key=KEY), masked=True)

    @pytest.mark.rule(49)
    @pytest.mark.parametrize("opcode", CONTROL)
    @pytest.mark.parametrize("length", [0, 124, 125])
    def test_5_5_control_frame_up_to_125_bytes_passes(self, opcode: int, length: int) -> None:
        assert whole(wire.frame(opcode, b"p" * length)).payload == b"p" * length

    @pytest.mark.rule(49)
    @pytest.mark.parametrize("opcode", CONTROL)
    @pytest.mark.parametrize("length", [126, 127, 65535, 65536, 2**40])
    @pytest.mark.parametrize("max_size", [None, 10])
    def test_5_5_control_frame_over_125_bytes_fails(
        self, opcode: int, length: int, max_size: int | None
    ) -> None:
        fails(wire.frame(opcode, b"", length=length), max_size=max_size)

    @pytest.mark.rule(49)
    @pytest.mark.parametrize("opcode", CONTROL)
    def test_5_5_size_limit_is_for_data_not_for_control(self, opcode: int) -> None:
        assert whole(wire.frame(opcode, b"p" * 125), max_size=10).payload == b"p" * 125


EXAMPLES = [
    ("810548656c6c6f", Frame(Opcode.TEXT, b"Hello")),
    ("818537fa213d7f9f4d5158", Frame(Opcode.TEXT, b"Hello", masking_key=KEY)),
    ("010348656c", Frame(Opcode.TEXT, b"Hel", fin=False)),
    ("80026c6f", Frame(Opcode.CONTINUATION, b"lo")),
    ("890548656c6c6f", Frame(Opcode.PING, b"Hello")),
    ("8a8537fa213d7f9f4d5158", Frame(Opcode.PONG, b"Hello", masking_key=KEY)),
    ("827e0100" + "00" * 256, Frame(Opcode.BINARY, bytes(256))),
    ("827f0000000000010000" + "00" * 65536, Frame(Opcode.BINARY, bytes(65536))),
]


class TestSection5_7:
    """The worked examples of the RFC, byte for byte."""

    @pytest.mark.rule(45)
    @pytest.mark.parametrize(
        ("data", "expected"), EXAMPLES, ids=[text[:20] for text, _ in EXAMPLES]
    )
    def test_5_7_examples(self, data: str, expected: Frame) -> None:
        assert whole(bytes.fromhex(data)) == expected
        assert serialize_frame(expected) == bytes.fromhex(data)


class TestSection10_4:
    """Limits, judged by the header alone."""

    @pytest.mark.rule(47)
    @pytest.mark.parametrize("limit", [0, 1, 125, 126, 127, 65535, 65536, 2**20])
    @pytest.mark.parametrize("opcode", DATA)
    @pytest.mark.parametrize("key", [None, KEY])
    def test_10_4_one_byte_over_the_limit_fails(
        self, limit: int, opcode: int, key: bytes | None
    ) -> None:
        fails(wire.frame(opcode, b"", length=limit + 1, key=key), 1009, max_size=limit)

    @pytest.mark.rule(47)
    @pytest.mark.parametrize("limit", [1, 125, 126, 127, 65535, 65536])
    @pytest.mark.parametrize("below", [0, 1])
    def test_10_4_at_and_below_the_limit_passes(self, limit: int, below: int) -> None:
        length = limit - below
        assert len(whole(wire.frame(BINARY, bytes(length)), max_size=limit).payload) == length

    @pytest.mark.rule(47)
    @pytest.mark.parametrize("length", [126, 65536, 2**31, 2**32, 2**62, 2**63 - 1])
    def test_10_4_limit_fails_before_key_and_payload(self, length: int) -> None:
        header = wire.frame(BINARY, b"", length=length, key=KEY)[:-4]
        with pytest.raises(RemoteProtocolError) as caught:
            parse_frame(header, 0, masked=True, max_size=125)
        assert caught.value.close_code == 1009

    @pytest.mark.rule(47)
    def test_10_4_no_limit_means_none(self) -> None:
        assert len(whole(wire.frame(BINARY, bytes(2**20 + 1))).payload) == 2**20 + 1


class TestMessagesForPeople:
    """What an error says: what came, what was expected, the section; never the payload."""

    @pytest.mark.parametrize(
        ("data", "options"),
        [
            (wire.frame(TEXT, b"SECRET"), {"masked": True}),
            (wire.frame(TEXT, b"SECRET", key=KEY), {"masked": False}),
            (wire.frame(TEXT, b"SECRET", rsv=4), {}),
            (wire.frame(7, b"SECRET"), {}),
            (wire.frame(TEXT, b"SECRET", form=64), {}),
            (wire.frame(TEXT, b"SECRET"), {"max_size": 2}),
            (wire.frame(PING, b"SECRET", fin=False), {}),
        ],
    )
    def test_error_names_the_section_and_not_the_payload(
        self, data: bytes, options: dict[str, object]
    ) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            parse_frame(data, 0, **options)  # type: ignore[arg-type]
        assert "RFC 6455" in str(caught.value)
        assert "SECRET" not in str(caught.value)
