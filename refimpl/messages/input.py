"""What has been read and is not parsed yet: the beginning of a frame, mostly.

>>> rest = Input()
>>> buffer = rest.join(b"\\x81\\x05Hel")
>>> rest.keep(buffer, 0)
>>> bytes(rest.join(b"lo"))
b'\\x81\\x05Hello'
"""

from refimpl.framing import Buffer

__all__ = ["Input"]


class Input:
    """The rest of earlier reads, in front of the next one; linear in time for any chunks."""

    __slots__ = ("missing", "rest")

    def __init__(self) -> None:
        self.rest = bytearray()
        self.missing = 0  # bytes that the frame at its start is known to lack

    def join(self, data: Buffer) -> Buffer:
        """Return the rest and data as one buffer.

        Appending copies data only, but taking small frames out of a bytearray costs 1.6 times as
        much as out of bytes (masked 32 B messages in 64 KiB reads), so a small rest is joined anew.
        """
        rest = self.rest
        if not rest:
            return data
        if len(rest) >= len(data) or self.missing > len(data):
            rest += data
            return rest
        joined = b"".join((rest, data))
        rest.clear()
        return joined

    def keep(self, buffer: Buffer, position: int) -> None:
        """Keep what lies behind position in a buffer that `join` returned."""
        if buffer is self.rest:
            del buffer[:position]
        elif position < len(buffer):
            self.rest = bytearray(memoryview(buffer)[position:])
