"""Decode the recording of one connection: heads, then frames, in the order they were complete.

Both directions are read together, as a third party sees them: the client's frames start after the
server's 101, and the extension that the two heads negotiated (permessage-deflate) applies to what
follows. Nothing here raises for recorded bytes: what cannot be read is a `Malformed`, and a
readable frame that breaks a rule names the rule in `Step.problem`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from refimpl.errors import HandshakeError
from refimpl.framing import Frame, Opcode
from refimpl.handshake import Request, Response, parse_request, parse_response
from refimpl.lab.wire.direction import CannotInflate, Direction, Side, inflaters
from refimpl.lab.wire.dissect import LONGEST_HEAD, OPCODES, Dissection, dissect

MOST_REQUESTS = 1000  # requests kept until their responses; older ones are forgotten


class Chunk(NamedTuple):
    """One read: seconds since the start, who sent it, the bytes; empty at the end of the stream."""

    seconds: float
    direction: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes of an HTTP body: what follows a head that did not become a WebSocket."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that cannot be decoded, and why."""

    data: bytes
    problem: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The start of a head or a frame whose rest never came. missing: bytes, at least, or None."""

    data: bytes
    missing: int | None


@dataclass(frozen=True, slots=True)
class End:
    """The end of one direction: this side sends nothing more."""


@dataclass(frozen=True, slots=True)
class Large:
    """A frame with more bytes than the decoder keeps. length: of its payload, which is dropped."""

    opcode: Opcode
    length: int


Item = Request | Response | Frame | Large | Body | Malformed | Unfinished | End


@dataclass(frozen=True, slots=True)
class Step:
    """One head, body or frame that a side sent, or its end of stream.

    seconds: when its last byte was seen. wire: its bytes on the wire; only the beginning, if there
    are more than the decoder's limit. inflated: this frame's part of the plain message, if it was
    compressed. problem: the rule it breaks, or an empty string.
    """

    seconds: float
    direction: Direction
    item: Item
    wire: bytes
    inflated: bytes | None = None
    problem: str = ""

    @property
    def payload(self) -> bytes:
        """The payload of a frame or body, inflated if it was compressed; otherwise empty."""
        if self.inflated is not None:
            return self.inflated
        if isinstance(self.item, Frame):
            return self.item.payload
        return self.item.data if isinstance(self.item, Body) else b""


class CaptureDecoder:
    """An incremental decoder of one connection: chunks in, steps out.

    frames: the recording starts after the opening handshake. limit: bytes kept of each side while a
    frame, or the answer to a handshake, is incomplete; None for all.
    """

    def __init__(self, *, frames: bool = False, limit: int | None = None) -> None:
        self._limit = math.inf if limit is None else limit
        self._sides = {"client": Side("client"), "server": Side("server")}
        self._seconds = 0.0
        self._methods: deque[str] = deque(maxlen=MOST_REQUESTS)
        if frames:
            for side in self._sides.values():
                side.mode = "frames"

    def feed(self, chunk: Chunk) -> Iterator[Step]:
        """Yield the steps that the chunk completes."""
        self._seconds = chunk.seconds
        side = self._sides[chunk.direction]
        side.buffer += chunk.data
        yield from self._read(side)
        if side.direction == "server":
            yield from self._read(self._sides["client"])  # it may have waited for the 101
        if not chunk.data:
            yield from self._left_over(side)
            yield Step(chunk.seconds, chunk.direction, End(), b"")

    def finish(self) -> Iterator[Step]:
        """Yield what each side began but did not finish."""
        for side in self._sides.values():
            yield from self._left_over(side)

    def _left_over(self, side: Side) -> Iterator[Step]:
        if side.mode == "head" and side.buffer and side.is_head_due(at_end=True):
            yield from self._head(side)
        if side.mode == "waiting":
            side.mode = "broken"
        if side.mode == "broken":
            yield from self._read(side)
        elif side.passing:
            yield self._step(side, Unfinished(b"", side.passing), b"")
        elif side.buffer:
            missing = dissect(bytes(side.buffer)).missing if side.mode == "frames" else None
            data = side.take(len(side.buffer))
            yield self._step(side, Unfinished(data, missing), data)

    def _read(self, side: Side) -> Iterator[Step]:
        while side.buffer:
            before = (len(side.buffer), side.mode)
            if side.mode == "head":
                if side.is_head_due():
                    yield from self._head(side)
            elif side.mode == "body":
                yield from self._body(side)
            elif side.mode == "frames":
                yield from self._frame(side)
            elif side.mode == "passing":
                side.passing -= len(side.take(side.passing))
                side.mode = "passing" if side.passing else "frames"
            elif side.mode == "waiting" and len(side.buffer) > self._limit:
                side.mode = "broken"
                data = side.take(len(side.buffer))
                yield self._step(side, Malformed(data, "too much before the server's answer"), data)
            elif side.mode == "broken":
                data = side.take(len(side.buffer))
                yield self._step(side, Malformed(data, "behind bytes that could not be read"), data)
            if (len(side.buffer), side.mode) == before:
                return

    def _step(self, side: Side, item: Item, wire: bytes, problem: str = "") -> Step:
        return Step(self._seconds, side.direction, item, wire, problem=problem)

    def _head(self, side: Side) -> Iterator[Step]:
        data = side.buffer
        try:
            parsed = parse_request(data) if side.direction == "client" else parse_response(data)
        except HandshakeError as error:
            end = data.find(b"\r\n\r\n")
            wire = side.take(end + 4 if end >= 0 else len(data))
            side.mode = "waiting" if side.direction == "client" else "broken"
            yield self._step(side, Malformed(wire, str(error)), wire)
            return
        if parsed is None:
            return
        head, size = parsed
        yield self._step(side, head, side.take(size))
        if isinstance(head, Request):
            self._after_request(side, head)
        else:
            self._after_response(side, head)

    def _after_request(self, side: Side, request: Request) -> None:
        self._methods.append(request.method)
        length = _content_length(request)
        if length:
            side.mode, side.body_left = "body", length
        elif "upgrade" in ",".join(request.headers.get_all("Connection")).lower():
            side.mode = "waiting"

    def _after_response(self, side: Side, response: Response) -> None:
        client = self._sides["client"]
        method = self._methods.popleft() if self._methods else "GET"
        if response.status == 101:
            side.mode = client.mode = "frames"
            client.inflater, side.inflater = inflaters(response)
            return
        if client.mode == "waiting":
            client.mode = "head"
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return
        side.body_left = _content_length(response)
        if side.body_left != 0:
            side.mode = "body"

    def _body(self, side: Side) -> Iterator[Step]:
        """Yield what has come of a body, which ends by Content-Length or with the stream."""
        size = len(side.buffer) if side.body_left is None else min(side.body_left, len(side.buffer))
        wire = side.take(size)
        if side.body_left is not None:
            side.body_left -= size
            if side.body_left == 0:
                side.mode = "head"
        yield self._step(side, Body(wire), wire)

    def _frame(self, side: Side) -> Iterator[Step]:
        if len(side.buffer) < side.needed:
            return
        pieces = dissect(
            side.buffer,
            masked=side.direction == "client",
            compressed=side.inflater is not None,
        )
        if pieces.length is not None and pieces.length >= 2**63:
            side.mode = "broken"
            wire = side.take(len(side.buffer))
            yield self._step(side, Malformed(wire, "; ".join(pieces.problems)), wire)
        elif pieces.complete:
            side.needed = 0
            yield self._whole_frame(side, pieces, side.take(len(pieces.data)))
        else:
            side.needed = len(pieces.data) + pieces.missing
            if side.needed > self._limit:
                yield self._large_frame(side, pieces)

    def _large_frame(self, side: Side, pieces: Dissection) -> Step:
        """Return the step of a frame that is not kept; its payload is dropped."""
        side.mode, side.passing, side.needed = "passing", side.needed - len(side.buffer), 0
        wire = side.take(len(side.buffer))[:LONGEST_HEAD]
        problems = list(pieces.problems)
        if _is_reserved(pieces):
            return self._step(side, Malformed(wire, "; ".join(problems)), wire)
        opcode = Opcode(pieces.value("opcode"))
        if side.inflater is not None:
            problems.append("too large to be inflated; what follows is left compressed")
        problems += side.follow_unseen(opcode, bool(pieces.value("FIN")))
        return self._step(side, Large(opcode, pieces.length or 0), wire, "; ".join(problems))

    def _whole_frame(self, side: Side, pieces: Dissection, wire: bytes) -> Step:
        opcode = pieces.value("opcode")
        problems = list(pieces.problems)
        if _is_reserved(pieces):
            return self._step(side, Malformed(wire, "; ".join(problems)), wire)
        fin, rsv1 = bool(pieces.value("FIN")), bool(pieces.value("RSV1"))
        frame = Frame(Opcode(opcode), pieces.payload, fin, rsv1, pieces.key or None)
        inflated = None
        if side.inflater is not None:
            try:
                inflated = side.inflater.frame(frame)
            except CannotInflate as error:
                problems.append(str(error))
        problems += side.follow(frame, inflated)
        return Step(self._seconds, side.direction, frame, wire, inflated, "; ".join(problems))


def _is_reserved(pieces: Dissection) -> bool:
    """Tell whether a frame has an opcode or a bit that a `Frame` cannot hold."""
    return bool(
        pieces.value("opcode") not in OPCODES or pieces.value("RSV2") or pieces.value("RSV3")
    )


def _content_length(head: Request | Response) -> int | None:
    """Return the body's length; None for a response without one: to the end of the stream."""
    values = head.headers.get_all("Content-Length")
    if values and values[0].strip().isdecimal():
        return int(values[0])
    return 0 if isinstance(head, Request) else None
