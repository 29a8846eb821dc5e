"""Floor 3, text: RFC 6455 8.1 over the whole of UTF-8, and how early it fails.

The reference is the table of well-formed byte sequences of RFC 3629 section 4, written down here by
hand, and `bytes.decode`. Sequences of one and two bytes are tried exhaustively. Of three bytes, all
65,536 beginnings are tried with every byte at which the table's answer changes (and its neighbour)
as the third: a byte between two of those is in the same row as they are. Every code point is tried.
"""

from __future__ import annotations

import itertools

import pytest

from refimpl.errors import RemoteProtocolError
from refimpl.messages.utf8 import Utf8Decoder, decode_text

# RFC 3629 section 4: the first byte, and the ranges of those that follow it.
TAIL = (0x80, 0xBF)
WELL_FORMED: dict[int, list[tuple[int, int]]] = {
    **{lead: [] for lead in range(0x80)},
    **{lead: [TAIL] for lead in range(0xC2, 0xE0)},
    0xE0: [(0xA0, 0xBF), TAIL],
    **{lead: [TAIL, TAIL] for lead in range(0xE1, 0xED)},
    0xED: [(0x80, 0x9F), TAIL],
    **{lead: [TAIL, TAIL] for lead in range(0xEE, 0xF0)},
    0xF0: [(0x90, 0xBF), TAIL, TAIL],
    **{lead: [TAIL, TAIL, TAIL] for lead in range(0xF1, 0xF4)},
    0xF4: [(0x80, 0x8F), TAIL, TAIL],
}
EDGES = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0]
EDGES += [0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xF7, 0xF8, 0xFB, 0xFC, 0xFE, 0xFF]


def first_bad(data: bytes) -> int | None:
    """Return the index of the first byte after which data cannot become UTF-8, or None."""
    expected: list[tuple[int, int]] = []
    for index, byte in enumerate(data):
        if expected:
            low, high = expected[0]
            if not low <= byte <= high:
                return index
            expected = expected[1:]
        elif byte not in WELL_FORMED:
            return index
        else:
            expected = WELL_FORMED[byte]
    return None


