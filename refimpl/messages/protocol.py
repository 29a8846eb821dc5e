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
from typing import Literal

from refimpl.errors import Close, ConnectionClosed, HandshakeError, RemoteProtocolError
from refimpl.framing import CONTROL, LENGTH, Buffer, Frame, Opcode, parse_frame, parse_header
from refimpl.handshake import (
    LIMITS,
    Acceptance,
    Agreement,
    HeadLimits,
    Request,
    Response,
    ResponseReader,
    parse_request,
    refuse,
)
from refimpl.messages.assembly import MessageAssembler
from refimpl.messages.close_frame import parse_close
from refimpl.messages.deflate import PerMessageDeflate, agree, parse_parameters
from refimpl.messages.events import Closed, Event, HandshakeFailed, Ping, Pong
from refimpl.messages.receiving import Input, skip_small, take_small
from refimpl.messages.sending import FAILING, OPEN, Sending
from refimpl.messages.state import TRANSITIONS, Phase, Role, Trigger, next_phase
from refimpl.messages.utf8 import LookAhead

__all__ = ["Protocol"]

CONNECTING, CLOSE, PING = Phase.CONNECTING, Opcode.CLOSE, Opcode.PING
NOTHING_AGREED = Agreement()
UNLIMITED = 2**30 - 1  # more than one read can hold, and quick to count down

Order = Literal["sent", "received"]


