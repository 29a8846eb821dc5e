"""The protocol without I/O: bytes in, events and bytes out, for both roles (RFC 6455).

Whoever owns the socket feeds `receive_data` and `receive_eof`, hands the events to the application,
and writes what `data_to_send` returns. Pings and Close frames are answered here, and a peer that
breaks a rule is told so and heard no more (section 7.1.7).

>>> from refimpl.handshake import build_request, check_request, parse_uri
>>> protocol = Protocol(Role.CLIENT, random_bytes=lambda size: b"\\0" * size)
>>> request = build_request(parse_uri("ws://a.example/"), key="dGhlIHNhbXBsZSBub25jZQ==")
>>> protocol.send_request(request)
>>> protocol.data_to_send() == request.serialize()
True
>>> [answer] = protocol.receive_data(check_request(request).response.serialize())
>>> protocol.send_text("Hello")
>>> protocol.data_to_send().hex(" ")
'81 85 00 00 00 00 48 65 6c 6c 6f'
>>> protocol.receive_data(bytes.fromhex("81 05 48 65 6c 6c 6f"))
['Hello']
"""

import os
from collections.abc import Callable

from refimpl.errors import Close, ConnectionClosed, HandshakeError, RemoteProtocolError
from refimpl.framing import LENGTH, OPCODE, Buffer, Opcode, parse_header, read_payload
from refimpl.handshake import (
    MAX_HEAD,
    Acceptance,
    Agreement,
    Request,
    Response,
    parse_request,
    read_response,
    refuse,
)
from refimpl.messages.assembly import MessageAssembler, skip_small, take_small
from refimpl.messages.buffers import Input
from refimpl.messages.close_frame import parse_close, serialize_close
from refimpl.messages.deflate import PerMessageDeflate, agree, parse_parameters
from refimpl.messages.events import Closed, Event, HandshakeFailed, Ping, Pong
from refimpl.messages.sending import Sending
from refimpl.messages.state import Role, State, Trigger, next_state
from refimpl.messages.utf8 import LookAhead

__all__ = ["Protocol"]

NOTHING_AGREED = Agreement()
NO_REQUEST = Request("/")
MAX_HEADER = 14  # bytes in front of a payload: two, eight of length, four of key


UNLIMITED = 2**62


