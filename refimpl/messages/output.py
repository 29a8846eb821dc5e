"""What waits to be written: frames queued one by one, taken out for one write.

>>> output = Output(random_bytes=None)
>>> output.pong(b"still here")
>>> output.frame(FIN | Opcode.TEXT, b"Hello")
>>> output.take()
b'\\x81\\x05Hello\\x8a\\nstill here'
"""

from collections.abc import Callable

from refimpl.framing import FIN, Opcode, mask, serialize_header

__all__ = ["Output"]


class Output:
    """The bytes that one side has yet to write.

    random_bytes: makes the masking keys of a client; None for a server, which never masks.
    """

    __slots__ = ("_last", "_pieces", "_pongs", "_random_bytes")

    def __init__(self, random_bytes: Callable[[int], bytes] | None) -> None:
        self._random_bytes = random_bytes
        # Made for the first piece and given away by `take`: an idle connection has neither list.
        self._pieces: list[bytes] | None = None
        self._pongs: list[bytes] | None = None
        self._last: bytes | None = None

    @property
    def has_last(self) -> bool:
        """Whether a Close waits that lets other frames go first."""
        return self._last is not None

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
        if self._pongs is None:
            self._pongs = []
        self._pongs.append(payload)

    def forget_pongs(self) -> None:
        """Keep only the latest pong that still waits (RFC 6455 section 5.5.3).

        Called before each read: a peer that pings and does not read costs one pong, not thousands.
        """
        if self._pongs is not None:
            del self._pongs[:-1]

    def send_pongs(self) -> None:
        """Put the pongs in their place: nothing may come after a Close."""
        if self._pongs is not None:
            for payload in self._pongs:
                self.frame(FIN | Opcode.PONG, payload)
            self._pongs = None

    def close_last(self, payload: bytes) -> None:
        """Queue a Close that goes out behind whatever is queued until the next `take`."""
        self._last = payload

    def take(self) -> bytes:
        """Return everything queued since the last call."""
        self.send_pongs()
        if self._last is not None:
            self.frame(FIN | Opcode.CLOSE, self._last)
            self._last = None
        pieces, self._pieces = self._pieces, None
        return b"".join(pieces) if pieces else b""
