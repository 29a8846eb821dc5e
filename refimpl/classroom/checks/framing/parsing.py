"""Chapter 02: the parser."""

from refimpl.classroom.checking import frame_report
from refimpl.classroom.checking.cases import Case, Exercise, call, raises
from refimpl.classroom.grafting.adapters import parse_frame_only
from refimpl.errors import RemoteProtocolError
from refimpl.framing import Frame, Opcode, serialize_frame

KEY = bytes.fromhex("37fa213d")  # the masking key of the RFC's own example (5.7)

HELLO = Frame(Opcode.TEXT, b"Hello")
MASKED_HELLO = Frame(Opcode.TEXT, b"Hello", masking_key=KEY)
LETTERS = Frame(Opcode.TEXT, b"abc" * 100, masking_key=KEY)
PICTURE = Frame(Opcode.BINARY, bytes(range(256)) * 274, masking_key=KEY)  # 70,144 bytes
FRAGMENT = Frame(Opcode.CONTINUATION, b"", fin=False, masking_key=KEY)
PING = Frame(Opcode.PING, b"", masking_key=KEY)
LONGEST_PING = Frame(Opcode.PING, b"p" * 125, masking_key=KEY)

PARSE_FRAME = Exercise(
    "parse_frame",
    points=4,
    rule="RFC 6455 5.2 (the layout of a frame) and 5.5 (control frames)",
    hints=(
        "Read the head field by field and move a position along. After each field ask whether the "
        "next one is there yet; if it is not, the answer is None, and nothing is lost, because the "
        "caller keeps the bytes.",
        "RFC 6455 5.2, on the bytes 81 fe 01 2c: fe is 1111 1110, so MASK is set and the other "
        "seven bits say 126. The length is then not 126 but what 01 2c says: 300. Four bytes "
        "of masking key follow, then 300 bytes of payload.",
        "1. Fewer than two bytes: None.\n"
        "2. Take FIN and opcode from the first byte, and refuse what 5.2 reserves.\n"
        "3. Take MASK and the short length from the second; for 126 read two more bytes, for 127 "
        "eight.\n"
        "4. Refuse a control frame over 125.\n"
        "5. Where MASK is set, read the key.\n"
        "6. The payload is complete? Unmask it, and return it with the position after it.",
    ),
    cases=(
        Case("an unmasked text frame", call(serialize_frame(HELLO), 0), expect=(HELLO, 7)),
        Case(
            "the same frame, masked",
            call(serialize_frame(MASKED_HELLO), 0),
            expect=(MASKED_HELLO, 11),
        ),
        Case(
            "an empty fragment",
            call(serialize_frame(FRAGMENT), 0),
            expect=(FRAGMENT, 6),
            why="a frame without payload is a frame, and FIN is a bit of its own",
        ),
        Case(
            "a 300-byte text frame, fed whole",
            call(serialize_frame(LETTERS), 0),
            expect=(LETTERS, 308),
        ),
        Case(
            "a 70,144-byte binary frame",
            call(serialize_frame(PICTURE), 0),
            expect=(PICTURE, 70_158),
        ),
        Case(
            "an empty buffer",
            call(b"", 0),
            expect=None,
            why="every connection begins like this",
        ),
        Case(
            "the first byte only",
            call(b"\x81", 0),
            expect=None,
            why="look before you read: the rest may be on its way",
        ),
        Case(
            "a payload that lacks its last byte",
            call(serialize_frame(MASKED_HELLO)[:-1], 0),
            expect=None,
            why="a slice that is too short is no error in Python: compare lengths first",
        ),
        Case(
            "the second frame of a buffer",
            call(serialize_frame(PING) + serialize_frame(HELLO), 6),
            expect=(HELLO, 13),
            why="positions count from the buffer's first byte, not from the frame's",
        ),
        Case(
            "a 300-byte frame after a ping",
            call(serialize_frame(PING) + serialize_frame(LETTERS), 6),
            expect=(LETTERS, 314),
            why="the longer length, too, stands where the frame is, not where the buffer begins",
        ),
        Case(
            "a buffer that grows, a bytearray",
            call(bytearray(serialize_frame(PING) + serialize_frame(MASKED_HELLO)), 6),
            expect=(MASKED_HELLO, 17),
            why="a slice of a bytearray is a bytearray; payload and key are to be bytes",
        ),
        Case(
            "a bytearray with an unmasked frame",
            call(bytearray(serialize_frame(HELLO)), 0),
            expect=(HELLO, 7),
            why="a slice of a bytearray is a bytearray, and no mask turns this one into bytes",
        ),
        Case(
            "a head that announces 2**62 bytes",
            call(b"\x82\xff" + (2**62).to_bytes(8, "big") + KEY, 0),
            expect=None,
            why="nothing may be made of that size before the payload is there: it may never come",
        ),
        Case(
            "a ping of 125 bytes",
            call(serialize_frame(LONGEST_PING), 0),
            expect=(LONGEST_PING, 131),
            why="125 bytes are the most that a control frame may have, and it may have them (5.5)",
        ),
        Case(
            "a reserved opcode",
            call(b"\x83\x00", 0),
            error=raises(RemoteProtocolError, close_code=1002),
        ),
        Case(
            "a reserved bit, RSV2",
            call(b"\xa1\x00", 0),
            error=raises(RemoteProtocolError, close_code=1002),
            why="no extension gave RSV2 a meaning: a frame that nobody can read",
        ),
        Case(
            "a reserved bit, RSV1",
            call(b"\xc1\x00", 0),
            error=raises(RemoteProtocolError, close_code=1002),
            why="RSV1 has a meaning only where both sides agreed on an extension, and here none is",
        ),
        Case(
            "a reserved bit, RSV3",
            call(b"\x91\x00", 0),
            error=raises(RemoteProtocolError, close_code=1002),
            why="there are three reserved bits: 0x40, 0x20 and 0x10",
        ),
        Case(
            "a ping without FIN",
            call(b"\x09\x00", 0),
            error=raises(RemoteProtocolError, close_code=1002),
            why="a control frame is never fragmented (5.5)",
        ),
        Case(
            "a ping that announces 126 bytes",
            call(b"\x89\x7e\x00\x7e", 0),
            error=raises(RemoteProtocolError, close_code=1002),
            why="a control frame has at most 125 bytes (5.5), and the head alone says so",
        ),
    ),
    show=frame_report.show_result,
    explain=frame_report.frame_result,
    replaces="framing.parse_frame",
    adapt=parse_frame_only,
)
