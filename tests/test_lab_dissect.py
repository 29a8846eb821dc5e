"""The dissector and the annotated texts: every bit has a name, and nothing makes them fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.errors import RemoteProtocolError
from refimpl.framing import Frame, Opcode, parse_frame, serialize_frame
from refimpl.lab import annotate, annotate_head, dissect, dissect_all, hexdump
from refimpl.lab.text import Text, preview, quoted
from refimpl.lab.wire.heads import stable_line

KEY = bytes.fromhex("37fa213d")
MASKED_HELLO = bytes.fromhex("818537fa213d7f9f4d5158")  # RFC 6455 5.7

frames = st.builds(
    Frame,
    st.sampled_from([Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY]),
    st.binary(max_size=70_000) | st.binary(max_size=200),
    st.booleans(),
    st.just(False),
    st.none() | st.binary(min_size=4, max_size=4),
)


class TestFields:
    def test_masked_hello_of_5_7(self) -> None:
        frame = dissect(MASKED_HELLO, masked=True)
        assert [(each.name, each.start, each.bits, each.value) for each in frame.fields] == [
            ("FIN", 0, 1, 1),
            ("RSV1", 1, 1, 0),
            ("RSV2", 2, 1, 0),
            ("RSV3", 3, 1, 0),
            ("opcode", 4, 4, 1),
            ("MASK", 8, 1, 1),
            ("payload length", 9, 7, 5),
            ("masking key", 16, 32, KEY),
            ("masked payload", 48, 40, MASKED_HELLO[6:]),
        ]
        assert (frame.payload, frame.end, frame.complete, frame.problems) == (
            b"Hello",
            11,
            True,
            (),
        )

    @pytest.mark.parametrize(
        ("data", "name", "start", "bits", "value"),
        [
            ("82fe", "extended length", 2, 2, ""),
            ("82fe01", "extended length", 2, 2, "01"),
            ("82ff00000000", "extended length", 2, 8, "00000000"),
            ("8285", "masking key", 2, 4, ""),
            ("8285 37fa21", "masking key", 2, 4, "37fa21"),
            ("82fe012c 37", "masking key", 4, 4, "37"),
        ],
    )
    def test_the_field_that_the_bytes_end_in(
        self, data: str, name: str, start: int, bits: int, value: str
    ) -> None:
        begun = dissect(bytes.fromhex(data)).begun
        assert begun is not None
        assert begun[:4] == (name, start * 8, bits * 8, bytes.fromhex(value))
        for whole in ("82", "8205", "8205 48", "8285 37fa213d", "82fe012c 37fa213d 00"):
            assert dissect(bytes.fromhex(whole)).begun is None

    @pytest.mark.parametrize(
        ("length", "form", "extended"),
        [(125, 125, 0), (126, 126, 126), (65535, 126, 65535), (65536, 127, 65536)],
    )
    def test_three_length_forms(self, length: int, form: int, extended: int) -> None:
        frame = dissect(serialize_frame(Frame(Opcode.BINARY, bytes(length))))
        assert frame.value("payload length") == form
        assert frame.value("extended length") == extended
        assert frame.length == length

    def test_starts_at_a_position(self) -> None:
        data = b"\x89\x00" + MASKED_HELLO
        assert dissect(data, 2).payload == b"Hello"
        assert [each.position for each in dissect_all(data)] == [0, 2]

    @given(frames)
    def test_agrees_with_the_parser(self, frame: Frame) -> None:
        data = serialize_frame(frame)
        pieces = dissect(data)
        assert parse_frame(data) == (frame, pieces.end)
        assert pieces.payload == frame.payload
        assert pieces.key == (frame.masking_key or b"")
        assert pieces.problems == ()

    @given(frames, st.data())
    def test_cut_anywhere_says_what_is_missing(self, frame: Frame, data: st.DataObject) -> None:
        whole = serialize_frame(frame)
        cut = data.draw(st.integers(0, len(whole) - 1))
        pieces = dissect(whole[:cut])
        assert not pieces.complete
        assert pieces.data == whole[:cut]
        assert pieces.missing <= len(whole) - cut or cut < 2

    @given(st.binary(max_size=64), st.sampled_from([True, False, None]), st.booleans())
    def test_any_bytes_every_bit_named_once(
        self, data: bytes, masked: bool | None, compressed: bool
    ) -> None:
        for frame in dissect_all(data, masked=masked, compressed=compressed):
            position = 0
            for each in frame.fields:
                assert each.start == position
                position = each.end
            assert position <= len(frame.data) * 8
        assert b"".join(frame.data for frame in dissect_all(data)) == data
        annotate(data, masked=masked, compressed=compressed)

    @given(st.binary(min_size=2, max_size=40), st.sampled_from([True, False, None]), st.booleans())
    def test_finds_fault_where_the_parser_does(
        self, data: bytes, masked: bool | None, compressed: bool
    ) -> None:
        problems = dissect(data, masked=masked, compressed=compressed).problems
        try:
            parse_frame(data, masked=masked, compressed=compressed)
        except RemoteProtocolError:
            assert (
                problems or compressed
            )  # RSV1 on a control frame or continuation: not judged here
        else:
            assert not [each for each in problems if "Close frame" not in each]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("a100", "RSV2"),
        ("9100", "RSV3"),
        ("c100", "RSV1"),
        ("8300", "opcode 0x3"),
        ("0900", "fragmented"),
        ("89fe0000", "at most 125"),
        ("817e0005", "shorter length form"),
        ("817f000000000000ffff", "shorter length form"),
        ("817f8000000000000000", "first bit of a 64-bit length"),
        ("880103", "at least two bytes"),
    ],
)
def test_names_what_is_wrong(data: str, words: str) -> None:
    assert any(words in each for each in dissect(bytes.fromhex(data)).problems)
    assert f"WRONG: {dissect(bytes.fromhex(data)).problems[0]}" in annotate(bytes.fromhex(data))


def test_judges_the_mask_by_direction() -> None:
    assert dissect(MASKED_HELLO, masked=True).problems == ()
    assert dissect(MASKED_HELLO).problems == ()
    assert dissect(MASKED_HELLO, masked=False).problems == (
        "a frame from a server must not be masked (RFC 6455 5.1)",
    )


class TestAnnotate:
    def test_masked_hello(self) -> None:
        assert annotate(MASKED_HELLO).splitlines()[:3] == [
            "TEXT fin masked, 5 bytes",
            "byte  bits or hex              field            value",
            "   0  1.......                 FIN              1     the last frame of its message",
        ]
        assert "   2  37 fa 21 3d              masking key" in annotate(MASKED_HELLO)
        assert "      48 65 6c 6c 6f           unmasked         |Hello|" in annotate(MASKED_HELLO)

    def test_takes_a_frame_and_a_request(self) -> None:
        frame = Frame(Opcode.TEXT, b"Hello", masking_key=KEY)
        assert annotate(frame) == annotate(MASKED_HELLO)
        assert annotate(b"GET / HTTP/1.1\r\n\r\n").startswith("GET / HTTP/1.1")

    def test_hidden_key_gives_one_text_for_any_key(self) -> None:
        texts = {
            annotate(Frame(Opcode.TEXT, b"Hello", masking_key=key), hide_key=True)
            for key in (KEY, b"abcd", bytes(4))
        }
        assert len(texts) == 1
        assert "kk kk kk kk" in texts.pop()

    def test_close_frame_says_its_code(self) -> None:
        text = annotate(bytes.fromhex("8805 03ea 627965"))
        assert "close code       1002  PROTOCOL_ERROR" in text
        assert "close reason     'bye'" in text

    def test_long_payload_is_counted_not_printed(self) -> None:
        text = annotate(Frame(Opcode.BINARY, bytes(1000)), limit=8)
        assert "... 992 more bytes of payload" in text
        assert len(text.splitlines()) < 12

    def test_several_frames_have_numbers(self) -> None:
        text = annotate(b"\x89\x00" + MASKED_HELLO)
        assert "frame 1, bytes 0-1: PING fin, 0 bytes" in text
        assert "frame 2, bytes 2-12: TEXT fin masked, 5 bytes" in text

    def test_start_of_a_frame_says_what_is_to_come(self) -> None:
        assert "... 4 more bytes to come" in annotate(MASKED_HELLO[:7])
        assert "at least 1 more byte to come" in annotate(b"\x81")
        assert annotate(b"") == "no bytes"


class TestHeads:
    HEAD = (
        b"GET /chat HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    def test_each_known_header_has_its_purpose(self) -> None:
        lines = annotate_head(self.HEAD).splitlines()
        assert lines[0].endswith("the request line: method, target, version")
        assert "16 random bytes" in lines[2]
        assert lines[3].strip() == "the empty line: the head ends here"

    def test_stable_form_has_no_port_and_no_key(self) -> None:
        text = annotate_head(self.HEAD, exact=False)
        assert "5000" not in text and "dGhl" not in text
        assert "<key 24 chars>" in text and "127.0.0.1:<port>" in text

    def test_unfinished_head(self) -> None:
        assert annotate_head(self.HEAD[:30]).splitlines()[-1].strip() == "... more to come"

    def test_response_with_a_body(self) -> None:
        text = annotate_head(b"HTTP/1.1 426 Upgrade Required\r\n\r\nsorry")
        assert "anything but 101 says no" in text
        assert "'sorry'" in text

    @pytest.mark.parametrize(
        ("line", "stable"),
        [
            ("Origin: http://localhost:8765", "Origin: http://localhost:<port>"),
            ("Host: [::1]:8765", "Host: [::1]:<port>"),
            ("Host: example.org", "Host: example.org"),
            ("Date: Mon, 06 Jan 2020 10:00:00 GMT", "Date: <date>"),
            (
                "Server: Python/3.11 websockets/15.0.1",
                "Server: Python/<version> websockets/<version>",
            ),
            ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"),
            ("GET http://a:80/ HTTP/1.1", "GET http://a:80/ HTTP/1.1"),
        ],
    )
    def test_placeholders(self, line: str, stable: str) -> None:
        assert stable_line(line) == stable


class TestText:
    def test_repr_is_the_text(self) -> None:
        assert repr(Text("a\nb")) == "a\nb"

    def test_hexdump_has_offsets_and_characters(self) -> None:
        lines = hexdump(bytes(range(20))).splitlines()
        assert lines[1] == "0010  10 11 12 13                                       |....|"
        assert hexdump(bytes(600)).splitlines()[-1] == "...   88 more bytes"

    def test_previews(self) -> None:
        assert preview("Grüße".encode()) == "'Grüße'"
        assert preview(b"\xff\xfe") == "ff fe"
        assert quoted(b"a" * 50, 10) == "'aaaaaaaaaa'..."
        assert quoted(b"\xc3") == r"'\\xc3'"
