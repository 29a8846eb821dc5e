"""The layout: writing an envelope, finding boundaries in a stream, the three results."""

from collections.abc import Callable
from typing import Any

from refimpl.classroom.checking.cases import Answer, Case, Exercise, Wrong, call, raises
from refimpl.classroom.checking.rendering import render, show_error
from refimpl.classroom.checks.envelope.explain import by_kind, by_refusal
from refimpl.envelope import NEED_MORE, BadChecksum, Envelope, EnvelopeError, TooLong, encode
from refimpl.errors import LocalProtocolError

HELLO, EMPTY, BYE = encode(0x10, b"Hello"), encode(0x11, b""), encode(0x10, b"Bye")
DAMAGED = HELLO[:-1] + b"?"

PACK_ENVELOPE = Exercise(
    "pack_envelope",
    points=1,
    rule="chapter 04, section 2: length, type, payload, CRC-32 of all before it",
    hints=(
        "Make everything in front of the checksum first; the checksum is taken of just that.",
        "Chapter 04, section 2, on type 0x10 and b'Hi': 00 00 00 02, then 10, then 48 69, then the "
        "four bytes of zlib.crc32(b'\\0\\0\\0\\x02\\x10Hi').",
        "1. Refuse a type outside of 0 to 255.\n"
        "2. body = the length in 4 bytes + the type in 1 + the payload.\n"
        "3. Return body + its CRC in 4 bytes. number.to_bytes(4, 'big'), or struct with '!'.",
    ),
    cases=(
        Case(
            "five letters",
            call(0x10, b"Hello"),
            expect=HELLO,
            why="the CRC covers length, type and payload, all big-endian; the length counts the "
            "payload only",
        ),
        Case("no payload", call(0x11, b""), expect=EMPTY, why="an empty payload is a message"),
        Case("type 255", call(255, b"x"), expect=encode(255, b"x")),
        Case("type 0", call(0, b"x"), expect=encode(0, b"x"), why="0 is a type like any other"),
        Case(
            "300 bytes",
            call(1, bytes(300)),
            expect=encode(1, bytes(300)),
            why="the length takes four bytes, the most significant first",
        ),
        Case(
            "type 256",
            call(256, b""),
            error=raises(LocalProtocolError),
            why="a type that no byte can hold is our own caller's mistake: LocalProtocolError",
        ),
        Case(
            "type -1",
            call(-1, b""),
            error=raises(LocalProtocolError),
            why="below 0 there is no type either",
        ),
    ),
    explain=by_kind,
    replaces="envelope.frame.encode",
)

CUT_STREAM = Answer(
    "cut_stream",
    points=1,
    rule="chapter 04, section 2: an envelope is its payload and nine bytes",
    hints=(
        "Do as a decoder does: read a length, step over the envelope, and again, until there is "
        "not enough left.",
        "Chapter 04, section 2: after a length of 00 00 00 05 there follow a type (1 byte), 5 "
        "bytes of payload and 4 of CRC: 14 bytes in all, and then comes the next length.",
        "1. At 0: the length, plus 9, is where the next envelope begins.\n"
        "2. Count while the whole envelope is there, the CRC too.\n"
        "3. What is left after the last whole one is waiting.",
    ),
    accepts=(3, 11),
    mistakes={
        (2, 11): "one of them has no payload, and is still an envelope",
        (2, 20): "one of them has no payload, and is still an envelope",
        (1, 31): "the second envelope is empty, which is no reason to stop",
        (4, 0): "the last one is not whole: count its bytes, and then those that it needs",
        (4, 11): "the last one is not whole: count its bytes, and then those that it needs",
        (3, 3): "a decoder keeps all of an unfinished envelope, from its first byte on",
        (3, 6): "its header waits as well: nothing of an unfinished envelope is taken out",
        (3, 10): "the count is right; count again what follows the third, from its first 00 on",
        (3, 12): "the last envelope needs 12 bytes; how many of them have come?",
        (3, 1): "not how many are missing: how many are there, and wait",
    },
    otherwise="a tuple of two: the number of whole envelopes, and the number of bytes after the "
    "last of them",
)


def _says(error: EnvelopeError) -> Callable[[Any], object]:
    """Call the learner's function with a bad envelope, and compare the message of its error."""

    def drive(parse_envelope: Callable[..., object]) -> object:
        limit = {"max_size": 4} if isinstance(error, TooLong) else {}
        try:
            result = parse_envelope(DAMAGED, **limit)
        except EnvelopeError as raised:
            if str(raised) != str(error):
                raise Wrong(f"raises {show_error(raised)}") from None
            return True
        raise Wrong(render(result))

    return drive


def _lets_go(parse_envelope: Callable[..., object]) -> object:
    """Empty a buffer while the error about it is still referenced."""
    buffer = bytearray(DAMAGED)
    try:
        result = parse_envelope(buffer)
    except BadChecksum:
        try:
            buffer.clear()
        except BufferError:
            raise Wrong("a buffer that cannot be emptied: a memoryview still holds it") from None
        return True
    raise Wrong(render(result))


