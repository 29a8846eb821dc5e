"""Where a result differs from the expected one, in words: bytes bit by bit, heads line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.classroom.checking import frame_report
from refimpl.classroom.checking.cases import Case, call
from refimpl.classroom.checking.difference import differences, same
from refimpl.classroom.checking.rendering import render
from refimpl.framing import Frame, Opcode, serialize_frame
from refimpl.lab.wire.dissect import dissect

KEY = bytes.fromhex("37fa213d")
HELLO = Frame(Opcode.TEXT, b"Hello", masking_key=KEY)
HEADS = st.binary(min_size=1, max_size=1).flatmap(  # any first byte, each form of the length
    lambda first: st.sampled_from([5, 126, 127, 133, 254, 255]).map(
        lambda size: first + bytes([size])
    )
)
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    ("expected", "got", "words"),
    [
        (b"abc", b"abd", "at byte 2: 63 expected, got 64"),
        (b"abc", b"ab", "2 bytes where 3 are expected"),
        (b"abc", b"abcd", "1 byte too many, from byte 3: b'd'"),
        (b"abc", "abc", "of type str, expected bytes"),
        (b"abc", bytearray(b"abc"), "equal, but of type bytearray, expected bytes"),
        ("abc", "abd", "at character 2: 'c' expected, got 'd'"),
        ("abc", "ab", "ends after 2 characters; 'c' should follow"),
        ("abc", "abcd", "then too much: 'd'"),
        ([1, 2], [1, 3], "at item 1: 2 expected, got 3"),
        ([1, 2], [1], "1 of 2 items; missing is 2"),
        ([1], [1, 2], "one item too many: 2"),
        ([1], (1,), "equal items, but of type tuple, expected list"),
        ({"a": 1}, {}, "no key 'a'"),
        ({"a": 1}, {"a": 2}, "at 'a': 1 expected, got 2"),
        ({"a": 1}, {"a": 1, "b": 2}, "keys too many: ['b']"),
        (Frame(Opcode.TEXT, b"a"), Frame(Opcode.TEXT, b"b"), "in payload: b'a' expected, got b'b'"),
        (3, None, "comes to its end without a return"),
        (HEAD, HEAD.replace(b"\r\n", b"\n"), r"lines end in \n; HTTP ends each in \r\n"),
        (HEAD, HEAD[:-2], "expected (an empty line: the end of the head)"),
        (HEAD, HEAD.replace(b"Upgrade", b"upgrade"), "in line 2\nexpected b'Upgrade: websocket'"),
    ],
)
def test_the_first_difference_is_named(expected, got, words):
    assert not same(expected, got)
    ((label, text),) = differences(expected, got)
    assert label == "differs"
    assert words in text


@pytest.mark.parametrize(
    ("expected", "got"),
    [(1, 1), (b"a", b"a"), (None, None), ([1, (2, b"x")], [1, (2, b"x")]), (Opcode.PING, 9)],
)
def test_what_is_the_same(expected, got):
    assert same(expected, got)
    assert same(got, expected)


def agreeable(kind):
    """A kind whose instances say that they equal anything, as mocks and ANY objects do."""
    body = {"__eq__": lambda self, other: True, "__ne__": lambda self, other: False}
    return type("Agreeable", (kind,), {**body, "__hash__": lambda self: 0})


class Pretender(agreeable(object)):
    """Names another class as its own, as a mock with a spec does."""

    def __init__(self, kind):
        self.kind = kind

    __class__ = property(lambda self: self.kind)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (5, agreeable(int)(6)),
        ("abc", agreeable(str)("abd")),
        (b"abc", agreeable(bytes)(b"abd")),
        (None, agreeable(object)()),
        ((1, b"abc"), (1, agreeable(bytes)(b""))),
        ({"a": 1}, {"a": agreeable(int)(2)}),
        (Frame(Opcode.TEXT, b"a"), Frame(Opcode.TEXT, agreeable(bytes)(b"b"))),
    ],
)
def test_an_object_that_equals_everything_is_not_the_same(expected, got):
    assert not same(expected, got)


@pytest.mark.parametrize("expected", [5, "abc", b"abc", None, True, Opcode.PING])
def test_an_object_that_claims_another_class_is_not_the_same(expected):
    assert not same(expected, Pretender(type(expected)))


@given(st.binary(max_size=20) | st.builds(bytes.__add__, HEADS, st.binary(max_size=300)))
def test_the_fields_of_a_report_are_whole_bytes_without_gaps(data):
    found = frame_report.fields(data)
    edges = [0, *(field.stop for field in found)]
    assert [field.start for field in found] == edges[:-1]
    frame = dissect(data)
    names = {frame_report.NAMES.get(field.name, "") for field in frame.fields} - {""}
    assert {field.name for field in found} >= names
    if frame.complete:
        assert found[-1].stop == frame.end
    elif data:
        assert found[-1].start < len(data)


def explain(data, expect, got, position=0):
    case = Case("x", call(data, position), expect=expect)
    return dict(frame_report.frame_result(case, got))


def parsed(end=11, **changes):
    fields = {"opcode": Opcode.TEXT, "payload": b"Hello", "fin": True, "masking_key": KEY} | changes
    return Frame(**fields), end


@pytest.mark.parametrize(
    ("got", "entries"),
    [
        (
            parsed(opcode=Opcode.BINARY),
            ("TEXT", "BINARY", "FIN is 1, RSV is 000, the low four bits say 0x1: TEXT"),
        ),
        (parsed(fin=False), ("fin True", "fin False", "FIN is 1")),
        (parsed(payload=b"Hell"), ("payload of 5 bytes", "payload of 4 bytes", "MASK; the other")),
        (parsed(payload=b"XXXXX"), ("payload b'Hello'", "payload b'XXXXX'", "the masking key")),
        (
            parsed(payload="Hello"),
            ("payload of type bytes", "payload of type str", "the masking key"),
        ),
        (
            parsed(masking_key=bytearray(KEY)),
            ("masking key of type bytes", "masking key of type bytearray", "the masking key"),
        ),
        (parsed(fin=1), ("fin True", "fin 1", "FIN is 1")),
        (parsed(end=11.0), ("next position 11", "next position 11.0", "which is the length")),
        (parsed(end=5), ("next position 11", "next position 5", "which is the length")),
    ],
)
def test_a_parsed_frame_is_compared_field_by_field(got, entries):
    rows = explain(serialize_frame(HELLO), (HELLO, 11), got)
    assert all(words in rows[label] for words, label in zip(entries, ROWS, strict=True))


ROWS = ("expected", "got", "bytes")


def test_the_length_field_is_blamed_once_it_was_read():
    frame = Frame(Opcode.BINARY, bytes(300))
    drawn = explain(serialize_frame(frame), (frame, 304), (Frame(Opcode.BINARY, bytes(11265)), 304))
    assert drawn["bytes"].splitlines()[1].lstrip() == (
        "^^^^^ the length, 2 bytes, most significant first: 300"
    )


def test_the_length_field_is_blamed_for_a_none_that_it_may_have_caused():
    frame = Frame(Opcode.BINARY, bytes(300))
    drawn = explain(serialize_frame(frame), (frame, 304), None)
    assert drawn["bytes"].endswith("most significant first: 300")


def test_an_object_that_is_no_frame_is_named():
    class Tuple(Frame):
        pass

    frame = Tuple(Opcode.TEXT, b"Hello", masking_key=KEY)
    rows = explain(serialize_frame(HELLO), (HELLO, 11), (frame, 11))
    assert rows["expected"].endswith("of type Frame")
    assert rows["got"].endswith("of type Tuple")


def test_other_results_of_a_parser():
    data = serialize_frame(HELLO)
    assert "more bytes needed" in explain(data, (HELLO, 11), None)["got"]
    assert "a pair" in explain(data, (HELLO, 11), 7)["differs"]
    assert "not complete" in explain(data[:5], None, (HELLO, 11))["expected"]
    assert list(explain(data, (HELLO, 11), ValueError())) == ["bytes"]
    refused = Case("x", call(b"\x83\x00"), error=object())
    assert "reserved" in dict(frame_report.frame_result(refused, None))["bytes"]


def test_a_position_is_respected_and_an_empty_buffer_drawn():
    data = b"\x89\x00" + serialize_frame(HELLO)
    assert explain(data, (HELLO, 13), parsed(end=11), position=2)["bytes"].startswith("81 | 85")
    assert explain(b"", None, (HELLO, 0))["bytes"] == ""


@pytest.mark.parametrize(
    ("got", "words"),
    [
        ("01 85 37fa213d 7f9f4d5158", "byte 0, bit 0 (FIN): expected 1, got 0 (RFC 6455 5.2)"),
        ("82 85 37fa213d 7f9f4d5158", "byte 0, bit 6 (opcode): expected 0, got 1"),
        ("81 05 37fa213d 7f9f4d5158", "byte 1, bit 0 (MASK): expected 1, got 0"),
        ("81 84 37fa213d 7f9f4d5158", "byte 1, bit 7 (payload length): expected 1, got 0"),
        ("81 85 37fa213d 48656c6c6f", "byte 6: expected 7f, got 48"),
        ("81 85 37fa213d", "ends here, 6 of 11 bytes"),
        ("81 85 37fa213d 7f9f4d5158 00", "1 byte too many"),
    ],
)
def test_serialised_bytes_are_compared_bit_by_bit(got, words):
    case = Case("x", call(HELLO), expect=serialize_frame(HELLO))
    rows = dict(frame_report.frame_bytes(case, bytes.fromhex(got)))
    assert rows["expected"] == "81 | 85 | 37 fa 21 3d | 7f 9f 4d 51 58"
    assert words in rows["got"]


def test_serialised_things_that_are_no_bytes_get_the_general_difference():
    case = Case("x", call(HELLO), expect=serialize_frame(HELLO))
    assert "of type str" in dict(frame_report.frame_bytes(case, "x"))["differs"]
    equal = dict(frame_report.frame_bytes(case, bytearray(serialize_frame(HELLO))))
    assert "equal, but of type bytearray" in equal["differs"]


def test_values_are_shown_on_one_short_line():
    class Plain:
        pass

    assert render(b"x" * 100).endswith("...'")
    assert render(bytearray(b"\x00")) == r"bytearray(b'\x00')"
    assert render([b"\xff" * 20]) == r"[b'\xff\xff\xff\xff\xff\xff\xff\xff...']"
    assert "at 0x" not in render(Plain())
    assert len(render("y" * 10_000)) < 100
    assert "\n" not in render(["a\nb"])
