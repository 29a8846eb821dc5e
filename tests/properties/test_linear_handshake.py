"""What it costs to read a handshake grows with its bytes, whatever a stranger writes into them.

Every parser of `handshake` and `auth` gets four times the input here, which may cost eight times
the CPU time: a quadratic one needs sixteen. The quickest of three runs counts, since other load
only ever adds, and what takes no time at all is not compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from refimpl.auth import Authenticate, find_credential, redact
from refimpl.auth.credentials import read_message, without_credentials, without_secrets
from refimpl.auth.strict_json import read_json
from refimpl.errors import WebSocketError
from refimpl.handshake import (
    Headers,
    HeadLimits,
    Policy,
    Request,
    Response,
    ResponseReader,
    build_request,
    check_origin,
    has_token,
    is_valid_key,
    parse_extensions,
    parse_list,
    parse_request,
    parse_response,
    parse_subprotocols,
    parse_uri,
    refuse,
)
from refimpl.handshake.hosts import comparable, parse_host
from refimpl.handshake.proxies import find_client, parse_networks
from refimpl.handshake.server import check_host
from tests.support import wire
from tests.support.cpu import quickest
from tests.support.signing import authenticator, encode, verifier

SMALL, TIMES, SLACK = 15_000, 4, 0.002

LIMITS = HeadLimits(max_header_line=2**20, max_head=2**20)
REQUEST = build_request(parse_uri("ws://a.example/"), key="dGhlIHNhbXBsZSBub25jZQ==")
TRUSTED = parse_networks(["10.0.0.0/8"])
DOOR = Authenticate(lambda scope, receive, send: None, authenticator())  # type: ignore[arg-type, return-value]

Reader = Callable[[str], object]


def all_of(text: str) -> Callable[[int], str]:
    """Return what makes an input of any size out of one text."""
    return lambda size: text * (size // len(text))


def between(start: str, text: str, end: str = "") -> Callable[[int], str]:
    return lambda size: start + text * (size // len(text)) + end


def drip(read: Callable[[bytearray], object], data: bytes) -> None:
    """Feed data byte by byte to what reads a growing buffer, until it has enough."""
    buffer = bytearray()
    for byte in data:
        buffer.append(byte)
        if read(buffer) is not None:
            return


def drip_request(text: str) -> None:
    searched = itertools.count()
    drip(
        lambda buffer: parse_request(buffer, searched=next(searched), limits=LIMITS), text.encode()
    )


def drip_answer(text: str) -> None:
    drip(ResponseReader(REQUEST, limits=LIMITS).read, text.encode())


def header(name: str, value: str) -> Headers:
    return Headers(text=f"\r\n{name}: {value}")


def scope(text: str) -> dict[str, object]:
    return {
        "type": "websocket",
        "path": text,
        "query_string": text.encode(),
        "headers": [(b"x", word.encode()) for word in text.split(",")],
    }


READERS: dict[str, tuple[Reader, list[Callable[[int], str]]]] = {
    "parse_request": (
        lambda text: parse_request(text.encode(), limits=LIMITS),
        [
            between("GET / HTTP/1.1\r\n", "X: y", "\r\n\r\n"),
            between("GET / HTTP/1.1\r\n", "X: ", "\r\n\r\n"),
            between("GET / HTTP/1.1\r\nX:", " \t", "\r\n\r\n"),
            between("GET / HTTP/1.1\r\nX", "X", "\r\n\r\n"),
            between("GET / HTTP/1.1\r\n", "\r\r\n", ""),
        ],
    ),
    "parse_request, byte by byte": (
        drip_request,
        [
            between("GET / HTTP/1.1\r\n", "X: y\r\n"),
            between("GET / HTTP/1.1\r\nX: ", "y"),
            between("GET / HTTP/1.1\r\n", "\r\r\r"),
        ],
    ),
    "parse_response": (
        lambda text: parse_response(text.encode(), limits=LIMITS),
        [between("HTTP/1.1 101 ", "x"), between("HTTP/1.1 101 x\r\nX: ", "y", "\r\n\r\n")],
    ),
    "ResponseReader, byte by byte": (
        drip_answer,
        [
            between("HTTP/1.1 403 No\r\nX: ", "y", "\r\n\r\nno"),
            between("HTTP/1.1 403 No\r\n\r\n", "no"),
            between("HTTP/1.1 403 No\r\nContent-Length: 60000\r\n\r\n", "no"),
            between("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
            between("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", "1"),
            between("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n1;", "\r"),
            between("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", "x"),
            between("HTTP/1.1 103 Hint\r\nX: ", "y", "\r\n\r\n" + "HTTP/1.1 403 No\r\n\r\n" + "x"),
        ],
    ),
    "Headers": (
        lambda text: Headers((word, word) for word in text.split(",")),
        [all_of("a,"), all_of("abcdefgh,")],
    ),
    "Headers.get_all": (
        lambda text: Headers(text=text).get_all("x"),
        [all_of("\r\nx: y"), all_of("\r\nx: "), all_of("\r\nx")],
    ),
    "Headers.__iter__": (lambda text: list(Headers(text=text)), [all_of("\r\nx: y"), all_of("\r")]),
    "Request.path": (
        lambda text: Request(text).path,
        [all_of("a"), all_of("/"), all_of("a://"), all_of("?"), between("http://", "a")],
    ),
    "parse_list": (lambda text: parse_list([text]), [all_of(","), all_of("a, "), all_of(" \t")]),
    "has_token": (lambda text: has_token([text], "upgrade"), [all_of(","), all_of("upgrad, ")]),
    "parse_subprotocols": (
        lambda text: parse_subprotocols([text]),
        [all_of("a"), all_of(","), all_of(" "), all_of("a b")],
    ),
    "parse_extensions": (
        lambda text: parse_extensions([text]),
        [
            all_of("a"),
            all_of('"'),
            between("a; b=", "c"),
            between('a; b="', "c", '"'),
            between("a; b", " "),
            between("a;b=c", " ", "d"),
        ],
    ),
    "is_valid_key": (is_valid_key, [all_of("A"), all_of("="), all_of("*")]),
    "parse_uri": (
        parse_uri,
        [
            between("ws://", "a"),
            between("ws://", "a."),
            between("ws://", "%61"),
            between("ws://[", ":", "]"),
            between("ws://[::1%", "25", "]"),
            between("ws://a:", "9"),
            between("ws://a:", "0"),
            between("ws://a/", "?"),
            between("ws://a", "@"),
            all_of("ws:"),
        ],
    ),
    "parse_host": (lambda text: parse_host(text), [all_of("a."), all_of("%4"), all_of("[]")]),
    "comparable": (comparable, [all_of("a"), all_of(":"), all_of("[")]),
    "check_origin": (
        lambda text: check_origin(header("Origin", text), Policy(origins=["https://a.example"])),
        [
            all_of("https://"),
            between("https://", "a."),
            between("https://a:", "9"),
            between("https://[", ":", "]"),
        ],
    ),
    "check_host": (
        lambda text: check_host(
            Request(f"http://{text}", header("Host", text)), Policy(allowed_hosts=["a.example"])
        ),
        [all_of("a."), all_of(":"), between("[", ":", "]"), between("a:", "9")],
    ),
    "find_client, X-Forwarded-For": (
        lambda text: find_client(header("X-Forwarded-For", text), "10.0.0.1", TRUSTED),
        [all_of("10.0.0.1,"), all_of(","), all_of("["), all_of(":"), all_of("1.")],
    ),
    "find_client, Forwarded": (
        lambda text: find_client(header("Forwarded", text), "10.0.0.1", TRUSTED),
        [
            all_of("for=10.0.0.1,"),
            all_of("for=10.0.0.1;"),
            all_of("a"),
            all_of('"'),
            between('for="', "\\"),
            between('for="', '\\"', '"'),
            all_of(" \t"),
            all_of(";,"),
            between("for=", "a"),
        ],
    ),
    "refuse": (
        lambda text: refuse(Response(403, Headers([("X", text)] * 3), text.encode())),
        [all_of("a"), all_of("\r\n")],
    ),
    "find_credential, query": (
        lambda text: find_credential(Headers(), text),
        [
            all_of("a&"),
            all_of("&"),
            all_of("="),
            all_of("ticket=a&"),
            all_of("%74icket&"),
            all_of("%"),
            between("ticket=", "%61"),
            all_of("tokentoken"),
        ],
    ),
    "find_credential, offer": (
        lambda text: find_credential(header("Sec-WebSocket-Protocol", text)),
        [all_of("a,"), all_of("bearer.a,"), between("x, bearer.", "a")],
    ),
    "find_credential, cookie": (
        lambda text: find_credential(header("Cookie", text)),
        [all_of("a;"), all_of("="), all_of("__Host-session=a;"), all_of(" ")],
    ),
    "find_credential, Authorization": (
        lambda text: find_credential(header("Authorization", text)),
        [between("Bearer ", "a"), between("Bearer", " "), between("Bearer ", "=")],
    ),
    "without_secrets": (
        without_secrets,
        [all_of("a&"), all_of("ticket=a&"), all_of("%74icket=a&"), all_of("&"), all_of("token")],
    ),
    "without_credentials": (
        lambda text: without_credentials(
            [(b"cookie", text.encode()), (b"sec-websocket-protocol", text.encode())]
        ),
        [all_of("a;"), all_of("bearer.a,"), all_of("__Host-session=a;")],
    ),
    "Authenticate.disarm": (lambda text: DOOR.disarm(scope(text)), [all_of("a,"), all_of("a&")]),
    "Authenticate.is_public": (
        lambda text: DOOR.is_public({"path": text, "headers": [], "query_string": b""}),
        [all_of("/a"), all_of("a"), all_of("/.a"), all_of("%"), all_of("a.")],
    ),
    "read_message": (
        read_message,
        [between('{"type": "auth", "token": "', "a", '"}'), all_of("[")],
    ),
    "read_json": (
        read_json,
        [
            between("[", "1,", "1]"),
            between('"', "\\u0061", '"'),
            between('"', r"\ud83d\ude00", '"'),
            between('"', "\\", '"'),
            between("{", '"a":1,', '"a":1}'),
            between("", "9"),
        ],
    ),
    "verify": (
        lambda text: verifier().verify(text),
        [all_of("a"), all_of("."), between("a.", "b", ".c"), lambda size: encode(b"[" * size)],
    ),
    "redact": (
        redact,
        [
            all_of("a"),
            all_of("eyJ"),
            all_of("eyJ."),
            all_of("token="),
            all_of("bearer "),
            all_of("__Host-"),
            all_of("token\\"),
        ],
    ),
}
CASES = [
    pytest.param(read, make, id=f"{name}, {number}")
    for name, (read, makes) in READERS.items()
    for number, make in enumerate(makes)
]


def seconds(read: Reader, text: str) -> float:
    """Return the CPU seconds that reading a text takes, refused or not; the quickest of three."""

    def action() -> None:
        try:
            read(text)
        except (WebSocketError, ValueError):
            pass

    return quickest(action, times=3)


@pytest.mark.parametrize(("read", "make"), CASES)
def test_four_times_the_input_costs_no_more_than_eight_times(
    read: Reader, make: Callable[[int], str]
) -> None:
    for _ in range(3):
        small, large = seconds(read, make(SMALL)), seconds(read, make(SMALL * TIMES))
        if large < 2 * TIMES * small + SLACK:
            return
    raise AssertionError(f"{TIMES} times the input took {large / small:.1f} times as long")


def test_60_kb_of_parameters_cost_a_few_milliseconds() -> None:
    assert seconds(lambda text: DOOR.disarm(scope(text)), "a&" * 30_000) < 0.05


def test_a_refusal_of_24_kb_byte_by_byte_costs_less_than_half_a_second() -> None:
    head = wire.head("HTTP/1.1 403 No", [("X", "y" * 8000)] * 3)
    assert seconds(drip_answer, head.decode()) < 0.5
