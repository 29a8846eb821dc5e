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
        self._pieces: list[bytes] = []
        self._pongs: list[bytes] = []
        self._last: bytes | None = None

    @property
    def has_last(self) -> bool:
        """Whether a Close waits that lets other frames go first."""
        return self._last is not None

    def raw(self, data: bytes) -> None:
        """Queue bytes as they are: the heads of the handshake."""
        self._pieces.append(data)

    def frame(self, first: int, payload: bytes) -> None:
        """Queue a frame; its payload is copied once, when it is taken."""
        random_bytes = self._random_bytes
        header = serialize_header(first, len(payload), masked=random_bytes is not None)
        if random_bytes is None:
            self._pieces += (header, payload)
        else:  # RFC 6455 5.3: a new key for every frame
            key = random_bytes(4)
            self._pieces += (header, key, mask(payload, key))

    def pong(self, payload: bytes) -> None:
        """Queue the answer to a ping."""
        self._pongs.append(payload)

    def forget_pongs(self) -> None:
        """Keep only the latest pong that still waits (RFC 6455 section 5.5.3).

        Called before each read: a peer that pings and does not read costs one pong, not thousands.
        """
        if len(self._pongs) > 1:
            del self._pongs[:-1]

    def send_pongs(self) -> None:
        """Put the pongs in their place: nothing may come after a Close."""
        if self._pongs:
            for payload in self._pongs:
                self.frame(FIN | Opcode.PONG, payload)
            self._pongs.clear()

    def close_last(self, payload: bytes) -> None:
        """Queue a Close that goes out behind whatever is queued until the next `take`."""
        self._last = payload

    def take(self) -> bytes:
        """Return everything queued since the last call."""
        self.send_pongs()
        if self._last is not None:
            self.frame(FIN | Opcode.CLOSE, self._last)
            self._last = None
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
