"""Compression: a message made small, and one that must not grow too large."""

import functools
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, raises
from refimpl.classroom.checking.rendering import render
from refimpl.errors import RemoteProtocolError

TAIL = b"\x00\x00\xff\xff"
TOO_BIG = raises(RemoteProtocolError, close_code=1009)
BAD_DATA = raises(RemoteProtocolError, close_code=1007)


class RecordingDeflater:
    """A deflater that notes how it was flushed."""

    def __init__(self) -> None:
        self._deflater = zlib.compressobj(wbits=-15)
        self.modes: set[int] = set()

    def compress(self, data: bytes) -> bytes:
        """Take more data; see zlib."""
        return self._deflater.compress(data)

    def flush(self, mode: int = zlib.Z_FINISH) -> bytes:
        """Return what is left inside; see zlib."""
        self.modes.add(mode)
        return self._deflater.flush(mode)

    def complain(self, payload: object) -> None:
        """Raise Wrong if the deflater was used wrongly."""
        if zlib.Z_FINISH in self.modes:
            raise Wrong(f"{render(payload)}: Z_FINISH (which flush() means) ends the deflater")
        if not self.modes:
            raise Wrong(f"{render(payload)}: the deflater that you were given was not flushed")
        if zlib.Z_FULL_FLUSH in self.modes:
            raise Wrong(f"{render(payload)}: Z_FULL_FLUSH empties the deflater's memory")


def _one(deflate_message: Callable[[Any, bytes], object]) -> object:
    deflater = RecordingDeflater()
    payload = deflate_message(deflater, b"Hello")
    if payload is not ...:
        deflater.complain(payload)
    return payload


def _sent(*messages: bytes) -> Callable[[Any], object]:
    """Compress the messages with the learner's function and one deflater; return the results."""

    def drive(deflate_message: Callable[[Any, bytes], object]) -> object:
        deflater = zlib.compressobj(wbits=-15)
        return [deflate_message(deflater, message) for message in messages]

    return drive


def _inflates_to(*messages: bytes) -> Callable[[Any], bool]:
    """Whether a peer reads just these messages."""

    def holds(payloads: Any) -> bool:
        inflater = zlib.decompressobj(wbits=-15)
        for number, (payload, message) in enumerate(zip(payloads, messages, strict=True), 1):
            if not isinstance(payload, bytes):
                raise Wrong(f"{render(payload)}, which is not bytes")
            if payload.endswith(TAIL):
                raise Wrong(f"{render(payload)}: message {number} still has its tail")
            try:
                read = inflater.decompress(payload + TAIL)
            except zlib.error as error:
                raise Wrong(f"a message {number} that the peer cannot inflate") from error
            if read != message:
                raise Wrong(f"message {number} is {render(read)} to the peer")
        return True

    return holds


def _short_the_second_time(payloads: Any) -> bool:
    _inflates_to(SENTENCE, SENTENCE)(payloads)
    if len(payloads[1]) > 12:
        raise Wrong(f"{len(payloads[1])} bytes for the message that was said before")
    return True


SENTENCE = b"the release is ready for a look when you have time"

DEFLATE_MESSAGE = Exercise(
    "deflate_message",
    points=2,
    rule="RFC 7692 7.2.1: flush, and cut off the four bytes at the end",
    hints=(
        "Three steps: compress, flush, cut. The flush must let all of the message out and leave "
        "the deflater ready for the next one.",
        "RFC 7692 7.2.3.1, on Hello: flushed with Z_SYNC_FLUSH it is f2 48 cd c9 c9 07 00 00 00 ff "
        "ff. The last four, 00 00 ff ff, are cut; the 00 before them stays.",
        "1. data = what compress returns, and after it what flush(zlib.Z_SYNC_FLUSH) returns.\n"
        "2. Return all of it but the last four bytes.",
    ),
    cases=(
        Case(
            "Hello, as Chromium sends it",
            drive=_one,
            shown="deflate_message(deflater, b'Hello')",
            expect=bytes.fromhex("f248cdc9c90700"),
            why="flush, then cut four bytes off the end, exactly these four",
        ),
        Case(
            "three messages of one connection",
            drive=_sent(b"one", b"two", b"three"),
            shown="[deflate_message(deflater, each) for each in (b'one', b'two', b'three')]",
            holds=_inflates_to(b"one", b"two", b"three"),
            wanted="three payloads that a peer inflates one after the other",
        ),
        Case(
            "the same sentence twice",
            drive=_sent(SENTENCE, SENTENCE),
            shown="[deflate_message(deflater, sentence), deflate_message(deflater, sentence)]",
            holds=_short_the_second_time,
            wanted="12 bytes or less the second time: as before, so far back",
            why="context takeover lives in the deflater that you were given",
        ),
        Case(
            "an empty message",
            drive=_sent(b"Hello", b"", b"Hello"),
            shown="[deflate_message(deflater, each) for each in (b'Hello', b'', b'Hello')]",
            holds=_inflates_to(b"Hello", b"", b"Hello"),
            wanted="three payloads that a peer inflates one after the other",
        ),
    ),
)


