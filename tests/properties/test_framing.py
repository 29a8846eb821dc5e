"""Properties of frames: every frame survives the wire, in any pieces (RFC 6455 5.2 and 5.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.errors import RemoteProtocolError
from refimpl.framing import (
    Frame,
    Opcode,
    mask,
    mask_int,
    mask_pure,
    mask_strides,
    parse_frame,
    serialize_frame,
)
from tests.support import wire

KEYS = st.none() | st.binary(min_size=4, max_size=4)
PAYLOADS = st.binary(max_size=300) | st.integers(65530, 65540).map(bytes)


@st.composite
def legal_frames(draw: st.DrawFn) -> Frame:
    """Return any frame that RFC 6455 or RFC 7692 allows."""
    opcode = draw(st.sampled_from(list(Opcode)))
    if opcode >= Opcode.CLOSE:
        return Frame(opcode, draw(st.binary(max_size=125)), masking_key=draw(KEYS))
    rsv1 = opcode != Opcode.CONTINUATION and draw(st.booleans())
    return Frame(opcode, draw(PAYLOADS), draw(st.booleans()), rsv1, draw(KEYS))


def parsed(data: bytes, sizes: list[int]) -> list[Frame]:
    """Return the frames of data that arrives in pieces of the given sizes."""
    buffer, frames = bytearray(), []
    for piece in wire.cuts(data, sizes):
        buffer += piece
        position = 0
        while (found := parse_frame(buffer, position, compressed=True)) is not None:
            frame, position = found
            frames.append(frame)
        del buffer[:position]
    assert not buffer
    return frames


@pytest.mark.rule(45)
@given(legal_frames())
def test_a_frame_survives_the_wire(frame: Frame) -> None:
    data = serialize_frame(frame)
    assert parse_frame(data, compressed=True) == (frame, len(data))
    [(opcode, fin, rsv, key, payload)] = wire.split_frames(data)
    assert Frame(Opcode(opcode), payload, fin, rsv == 4, key) == frame


@pytest.mark.rule(46)
@given(st.lists(legal_frames(), max_size=6), st.lists(st.integers(1, 400), max_size=30))
def test_any_pieces_give_the_same_frames(frames: list[Frame], sizes: list[int]) -> None:
    data = b"".join(map(serialize_frame, frames))
    assert parsed(data, sizes) == frames


@pytest.mark.rule(46)
@given(
    st.binary(max_size=40),
    st.sampled_from([True, False, None]),
    st.booleans(),
    st.sampled_from([None, 0, 10, 200]),
)
def test_more_bytes_never_change_the_verdict(
    data: bytes, masked: bool | None, compressed: bool, max_size: int | None
) -> None:
    verdicts = []
    for end in range(len(data) + 1):
        try:
            found = parse_frame(data[:end], masked=masked, compressed=compressed, max_size=max_size)
        except RemoteProtocolError as error:
            verdicts.append(f"{error.close_code} {error}")
        else:
            verdicts.append(None if found is None else repr(found))
    known = [verdict for verdict in verdicts if verdict is not None]
    assert len(set(known)) <= 1
    assert verdicts[len(verdicts) - len(known) :] == known


@pytest.mark.rule(38)
@given(st.binary(max_size=5000), st.binary(min_size=4, max_size=4))
def test_all_masks_agree_and_undo_themselves(data: bytes, key: bytes) -> None:
    masked = wire.xor(data, key)
    for way in (mask, mask_pure, mask_int, mask_strides):
        assert way(data, key) == masked
        assert way(masked, key) == data
        assert way(bytearray(data), key) == masked
        assert way(memoryview(data), key) == masked
