"""Random streams, 12,000 of them, through `refimpl` and `websockets`: the same, or explained.

Both cores get the same bytes in the same pieces. What is compared: every message, ping and pong, in
order; the frames each answers with; and the end, which is open, closed (with the peer's code) or
failed (with the code that was sent). Where the two differ, the first frame on which they may differ
has to be one of `DIVERGENCES`, and every divergence has to be met at least once, so that the list
can neither hide a difference nor outlive it.
"""

from __future__ import annotations

import codecs
import logging
import os
import random
import zlib
from collections import Counter
from typing import NamedTuple

import pytest
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Opcode
from websockets.frames import Frame as PeerFrame
from websockets.protocol import OPEN, Side
from websockets.protocol import Protocol as Peer

from refimpl.errors import RemoteProtocolError
from refimpl.messages import Closed, Event, Ping, Pong, Protocol, Role
from tests.support import wire
from tests.support.pair import opened
from tests.support.streams import LIMIT, random_pieces, random_stream
from tests.support.wire import CLOSE, CONTINUATION, TEXT

STREAMS = int(os.environ.get("REFIMPL_STREAMS", "12000"))
MAX_FRAGMENTS = 10
SILENT = logging.Logger("silent", logging.CRITICAL)

# What may divide the two: the code we fail with (None where we go on), and why.
DIVERGENCES: dict[str, tuple[int | None, str]] = {
    "length not in its shortest form": (
        1002,
        "RFC 6455 5.2 demands the shortest form; websockets reads on",
    ),
    "length with its top bit set": (
        1002,
        "5.2 forbids it; to websockets it is only a big number, 1009",
    ),
    "control frame over 125 bytes, announced over the limit": (
        1002,
        "5.5 forbids it; websockets looks at its size limit first, 1009",
    ),
    "control frame longer than what is left of a message's limit": (
        None,
        "the limit is for data; websockets counts a ping between fragments too, and says 1009",
    ),
    "wrong first byte on a frame over the limit": (
        1002,
        "the first byte is wrong before the length is read; websockets says 1009",
    ),
    "wrong frame that has not wholly arrived": (
        1002,
        "we fail on the head; websockets checks RSV, FIN and order once the payload is there",
    ),
    "text that is not UTF-8": (
        1007,
        "we fail on the first wrong byte (8.1); websockets decodes in the layer above, at the end",
    ),
    "Close inside a fragmented message": (
        None,
        "5.4 lets control frames stand between fragments; websockets fails with 1002",
    ),
    "Close with a wrong code and a wrong reason": (
        1002,
        "both are wrong: we judge the code first; websockets decodes the reason first, 1007",
    ),
    "too many fragments": (
        1008,
        "10.4 leaves limits to the implementation; websockets' core counts no fragments",
    ),
    "corrupt compressed message": (
        1007,
        "the payload is not what its type promises; websockets says 1002",
    ),
    "final deflate block": (
        None,
        "RFC 7692 7.2.3.4 allows BFINAL; websockets then gives empty messages for good",
    ),
    "compressed frame longer than what is in it": (
        None,
        "the limit is the message's, so a frame may be a little longer; websockets says 1009",
    ),
}


class Outcome(NamedTuple):
    """What a core made of a stream."""

    events: list[tuple[str, bytes]]
    answers: list[tuple[int, bytes]]
    end: tuple[str, int]


def ours(protocol: Protocol, pieces: list[bytes]) -> Outcome:
    """Return what `refimpl` makes of the pieces."""
    events: list[Event] = []
    out = b""
    for piece in pieces:
        events += protocol.receive_data(piece)
        out += protocol.data_to_send()
    end = ("open", 0)
    seen: list[tuple[str, bytes]] = []
    for event in events:
        match event:
            case str(text):
                seen.append(("text", text.encode()))
            case bytes(data):
                seen.append(("binary", data))
            case Ping(payload):
                seen.append(("ping", payload))
            case Pong(payload):
                seen.append(("pong", payload))
            case Closed(error):
                cause = error.__cause__
                failed = isinstance(cause, RemoteProtocolError)
                end = ("failed", cause.close_code) if failed else ("closed", error.code)  # type: ignore[union-attr]
    return Outcome(seen, answers(out), end)