def _deflated(*messages: bytes) -> list[bytes]:
    """The messages as one side of a connection compresses them, tails left on."""
    deflater = zlib.compressobj(wbits=-15)
    return [deflater.compress(each) + deflater.flush(zlib.Z_SYNC_FLUSH) for each in messages]


HELLO, AGAIN = _deflated(b"Hello, Hello, Hello", b"Hello, Hello, Hello once more")
MANY = 64 * 2**20


def _inflating(*calls: tuple[bytes, int]) -> Callable[[Any], object]:
    """Call the learner's function for each (data, limit) with one inflater; the last result."""

    def drive(inflate_capped: Callable[[Any, bytes, int], object]) -> object:
        inflater = zlib.decompressobj(wbits=-15)
        result: object = None
        for data, limit in calls:
            result = inflate_capped(inflater, data, limit)
            if result is ...:
                return result
        return result

    return drive


@functools.cache
def _bomb() -> bytes:
    [bomb] = _deflated(bytes(MANY))
    return bomb


def _bombing(limit: int) -> Callable[[Any], object]:
    """Inflate the bomb; the function's error is judged, unless it used too much memory before."""

    def drive(inflate_capped: Callable[[Any, bytes, int], object]) -> object:
        bomb, inflater = _bomb(), zlib.decompressobj(wbits=-15)
        tracemalloc.start()
        try:
            return inflate_capped(inflater, bomb, limit)
        finally:
            most = tracemalloc.get_traced_memory()[1] / 2**20
            tracemalloc.stop()
            if most > 8:
                raise Wrong(f"an end, but {most:.0f} MiB were held on the way")

    return drive


INFLATE_CAPPED = Exercise(
    "inflate_capped",
    points=4,
    rule="RFC 6455 10.4: limits, here on what a message inflates to",
    hints=(
        "A length that is asked afterwards is asked too late. zlib can be told beforehand how much "
        "it may return; then ask whether it had more.",
        "Python's inflater.decompress(data, max_length) stops at max_length bytes, but 0 means no "
        "limit. On f2 48 cd ..., Hello, with a limit of 4: allow 5, get 5, so it is too big.",
        "1. Inflate with a max_length of limit + 1.\n"
        "2. zlib.error: raise RemoteProtocolError with 1007, from it.\n"
        "3. More than limit bytes came: raise RemoteProtocolError with 1009.\n"
        "4. Return what came.",
    ),
    cases=(
        Case(
            "a small message, a large limit",
            drive=_inflating((HELLO, 1000)),
            shown="inflate_capped(inflater, data, 1000)",
            expect=b"Hello, Hello, Hello",
        ),
        Case(
            "exactly as much as is allowed",
            drive=_inflating((HELLO, 19)),
            shown="inflate_capped(inflater, data, 19)",
            expect=b"Hello, Hello, Hello",
            why="19 of 19 bytes is not too big; unconsumed input proves nothing, for the tail may "
            "be left over",
        ),
        Case(
            "one byte more than is allowed",
            drive=_inflating((HELLO, 18)),
            shown="inflate_capped(inflater, data, 18)",
            error=TOO_BIG,
            why="a message that was cut short is not the message",
        ),
        Case(
            "nothing is allowed",
            drive=_inflating((HELLO, 0)),
            shown="inflate_capped(inflater, data, 0)",
            error=TOO_BIG,
            why="a message that has 19 bytes is larger than 0",
        ),
        Case(
            "two messages of one connection",
            drive=_inflating((HELLO, 1000), (AGAIN, 29)),
            shown="inflate_capped(inflater, first, 1000); inflate_capped(inflater, second, 29)",
            expect=b"Hello, Hello, Hello once more",
            why="the second points back into the first: use the inflater that you were given",
        ),
        Case(
            "a corrupt message",
            drive=_inflating((b"\xff\xff", 1000)),
            shown="inflate_capped(inflater, b'\\xff\\xff', 1000)",
            error=BAD_DATA,
            why="zlib.error says nothing to a peer: turn it into a RemoteProtocolError",
        ),
        Case(
            "a bomb of 64 MiB, limit 1 MiB",
            drive=_bombing(2**20),
            shown="inflate_capped(inflater, bomb, 1_048_576)",
            error=TOO_BIG,
            why="the limit must act while inflating",
        ),
        Case(
            "the same bomb where nothing is allowed",
            drive=_bombing(0),
            shown="inflate_capped(inflater, bomb, 0)",
            error=TOO_BIG,
            why="to zlib a max_length of 0 means no limit at all",
        ),
    ),
)
