"""Random frame streams, valid and broken, from a seeded source: the food of differential tests.

A stream is what one peer might send on an open connection. Most are nearly right, since pure noise
never gets past the first header: a few messages, whole or in fragments, control frames between
them, and then, in two of three streams, one thing that is wrong.
"""

from __future__ import annotations

import random
import zlib

from tests.support import wire
from tests.support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

TEXTS = ["", "a", "Hello", "größer", "κόσμε", "\U0001f984" * 3, "x" * 124, "y" * 126, "z" * 190]
BAD_TEXTS = [b"\xff", b"ok\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80abc"]
SIZES = [0, 1, 2, 3, 7, 100, 125, 126, 127, 190, 199, 200]
LIMIT = 200
"""The message size limit that streams are made to come close to."""


class Stream:
    """One peer's side of a connection, written frame by frame."""

    def __init__(self, source: random.Random, *, masked: bool, deflate: bool) -> None:
        self.source = source
        self.masked = masked
        self.data = bytearray()
        self.compressor = zlib.compressobj(wbits=-15) if deflate else None

    def frame(self, opcode: int, payload: bytes = b"", **options: object) -> None:
        """Append a frame, masked as it should be unless options say otherwise."""
        key = self.source.randbytes(4) if self.masked else None
        self.data += wire.frame(opcode, payload, **{"key": key, **options})  # type: ignore[arg-type]

    def compress(self, data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
        """Return data compressed behind what was compressed before."""
        assert self.compressor is not None
        compressed = self.compressor.compress(data) + self.compressor.flush(flush)
        if flush == zlib.Z_FINISH:
            self.compressor = zlib.compressobj(wbits=-15)
            return compressed + b"\0"
        return compressed[:-4]

    def message(self, opcode: int, payload: bytes, *, rsv: int = 0) -> None:
        """Append a message, in one frame or in several with control frames between them."""
        count = self.source.choice([1, 1, 1, 2, 3, 5])
        cuts = sorted(self.source.randint(0, len(payload)) for _ in range(count - 1))
        for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(payload)], strict=True)):
            if number and self.source.random() < 0.3:
                self.control()
            self.frame(
                CONTINUATION if number else opcode,
                payload[start:end],
                fin=number == count - 1,
                rsv=0 if number else rsv,
            )

    def good(self) -> None:
        """Append something that is right."""
        choice = self.source.random()
        if choice < 0.35:
            payload, opcode = self.source.choice(TEXTS).encode(), TEXT
        elif choice < 0.7:
            payload, opcode = self.source.randbytes(self.source.choice(SIZES)), BINARY
        else:
            self.control()
            return
        if self.compressor is not None and self.source.random() < 0.6:
            self.message(opcode, self.compress(payload), rsv=4)
        else:
            self.message(opcode, payload)

    def control(self) -> None:
        """Append a ping or a pong."""
        size = self.source.choice([0, 1, 4, 124, 125])
        self.frame(self.source.choice([PING, PONG]), self.source.randbytes(size))

    def close(self) -> None:
        """Append a Close, mostly a right one."""
        right = [b"", b"\x03\xe8", b"\x03\xe9bye", b"\x0f\xa0" + b"r" * 123, b"\x03\xf3"]
        wrong = [b"\x03", b"\x03\xec", b"\x00\x01", b"\x13\x88", b"\x03\xe8\xff", b"\x03\xee\xff"]
        self.frame(CLOSE, self.source.choice(right if self.source.random() < 0.6 else wrong))

    def bad(self) -> None:
        """Append one of the things that are wrong, or break something that is there."""
        source = self.source
        ways = [self.bad_header, self.bad_length, self.bad_order, self.bad_text, self.damage]
        if self.compressor is not None:
            ways += [self.bad_deflate, self.bad_deflate]
        source.choice(ways)()

    def bad_header(self) -> None:
        """Append a frame whose first two bytes are wrong."""
        source = self.source
        payload = source.randbytes(source.choice([0, 5, 150, 250]))
        kind = source.randrange(4)
        if kind == 0:
            self.frame(source.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), payload)
        elif kind == 1:
            opcode = source.choice([TEXT, BINARY, CONTINUATION, PING])
            self.frame(opcode, payload, rsv=source.randint(1, 7))
        elif kind == 2:
            self.frame(BINARY, payload, key=None if self.masked else source.randbytes(4))
        else:
            self.frame(source.choice([PING, PONG, CLOSE]), payload[:100], fin=False)

    def bad_length(self) -> None:
        """Append a frame whose length is too long, wrongly written or not true."""
        source = self.source
        kind = source.randrange(5)
        if kind == 0:
            self.frame(source.choice([PING, PONG]), bytes(source.choice([126, 150, 300])))
        elif kind == 1:
            self.frame(BINARY, b"x" * source.choice([0, 5, 125]), form=source.choice([16, 64]))
        elif kind == 2:
            self.frame(BINARY, b"x" * 20, length=source.choice([2**31, 2**62, 2**63, 2**64 - 1]))
        elif kind == 3:
            self.message(BINARY, b"x" * (LIMIT + source.randint(1, 3)))
        else:
            self.frame(source.choice([PING, CLOSE]), b"x" * 20, length=source.choice([126, 2**63]))

    def bad_order(self) -> None:
        """Append frames in an order that makes no messages."""
        kind = self.source.randrange(4)
        if kind == 0:
            self.frame(CONTINUATION, b"orphan", fin=self.source.random() < 0.5)
        elif kind == 1:
            self.frame(TEXT, b"begun", fin=False)
            self.frame(self.source.choice([TEXT, BINARY]), b"anew")
        elif kind == 2:
            self.frame(BINARY, b"begun", fin=False)
            self.close()
        else:
            for number in range(20):
                self.frame(CONTINUATION if number else BINARY, b"", fin=False)

    def bad_text(self) -> None:
        """Append a text message that is not UTF-8."""
        payload = self.source.choice(TEXTS).encode()[:100] + self.source.choice(BAD_TEXTS)
        self.message(TEXT, payload + self.source.choice([b"", b"x" * 50]))

    def bad_deflate(self) -> None:
        """Append a compressed message that is corrupt, too big, or ends a deflate stream."""
        kind = self.source.randrange(4)
        if kind == 0:
            self.message(BINARY, b"\x07" + self.source.randbytes(9), rsv=4)
        elif kind == 1:
            self.message(BINARY, self.compress(bytes(LIMIT + self.source.randint(1, 4))), rsv=4)
        elif kind == 2:
            self.message(BINARY, self.compress(b"final", zlib.Z_FINISH), rsv=4)
        else:
            self.message(TEXT, self.compress(self.source.choice(BAD_TEXTS)), rsv=4)

    def damage(self) -> None:
        """Cut the stream short, change a byte of it or append noise."""
        kind = self.source.randrange(3)
        if kind == 0 and self.data:
            del self.data[self.source.randrange(len(self.data)) :]
        elif kind == 1 and self.data:
            self.data[self.source.randrange(len(self.data))] ^= 1 << self.source.randrange(8)
        else:
            self.data += self.source.randbytes(self.source.randint(1, 20))


def random_stream(source: random.Random, *, masked: bool, deflate: bool) -> bytes:
    """Return the bytes of one random stream: right ones, then perhaps a wrong one, then more."""
    stream = Stream(source, masked=masked, deflate=deflate)
    for _ in range(source.choice([0, 1, 1, 2, 3, 6])):
        stream.good()
    if source.random() < 0.67:
        stream.bad()
        for _ in range(source.randint(0, 2)):
            stream.good()
    if source.random() < 0.4:
        stream.close()
        stream.good()
    return bytes(stream.data)


def random_pieces(source: random.Random, data: bytes) -> list[bytes]:
    """Return data in random pieces: whole, byte by byte, or cut at a few places."""
    if not data or source.random() < 0.3:
        return [data]
    if source.random() < 0.2:
        return [bytes([byte]) for byte in data]
    cuts = sorted(source.randrange(len(data)) for _ in range(source.randint(1, 6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