def is_bad(data: bytes) -> bool:
    """Whether data is no whole UTF-8, by CPython's own decoder."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False


def fails_at(data: bytes) -> int | None:
    """Return the index of the byte at which the decoder fails when fed one by one, or None."""
    decoder = Utf8Decoder()
    for index in range(len(data)):
        try:
            decoder.decode(data[index : index + 1])
        except RemoteProtocolError as error:
            assert error.close_code == 1007
            return index
    return None


def fails_whole(data: bytes) -> bool:
    """Whether the decoder refuses data as a whole message."""
    try:
        text = Utf8Decoder().decode(data, True)
    except RemoteProtocolError as error:
        assert error.close_code == 1007
        return True
    assert text == data.decode()
    return False


class TestSection8_1:
    """Every short sequence, every code point."""

    @pytest.mark.rule(72, 74, 76)
    def test_8_1_all_sequences_of_1_and_2_bytes(self) -> None:
        singles = [bytes([byte]) for byte in range(256)]
        for data in [*singles, *(one + other for one in singles for other in singles)]:
            assert fails_at(data) == first_bad(data), data
            assert fails_whole(data) == is_bad(data), data

    @pytest.mark.rule(72, 74, 76)
    def test_8_1_all_sequences_of_3_bytes_whole(self) -> None:
        third = [bytes([edge]) for edge in EDGES]
        for start in itertools.product(range(256), repeat=2):
            begin = bytes(start)
            # Behind two bytes that fail already, or end their characters, a few will do.
            settled = first_bad(begin) is not None or begin.isascii()
            for end in third[::8] if settled else third:
                assert fails_whole(begin + end) == is_bad(begin + end), begin + end

    @pytest.mark.rule(74, 76)
    def test_8_1_all_sequences_of_3_bytes_fail_at_the_first_bad_byte(self) -> None:
        # Where two bytes fail already, the third is never looked at.
        for start in itertools.product(range(256), repeat=2):
            begin = bytes(start)
            if first_bad(begin) is None:
                for edge in EDGES[::8] if begin.isascii() else EDGES:
                    data = begin + bytes([edge])
                    assert fails_at(data) == first_bad(data), data

    @pytest.mark.rule(74, 76)
    def test_8_1_sequences_of_4_bytes_fail_at_the_first_bad_byte(self) -> None:
        for data in itertools.product([0xEF, *range(0xF0, 0x100)], EDGES, EDGES, EDGES):
            assert fails_at(bytes(data)) == first_bad(bytes(data)), bytes(data)

    @pytest.mark.rule(72, 73)
    def test_8_1_every_code_point_in_pieces(self) -> None:
        text = "".join(map(chr, itertools.chain(range(0xD800), range(0xE000, 0x110000))))
        data = text.encode()
        for size in (1, 3, 4096):
            decoder = Utf8Decoder()
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            if size == 1:  # a fifth of the code points, but from every block of 256
                pieces = [
                    bytes([byte]) for code in range(0, 0xD800, 5) for byte in chr(code).encode()
                ]
                expected = "".join(map(chr, range(0, 0xD800, 5)))
            else:
                expected = text
            decoded = "".join([decoder.decode(piece) for piece in pieces])
            assert decoded + decoder.decode(b"", True) == expected

    @pytest.mark.rule(72)
    def test_8_1_every_code_point_on_its_own(self) -> None:
        for code in itertools.chain(range(0xD800), range(0xE000, 0x110000)):
            assert decode_text(chr(code).encode()) == chr(code)

    @pytest.mark.rule(74)
    def test_8_1_every_surrogate_fails_at_its_second_byte(self) -> None:
        for code in range(0xD800, 0xE000):
            data = chr(code).encode(errors="surrogatepass")
            assert fails_at(data) == 1
            assert fails_whole(data)
            with pytest.raises(RemoteProtocolError):
                decode_text(data)

    @pytest.mark.rule(74)
    @pytest.mark.parametrize(
        ("data", "index"),
        [
            (b"\xc0\xaf", 0),
            (b"\xc1\xbf", 0),
            (b"\xe0\x80\xaf", 1),
            (b"\xe0\x9f\xbf", 1),
            (b"\xf0\x80\x80\xaf", 1),
            (b"\xf0\x8f\xbf\xbf", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5\x80\x80\x80", 0),
            (b"\xf8\x88\x80\x80\x80", 0),
            (b"\xfc\x84\x80\x80\x80\x80", 0),
            (b"\xfe", 0),
            (b"\xff", 0),
            (b"\x80", 0),
            (b"\xed\xa0\x80", 1),
            (b"\xed\xbf\xbf", 1),
            (b"ok\xed\xa0", 3),
            ("κόσμε".encode() + b"\xed\xa0\x80edited", 11),
        ],
    )
    def test_8_1_overlongs_surrogates_and_beyond_fail(self, data: bytes, index: int) -> None:
        assert fails_at(data) == index
        for end in range(1, len(data) + 1):
            decoder = Utf8Decoder()
            if end <= index:
                decoder.decode(data[:end])
            else:
                with pytest.raises(RemoteProtocolError):
                    decoder.decode(data[:end])

    @pytest.mark.rule(75)
    @pytest.mark.parametrize("text", ["é", "€", "\U0001f984"])
    def test_8_1_truncated_tail_fails_at_the_end(self, text: str) -> None:
        data = text.encode()
        for end in range(1, len(data)):
            decoder = Utf8Decoder()
            assert decoder.decode(data[:end]) == ""
            assert decoder.pending == data[:end]
            with pytest.raises(RemoteProtocolError) as caught:
                decoder.decode(b"", True)
            assert caught.value.close_code == 1007
            with pytest.raises(RemoteProtocolError):
                decode_text(data[:end])

    @pytest.mark.rule(73)
    @pytest.mark.parametrize("text", ["é", "€", "\U0001f984"])
    def test_8_1_decoder_goes_on_from_what_is_pending(self, text: str) -> None:
        data = text.encode()
        for end in range(1, len(data)):
            first = Utf8Decoder()
            first.decode(data[:end])
            assert Utf8Decoder(first.pending).decode(data[end:], True) == text

    @pytest.mark.rule(76)
    def test_8_1_pending_surrogate_is_refused_at_once(self) -> None:
        for second in range(0x80, 0xC0):
            decoder = Utf8Decoder(b"\xed")
            if second < 0xA0:
                assert decoder.decode(bytes([second])) == ""
            else:
                with pytest.raises(RemoteProtocolError):
                    decoder.decode(bytes([second]))
