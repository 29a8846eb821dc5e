"""Properties of the whole core: any pieces give the same events, and messages survive."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refimpl.framing import Opcode
from refimpl.handshake import Extension, build_request, parse_uri
from refimpl.messages import OFFER, Closed, Event, HandshakeFailed, Protocol, Role
from refimpl.messages import protocol as core
from tests.support import wire
from tests.support.handshakes import MALFORMED
from tests.support.pair import Pair, opened
from tests.support.streams import LIMIT, random_pieces, random_stream
from tests.support.wire import BINARY, CONTINUATION, TEXT

ROLES = [Role.SERVER, Role.CLIENT]
SIZES = st.lists(st.integers(1, 60), max_size=40)


def told(event: Event) -> object:
    """Return an event in a form that compares by what it says."""
    if isinstance(event, Closed):
        error = event.error
        return ("closed", error.sent, error.received, error.order, str(error.__cause__))
    if isinstance(event, HandshakeFailed):
        return ("refused", event.error.status)
    return event


def life(protocol: Protocol, pieces: list[bytes]) -> tuple[list[object], bytes]:
    """Return all events of the pieces and the end of the stream, and all that was answered."""
    events: list[Event] = []
    out = b""
    for piece in pieces:
        events += protocol.receive_data(piece)
        out += protocol.data_to_send()
    events += protocol.receive_eof()
    return [told(event) for event in events], out + protocol.data_to_send()


def counted_keys() -> dict[str, object]:
    """Return options with masking keys that are the same in each run."""
    numbers = iter(range(2**32))
    return {"random_bytes": lambda size: next(numbers).to_bytes(size, "big")}


@pytest.mark.rule(46, 69)
@settings(max_examples=600)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from(ROLES))
def test_any_pieces_give_the_same_events_and_answers(seed: int, deflate: bool, role: Role) -> None:
    source = random.Random(seed)
    data = random_stream(source, masked=role is Role.SERVER, deflate=deflate)
    extension = "permessage-deflate" if deflate else None

    def run(pieces: list[bytes]) -> tuple[list[object], bytes]:
        options = {"max_size": LIMIT, "max_fragments": 10, **counted_keys()}
        return life(opened(role, extension=extension, **options), pieces)

    whole = run([data])
    assert run(random_pieces(source, data)) == whole
    assert run([bytes([byte]) for byte in data]) == whole


class View:
    """Feeds a protocol from one piece of memory, which is overwritten after each read."""

    def __init__(self, size: int) -> None:
        self.memory = bytearray(size)

    def __call__(self, data: bytes) -> memoryview:
        """Return data in the memory that all reads share."""
        self.memory[:] = b"\xff" * len(self.memory)
        self.memory[: len(data)] = data
        return memoryview(self.memory)[: len(data)]


def received(
    protocol: Protocol,
    pieces: list[bytes],
    limit: int | None = None,
    kind: Callable[[bytes], bytes | bytearray | memoryview] = bytes,
) -> tuple[list[object], bytes]:
    """Return all events and answers, with at most limit events a call."""
    events: list[Event] = []
    out = b""
    for piece in pieces:
        step = protocol.receive_data(kind(piece), limit=limit)
        events += step
        out += protocol.data_to_send()
        while limit and len(step) == limit:
            step = protocol.receive_data(limit=limit)
            events += step
            out += protocol.data_to_send()
    events += protocol.receive_eof()
    return [told(event) for event in events], out + protocol.data_to_send()


@contextmanager
def only_the_loop() -> Iterator[None]:
    """Close the short ways past the loop over `parse_frame`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "take_small", lambda buffer, position, *_: position)
        patch.setattr(Protocol, "_take_large", lambda *_: 0)
        yield


