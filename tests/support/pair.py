"""A client and a server in one process, with a wire between them that remembers every byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from refimpl.errors import Close, ConnectionClosed, RemoteProtocolError
from refimpl.handshake import (
    Extension,
    Headers,
    Policy,
    Request,
    build_request,
    check_request,
    parse_extensions,
    parse_uri,
)
from refimpl.messages import Closed, Event, Protocol, Role
from refimpl.messages.deflate import negotiate
from tests.support import wire
from tests.support.wire import CLOSE, KEY

EXTENSIONS = "Sec-WebSocket-Extensions"
ROLES = [Role.SERVER, Role.CLIENT]


def opened(
    role: Role,
    *,
    extension: str | None = None,
    offer: str | None = None,
    answer: str | None = None,
    **options: object,
) -> Protocol:
    """Return a protocol past its handshake, with nothing left to send.

    extension: what both sides agree on, as it stands in the header; offer and answer where the two
    differ. options: those of `Protocol`.
    """
    protocol = Protocol(role, **options)  # type: ignore[arg-type]
    asked = [(EXTENSIONS, offer or extension or "")] if offer or extension else []
    request = Request("/chat", Headers([*wire.REQUEST_HEADERS, *asked]))
    if role is Role.SERVER:
        [event] = protocol.receive_data(request.serialize())
        assert event == request
        protocol.accept(check_request(request, Policy(negotiate=agree_on(extension))))
    else:
        protocol.send_request(request)
        agreed = [(EXTENSIONS, answer or extension or "")] if answer or extension else []
        protocol.receive_data(wire.response_head(add=agreed))
    protocol.data_to_send()
    return protocol


def agree_on(extension: str | None) -> Callable[[Sequence[Extension]], Extension | None] | None:
    """Return a negotiator that answers with the given extension, whatever is offered."""
    return None if extension is None else lambda offers: parse_extensions([extension])[0]


class Pair:
    """Both roles, linked: what one side sends, the other receives, in pieces of a given size."""

    def __init__(
        self,
        *,
        offers: Iterable[Extension] = (),
        chunk: int | None = None,
        **options: object,
    ) -> None:
        self.client = Protocol(Role.CLIENT, **options)  # type: ignore[arg-type]
        self.server = Protocol(Role.SERVER, **options)  # type: ignore[arg-type]
        self.chunk = chunk
        self.from_client = b""
        self.from_server = b""
        uri = parse_uri("ws://server.example.com/chat")
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        self.client.send_request(build_request(uri, key=key, extensions=list(offers)))
        [request], _ = self.pump()
        assert isinstance(request, Request)
        self.server.accept(check_request(request, Policy(negotiate=negotiate)))
        self.pump()
        self.from_client = self.from_server = b""

    def pump(self) -> tuple[list[Event], list[Event]]:
        """Carry bytes both ways until both are silent; return the server's and client's events."""
        at_server: list[Event] = []
        at_client: list[Event] = []
        while True:
            up, down = self.client.data_to_send(), self.server.data_to_send()
            if not up and not down:
                return at_server, at_client
            self.from_client += up
            self.from_server += down
            for piece in self.pieces(up):
                at_server += self.server.receive_data(piece)
            for piece in self.pieces(down):
                at_client += self.client.receive_data(piece)

    def pieces(self, data: bytes) -> list[bytes]:
        """Return data cut into pieces of `chunk` bytes, whole where chunk is None."""
        size = self.chunk or max(len(data), 1)
        return [data[at : at + size] for at in range(0, len(data), size)]


def key_for(role: Role) -> bytes | None:
    """Return the key that frames to this role are masked with: servers get masked frames."""
    return KEY if role is Role.SERVER else None


def to(role: Role, *frames: tuple[object, ...], **options: object) -> bytes:
    """Return the bytes of frames (opcode, payload, fin) as they go to this role."""
    stream = b""
    for opcode, payload, *rest in frames:
        fin = bool(rest[0]) if rest else True
        stream += wire.frame(opcode, payload, fin=fin, key=key_for(role), **options)  # type: ignore[arg-type]
    return stream


def sent(protocol: Protocol) -> list[tuple[int, bytes]]:
    """Return opcode and payload of each frame that the protocol has to send."""
    return [(opcode, payload) for opcode, _, _, _, payload in frames(protocol)]


def frames(protocol: Protocol) -> list[tuple[int, bool, int, bytes | None, bytes]]:
    """Return the frames that the protocol has to send."""
    return wire.split_frames(protocol.data_to_send())


def failed(protocol: Protocol, events: list[Event], code: int) -> ConnectionClosed:
    """Assert that the last event is a failure answered with that code; return its error."""
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert isinstance(closed.error.__cause__, RemoteProtocolError)
    assert closed.error.__cause__.close_code == code
    assert sum(isinstance(event, Closed) for event in events) == 1
    [*_, (opcode, payload)] = sent(protocol)
    assert (opcode, payload[:2]) == (CLOSE, code.to_bytes(2, "big"))
    assert closed.error.sent == Close(code, payload[2:].decode())
    return closed.error
