"""Properties of heads: what goes out comes back, pieces change nothing (RFC 9112, RFC 6455 4)."""

from __future__ import annotations

import base64
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.errors import HandshakeError
from refimpl.handshake import (
    Extension,
    Headers,
    Policy,
    Request,
    Response,
    ResponseReader,
    accept_key,
    build_request,
    check_request,
    check_response,
    is_valid_key,
    make_key,
    parse_extensions,
    parse_list,
    parse_request,
    parse_response,
    parse_uri,
    serialize_extension,
)
from tests.support import wire

TOKENS = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"]) | st.just("\t"), max_size=30
).map(lambda value: value.strip(" \t"))
HEADERS = st.lists(st.tuples(TOKENS, VALUES), max_size=8).map(Headers)
TARGETS = st.text(string.ascii_letters + string.digits + "/?=&%.~:@!$'()*+,;-_", max_size=40).map(
    "/".__add__
)
EXTENSIONS = st.lists(
    st.builds(
        Extension,
        TOKENS.map(str.lower),
        st.lists(st.tuples(TOKENS.map(str.lower), st.none() | TOKENS), max_size=4).map(tuple),
    ),
    max_size=4,
)


@given(st.builds(Request, TARGETS, HEADERS, TOKENS.map(lambda name: "G" + name)))
def test_a_request_survives_the_wire(request: Request) -> None:
    data = request.serialize()
    assert parse_request(b"\0\0" + data + b"behind", 2) == (request, 2 + len(data))


@given(st.builds(Response, st.integers(100, 599), HEADERS, reason=VALUES))
def test_a_response_survives_the_wire(response: Response) -> None:
    data = response.serialize()
    parsed = parse_response(data + b"behind")
    assert parsed is not None
    assert parsed[1] == len(data)
    assert (parsed[0].status, parsed[0].headers) == (response.status, response.headers)
    assert parsed[0].reason == response.reason or not response.reason


@pytest.mark.rule(46)
@pytest.mark.parametrize(
    ("parse", "head"),
    [(parse_request, wire.request_head()), (parse_response, wire.response_head())],
)
@given(st.data())
def test_more_bytes_never_change_the_verdict(
    parse: Callable[[bytes], object], head: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(head)))
    noise = data.draw(st.binary(max_size=4) | st.sampled_from([b"\n", b"\r", b"\r\n\r\n", b" "]))
    broken = head[:at] + noise + head[at + data.draw(st.integers(0, 3)) :]
    verdicts = []
    for end in range(len(broken) + 1):
        try:
            found = parse(broken[:end])
        except HandshakeError as error:
            verdicts.append(error.status)
        else:
            verdicts.append(None if found is None else repr(found))
    # Small pieces may tell sooner that a line ends in a bare LF, but nothing else than large ones.
    known = [verdict for verdict in verdicts if verdict is not None]
    assert len(set(known)) <= 1
    if known and isinstance(known[0], str):
        assert verdicts[len(verdicts) - len(known) :] == known


CHUNKED = [("Transfer-Encoding", "chunked")]
ANSWERS = [
    wire.response_head() + b"\x81\x05Hello",
    wire.head("HTTP/1.1 404 No", [("Content-Length", "5")]) + b"not here",
    wire.head("HTTP/1.1 404 No", []) + b"until the end",
    wire.head("HTTP/1.1 204 No", []) + b"behind",
    wire.head("HTTP/1.1 404 No", CHUNKED) + b"2\r\nno\r\n3;x=y\r\n\r\nt\r\n0\r\n\r\nbehind",
    wire.head("HTTP/1.1 404 No", CHUNKED) + b"1\r\nx\r\nno chunk\r\nbehind",
    wire.head("HTTP/1.1 404 No", CHUNKED) + b"ff\r\nnot all of it",
    b"nonsense\r\n\r\n",
]
ASKED = build_request(parse_uri("ws://server.example.com/chat"), key="dGhlIHNhbXBsZSBub25jZQ==")


@pytest.mark.rule(28, 46)
@given(
    st.lists(st.sampled_from(["HTTP/1.1 100 Go on", "HTTP/1.1 103 Hint"]), max_size=12),
    st.sampled_from(ANSWERS),
    st.lists(st.integers(1, 40), max_size=30),
)
def test_an_answer_is_the_same_in_any_pieces(
    before: list[str], answer: bytes, sizes: list[int]
) -> None:
    data = b"".join(wire.head(line, []) for line in before) + answer

    def outcome(cuts: list[int]) -> object:
        reader, buffer, at = ResponseReader(ASKED), bytearray(b"before"), 0
        for size in [*cuts, len(data)]:
            buffer += data[at : at + size]
            at += size
            try:
                if (found := reader.read(buffer, 6, ended=at >= len(data))) is not None:
                    return found
            except HandshakeError as error:
                return error.status, error.reason, error.headers, error.body
        raise AssertionError("no answer at the end")

    assert outcome(sizes) == outcome([])


@pytest.mark.rule(15, 16)
@given(EXTENSIONS)
def test_extensions_survive_the_header(extensions: list[Extension]) -> None:
    one_line = ", ".join(map(serialize_extension, extensions))
    assert parse_extensions([one_line]) == extensions
    assert parse_extensions(list(map(serialize_extension, extensions))) == extensions


@pytest.mark.rule(5, 14)
@given(st.lists(st.lists(TOKENS, max_size=4), max_size=4), st.data())
def test_a_list_is_the_same_over_any_lines(lines: list[list[str]], data: st.DataObject) -> None:
    comma = st.sampled_from([",", ", ", " ,\t", ",,"])
    written = [data.draw(comma).join(line) for line in lines]
    assert parse_list(written) == [element for line in lines for element in line]


@pytest.mark.rule(6)
@given(st.text(string.ascii_letters + string.digits + "+/=", min_size=20, max_size=28))
def test_a_key_is_valid_in_one_spelling_only(key: str) -> None:
    try:
        nonce = base64.b64decode(key, validate=True)
    except ValueError:
        assert not is_valid_key(key)
    else:
        assert is_valid_key(key) == (len(nonce) == 16 and base64.b64encode(nonce).decode() == key)


@pytest.mark.rule(11, 25, 31)
@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_only_the_right_key_is_accepted(one: bytes, other: bytes) -> None:
    uri = parse_uri("ws://server.example.com/chat")
    key, wrong = make_key(lambda _: one), make_key(lambda _: other)
    asked = build_request(uri, key=key)
    answer = check_request(asked, Policy()).response
    assert check_response(asked, answer).subprotocol is None
    assert (accept_key(key) == accept_key(wrong)) == (one == other)


@pytest.mark.rule(13, 33)
@given(st.lists(TOKENS, max_size=5, unique=True), st.lists(TOKENS, max_size=5))
def test_both_sides_agree_on_one_subprotocol(offered: list[str], supported: list[str]) -> None:
    uri = parse_uri("ws://server.example.com/chat")
    asked = build_request(uri, key=make_key(), subprotocols=offered)
    acceptance = check_request(asked, Policy(subprotocols=supported))
    chosen = next((name for name in supported if name in offered), None)
    assert acceptance.subprotocol == chosen
    assert check_response(asked, acceptance.response).subprotocol == chosen
