"""What was received and is not parsed yet, and the short way through it for small messages.

>>> received = Input()
>>> received.feed(b"\\x81\\x05Hel")
>>> received.feed(b"lo")
>>> bytes(received.buffer), received.position
(b'\\x81\\x05Hello', 0)
"""

from refimpl.framing import (
    CONTROL,
    FIN,
    FIRST_BYTES,
    FIRST_BYTES_COMPRESSED,
    LENGTH,
    Buffer,
    Opcode,
    mask,
)
from refimpl.messages.events import Event

__all__ = ["FINAL_BINARY", "FINAL_TEXT", "Input", "skip_small", "take_small"]

FINAL_TEXT = FIN | Opcode.TEXT
FINAL_BINARY = FIN | Opcode.BINARY

# The first bytes of data frames (RFC 6455 5.2, RFC 7692 6).
DATA_BYTES = frozenset(first for first in FIRST_BYTES if not first & CONTROL)
DATA_BYTES_COMPRESSED = frozenset(first for first in FIRST_BYTES_COMPRESSED if not first & CONTROL)


class Input:
    """Bytes that wait for their parser; linear in time for any chunks and any steps of parsing.

    needed: bytes that the frame at position has, as far as its head is known; 0 where it is not.
    searched: bytes of a head of the handshake in which its end was looked for in vain.
    """

    __slots__ = ("buffer", "needed", "position", "searched")

    def __init__(self) -> None:
        self.buffer: Buffer = b""
        self.position = 0  # beyond the end of the buffer where what comes next is not wanted
        self.needed = 0
        self.searched = 0

    def __len__(self) -> int:
        return max(0, len(self.buffer) - self.position)

    @property
    def is_empty(self) -> bool:
        """Whether the next byte fed is the first of a head or frame."""
        return self.position == len(self.buffer)

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
            data, rest = data[-rest:], min(0, rest + len(data))
            self.position = -rest
        if rest <= 0:
            # What begins with a frame of 64 KiB or more, by the form of its length, is to grow.
            grows = type(data) is memoryview and len(data) > 1 and data[1] & LENGTH == 127
            self.buffer = bytearray(data) if grows else bytes(data)
            return
        if not data:
            return
        if rest < len(data) and rest + len(data) >= self.needed:
            self.buffer = b"".join((memoryview(self.buffer)[self.position :], data))
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


# --- the short way for small whole messages, which most messages are ---


def take_small(buffer: Buffer, position: int, masked: bool, events: list[Event], limit: int) -> int:
    """Add at most limit messages of up to 125 bytes to events; return where the last one ends.

    It stops before whatever else there is, mistakes among it: for that `parse_frame` and
    `MessageAssembler` are the way. masked: whether these messages are; others are left alone.
    Messages of 64 B cost 0.3 of what they cost in the loop, and 0.6 where each comes in a read of
    its own (`python -m tests.bench.parse`).
    """
    low, high, shift, head = (128, 253, -122, 6) if masked else (0, 125, 2, 2)
    size, add = len(buffer), events.append
    last = size - head
    try:
        while position <= last and limit:
            first, second = buffer[position], buffer[position + 1]
            end = position + second + shift
            if end > size or second < low or second > high:
                break
            start = position + head
            if first == FINAL_TEXT:
                if masked:
                    add(mask(buffer[start:end], buffer[position + 2 : start]).decode())
                else:
                    add(buffer[start:end].decode())
            elif first == FINAL_BINARY:
                if masked:
                    add(mask(buffer[start:end], buffer[position + 2 : start]))
                else:
                    add(bytes(buffer[start:end]))
            else:
                break
            position = end
            limit -= 1
    except UnicodeDecodeError:
        pass
    return position


def skip_small(buffer: Buffer, position: int, masked: bool, compressed: bool) -> int:
    """Return where the data frames of up to 125 bytes that begin at position end.

    The last may end beyond the buffer. It stops before control frames, long ones and mistakes.
    """
    firsts = DATA_BYTES_COMPRESSED if compressed else DATA_BYTES
    low, shift = (128, -122) if masked else (0, 2)
    high, last = low + 125, len(buffer) - 2
    while position <= last:
        second = buffer[position + 1]
        if second < low or second > high or buffer[position] not in firsts:
            break
        position += second + shift
    return position