@pytest.mark.rule(46, 69)
@settings(max_examples=200)
@given(
    st.integers(0, 2**32),
    st.booleans(),
    st.sampled_from(ROLES),
    st.none() | st.integers(1, 4),
    st.sampled_from([0, 0, 1, 2]),
)
def test_any_way_of_receiving_gives_the_same_events_and_answers(
    seed: int, deflate: bool, role: Role, limit: int | None, large: int
) -> None:
    source = random.Random(seed)
    masked = role is Role.SERVER
    data = random_stream(source, masked=masked, deflate=deflate)
    frames = b"".join(large_frame(source, masked) for _ in range(large))
    data = frames + data if source.random() < 0.5 else data + frames
    extension = "permessage-deflate" if deflate else None

    def run(*arguments: object) -> tuple[list[object], bytes]:
        options = {"max_size": 80_000 if large else LIMIT, "max_fragments": 10, **counted_keys()}
        protocol = opened(role, extension=extension, **options)
        return received(protocol, *arguments)  # type: ignore[arg-type]

    with only_the_loop():
        wanted = run([data])
    assert run([data]) == wanted
    assert run(few_pieces(source, data), limit) == wanted
    for kind in (bytearray, View(len(data))):
        assert run(few_pieces(source, data), limit, kind) == wanted
    with only_the_loop():
        assert run(few_pieces(source, data), limit) == wanted


def few_pieces(source: random.Random, data: bytes) -> list[bytes]:
    """Return data in pieces, not byte by byte where that would be many."""
    if len(data) < 5000:
        return random_pieces(source, data)
    cuts = sorted(source.randrange(len(data)) for _ in range(source.randint(0, 8)))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


def large_frame(source: random.Random, masked: bool) -> bytes:
    """Return a frame whose length takes eight bytes: right, too long, no UTF-8 or out of order."""
    payload = b"x" * source.choice([65_536, 70_000, 80_000, 80_001])
    opcode = source.choice([TEXT, BINARY, BINARY, CONTINUATION])
    if opcode == TEXT and source.random() < 0.5:
        payload = payload[:-1] + b"\xff"
    fin = source.random() < 0.8
    return wire.frame(opcode, payload, fin=fin, key=wire.KEY if masked else None)


@pytest.mark.rule(46)
@settings(max_examples=300)
@given(st.integers(0, 2**32), st.sampled_from(ROLES), st.none() | st.integers(1, 4))
def test_skipping_hears_the_same_control_frames(seed: int, role: Role, limit: int | None) -> None:
    source = random.Random(seed)
    data = random_stream(source, masked=role is Role.SERVER, deflate=False)

    def run(pieces: list[bytes], skip: bool) -> list[object]:
        protocol = opened(role, max_size=None, max_fragments=10**6)
        protocol.send_close(1000)
        if skip:
            protocol.skip_messages()
        events, _ = received(protocol, pieces, limit)
        return [event for event in events if not isinstance(event, str | bytes)]

    heard, skipped = run([data], False), run([data], True)
    assert run(random_pieces(source, data), True) == skipped
    if "5.4" not in str(heard[-1]) and "8.1" not in str(heard[-1]):  # order and text are not asked
        assert skipped == heard


@pytest.mark.rule(46)
@given(st.binary(max_size=60), st.sampled_from(ROLES), SIZES)
@example(b"\x81\xfe\x00", Role.SERVER, [1])
def test_any_pieces_of_noise_give_the_same_events(
    data: bytes, role: Role, sizes: list[int]
) -> None:
    whole = life(opened(role, **counted_keys()), [data])
    assert life(opened(role, **counted_keys()), list(wire.cuts(data, sizes))) == whole


@pytest.mark.rule(20, 46)
@given(SIZES, st.integers(0, 300))
def test_any_pieces_of_a_handshake_give_the_same_events(sizes: list[int], length: int) -> None:
    frames = wire.frame(TEXT, b"x" * length) + wire.frame(wire.PING, b"?")
    data = wire.response_head() + frames

    def run(pieces: list[bytes]) -> tuple[list[object], bytes]:
        client = Protocol(Role.CLIENT, **counted_keys())  # type: ignore[arg-type]
        uri = parse_uri("ws://server.example.com/chat")
        client.send_request(build_request(uri, key="dGhlIHNhbXBsZSBub25jZQ=="))
        client.data_to_send()
        return life(client, pieces)

    assert run(list(wire.cuts(data, sizes))) == run([data])