def theirs(peer: Peer, pieces: list[bytes]) -> Outcome:
    """Return what `websockets` makes of the pieces; text is decoded as its upper layer does."""
    seen: list[tuple[str, bytes]] = []
    end = ("open", 0)
    out = b""
    parts: list[PeerFrame] = []
    for piece in pieces:
        if end != ("open", 0):
            break
        peer.receive_data(piece)
        for frame in peer.events_received():
            assert isinstance(frame, PeerFrame)
            if frame.opcode in (Opcode.PING, Opcode.PONG):
                seen.append((frame.opcode.name.lower(), bytes(frame.data)))
            elif frame.opcode is not Opcode.CLOSE:
                parts.append(frame)
                if frame.fin and not finish(parts, seen):
                    peer.fail(1007)
                    end = ("failed", 1007)
                    break
        out += b"".join(peer.data_to_send())
        if peer.close_sent is not None:
            failed = peer.parser_exc is not None or peer.close_rcvd is None
            code = peer.close_sent if failed else peer.close_rcvd
            assert isinstance(code, Close)
            end = ("failed" if failed else "closed", int(code.code))
    return Outcome(seen, answers(out), end)


def finish(parts: list[PeerFrame], seen: list[tuple[str, bytes]]) -> bool:
    """Add the message that parts make up; False where it is text that is not UTF-8."""
    kind = "text" if parts[0].opcode is Opcode.TEXT else "binary"
    payload = b"".join(bytes(part.data) for part in parts)
    parts.clear()
    if kind == "text":
        try:
            payload.decode()
        except UnicodeDecodeError:
            return False
    seen.append((kind, payload))
    return True


def answers(out: bytes) -> list[tuple[int, bytes]]:
    """Return the frames in out; of a Close only its code, since reasons are free."""
    return [
        (opcode, payload[:2] if opcode == CLOSE else payload)
        for opcode, _, _, _, payload in wire.split_frames(out)
    ]


class Walk:
    """An independent reading of a stream, up to the first frame that may divide the two cores."""

    def __init__(self, *, deflate: bool) -> None:
        self.deflate = deflate
        self.inflater = zlib.decompressobj(wbits=-15)
        self.message: tuple[int, bool] | None = None  # opcode, compressed
        self.fragments = self.size = 0
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def reasons(self, data: bytes) -> set[str]:
        """Return the divergences of the first frame that has any."""
        position = 0
        while len(data) >= position + 2:
            found, position = self.frame(data, position)
            if found:
                return found
        return set()

    def frame(self, data: bytes, position: int) -> tuple[set[str], int]:
        """Return the divergences of the frame at position, and the position behind it."""
        first, second = data[position], data[position + 1]
        opcode, rsv, length, position = first & 15, first >> 4 & 7, second & 127, position + 2
        found: set[str] = set()
        if length > 125:
            width = 2 if length == 126 else 8
            if len(data) < position + width:
                return self.head(first, 0, whole=False), len(data)
            length = int.from_bytes(data[position : position + width], "big")
            position += width
            if length >> 63:
                found.add("length with its top bit set")
            if length <= (125 if width == 2 else 65535):
                found.add("length not in its shortest form")
        key = data[position : position + 4] if second & 128 else b""
        position += 4 * bool(second & 128)
        whole = len(data) >= position + length
        found |= self.head(first, length, whole)
        payload = (
            wire.xor(data[position : position + length], key)
            if key
            else (data[position : position + length])
        )
        if not found and not rsv & 3 and opcode <= 10:
            found |= self.content(opcode, bool(first & 128), bool(rsv), payload, whole)
        return found, position + length

    def head(self, first: int, length: int, whole: bool) -> set[str]:
        """Return what may divide the two on the head of a frame."""
        opcode, rsv, fin = first & 15, first >> 4 & 7, bool(first & 128)
        control = opcode >= 8
        begins = opcode in (1, 2)
        disorder = not control and opcode <= 2 and begins == (self.message is not None)
        bad_rsv = rsv & 3 or (rsv and not (self.deflate and begins))
        wrong = bool(bad_rsv or (control and not fin) or disorder)
        room = LIMIT - self.size
        found: set[str] = set()
        if wrong and not whole:
            found.add("wrong frame that has not wholly arrived")
        if wrong and length > room:
            found.add("wrong first byte on a frame over the limit")
        if control and room < length <= 125:
            found.add("control frame longer than what is left of a message's limit")
        if control and length > 125:
            if length > room:
                found.add("control frame over 125 bytes, announced over the limit")
            if not whole:
                found.add("wrong frame that has not wholly arrived")
        if self.deflate and length > room and (rsv == 4 or (self.message or (0, 0))[1]):
            found.add("compressed frame longer than what is in it")
        return found

    def content(self, opcode: int, fin: bool, rsv1: bool, payload: bytes, whole: bool) -> set[str]:
        """Return what may divide the two on the payload of a frame whose head is right."""
        if opcode >= 8:
            return self.control(opcode, payload) if whole else set()
        if opcode != CONTINUATION:
            self.message = opcode, rsv1
            self.fragments = self.size = 0
            self.decoder.reset()
        if self.message is None:
            return set()  # an orphan: both fail with 1002
        kind, compressed = self.message
        self.fragments += 1
        found: set[str] = set()
        if self.fragments > MAX_FRAGMENTS:
            found.add("too many fragments")
        if compressed:
            if not whole:
                return found
            try:
                payload = self.inflater.decompress(payload + b"\0\0\xff\xff" * fin, 2 * LIMIT)
            except zlib.error:
                return found | {"corrupt compressed message"}
            if self.inflater.eof:
                return found | {"final deflate block"}
        self.size += len(payload)
        if kind == TEXT and self.is_bad_text(payload, fin and whole):
            found.add("text that is not UTF-8")
        if fin:
            self.message = None
            self.size = 0
        return found

    def is_bad_text(self, payload: bytes, final: bool) -> bool:
        """Whether the text is known not to be UTF-8 by now."""
        try:
            self.decoder.decode(payload, final)
        except UnicodeDecodeError:
            return True
        pending = self.decoder.getstate()[0]
        return pending[:1] == b"\xed" and pending[1:] >= b"\xa0"

    def control(self, opcode: int, payload: bytes) -> set[str]:
        """Return what may divide the two on a control frame."""
        if opcode != CLOSE:
            return set()
        if self.message is not None:
            return {"Close inside a fragmented message"}
        if len(payload) > 2:
            try:
                Close(int.from_bytes(payload[:2], "big"), "").check()
            except ProtocolError:
                try:
                    payload[2:].decode()
                except UnicodeDecodeError:
                    return {"Close with a wrong code and a wrong reason"}
        return set()


