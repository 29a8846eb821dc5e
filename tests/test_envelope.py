"""The envelope and its heartbeat: bytes in, envelopes or a named error out."""

import random
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.envelope import (
    MAX_SIZE,
    NEED_MORE,
    OVERHEAD,
    Arrival,
    BadChecksum,
    BadPayload,
    Beat,
    Decoder,
    Envelope,
    EnvelopeError,
    Heartbeat,
    Observation,
    SequenceTracker,
    TooLong,
    Truncated,
    TypeRegistry,
    UnknownType,
    distance,
    encode,
    encode_text,
    parse,
    parse_message,
)
from refimpl.errors import LocalProtocolError

HUGE = struct.pack("!IB", 0xFFFF_FFFF, 0x10)


class TestEncode:
    def test_layout_is_length_type_payload_crc(self) -> None:
        assert encode(0x10, b"caf\xc3\xa9").hex(" ") == "00 00 00 05 10 63 61 66 c3 a9 ec eb f0 e2"

    def test_overhead_is_nine_bytes(self) -> None:
        assert len(encode(0, b"")) == OVERHEAD == 9

    @pytest.mark.parametrize("kind", [-1, 256])
    def test_type_must_fit_a_byte(self, kind: int) -> None:
        with pytest.raises(LocalProtocolError, match="expected 0 to 255"):
            encode(kind, b"")

    @pytest.mark.parametrize("kind", [0, 255])
    def test_every_type_of_a_byte_is_legal(self, kind: int) -> None:
        assert parse_message(encode(kind, b"x")) == Envelope(kind, b"x")

    def test_text_is_checked_before_it_is_sent(self) -> None:
        with pytest.raises(LocalProtocolError, match="lone surrogate"):
            encode_text(0x10, "\ud800")


class TestParse:
    def test_three_answers_are_three_things(self) -> None:
        whole = encode(0x10, b"")
        assert parse(whole) == (Envelope(0x10, b""), 9)
        assert parse(whole[:-1]) is NEED_MORE
        assert parse(b"") is NEED_MORE
        with pytest.raises(BadChecksum):
            parse(whole[:-1] + b"?")

    def test_position_is_kept_between_two(self) -> None:
        stream = encode(1, b"one") + encode(2, b"two")
        first, position = parse(stream)  # type: ignore[misc]
        assert (first, parse(stream, position)) == (
            Envelope(1, b"one"),
            (Envelope(2, b"two"), len(stream)),
        )

    @pytest.mark.parametrize(("size", "fits"), [(9, True), (10, True), (11, False)])
    def test_limit_is_checked_on_the_header(self, size: int, fits: bool) -> None:
        header = struct.pack("!IB", size, 1)
        if fits:
            assert parse(header, max_size=10) is NEED_MORE
        else:
            with pytest.raises(TooLong, match="got an envelope of 11 bytes, expected at most 10"):
                parse(header, max_size=10)

    def test_default_limit_is_a_mebibyte(self) -> None:
        assert parse(struct.pack("!IB", MAX_SIZE, 1)) is NEED_MORE
        with pytest.raises(TooLong):
            parse(struct.pack("!IB", MAX_SIZE + 1, 1))

    def test_huge_length_allocates_nothing(self) -> None:
        decoder = Decoder()
        tracemalloc.start()
        try:
            decoder.receive_data(HUGE)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(decoder.error, TooLong)
        assert peak < 64 * 1024

    def test_every_single_bit_flip_of_a_thousand_messages_is_rejected(self) -> None:
        rng = random.Random(4)
        flips = 0
        for _ in range(1000):
            whole = encode(rng.randrange(256), rng.randbytes(rng.randrange(24)))
            for bit in range(8 * len(whole)):
                broken = bytearray(whole)
                broken[bit // 8] ^= 1 << bit % 8
                with pytest.raises(EnvelopeError):
                    parse_message(bytes(broken))
                flips += 1
        assert flips > 100_000

    def test_bytes_behind_a_messages_envelope_are_refused(self) -> None:
        with pytest.raises(BadPayload, match="got 1 bytes behind the envelope"):
            parse_message(encode(1, b"") + b"x")


class TestDecoder:
    @given(
        st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=8),
        st.integers(0, 2**32),
    )
    def test_any_split_gives_the_same_envelopes(
        self, messages: list[tuple[int, bytes]], seed: int
    ) -> None:
        stream = b"".join(encode(kind, payload) for kind, payload in messages)
        rng, decoder, got, position = random.Random(seed), Decoder(), [], 0
        while position < len(stream):
            size = rng.randint(1, 12)
            got += decoder.receive_data(stream[position : position + size])
            position += size
        decoder.receive_eof()
        assert got == [Envelope(kind, payload) for kind, payload in messages]
        assert decoder.error is None

    def test_envelopes_before_a_broken_one_are_delivered(self) -> None:
        decoder = Decoder()
        broken = encode(2, b"two")[:-1] + b"?"
        assert decoder.receive_data(encode(1, b"one") + broken + encode(3, b"three")) == [
            Envelope(1, b"one")
        ]
        assert isinstance(decoder.error, BadChecksum)
        assert decoder.error.close_code == 1007

    def test_nothing_is_decoded_after_an_error(self) -> None:
        decoder = Decoder()
        decoder.receive_data(HUGE)
        assert decoder.receive_data(encode(1, b"one")) == []
        decoder.receive_eof()
        assert isinstance(decoder.error, TooLong)

    @pytest.mark.parametrize("size", range(1, 12))
    def test_end_inside_an_envelope_is_truncated(self, size: int) -> None:
        decoder = Decoder()
        decoder.receive_data(encode(1, b"one")[:size])
        decoder.receive_eof()
        assert isinstance(decoder.error, Truncated)
        assert str(decoder.error) == f"got the end {size} bytes into an envelope"

    def test_random_bytes_raise_nothing(self) -> None:
        rng = random.Random(6)
        for _ in range(500):
            decoder = Decoder()
            decoder.receive_data(rng.randbytes(rng.randrange(200)))
            decoder.receive_eof()


