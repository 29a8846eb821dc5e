"""Chapter 02: the parser, and the buffer in front of it."""

import random
from itertools import pairwise
from typing import Any

from refimpl.errors import RemoteProtocolError
from refimpl.framing import Frame, Opcode, serialize_frame

from ... import wire
from ...adapters import header_and_payload
from ...cases import Case, Exercise, Wrong, call, raises
from ...rendering import render
from .words import unless_words_differ

KEY = bytes.fromhex("37fa213d")  # the masking key of the RFC's own example (5.7)

HELLO = Frame(Opcode.TEXT, b"Hello")
MASKED_HELLO = Frame(Opcode.TEXT, b"Hello", masking_key=KEY)
LETTERS = Frame(Opcode.TEXT, b"abc" * 100, masking_key=KEY)
PICTURE = Frame(Opcode.BINARY, bytes(range(256)) * 274, masking_key=KEY)  # 70,144 bytes
FRAGMENT = Frame(Opcode.CONTINUATION, b"", fin=False, masking_key=KEY)
PING = Frame(Opcode.PING, b"", masking_key=KEY)

PARSE_FRAME = Exercise(
    "parse_frame",
    points=4,
    rule='RFC 6455 5.2 "Payload length"',
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
        "6. The payload is complete? Unmask it, and return it with the position behind it.",
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
            "a buffer that grows, a bytearray",
            call(bytearray(serialize_frame(PING) + serialize_frame(MASKED_HELLO)), 6),
            expect=(MASKED_HELLO, 17),
            why="a slice of a bytearray is a bytearray; payload and key are to be bytes",
        ),
        Case(
            "a reserved opcode",
            call(b"\x83\x00", 0),
            error=raises(RemoteProtocolError, close_code=1002),
        ),
        Case(
            "a reserved bit",
            call(b"\xa1\x00", 0),
            error=raises(RemoteProtocolError, close_code=1002),
            why="no extension gave RSV2 a meaning: a frame that nobody can read",
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
    show=wire.show_result,
    explain=wire.frame_result,
    replaces="framing.parse_frame",
    adapt=header_and_payload,
)


STREAM = [MASKED_HELLO, PING, FRAGMENT, LETTERS, Frame(Opcode.PONG, b"hi", masking_key=KEY)]
WIRE = b"".join(map(serialize_frame, STREAM))
SPLITS = 200


def _feed(frame_buffer: Any, *pieces: bytes, **options: Any) -> Any:
    """Return all that one buffer gives for the pieces, joined; ... where nothing is written yet."""
    buffer, frames = frame_buffer(**options), []
    for piece in pieces:
        found = buffer.feed(piece)
        if found is ...:
            return ...
        if not isinstance(found, list):
            raise Wrong(f"{render(found)} from feed(); it returns a list, empty or not")
        frames += found
    return frames


def _in_words(frames: list[Frame]) -> str:
    """Return a list of frames as opcodes and payloads."""
    return ", ".join(f"{f.opcode.name} {render(f.payload[:24])}" for f in frames) or "no frames"


def _feed_two(frame_buffer: Any) -> list[Frame]:
    """Return what the second of two buffers gives, while the first waits for the rest."""
    one, two = frame_buffer(), frame_buffer()
    one.feed(serialize_frame(MASKED_HELLO)[:4])
    return list(two.feed(serialize_frame(PING)))


def _feed_randomly(frame_buffer: Any) -> bool:
    dice = random.Random(6455)
    for number in range(1, SPLITS + 1):
        cuts = sorted(dice.sample(range(1, len(WIRE)), dice.randint(1, 20)))
        pieces = [WIRE[low:high] for low, high in pairwise([0, *cuts, len(WIRE)])]
        frames = _feed(frame_buffer, *pieces)
        if [(f.opcode, f.payload, f.fin) for f in frames] != [
            (f.opcode, f.payload, f.fin) for f in STREAM
        ]:
            raise Wrong(f"split {number}, at {render(cuts)}: {len(frames)} frames, not all right")
    return True


FRAME_BUFFER = Exercise(
    "FrameBuffer",
    points=3,
    rule="RFC 6455 5.2: a frame ends where its head says, not where a read does",
    hints=(
        "One read may bring a part of a frame, or several frames and a part of one more. Keep what "
        "is not yet a frame for the next call; and ask for frames until the answer is None.",
        "RFC 6455 5.2, on the reads 81 85 37 and fa 21 3d 7f 9f 4d 51 58 89 80 37: the first gives "
        "no frame and three bytes to keep. The second completes a TEXT of eleven bytes; 89 80 37, "
        "the beginning of a Ping, is kept.",
        "1. __init__: a bytearray of its own, and the limit.\n"
        "2. feed: add the data; position = 0.\n"
        "3. While framing.parse_frame(buffer, position, masked=True, max_size=...) is not None: "
        "keep the frame, move to the position it came with.\n"
        "4. Delete what was used, return the frames.",
    ),
    cases=(
        Case(
            "a frame in one read",
            drive=lambda buffer: _feed(buffer, serialize_frame(MASKED_HELLO)),
            shown="FrameBuffer().feed(frame)",
            expect=[MASKED_HELLO],
        ),
        Case(
            "five frames in one read",
            drive=lambda buffer: _feed(buffer, WIRE),
            shown="FrameBuffer().feed(five_frames)",
            expect=STREAM,
            why="after one frame, ask again: the next may be there already",
        ),
        Case(
            "a frame in two reads",
            drive=lambda buffer: _feed(buffer, WIRE[:5], WIRE[5:11]),
            shown="buffer.feed(frame[:5]), then buffer.feed(frame[5:])",
            expect=[MASKED_HELLO],
            why="what is not yet a frame must be there at the next call",
        ),
        Case(
            "a frame, then another",
            drive=lambda buffer: _feed(buffer, WIRE[:11], WIRE[11:17]),
            shown="buffer.feed(first), then buffer.feed(second)",
            expect=STREAM[:2],
            why="bytes that became a frame are used up",
        ),
        Case(
            "a read of no bytes",
            drive=lambda buffer: _feed(buffer, b""),
            shown='FrameBuffer().feed(b"")',
            expect=[],
        ),
        Case(
            "two connections",
            drive=_feed_two,
            shown="one.feed(part_of_a_frame), then two.feed(ping)",
            expect=[PING],
            why="each connection needs a buffer of its own: set it in __init__",
        ),
        Case(
            "one byte at a time",
            drive=lambda buffer: _feed(buffer, *(bytes((byte,)) for byte in WIRE)),
            shown="buffer.feed(byte) for each byte of five frames",
            expect=STREAM,
        ),
        Case(
            f"{SPLITS} random splits of five frames",
            drive=_feed_randomly,
            shown="buffer.feed(piece) for each piece",
            holds=lambda right: right,
            wanted="the same five frames for every split",
        ),
        Case(
            "a frame that is not masked",
            drive=lambda buffer: _feed(buffer, serialize_frame(HELLO)),
            shown="FrameBuffer().feed(unmasked_frame)",
            error=raises(RemoteProtocolError, close_code=1002),
            why="this is a server's buffer, and a client masks every frame (5.1)",
        ),
        Case(
            "a head that announces too much",
            drive=lambda buffer: _feed(buffer, serialize_frame(LETTERS)[:4], max_size=200),
            shown="FrameBuffer(max_size=200).feed(head_of_300_bytes)",
            error=raises(RemoteProtocolError, close_code=1009),
            why="the limit holds before the payload comes (10.4)",
        ),
    ),
    show=_in_words,
    explain=unless_words_differ(_in_words),
)