def run(seed: int) -> tuple[Outcome, Outcome, set[str]]:
    """Return what each core makes of one stream, and what might explain a difference."""
    source = random.Random(seed)
    role = source.choice([Role.SERVER, Role.CLIENT])
    deflate = source.random() < 0.3
    data = random_stream(source, masked=role is Role.SERVER, deflate=deflate)
    pieces = random_pieces(source, data)
    extension = "permessage-deflate" if deflate else None
    protocol = opened(role, extension=extension, max_size=LIMIT, max_fragments=MAX_FRAGMENTS)
    side = Side.SERVER if role is Role.SERVER else Side.CLIENT
    peer = Peer(side, state=OPEN, max_size=LIMIT, logger=SILENT)
    if deflate:
        peer.extensions = [PerMessageDeflate(False, False, 15, 15)]
    return ours(protocol, pieces), theirs(peer, pieces), Walk(deflate=deflate).reasons(data)


def explained(mine: Outcome, other: Outcome, reasons: set[str]) -> bool:
    """Whether the reasons account for what we did, and all was the same up to there."""
    codes = {DIVERGENCES[reason][0] for reason in reasons}
    if None not in codes and mine.end not in {("failed", code) for code in codes}:
        return False
    if "final deflate block" in reasons:
        return True  # the messages behind it are lost on the other side
    shared = min(len(mine.events), len(other.events))
    return bool(codes) and mine.events[:shared] == other.events[:shared]


@pytest.mark.rule(46, 69)
def test_the_same_as_websockets_or_explained(capsys: pytest.CaptureFixture[str]) -> None:
    met: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for seed in range(STREAMS):
        mine, other, reasons = run(seed)
        ends[f"{mine.end[0]} {mine.end[1] or ''}".strip()] += 1
        if mine == other:
            continue
        assert explained(mine, other, reasons), f"seed {seed}: {reasons}\n{mine}\n{other}"
        met.update(reasons)
    assert set(met) <= set(DIVERGENCES)
    assert set(DIVERGENCES) <= set(met), f"never met: {set(DIVERGENCES) - set(met)}"
    assert min(ends["open"], ends["closed 1000"], ends["failed 1002"], ends["failed 1007"]) > 100
    with capsys.disabled():
        print(f"\n{STREAMS} streams, {sum(met.values())} divergences of {len(met)} kinds")