class Protocol(Sending):
    """One side of one connection.

    max_size: bytes of a message, None for no limit. max_fragments: frames of a message.
    head_limits: of the request's head that a server reads.
    random_bytes: makes masking keys, 4 bytes a call, which nobody may predict (section 10.3).
    """

    # Slots: 10,000 idle connections are 10,000 of these.
    __slots__ = (
        "_ahead", "_asked", "_assembler", "_head_limits", "_input", "_is_server", "agreement",
        "close_received",
    )  # fmt: skip

    def __init__(
        self,
        role: Role,
        *,
        max_size: int | None = 2**20,
        max_fragments: int = 1024,
        head_limits: HeadLimits = LIMITS,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        super().__init__(role, random_bytes)
        self._head_limits = head_limits
        self.agreement = NOTHING_AGREED
        self.close_received: Close | None = None
        self._is_server = role is Role.SERVER
        self._asked: Request | ResponseReader | None = None  # once there is a request, until OPEN
        self._input = Input()
        assembler = MessageAssembler(max_size=max_size, max_fragments=max_fragments)
        self._assembler: MessageAssembler | None = assembler
        self._ahead: LookAhead | None = None

    # --- the opening handshake (RFC 6455 section 4) ---

    def send_request(self, request: Request) -> None:
        """Queue a client's request; the answer comes as a Response or HandshakeFailed event."""
        self._asked = ResponseReader(request, agree=agree, limits=self._head_limits)
        self._output.raw(request.serialize())

    def accept(self, acceptance: Acceptance, *, limit: int | None = None) -> list[Event]:
        """Queue a server's 101; return the events behind the request, as `receive_data` does."""
        self._phase = next_phase(self._phase, Trigger.ACCEPT)
        self._output.raw(acceptance.response.serialize())
        if acceptance.subprotocol or acceptance.extension:
            self.agreement = Agreement(acceptance.subprotocol, acceptance.extension)
        self._open()
        return self.receive_data(limit=limit) if self.unparsed else []

    def reject(self, response: Response) -> None:
        """Queue a server's refusal, or raise for one that may not travel; then close TCP."""
        answer, self._phase = response.serialize(), next_phase(self._phase, Trigger.REFUSE)
        self._output.raw(answer)
        self._input.clear()

    def _open(self) -> None:
        self._asked = None
        if (extension := self.agreement.extension) is not None:
            self._deflate = PerMessageDeflate(parse_parameters(extension), self.role)
            if self._assembler is not None:
                self._assembler.inflate_with(self._deflate)

    def _read_head(self, events: list[Event], limit: int) -> None:
        """Take the peer's half of the handshake, or keep what comes before ours is said."""
        received, asked, limits = self._input, self._asked, self._head_limits
        waits_for_us = self._is_server is not (asked is None)
        if waits_for_us and self.unparsed > limits.max_head:
            raise HandshakeError(f"got over {limits.max_head} bytes too early", reason="early-data")
        if waits_for_us or limit == 0:
            return
        if isinstance(asked, ResponseReader):
            if (answer := asked.read(received.buffer)) is not None:
                response, self.agreement, position = answer
                received.keep(position)
                self._phase = next_phase(self._phase, Trigger.ACCEPT)
                self._open()
                events.append(response)
            return
        parsed = parse_request(received.buffer, searched=received.searched, limits=limits)
        received.searched = len(received.buffer)
        if parsed is not None:
            self._asked, position = parsed
            received.keep(position)
            events.append(self._asked)

    # --- in: bytes to events ---

    @property
    def unparsed(self) -> int:
        """Bytes that were received and are not parsed yet: a frame's beginning, or past a limit."""
        return len(self._input)

    def peek(self) -> bytes:
        """Return a copy of the bytes that are not parsed yet."""
        return self._input.rest

    @property
    def pending(self) -> int:
        """Bytes held for what is not whole yet: those unparsed, and the fragments of a message."""
        return len(self._input) + (0 if self._assembler is None else self._assembler.size)

    def receive_data(
        self, data: Buffer | memoryview = b"", *, limit: int | None = None
    ) -> list[Event]:
        """Return the events that data completes, in order; never raises for what a peer sent.

        limit: the most events to return. What lies behind the last of them waits unparsed; a call
        without data goes on there. Fewer events than the limit mean that no whole frame is left. Of
        a memoryview nothing is kept, so its memory may be used again.
        """
        events: list[Event] = []
        if self._phase is not OPEN and TRANSITIONS[self._phase, Trigger.RECEIVE] is None:
            return events  # the owner reads on until the end of the stream, and nobody listens
        if pongs := self._output.pongs:
            del pongs[:-1]  # RFC 6455 5.5.3: who pings and does not read costs one pong
        received, most = self._input, UNLIMITED if limit is None else limit
        try:
            if type(data) is memoryview and (taken := self._take_large(data, events, most)):
                if taken == len(data):
                    return events
                data = data[taken:]
            received.feed(data)
            if self._phase is CONNECTING:
                self._read_head(events, most)
            if self._phase is not CONNECTING:
                self._read_frames(events, most)
        except (RemoteProtocolError, HandshakeError) as error:
            events.append(self._fail(error))
        return events

    def receive_eof(self) -> list[Event]:
        """Return the last events: the peer closed TCP, or it broke.

        Whole frames that a limit left unparsed come first, all of them.
        """
        if self._phase is CONNECTING:
            events: list[Event] = [self._lose_handshake()]
        else:
            events = self.receive_data() if self.unparsed else []
            if TRANSITIONS[self._phase, Trigger.RECEIVE] is not None:
                events.append(self._end("sent" if self.close_sent else None))
        if self._phase is FAILING:
            self._queue_last_close(Trigger.LOSE_TCP)
        else:
            self._phase = next_phase(self._phase, Trigger.LOSE_TCP)
        return events

    def skip_messages(self) -> None:
        """Hear no message any more, only control frames; for when nobody will take messages.

        Behind our own Close everything is read on until the peer's (RFC 6455 7.1.1), and a peer may
        send messages without end before it. A data frame now costs its head; nothing of it is kept.
        """
        self._assembler = self._ahead = None

    def _read_frames(self, events: list[Event], limit: int) -> None:
        """Take the whole frames of what was received, small messages in the short way."""
        received, assembler = self._input, self._assembler
        if assembler is None:
            self._skip_frames(events, limit)
            return
        buffer, position = received.buffer, received.position
        if len(buffer) - position >= received.needed:
            if assembler.takes_small:
                most = limit - len(events)
                position = take_small(buffer, position, self._is_server, events, most)
            if position < len(buffer):
                position = self._take_frames(assembler, buffer, position, events, limit)
            if position > received.position:
                self._ahead, received.needed = None, 0
        if position < len(buffer) and len(events) < limit:
            self._look_ahead(assembler, buffer, position)
        received.keep(position)

    def _take_frames(
        self,
        assembler: MessageAssembler,
        buffer: Buffer | memoryview,
        position: int,
        events: list[Event],
        limit: int,
    ) -> int:
        """Add the events of the whole frames at position; return where the last of them ends."""
        masked, compressed = self._is_server, self._deflate is not None
        while len(events) < limit:
            parsed = parse_frame(
                buffer, position, masked=masked, compressed=compressed, max_size=assembler.room
            )
            if parsed is None:
                break
            frame, position = parsed
            if frame.opcode & CONTROL:
                events.append(self._receive_control(frame))
                if frame.opcode is CLOSE:
                    return len(buffer)
            elif (message := assembler.add(frame)) is not None:
                events.append(message)
        return position

    def _look_ahead(self, assembler: MessageAssembler, buffer: Buffer, position: int) -> None:
        """Refuse a frame that is still arriving at the first byte that decides (RFC 6455 8.1)."""
        if self._input.needed and self._ahead is None:
            return  # it was judged by its head, and is no text
        header = parse_header(buffer, position, compressed=True)  # the loop has asked for the rest
        if header is None:
            return
        first, key, start, end = header
        self._input.needed = end - position
        if self._ahead is None and not first & CONTROL:
            pending = assembler.expect(first, end - start)
            self._ahead = None if pending is None else LookAhead(pending)
        if self._ahead is not None:
            self._ahead.check(buffer, start, key)

    def _take_large(self, view: memoryview, events: list[Event], limit: int) -> int:
        """Take the frame that view begins with uncopied, if it is large; return its end, or 0.

        Messages of 64 KiB in reads of their own cost 0.82 so (`python -m tests.bench.parse`).
        """
        is_large = len(view) >= 2 and view[1] & LENGTH == 127  # by the form of its length
        assembler = None if self._phase is CONNECTING else self._assembler
        if assembler is None or not is_large or not self._input.is_empty:
            return 0
        return self._take_frames(assembler, view, 0, events, min(limit, 1))

    def _skip_frames(self, events: list[Event], limit: int) -> None:
        """Take control frames, and of data frames only the head."""
        received, masked, compressed = self._input, self._is_server, self._deflate is not None
        buffer, position = received.buffer, received.position
        while len(events) < limit:
            position = skip_small(buffer, position, masked, compressed)
            header = parse_header(buffer, position, masked=masked, compressed=compressed)
            if header is None:
                break
            if header[0] & CONTROL:
                if (parsed := parse_frame(buffer, position)) is None:
                    break
                events.append(self._receive_control(parsed[0]))
                if parsed[0].opcode is CLOSE:
                    return
            position = header[3]
        received.keep(position)

    def _receive_control(self, frame: Frame) -> Event:
        if frame.opcode is CLOSE:
            return self._receive_close(frame.payload)
        if frame.opcode is not PING:
            return Pong(frame.payload)
        if TRANSITIONS[self._phase, Trigger.SEND] is not None:  # RFC 6455 5.5.1: not after Close
            self._output.pong(frame.payload)
        return Ping(frame.payload)

    def _receive_close(self, payload: bytes) -> Event:
        received = self.close_received = parse_close(payload)
        self._phase = next_phase(self._phase, Trigger.RECEIVE_CLOSE)
        if self.close_sent is not None:
            return self._end("sent")
        self.close_sent = Close(received.code)
        self._output.close(payload[:2])  # RFC 6455 5.5.1: echo the code
        return self._end("received")

    # --- the end (RFC 6455 section 7) ---

    def _fail(self, error: RemoteProtocolError | HandshakeError) -> Event:
        """Fail the connection: say why, and hear nothing more (RFC 6455 section 7.1.7).

        What came before the mistake stands, and so may its answers: until `data_to_send` takes the
        Close, messages can still be sent, and go before it.
        """
        if isinstance(error, HandshakeError):
            self._phase = next_phase(self._phase, Trigger.REFUSE)
            self._input.clear()
            self._output.raw(refuse(error).serialize() if self._is_server else b"")
            return HandshakeFailed(error)
        self._phase = next_phase(self._phase, Trigger.FAIL)
        self.close_sent = self.close_sent or error.close
        return self._end("sent", error)

    def _end(self, order: Order | None, cause: RemoteProtocolError | None = None) -> Event:
        """Forget what is unparsed; return the last event. order: which Close came first."""
        self._input.clear()
        closed = ConnectionClosed(self.close_sent, self.close_received, order)
        closed.__cause__ = cause
        return Closed(closed)

    def _lose_handshake(self) -> Event:
        lost = HandshakeError("got the end of the stream, expected a head", status=0, reason="eof")
        try:
            if isinstance(self._asked, ResponseReader):  # a refusal's body may end with the stream
                self._asked.read(self._input.rest, ended=True)
        except HandshakeError as refusal:
            lost = refusal
        return HandshakeFailed(lost)
