"""Text: bytes that a naive server misreads, and the first byte that cannot be UTF-8."""

import random
from collections.abc import Callable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, call
from refimpl.classroom.checking.rendering import render


def read_lax(data: bytes) -> str:
    """The text that a decoder by the table of chapter 03 reads: no four-byte form, no checks."""
    text, rest = "", iter(data)
    for first in rest:
        follow = 0 if first < 0x80 else 1 if first < 0xE0 else 2
        code = first if not follow else first & (0x1F if follow == 1 else 0x0F)
        if 0x80 <= first < 0xC0 or first >= 0xF0:
            raise Wrong(f"bytes that begin a character with {first:02x}: the table has no such row")
        for _ in range(follow):
            more = next(rest, 0)
            if more >> 6 != 0b10:
                raise Wrong(f"{more:02x} where a byte that starts with the bits 10 must follow")
            code = code << 6 | more & 0x3F
        text += chr(code)
    return text


def _gets_through(text: str) -> Callable[[Any], object]:
    def drive(smuggle: Callable[[str], object]) -> object:
        data = smuggle(text)
        if not isinstance(data, bytes):
            return data
        if low := [byte for byte in data if byte < 0x80]:
            raise Wrong(f"{render(data)}: the filter sees {chr(low[0])!r} in it, plain as it is")
        return read_lax(data)

    return drive


SMUGGLE = Exercise(
    "smuggle",
    points=2,
    rule="RFC 3629 3: overlong forms are not UTF-8, because of this",
    hints=(
        "The naive server has a row for two bytes and does not ask whether two were needed. Write "
        "each character with more bytes than it needs.",
        "RFC 3629 3 gives the form of two bytes, 110xxxxx 10xxxxxx. A '.' is 2e, in eleven bits "
        "00000 101110. Filled in: 110 00000, 10 101110, which is c0 ae.",
        "1. For each character take its number.\n"
        "2. The upper five of eleven bits go behind 110, the lower six behind 10.\n"
        "3. Join the pairs of bytes.",
    ),
    cases=(
        Case(
            "a way out of the folder",
            drive=_gets_through("../"),
            shown="naive_read(smuggle('../'))",
            expect="../",
        ),
        Case(
            "a letter, above 40",
            drive=_gets_through("A"),
            shown="naive_read(smuggle('A'))",
            expect="A",
            why="0x41 has a bit above the lower six, and that bit goes into the first byte",
        ),
        Case(
            "a whole path",
            drive=_gets_through("../../etc/passwd"),
            shown="naive_read(smuggle('../../etc/passwd'))",
            expect="../../etc/passwd",
        ),
        Case(
            "every character of ASCII",
            drive=_gets_through("".join(map(chr, range(128)))),
            shown="naive_read(smuggle(all of ASCII))",
            expect="".join(map(chr, range(128))),
        ),
    ),
)

LONG_TEXT = "".join(random.Random(3).choices("aé€🎉", k=80_000)).encode()

FIRST_BAD_BYTE = Exercise(
    "first_bad_byte",
    points=4,
    rule="RFC 6455 8.1, with the table of RFC 3629 4",
    hints=(
        "Feed the bytes one at a time to something that remembers an unfinished character, and "
        "note where it objects. Python's incremental decoder is such a thing, but not quite "
        "strict enough in one place.",
        "RFC 3629 4: after ED only 80 to 9F may follow, for ED A0 and up are surrogates. Python "
        "holds ED A0 back until a third byte; decoder.getstate()[0] is what it holds.",
        '1. Make one decoder: codecs.getincrementaldecoder("utf-8")().\n'
        "2. For each position feed that one byte; where it raises, return the position.\n"
        "3. Where it now holds ED and then A0 or more, return the position too.\n"
        "4. At the end return None: what is unfinished may still be finished.",
    ),
    cases=(
        Case("plain letters", call(b"Hello"), expect=None),
        Case("characters of one to four bytes", call("aé€🎉".encode()), expect=None),
        Case("a byte that is never used", call(b"Hello\xff!"), expect=5),
        Case(
            "a bracket where é should go on",
            call(b"caf\xc3("),
            expect=4,
            why="c3 could still become a character; the bracket is the byte that ends all hope",
        ),
        Case(
            "a text that ends inside é",
            call(b"caf\xc3"),
            expect=None,
            why="the rest may come with the next fragment",
        ),
        Case("a second byte without a first", call(b"\xa9"), expect=0),
        Case(
            "an overlong dot",
            call(b"\xc0\xae"),
            expect=0,
            why="every character that begins with c0 fits in one byte: c0 itself is bad",
        ),
        Case(
            "an overlong dot in three bytes",
            call(b"\xe0\x80\xae"),
            expect=1,
            why="e0 is fine before a0 to bf; with 80 the character would fit in two bytes",
        ),
        Case(
            "a surrogate, after two of its bytes",
            call(b"\xed\xa0"),
            expect=1,
            why="nothing that begins with ed a0 is a character, so it is over now, not later",
        ),
        Case("the last character before the surrogates", call(b"\xed\x9f\xbf"), expect=None),
        Case(
            "above U+10FFFF",
            call(b"\xf4\x90\x80\x80"),
            expect=1,
            why="f4 is fine before 80 to 8f; with 90 the character would be U+110000",
        ),
        Case("the highest character", call("\U0010ffff".encode()), expect=None),
        Case(
            "a long text, bad in its last byte",
            call(LONG_TEXT + b"\xff"),
            expect=len(LONG_TEXT),
            why="look at each byte once: to decode all from the start for each byte is quadratic",
        ),
    ),
    limit=3.0,
)
