"""What waits between two calls: bytes received and not parsed, frames queued and not written.

>>> received = Input()
>>> received.feed(b"\\x81\\x05Hel")
>>> received.feed(b"lo")
>>> bytes(received.buffer), received.position
(b'\\x81\\x05Hello', 0)
>>> output = Output(random_bytes=None)
>>> output.pong(b"still here")
>>> output.frame(FIN | Opcode.TEXT, b"Hello")
>>> output.take()
b'\\x81\\x05Hello\\x8a\\nstill here'
"""

from collections.abc import Callable

from refimpl.framing import FIN, Buffer, Opcode, mask, serialize_header

__all__ = ["Input", "Output"]


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
            self.buffer = data if type(data) is bytes else bytes(data)
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


class Output:
    """The bytes that one side has yet to write.

    random_bytes: makes the masking keys of a client; None for a server, which never masks. pongs:
    the answers to pings, which go out behind all else that waits.
    """

    __slots__ = ("_pieces", "_random_bytes", "pongs")

    def __init__(self, random_bytes: Callable[[int], bytes] | None) -> None:
        self._random_bytes = random_bytes
        # Made for the first piece and given away by `take`: an idle connection has neither list.
        self._pieces: list[bytes] | None = None
        self.pongs: list[bytes] | None = None

    def raw(self, data: bytes) -> None:
        """Queue bytes as they are: the heads of the handshake."""
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(data)

    def frame(self, first: int, payload: bytes) -> None:
        """Queue a frame; its payload is copied once, when it is taken."""
        pieces = self._pieces
        if pieces is None:
            pieces = self._pieces = []
        random_bytes = self._random_bytes
        if random_bytes is None:
            size = len(payload)  # a small frame's head is two bytes, not worth a call
            header = bytes((first, size)) if size <= 125 else serialize_header(first, size, False)
            pieces += (header, payload)
        else:  # RFC 6455 5.3: a new key for every frame
            header = serialize_header(first, len(payload), masked=True)
            key = random_bytes(4)
            pieces += (header, key, mask(payload, key))

    def pong(self, payload: bytes) -> None:
        """Queue the answer to a ping."""
        if self.pongs is None:
            self.pongs = []
        self.pongs.append(payload)

    def close(self, payload: bytes) -> None:
        """Queue our Close, behind the pongs: nothing may come after it (RFC 6455 5.5.1)."""
        self._place_pongs()
        self.frame(FIN | Opcode.CLOSE, payload)

    def take(self) -> bytes:
        """Return everything queued since the last call."""
        if self.pongs is not None:
            self._place_pongs()
        pieces, self._pieces = self._pieces, None
        return b"".join(pieces) if pieces else b""

    def _place_pongs(self) -> None:
        for payload in self.pongs or ():
            self.frame(FIN | Opcode.PONG, payload)
        self.pongs = None
