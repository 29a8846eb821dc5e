"""What has been read and is not parsed yet: the beginning of a frame, mostly.

>>> rest = Input()
>>> buffer = rest.join(b"\\x81\\x05Hel")
>>> rest.keep(buffer, 0)
>>> bytes(rest.join(b"lo"))
b'\\x81\\x05Hello'
"""

from refimpl.framing import Buffer

__all__ = ["Input"]


NOTHING = bytearray()  # the rest of all connections that have none: 56 bytes less for each


class Input:
    """The rest of earlier reads, in front of the next one; linear in time for any chunks.

    missing: bytes that the frame at its start is known to lack. searched: bytes of a head in which
    its end was looked for in vain.
    """

    __slots__ = ("missing", "rest", "searched")

    def __init__(self) -> None:
        self.rest = NOTHING
        self.missing = 0
        self.searched = 0

    def join(self, data: Buffer | memoryview) -> Buffer:
        """Return the rest and data as one buffer; data itself where there is no rest.

        Appending copies data only, but taking small frames out of a bytearray costs 1.6 times as
        much as out of bytes (masked 32 B messages in 64 KiB reads), so a small rest is joined anew.
        """
        rest = self.rest
        if not rest:
            return data if type(data) is bytes else bytes(data)
        if len(rest) >= len(data) or self.missing > len(data):
            rest += data
            return rest
        joined = b"".join((rest, data))
        self.rest = NOTHING
        return joined

    def keep(self, buffer: Buffer, position: int) -> None:
        """Keep what lies behind position in a buffer that `join` returned."""
        if position >= len(buffer):
            self.rest = NOTHING
        elif buffer is self.rest:
            del buffer[:position]
        else:
            self.rest = bytearray(memoryview(buffer)[position:])
