"""Chapter 02: the buffer in front of the parser."""

import random
import tracemalloc
from itertools import pairwise
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, raises
from refimpl.classroom.checking.rendering import render
from refimpl.classroom.checks.framing.explain import unless_words_differ
from refimpl.classroom.checks.framing.parsing import (
    FRAGMENT,
    HELLO,
    KEY,
    LETTERS,
    MASKED_HELLO,
    PING,
)
from refimpl.errors import RemoteProtocolError
from refimpl.framing import Frame, Opcode, serialize_frame

STREAM = [MASKED_HELLO, PING, FRAGMENT, LETTERS, Frame(Opcode.PONG, b"hi", masking_key=KEY)]
WIRE = b"".join(map(serialize_frame, STREAM))
SPLITS = 200


def _feed(frame_buffer: Any, *pieces: bytes, **options: Any) -> Any:
    """Return all that one buffer gives for the pieces, joined; `...` if it is not written yet."""
    buffer = frame_buffer(**options)
    frames: list[Frame] = []
    for piece in pieces:
        found = buffer.feed(piece)
        if found is ...:
            return ...
        if not isinstance(found, list):
            raise Wrong(f"{render(found)} from feed(); it returns a list, empty or not")
        if any(frame is given for frame in found for given in frames):
            raise Wrong("a frame that an earlier feed() gave already; return the new ones only")
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


PHOTO = serialize_frame(Frame(Opcode.BINARY, bytes(2**16), masking_key=KEY))
PHOTOS = 48  # 3 MiB: far more than one read, and soon masked
ROOM = 2**19  # bytes that a buffer may keep, spare room of a bytearray included


def _feed_photos(frame_buffer: Any) -> int:
    """Return how many bytes a buffer still holds after many large frames came and were taken."""
    buffer = frame_buffer()
    traced_before = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(PHOTOS):
            buffer.feed(PHOTO)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        if not traced_before:
            tracemalloc.stop()


def _is_small(held: int) -> bool:
    if held > ROOM:
        raise Wrong(f"{held / 2**20:.0f} MiB still held, and more with every read")
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
        Case(
            "a frame of exactly max_size bytes",
            drive=lambda buffer: _feed(buffer, serialize_frame(LETTERS), max_size=300),
            shown="FrameBuffer(max_size=300).feed(frame_of_300_bytes)",
            expect=[LETTERS],
            why="only a payload of more than max_size bytes is refused; the head does not count",
        ),
        Case(
            f"{PHOTOS} frames of 64 KiB, one a read",
            drive=_feed_photos,
            shown="buffer.feed(frame), again and again",
            holds=_is_small,
            wanted="a buffer that keeps only what is not yet a frame",
            why="a connection lives for days: delete the bytes that became frames, keep no frames",
        ),
    ),
    show=_in_words,
    explain=unless_words_differ(_in_words),
)