class TestTypeRegistry:
    def test_reads_by_type(self) -> None:
        registry = TypeRegistry({0x10: bytes.decode})
        registry.register(0x11, len)
        assert registry.read(Envelope(0x10, b"Hello")) == "Hello"
        assert registry.read(Envelope(0x11, b"Hello")) == 5

    def test_unknown_type_is_named(self) -> None:
        with pytest.raises(UnknownType, match="got envelope type 0x77") as caught:
            TypeRegistry().read(Envelope(0x77, b""))
        assert caught.value.close_code == 1003

    def test_unreadable_payload_is_named(self) -> None:
        with pytest.raises(BadPayload, match="type 0x10 cannot read"):
            TypeRegistry({0x10: bytes.decode}).read(Envelope(0x10, b"\xff"))

    def test_error_of_a_reader_stays_its_own(self) -> None:
        with pytest.raises(BadPayload, match="got a heartbeat of 2 bytes, expected 13"):
            TypeRegistry({1: Heartbeat.parse}).read(Envelope(1, b"ab"))

    def test_type_is_registered_once(self) -> None:
        with pytest.raises(LocalProtocolError, match="0x10 twice"):
            TypeRegistry({0x10: bytes.decode}).register(0x10, len)


class TestHeartbeat:
    def test_layout(self) -> None:
        beat = Heartbeat(Beat.PING, 7, 1_700_000_000_000_000_000)
        assert beat.serialize().hex(" ") == "01 00 00 00 07 17 97 9c fe 36 2a 00 00"
        assert Heartbeat.parse(beat.serialize()) == beat

    def test_answer_keeps_number_and_time(self) -> None:
        assert Heartbeat(Beat.PING, 7, -1).answer() == Heartbeat(Beat.PONG, 7, -1)

    @pytest.mark.parametrize(("seq", "ts"), [(-1, 0), (2**32, 0), (0, 2**63), (0, -(2**63) - 1)])
    def test_what_does_not_fit_is_our_mistake(self, seq: int, ts: int) -> None:
        with pytest.raises(LocalProtocolError):
            Heartbeat(Beat.PING, seq, ts).serialize()

    @pytest.mark.parametrize("payload", [b"", b"\x01" * 12, b"\x01" * 14, b"\x03" + b"\0" * 12])
    def test_what_is_no_record_is_refused(self, payload: bytes) -> None:
        with pytest.raises(BadPayload):
            Heartbeat.parse(payload)


class TestSequenceTracker:
    def observe(self, *numbers: int) -> list[str]:
        tracker = SequenceTracker()
        return [tracker.observe(number).kind.name for number in numbers]

    def test_in_order(self) -> None:
        assert self.observe(5, 6, 7) == ["FIRST", "NEXT", "NEXT"]

    def test_gap_says_how_many(self) -> None:
        tracker = SequenceTracker()
        tracker.observe(5)
        assert tracker.observe(9) == Observation(Arrival.GAP, 3)

    def test_late_one_fills_a_gap_once(self) -> None:
        assert self.observe(5, 7, 6, 6) == ["FIRST", "GAP", "REORDERED", "DUPLICATE"]

    def test_wrap_around(self) -> None:
        last = 2**32 - 1
        assert self.observe(last, 0, 1, last) == ["FIRST", "NEXT", "NEXT", "DUPLICATE"]

    @pytest.mark.parametrize(
        ("back", "kind"), [(62, "REORDERED"), (63, "REORDERED"), (64, "STALE")]
    )
    def test_window_reaches_63_numbers_back(self, back: int, kind: str) -> None:
        assert self.observe(0, 1000, 1000 - back)[-1] == kind

    def test_a_jump_beyond_the_window_forgets(self) -> None:
        assert self.observe(0, 10_000, 0) == ["FIRST", "GAP", "STALE"]

    @given(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1))
    def test_distance_wraps(self, older: int, ahead: int) -> None:
        assert distance((older + ahead) % 2**32, older) == ahead

    @given(st.permutations(list(range(2**32 - 8, 2**32)) + list(range(8))))
    def test_each_number_counts_once_in_any_order(self, numbers: list[int]) -> None:
        kinds = self.observe(*numbers, *numbers)
        assert kinds[16:] == ["DUPLICATE"] * 16
        assert "DUPLICATE" not in kinds[:16]
