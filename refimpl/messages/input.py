"""What has been received and is not parsed yet: a buffer, and how far it is parsed.

>>> received = Input()
>>> received.feed(b"\\x81\\x05Hel")
>>> received.feed(b"lo")
>>> bytes(received.buffer), received.position
(b'\\x81\\x05Hello', 0)
"""

from refimpl.framing import Buffer

__all__ = ["Input"]


class Input:
    """Bytes that wait for their parser; linear in time for any chunks and any steps of parsing.

    searched: bytes of a head in which its end was looked for in vain.
    """

    __slots__ = ("buffer", "position", "searched")

    def __init__(self) -> None:
        self.buffer: Buffer = b""
        self.position = 0
        self.searched = 0

    def __len__(self) -> int:
        return max(0, len(self.buffer) - self.position)

    @property
    def rest(self) -> bytes:
        """A copy of the bytes that are not parsed yet."""
        return bytes(memoryview(self.buffer)[self.position :])

    def feed(self, data: Buffer | memoryview) -> None:
        """Put data behind what is not parsed yet.

        A long rest grows in a bytearray, which copies nothing but data. A short one is joined with
        data in new bytes, because taking small frames out of a bytearray costs 1.6 times as much.
        """
        rest = len(self.buffer) - self.position
        if rest < 0:
            self.position = max(0, -rest - len(data))
            self.buffer, data = b"", data[-rest:]
            if self.position or not data:
                return
            rest = 0
        if not rest:
            self.buffer = data if type(data) is bytes else bytes(data)
        elif rest < len(data):
            self.buffer = b"".join((memoryview(self.buffer)[self.position :], data))
        elif not data:
            return
        elif type(self.buffer) is bytearray:
            del self.buffer[: self.position]
            self.buffer += data
        else:
            self.buffer = bytearray(memoryview(self.buffer)[self.position :])
            self.buffer += data
        self.position = 0

    def keep(self, position: int) -> None:
        """Note that everything before position is parsed, and give its memory back in time.

        Cutting the buffer copies what is left of it, so it waits until more is parsed than left.
        A position beyond the end: that much of what is yet to come is not wanted.
        """
        size = len(self.buffer)
        if position >= size:
            self.buffer = b""
            self.position = position - size
        elif position > size - position:
            self.buffer = self.buffer[position:]
            self.position = 0
        else:
            self.position = position

    def clear(self) -> None:
        """Forget everything that was received."""
        self.buffer = b""
        self.position = 0