PARSE_ENVELOPE = Exercise(
    "parse_envelope",
    points=4,
    rule="chapter 04, section 3: a frame, NEED_MORE and an error are three things",
    hints=(
        "There are three places at which to stop early: no header yet, a length above the limit, "
        "not all bytes yet. Order matters, and the CRC comes when all is there.",
        "Chapter 04, section 3, on 00 00 00 05 10 and nothing more: the length is 5 and may be "
        "refused now. 14 bytes have to be there, from position on, before the CRC can be "
        "compared; then the result ends at position + 14.",
        "1. Fewer than 5 bytes after position: NEED_MORE.\n"
        "2. Read length and type. Above max_size: raise TooLong(length, max_size).\n"
        "3. Fewer than length + 9 bytes after position: NEED_MORE.\n"
        "4. Compute the CRC of header and payload, compare: raise BadChecksum(sent, computed).\n"
        "5. Return Envelope(type, bytes of the payload) and the position after the CRC.",
    ),
    cases=(
        Case(
            "one envelope",
            call(HELLO),
            expect=(Envelope(0x10, b"Hello"), 14),
            why="the second value is the position after the CRC",
        ),
        Case(
            "all but the last byte",
            call(HELLO[:-1]),
            expect=NEED_MORE,
            why="the CRC is not all there: not yet, which is neither an envelope nor an error",
        ),
        Case("nothing at all", call(b""), expect=NEED_MORE, why="less than a header says nothing"),
        Case("half a header", call(HELLO[:3]), expect=NEED_MORE, why="the header has five bytes"),
        Case(
            "an empty payload",
            call(EMPTY),
            expect=(Envelope(0x11, b""), 9),
            why="an empty payload is a message, not the lack of one",
        ),
        Case(
            "the second of two",
            call(HELLO + BYE, 14),
            expect=(Envelope(0x10, b"Bye"), 26),
            why="all offsets count from position, and the result does not",
        ),
        Case(
            "position at the end",
            call(HELLO, 14),
            expect=NEED_MORE,
            why="there may be nothing after position",
        ),
        Case(
            "half of the second of two",
            call(HELLO + BYE[:-3], 14),
            expect=NEED_MORE,
            why="what comes before position is not this envelope's",
        ),
        Case(
            "a bytearray",
            call(bytearray(HELLO)),
            expect=(Envelope(0x10, b"Hello"), 14),
            why="buffers grow, so they are bytearrays; the payload that leaves is bytes",
        ),
        Case(
            "a payload of max_size bytes",
            call(HELLO, max_size=5),
            expect=(Envelope(0x10, b"Hello"), 14),
            why="the limit itself is allowed",
        ),
        Case(
            "one byte more than max_size",
            call(HELLO, max_size=4),
            error=raises(TooLong),
            why="the limit is of the payload, and this is above it",
        ),
        Case(
            "a header that announces 4 GiB",
            call(b"\xff\xff\xff\xff\x10"),
            error=raises(TooLong),
            why="the header is enough to say no; the payload would never come",
        ),
        Case(
            "a wrong CRC",
            call(DAMAGED),
            error=raises(BadChecksum),
            why="the CRC has to be compared before anyone sees the payload",
        ),
        Case(
            "a flipped bit in the type",
            call(HELLO[:4] + b"\x11" + HELLO[5:]),
            error=raises(BadChecksum),
            why="the CRC covers the header too",
        ),
        Case(
            "a wrong CRC after a sound envelope",
            call(HELLO + BYE[:-1] + b"?"),
            expect=(Envelope(0x10, b"Hello"), 14),
            why="the bytes after this envelope are the next call's business",
        ),
        Case(
            "what BadChecksum says",
            drive=_says(BadChecksum(0x83973B3F, 0x83973BD5)),
            shown=call(DAMAGED).text("parse_envelope"),
            holds=bool,
            wanted="raises BadChecksum: got CRC-32 83973b3f, expected 83973bd5",
            why="what came is named first, then what was computed: BadChecksum(sent, computed)",
        ),
        Case(
            "what TooLong says",
            drive=_says(TooLong(5, 4)),
            shown=call(DAMAGED, max_size=4).text("parse_envelope"),
            holds=bool,
            wanted="raises TooLong: got an envelope of 5 bytes, expected at most 4",
            why="what came is named first, then what was allowed: TooLong(length, max_size)",
        ),
        Case(
            "the buffer is emptied after an error",
            drive=_lets_go,
            shown="parse_envelope(buffer), then buffer.clear() in the except block",
            holds=bool,
            wanted="BadChecksum, and a bytearray that may be changed",
            why="an error keeps the function's variables alive, and a memoryview among them keeps "
            "the bytearray as it is: release it, as `with memoryview(buffer) as view:` does",
        ),
    ),
    explain=by_refusal,
    replaces="envelope.frame.parse",
)