@pytest.mark.rule(21)
@pytest.mark.parametrize("bad", MALFORMED, ids=lambda bad: f"{bad.number}-{bad.name}")
@settings(max_examples=10)
@given(sizes=SIZES)
def test_any_pieces_of_a_malformed_request_give_the_same_status(
    bad: object, sizes: list[int]
) -> None:
    def status(pieces: list[bytes]) -> list[object]:
        server = Protocol(Role.SERVER)
        events = [event for piece in pieces for event in server.receive_data(piece)]
        return [told(event) for event in events]

    head = bad.head  # type: ignore[attr-defined]
    assert status(list(wire.cuts(head, sizes))) == status([head])


TEXTS = st.text(max_size=200)
MESSAGES = st.lists(TEXTS | st.binary(max_size=400), max_size=8)
OFFERS = st.sampled_from(
    [
        (),
        (OFFER,),
        (Extension("permessage-deflate"),),
        (Extension("permessage-deflate", (("server_no_context_takeover", None),)),),
        (Extension("permessage-deflate", (("client_no_context_takeover", None),)),),
        (Extension("permessage-deflate", (("server_max_window_bits", "9"),)),),
        (Extension("permessage-deflate", (("client_max_window_bits", "8"),)),),
    ]
)


@pytest.mark.rule(55, 83)
@given(MESSAGES, MESSAGES, OFFERS, st.none() | st.integers(1, 50))
def test_messages_survive_both_ways(
    up: list[str | bytes],
    down: list[str | bytes],
    offers: tuple[Extension, ...],
    chunk: int | None,
) -> None:
    pair = Pair(offers=offers, chunk=chunk)
    for side, messages in ((pair.client, up), (pair.server, down)):
        for message in messages:
            if isinstance(message, str):
                side.send_text(message)
            else:
                side.send_binary(message)
    at_server, at_client = pair.pump()
    assert at_server == up
    assert at_client == down


@pytest.mark.rule(53, 55, 73)
@given(TEXTS, st.lists(st.integers(0, 30), max_size=20), st.booleans())
def test_fragments_mean_what_the_whole_means(text: str, sizes: list[int], binary: bool) -> None:
    data = text.encode()
    pieces = [*wire.cuts(data, [size for size in sizes if size]), b""]
    pair = Pair()
    opcode = Opcode.BINARY if binary else Opcode.TEXT
    for number, piece in enumerate(pieces):
        pair.client.send_fragment(piece, opcode=opcode, fin=number == len(pieces) - 1)
        pair.client.send_ping(b"between")
    at_server, _ = pair.pump()
    messages = [event for event in at_server if isinstance(event, str | bytes)]
    assert messages == [data if binary else text]


@pytest.mark.rule(72, 75)
@given(st.binary(max_size=30), st.lists(st.integers(1, 8), max_size=8))
def test_text_arrives_or_fails_as_bytes_decode_says(data: bytes, sizes: list[int]) -> None:
    try:
        expected: str | None = data.decode()
    except UnicodeDecodeError:
        expected = None
    pieces = list(wire.cuts(data, sizes)) or [b""]
    stream = b"".join(
        wire.frame(
            CONTINUATION if number else TEXT, piece, fin=number == len(pieces) - 1, key=wire.KEY
        )
        for number, piece in enumerate(pieces)
    )
    for size in (1, 5, len(stream)):
        server = opened(Role.SERVER)
        events = [
            event
            for at in range(0, len(stream), size)
            for event in server.receive_data(stream[at : at + size])
        ]
        if expected is not None:
            assert events == [expected]
        else:
            [closed] = events
            assert isinstance(closed, Closed)
            assert closed.error.sent is not None
            assert closed.error.sent.code == 1007


@pytest.mark.rule(70)
@given(st.binary(max_size=300), st.data())
def test_no_prefix_of_a_frame_gives_a_message(payload: bytes, data: st.DataObject) -> None:
    frame = wire.frame(BINARY, payload, key=wire.KEY)
    end = data.draw(st.integers(0, len(frame) - 1))
    server = opened(Role.SERVER)
    assert server.receive_data(frame[:end]) == []
    [closed] = server.receive_eof()
    assert isinstance(closed, Closed)
    assert closed.error.code == 1006
