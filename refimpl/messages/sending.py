"""The sending half of a connection: calls in, frames queued (RFC 6455 sections 5.4 to 5.6).

`Protocol` adds the receiving half and the handshake. Here is who may send what, and when: messages
and control frames while the connection is open, one message at a time, and nothing behind a Close.

>>> from refimpl.messages.protocol import Protocol
>>> Protocol(Role.SERVER).send_text("too early")
Traceback (most recent call last):
    ...
refimpl.errors.LocalProtocolError: cannot send while CONNECTING (RFC 6455 5.5.1)

`Output` holds what waits to be written: frames queued one by one, taken out for one write.

>>> output = Output(random_bytes=None)
>>> output.pong(b"still here")
>>> output.frame(FIN | Opcode.TEXT, b"Hello")
>>> output.take()
b'\\x81\\x05Hello\\x8a\\nstill here'
"""

from collections.abc import Callable

from refimpl.errors import Close, LocalProtocolError
from refimpl.framing import (
    FIN,
    FIRST_BYTES_COMPRESSED,
    RSV1,
    CloseCode,
    Opcode,
    mask,
    serialize_header,
)
from refimpl.messages.close_frame import serialize_close
from refimpl.messages.deflate import PerMessageDeflate
from refimpl.messages.receiving import FINAL_BINARY, FINAL_TEXT
from refimpl.messages.state import TRANSITIONS, Phase, Role, State, Trigger, next_phase
from refimpl.messages.utf8 import encode_text

__all__ = ["FAILING", "OPEN", "Output", "Sending"]

OPEN, FAILING = Phase.OPEN, Phase.FAILING  # an enum member costs two look-ups more

# The heads of a server's small frames, by first byte and length: made anew for each frame they
# would be a tenth of what echoing a message of 64 B costs here.
SMALL = {
    first: tuple(serialize_header(first, size, False) for size in range(126))
    for first in FIRST_BYTES_COMPRESSED
}


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
            size = len(payload)
            header = SMALL[first][size] if size <= 125 else serialize_header(first, size, False)
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


class Sending:
    """Queues what one side says; `data_to_send` is what to write.

    random_bytes: makes the masking keys of a client.
    """

    __slots__ = ("_deflate", "_in_message", "_output", "_phase", "close_sent", "role")

    def __init__(self, role: Role, random_bytes: Callable[[int], bytes]) -> None:
        self.role = role
        self.close_sent: Close | None = None
        self._phase = Phase.CONNECTING
        self._output = Output(None if role is Role.SERVER else random_bytes)
        self._in_message = False
        self._deflate: PerMessageDeflate | None = None

    @property
    def state(self) -> State:
        """Where the connection stands: CONNECTING, OPEN, CLOSING or CLOSED."""
        return self._phase.state

    @property
    def can_answer(self) -> bool:
        """Whether the connection has failed, and messages may still go before our Close."""
        return self._phase is FAILING

    def send_text(self, text: str) -> None:
        """Queue a text message; LocalProtocolError for one that has no UTF-8."""
        try:
            payload = text.encode()
        except UnicodeEncodeError:
            payload = encode_text(text)  # raises what it raises everywhere
        self._send_message(FINAL_TEXT, payload)

    def send_binary(self, data: bytes) -> None:
        """Queue a binary message."""
        self._send_message(FINAL_BINARY, data)

    def send_fragment(self, payload: bytes, *, opcode: Opcode, fin: bool) -> None:
        """Queue one fragment of a message, never compressed (RFC 6455 section 5.4).

        opcode: the message's type, the same for each of its fragments. fin: whether it is the last.
        """
        self._check_open()
        if opcode not in (Opcode.TEXT, Opcode.BINARY):
            raise LocalProtocolError(f"got {opcode.name}, expected TEXT or BINARY (RFC 6455 5.4)")
        first = (FIN if fin else 0) | (Opcode.CONTINUATION if self._in_message else opcode)
        self._in_message = not fin
        self._output.frame(first, payload)

    def send_ping(self, payload: bytes = b"") -> None:
        """Queue a ping of at most 125 bytes (RFC 6455 section 5.5.2)."""
        self._send_control(Opcode.PING, payload)

    def send_pong(self, payload: bytes = b"") -> None:
        """Queue a pong that nobody asked for; those that answer pings are queued by themselves."""
        self._send_control(Opcode.PONG, payload)

    def send_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Queue our Close; messages still arrive until the peer's Close (RFC 6455 7.1.2).

        Inside a fragmented message it is legal as well (5.4), and ends the message in its middle:
        the peer drops the part that it has. A caller who gives up half a message should say so with
        a code other than 1000, such as 1011.
        """
        payload = serialize_close(code, reason)  # what may not travel changes nothing
        self._phase = next_phase(self._phase, Trigger.SEND_CLOSE)
        self.close_sent = Close(int(code), reason)
        self._output.close(payload)

    def data_to_send(self) -> bytes:
        """Return everything queued since the last call, for one write.

        On a failed connection our Close goes behind it, and nothing can be sent from then on.
        """
        if self._phase is FAILING:
            self._queue_last_close(Trigger.FLUSH)
        return self._output.take()

    def _queue_last_close(self, trigger: Trigger) -> None:
        """Queue the Close that a failed connection has kept back for its last answers."""
        assert self.close_sent is not None
        self._output.close(serialize_close(*self.close_sent))
        self._phase = next_phase(self._phase, trigger)

    def _send_message(self, first: int, payload: bytes) -> None:
        if self._phase is not OPEN:
            self._check_open()
        if self._in_message:
            raise LocalProtocolError("got a message inside a fragmented one: end that one first")
        if self._deflate is not None and self._deflate.compresses:
            first, payload = first | RSV1, self._deflate.compress(payload)
        self._output.frame(first, payload)

    def _send_control(self, opcode: Opcode, payload: bytes) -> None:
        self._check_open()
        if len(payload) > 125:
            raise LocalProtocolError(
                f"got {len(payload)} bytes, expected at most 125 (RFC 6455 5.5)"
            )
        self._output.frame(FIN | opcode, payload)

    def _check_open(self) -> None:
        if TRANSITIONS[self._phase, Trigger.SEND] is None:
            raise LocalProtocolError(f"cannot send while {self.state.name} (RFC 6455 5.5.1)")
