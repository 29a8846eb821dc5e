"""Interim responses before the 101 are skipped, as many as make sense.

kgateway#14485: a proxy answers an upgrade with `HTTP/1.1 100 Continue` or 103 first. A client that
took it for the answer, or waited for its body, never opened. RFC 9110 15.2: a client must be able
to parse one or more 1xx responses before the final one, even where it does not expect any.
"""

from __future__ import annotations

import pytest

from refimpl.errors import HandshakeError
from refimpl.handshake import HeadLimits, ResponseReader, build_request, parse_uri, read_response
from tests.support import wire

REQUEST = build_request(parse_uri("ws://server.example.com/chat"), key="dGhlIHNhbXBsZSBub25jZQ==")
ACCEPTED = wire.response_head()
REFUSED = wire.head("HTTP/1.1 403 No", [("Content-Length", "2")]) + b"no"


def interim(status: int, *lines: tuple[str, str]) -> bytes:
    return wire.head(f"HTTP/1.1 {status} Wait", list(lines))


HINT = interim(103, ("Link", "</style.css>; rel=preload"))
SEQUENCES = [
    [interim(100)],
    [interim(102)],
    [HINT],
    [interim(199)],
    [interim(100), HINT, HINT],
    [interim(100, ("Content-Length", "5"))],  # no body follows an interim response (RFC 9112 6.3)
]


@pytest.mark.parametrize("before", SEQUENCES)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_the_101_behind_them_opens(before: list[bytes], piece: int) -> None:
    data = b"".join(before) + ACCEPTED + b"\x81\x05Hello"
    reader, buffer = ResponseReader(REQUEST), bytearray()
    for at in range(0, len(data), piece):
        buffer += data[at : at + piece]
        found = reader.read(buffer)
        if found is not None:
            break
    assert found is not None
    response, _, position = found
    assert response.status == 101
    assert data[position:] == b"\x81\x05Hello"


@pytest.mark.parametrize("before", SEQUENCES)
def test_the_refusal_behind_them_is_the_answer(before: list[bytes]) -> None:
    with pytest.raises(HandshakeError) as caught:
        read_response(REQUEST, b"".join(before) + REFUSED)
    assert (caught.value.status, caught.value.body) == (403, b"no")


@pytest.mark.parametrize("before", SEQUENCES)
def test_more_is_needed_until_the_final_one_is_whole(before: list[bytes]) -> None:
    data = b"".join(before) + ACCEPTED
    assert all(read_response(REQUEST, data[:end]) is None for end in range(len(data)))
    with pytest.raises(HandshakeError) as caught:
        read_response(REQUEST, b"".join(before), ended=True)
    assert (caught.value.status, caught.value.reason) == (0, "no-response")


@pytest.mark.parametrize("count", [10, 11])
def test_they_are_bounded_in_number(count: int) -> None:
    data = interim(100) * count + ACCEPTED
    if count <= 10:
        assert read_response(REQUEST, data) is not None
        return
    with pytest.raises(HandshakeError) as caught:
        read_response(REQUEST, data)
    assert (caught.value.status, caught.value.reason) == (0, "interim")


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_they_are_bounded_in_size_together(over: int) -> None:
    limits = HeadLimits(max_head=1000)
    fixed = len(interim(103) + interim(103, ("X", "")))
    data = interim(103) + interim(103, ("X", "a" * (1000 - fixed + over)))
    reader = ResponseReader(REQUEST, limits=limits)
    if over > 0:
        with pytest.raises(HandshakeError) as caught:
            reader.read(data + ACCEPTED)
        assert (caught.value.status, caught.value.reason) == (0, "interim")
    else:
        assert reader.read(data + ACCEPTED) is not None


def test_one_without_end_is_refused_at_the_limit() -> None:
    reader = ResponseReader(REQUEST, limits=HeadLimits(max_head=1000))
    data = interim(103) + b"HTTP/1.1 103 Wait\r\n" + b"X: y\r\n" * 300
    with pytest.raises(HandshakeError):
        for end in range(len(data)):
            assert reader.read(data[:end]) is None


def test_a_malformed_one_is_no_answer() -> None:
    for data in (b"HTTP/1.1 100 Continue\n\n", b"HTTP/1.1 100 Continue\r\nX : y\r\n\r\n"):
        with pytest.raises(HandshakeError) as caught:
            read_response(REQUEST, data + ACCEPTED)
        assert caught.value.status == 0