class Protocol(Sending):
    """One side of one connection.

    max_size: bytes of a message, None for no limit. max_fragments: frames of a message.
    random_bytes: makes masking keys, 4 bytes a call, which nobody may predict (section 10.3).
    """

    # Slots: 10,000 idle connections are 10,000 of these.
    __slots__ = (
        "_ahead", "_assembler", "_input", "_is_server", "_read", "_request",
        "agreement", "close_received",
    )  # fmt: skip

    def __init__(
        self,
        role: Role,
        *,
        max_size: int | None = 2**20,
        max_fragments: int = 1024,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        super().__init__(role, random_bytes)
        self.agreement = NOTHING_AGREED
        self.close_received: Close | None = None
        self._is_server = role is Role.SERVER
        self._request = NO_REQUEST
        self._input = Input()
        self._assembler: MessageAssembler | None = MessageAssembler(
            max_size=max_size, max_fragments=max_fragments
        )
        self._ahead: LookAhead | None = None
        # What the next bytes are; each reader takes and returns a position in the buffer. A plain
        # function: a bound method would be 64 bytes and a reference cycle for every connection.
        self._read = Protocol._read_request if self._is_server else Protocol._wait

    # --- the opening handshake (RFC 6455 section 4) ---

    def send_request(self, request: Request) -> None:
        """Queue a client's request; the answer comes as a Response or HandshakeFailed event."""
        self._request = request
        self._output.raw(request.serialize())
        self._read = Protocol._read_response

    def accept(self, acceptance: Acceptance) -> list[Event]:
        """Queue a server's 101; return the events of frames that came right behind the request."""
        self.state = next_state(self.state, Trigger.ACCEPT)
        self._output.raw(acceptance.response.serialize())
        if acceptance.subprotocol or acceptance.extension:
            self.agreement = Agreement(acceptance.subprotocol, acceptance.extension)
        self._open()
        return self.receive_data()

    def reject(self, response: Response) -> None:
        """Queue a server's refusal, or raise for one that may not travel; then close TCP."""
        answer, self.state = response.serialize(), next_state(self.state, Trigger.REFUSE)
        self._output.raw(answer)
        self._read = Protocol._discard

    def _open(self) -> None:
        if (extension := self.agreement.extension) is not None:
            self._deflate = PerMessageDeflate(parse_parameters(extension), self.role)
            if self._assembler is not None:
                self._assembler.inflate_with(self._deflate)
        self._read = Protocol._read_frames

    # --- in: bytes to events ---

    @property
    def unparsed(self) -> int:
        """Bytes that were received and are not parsed yet: a frame's beginning, or past a limit."""
        return len(self._input)

    def receive_data(
        self, data: Buffer | memoryview = b"", *, limit: int | None = None
    ) -> list[Event]:
        """Return the events that data completes, in order; never raises for what a peer sent.

        limit: the most events to return. What lies behind the last of them waits unparsed; a call
        without data goes on there. Fewer events than the limit mean that no whole frame is left. Of
        a memoryview nothing is kept, so its memory may be used again.
        """
        if limit is None:
            limit = UNLIMITED
        self._output.forget_pongs()
        events: list[Event] = []
        try:
            if type(data) is memoryview and self._takes_view(data, limit):
                data = data[self._read_large(data, events) :]
            self._input.feed(data)
            self._read(self, events, limit)
        except (RemoteProtocolError, HandshakeError) as error:
            events.append(self._fail(error))
        return events

    def _takes_view(self, view: memoryview, limit: int) -> bool:
        """Whether view begins with a frame of 64 KiB or more, by the form of its length."""
        return (
            len(view) >= MAX_HEADER
            and view[1] & LENGTH == 127
            and limit > 0
            and not self._input.buffer
            and not self._input.position
            and self._assembler is not None
            and self._read is Protocol._read_frames
        )

    def _read_large(self, view: memoryview, events: list[Event]) -> int:
        """Take the data frame at the start of view; return its end, 0 where that has not come.

        Its payload is unmasked from where it lies, without copying the read first.
        """
        assembler = self._assembler
        assert assembler is not None
        head = parse_header(
            bytes(view[:MAX_HEADER]),
            masked=self._is_server,
            compressed=self._deflate is not None,
            max_size=assembler.room,
        )
        assert head is not None
        first, key, start, end = head
        if end > len(view):
            return 0
        message = assembler.add(first, read_payload(view, start, end, key))
        if message is not None:
            events.append(message)
        return end

    def skip_messages(self) -> None:
        """Hear no message any more, only control frames; for when nobody will take messages.

        Behind our own Close everything is read on until the peer's (RFC 6455 7.1.1), and a peer
        may send messages without end before it. From here on a data frame costs its head: it is not
        unmasked, inflated, decoded, put in order or limited in size, and nothing of it is kept.
        """
        self._assembler = self._ahead = None

    def receive_eof(self) -> list[Event]:
        """Return the last events: the peer closed TCP, or it broke.

        Whole frames that a limit left unparsed come first, all of them: where their number matters,
        call `receive_data` with a limit until it returns fewer events.
        """
        events: list[Event] = []
        if self.state is State.CONNECTING:
            events.append(self._lose_handshake())
        else:
            events += self.receive_data()
            if self._read is Protocol._read_frames:
                events.append(self._close())
        self.state = next_state(self.state, Trigger.LOSE_TCP)
        self._read = Protocol._discard
        self._input.clear()
        return events

    def _lose_handshake(self) -> Event:
        error = HandshakeError("got the end of the stream, expected a head", status=0, reason="eof")
        try:
            if not self._is_server:  # the body of a refusal may end with the stream
                read_response(self._request, self._input.rest, ended=True)
        except HandshakeError as refusal:
            error = refusal
        return HandshakeFailed(error)

    def _read_request(self, events: list[Event], limit: int) -> None:
        received = self._input
        if limit == 0:
            return
        parsed = parse_request(received.buffer, received.position, searched=received.searched)
        if parsed is None:
            received.searched = len(received.buffer)
            return
        request, position = parsed
        events.append(request)
        received.keep(position)
        self._read = Protocol._wait

    def _wait(self, events: list[Event], limit: int) -> None:
        """Keep what comes before `accept` or `send_request`; frames may share a packet."""
        if self.unparsed > MAX_HEAD:
            raise HandshakeError(f"got over {MAX_HEAD} bytes too early", reason="early-data")

    def _read_response(self, events: list[Event], limit: int) -> None:
        if limit == 0:
            return
        answer = read_response(self._request, self._input.buffer, agree=agree)
        if answer is None:
            return
        response, self.agreement, position = answer
        self._input.keep(position)
        self.state = next_state(self.state, Trigger.ACCEPT)
        self._open()
        events.append(response)
        self._read_frames(events, limit)

    def _read_frames(self, events: list[Event], limit: int) -> None:
        """Take whole frames: the hot path, so nothing here is done twice or for later."""
        received, assembler = self._input, self._assembler
        if assembler is None:
            self._skip_frames(events, limit)
            return
        buffer, position = received.buffer, received.position
        if self._is_server and assembler.takes_small:
            taken = take_small(buffer, position, events, limit - len(events))
            if taken > position:  # what was looked at ahead is whole now
                position, self._ahead = taken, None
        size, masked, compressed = len(buffer), self._is_server, self._deflate is not None
        while len(events) < limit:
            header = parse_header(
                buffer, position, masked=masked, compressed=compressed, max_size=assembler.room
            )
            if header is None:
                break
            first, key, start, end = header
            if end > size:
                self._look_ahead(buffer, first, key, start)
                break
            self._ahead = None
            payload = read_payload(buffer, start, end, key)
            position = end
            if first & 0b1000:
                events.append(self._receive_control(first & OPCODE, payload))
                if self._read is Protocol._discard:
                    return
            elif (message := assembler.add(first, payload)) is not None:
                events.append(message)
        received.keep(position)

    def _skip_frames(self, events: list[Event], limit: int) -> None:
        """Take control frames, and of data frames only the head."""
        received = self._input
        position = received.position
        while len(events) < limit:
            buffer, position = received.buffer, skip_small(received.buffer, position)
            header = parse_header(
                buffer, position, masked=self._is_server, compressed=self._deflate is not None
            )
            if header is None:
                break
            first, key, start, end = header
            if first & 0b1000:
                if end > len(buffer):
                    break
                payload = read_payload(buffer, start, end, key)
                events.append(self._receive_control(first & OPCODE, payload))
                if self._read is Protocol._discard:
                    return
            position = end
        received.keep(position)

    def _look_ahead(self, buffer: Buffer, first: int, key: Buffer | None, start: int) -> None:
        """Fail on text that cannot become UTF-8 before its frame is whole (RFC 6455 8.1)."""
        if first & 0b1000 or self._assembler is None:
            return
        if self._ahead is None:
            pending = self._assembler.pending_text(first)
            if pending is None:
                return
            self._ahead = LookAhead(pending)
        self._ahead.check(buffer, start, key)

    def _discard(self, events: list[Event], limit: int) -> None:
        """Read on after the end, so that closing TCP resets nothing, and keep nothing."""
        self._input.clear()

    def _receive_control(self, opcode: int, payload: bytes) -> Event:
        if opcode == Opcode.PONG:
            return Pong(payload)
        if opcode == Opcode.PING:
            if self.close_sent is None:  # nothing is sent after Close (RFC 6455 5.5.1)
                self._output.pong(payload)
            return Ping(payload)
        received = parse_close(payload)
        self.state = next_state(self.state, Trigger.RECEIVE_CLOSE)
        self.close_received = received
        if self.close_sent is None:
            self._close_order = "received"
            self._send_close_frame(Close(received.code))  # RFC 6455 5.5.1: echo the code
        return self._close()

    # --- the end (RFC 6455 section 7) ---

    def _fail(self, error: RemoteProtocolError | HandshakeError) -> Event:
        """Fail the connection: say why, and hear nothing more (RFC 6455 section 7.1.7).

        What came before the mistake stands, and so may its answers: until `data_to_send` takes the
        Close, messages can still be sent, and go before it.
        """
        self._read = Protocol._discard
        self._input.clear()
        if isinstance(error, HandshakeError):
            self.state = next_state(self.state, Trigger.REFUSE)
            self._output.raw(refuse(error).serialize() if self._is_server else b"")
            return HandshakeFailed(error)
        self.state = next_state(self.state, Trigger.FAIL)
        if self.close_sent is None:
            self._close_order = "sent"
            self.close_sent = error.close
            self._output.close_last(serialize_close(*self.close_sent))
        return self._close(error)

    def _close(self, cause: RemoteProtocolError | None = None) -> Event:
        self._read = Protocol._discard
        self._input.clear()
        closed = ConnectionClosed(self.close_sent, self.close_received, self._close_order)
        closed.__cause__ = cause
        return Closed(closed)
