"""Defects that real implementations had, tried on the core: one test for each that has no I/O.

The list stands in the design's table of known defects; those that need a socket, a clock or a token
are tested where these come in.
"""

from __future__ import annotations

import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from refimpl.errors import HandshakeError, LocalProtocolError, RemoteProtocolError
from refimpl.handshake import (
    Headers,
    Policy,
    Request,
    Response,
    build_request,
    check_request,
    make_key,
    parse_request,
    parse_uri,
    refuse,
)
from refimpl.messages import (
    Closed,
    Event,
    HandshakeFailed,
    Protocol,
    Role,
    State,
    negotiate,
)
from tests.support import wire
from tests.support.cpu import is_traced, quickest
from tests.support.handshakes import SMUGGLED
from tests.support.pair import opened
from tests.support.wire import BINARY, CONTINUATION, KEY, PING, TEXT

ROLES = [Role.SERVER, Role.CLIENT]
MIB = 2**20
READ = 64 * 1024


def key_for(role: Role) -> bytes | None:
    """Return the masking key of frames to this role: servers get masked frames."""
    return KEY if role is Role.SERVER else None


def fed(protocol: Protocol, data: bytes) -> list[Event]:
    """Return the events of data in reads of 64 KiB, with every answer written at once."""
    events: list[Event] = []
    for at in range(0, len(data), READ):
        events += protocol.receive_data(data[at : at + READ])
        protocol.data_to_send()
    return events


def code_of(events: list[Event]) -> int:
    """Return the close code of the failure that events end in."""
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert isinstance(closed.error.__cause__, RemoteProtocolError)
    return closed.error.__cause__.close_code


def grown(action: Callable[[], None]) -> int:
    """Return by how many bytes the memory of Python objects grew at most during the action."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        action()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


class TestHeaderFloods:
    """ws CVE-2024-37890 and the slow header parsing of 2017 and 2021."""

    FLOODS = (
        ("100,000 headers", [("X", "1")] * 100_000),
        ("protocol of 64 KiB", [("Sec-WebSocket-Protocol", "a," * 32_768)]),
        ("protocol of 64 KiB on lines", [("Sec-WebSocket-Protocol", "a," * 4_000)] * 8),
        ("protocols of 64 KiB that differ", [("Sec-WebSocket-Protocol", "\t" * 65_000 + "a b")]),
        ("extension of 64 KiB", [("Sec-WebSocket-Extensions", "a," * 32_768)]),
        ("extensions of 64 KiB on lines", [("Sec-WebSocket-Extensions", "a," * 4_000)] * 8),
        ("extension quotes", [("Sec-WebSocket-Extensions", '"' * 8_000)] * 8),
        ("extension spaces", [("Sec-WebSocket-Extensions", "a" + " " * 8_000 + ";")] * 8),
        ("upgrade of 64 KiB", [("Upgrade", "," * 65_536)]),
    )

    @pytest.mark.parametrize("lines", [lines for _, lines in FLOODS], ids=[n for n, _ in FLOODS])
    def test_flood_of_headers_is_refused_quickly(self, lines: list[tuple[str, str]]) -> None:
        data = wire.request_head(add=lines)

        def handshake() -> None:
            server = Protocol(Role.SERVER)
            for at in range(0, len(data), READ):
                for event in server.receive_data(data[at : at + READ]):
                    if isinstance(event, Request):
                        with pytest.raises(HandshakeError):
                            check_request(event, Policy(negotiate=negotiate))
                        return
                    assert isinstance(event, HandshakeFailed)
                    assert 400 <= event.error.status < 500
                    return
            raise AssertionError("nothing was refused")

        assert quickest(handshake) < 0.01 or is_traced()

    def test_names_that_a_peer_makes_up_are_not_kept(self) -> None:
        # CPython 3.12 keeps interned strings for ever, so a peer's names must not be among them.
        parsed = parse_request(wire.request_head(add=[("X-Made-Up-By-A-Peer", "1")]))
        assert parsed is not None
        [name] = [name for name, _ in parsed[0].headers if name.startswith("X-")]
        assert sys.intern("-".join(["X", "Made", "Up", "By", "A", "Peer"])) is not name

    def test_headers_take_no_more_memory_than_came(self) -> None:
        data = wire.request_head(add=[("X-Many", "1")] * 50)
        parse_request(data)
        tracemalloc.start()
        try:
            parsed = parse_request(data)
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert parsed is not None
        assert len(parsed[0].headers) > 50
        assert kept < len(data) + 500


class TestTinyFragments:
    """ws CVE-2026-48779 and its issue 2329."""

    @pytest.mark.rule(54)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize("payload", [b"", b"a"])
    def test_a_million_tiny_fragments_are_refused(
        self, role: Role, opcode: int, payload: bytes
    ) -> None:
        key = key_for(role)
        more = wire.frame(CONTINUATION, payload, fin=False, key=key)
        flood = wire.frame(opcode, payload, fin=False, key=key) + more * 1_000_000
        protocol = opened(role)
        events: list[Event] = []
        assert grown(lambda: events.extend(fed(protocol, flood))) < 2 * MIB
        assert code_of(events) in (1008, 1009)


class TestLengthOverflow:
    """gorilla CVE-2020-27813 and Tomcat CVE-2020-13935."""

    @pytest.mark.rule(44, 47)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("length", [2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
    @pytest.mark.parametrize("after", [0, 2**20 - 1])
    def test_huge_length_allocates_nothing(self, role: Role, length: int, after: int) -> None:
        key = key_for(role)
        header = wire.frame(BINARY, b"", length=length, form=64, key=key)
        if after:
            begun = wire.frame(BINARY, bytes(after), fin=False, key=key)
            header = wire.frame(CONTINUATION, b"", length=length, form=64, key=key)
        protocol = opened(role)
        if after:
            assert protocol.receive_data(begun) == []
        events: list[Event] = []
        assert grown(lambda: events.extend(protocol.receive_data(header))) < 100_000
        assert code_of(events) in (1002, 1009)

    @pytest.mark.rule(44)
    @pytest.mark.parametrize("role", ROLES)
    def test_huge_length_without_a_limit_waits_and_allocates_nothing(self, role: Role) -> None:
        protocol = opened(role, max_size=None)
        header = wire.frame(BINARY, b"abc", length=2**62, key=key_for(role))
        events: list[Event] = []
        assert grown(lambda: events.extend(protocol.receive_data(header))) < 100_000
        assert events == []


class TestBomb:
    """websockets CVE-2018-1000518."""

    @pytest.mark.rule(85)
    @pytest.mark.parametrize("role", ROLES)
    def test_100_kb_that_inflate_to_100_mib(self, role: Role) -> None:
        compressor = zlib.compressobj(9, wbits=-15)
        bomb = compressor.compress(bytes(100 * MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert len(bomb) < 110_000
        data = wire.frame(BINARY, bomb[:-4], rsv=4, key=key_for(role))
        protocol = opened(role, extension="permessage-deflate")
        events: list[Event] = []
        assert grown(lambda: events.extend(fed(protocol, data))) < 1 * MIB + 4 * MIB
        assert code_of(events) == 1009


class TestTruncation:
    """websockets issue 1715: a message that ended exactly at the limit lost its tail."""

    @pytest.mark.rule(85)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("bits", range(9, 16))
    def test_at_the_limit_exact_or_1009(self, role: Role, bits: int) -> None:
        other = "client" if role is Role.SERVER else "server"
        extension = f"permessage-deflate; {other}_max_window_bits={bits}"
        source = random.Random(bits)
        for limit in (1, 100, 2044, 4096):
            for over in (0, 1, 2, 3):
                data = source.randbytes((limit + over) // 2 + 1) * 2
                data = data[: limit + over]
                compressor = zlib.compressobj(wbits=-bits)
                payload = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
                protocol = opened(role, extension=extension, max_size=limit)
                frame = wire.frame(BINARY, payload[:-4], rsv=4, key=key_for(role))
                events = protocol.receive_data(frame)
                if over:
                    assert code_of(events) == 1009
                else:
                    assert events == [data]


class TestUnexpectedCompression:
    """aiohttp CVE-2026-59881."""

    @pytest.mark.rule(86)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("payload", [b"", b"\x00", b"\xf2\x48\xcd\xc9\xc9\x07\x00"])
    def test_rsv1_with_compression_off(self, role: Role, payload: bytes) -> None:
        protocol = opened(role)
        frame = wire.frame(TEXT, payload, rsv=4, key=key_for(role))
        assert code_of(protocol.receive_data(frame)) == 1002


class TestSmuggling:
    """aiohttp CVE-2026-69243: a body behind the upgrade, read as the next request."""

    @pytest.mark.rule(21)
    @pytest.mark.parametrize(
        "line",
        [
            ("Content-Length", str(len(SMUGGLED))),
            ("Transfer-Encoding", "chunked"),
            ("Transfer-Encoding", "identity"),
            ("transfer-encoding", "xchunked"),
            ("Content-Length", "0, 5"),
        ],
    )
    @pytest.mark.parametrize("pieces", [1, 2])
    def test_body_behind_an_upgrade_is_never_parsed(
        self, line: tuple[str, str], pieces: int
    ) -> None:
        server = Protocol(Role.SERVER)
        head = wire.request_head(add=[line])
        events = server.receive_data(head + SMUGGLED if pieces == 1 else head)
        [request] = events
        assert isinstance(request, Request)
        with pytest.raises(HandshakeError) as caught:
            check_request(request)
        assert caught.value.status == 400
        server.reject(refuse(caught.value))
        assert server.receive_data(SMUGGLED) == []
        out = server.data_to_send()
        assert out.startswith(b"HTTP/1.1 400 ")
        assert out.count(b"HTTP/1.1") == 1
        assert b"Connection: close\r\n" in out
        assert server.state is State.CLOSED


class TestInjection:
    """uvicorn CVE-2020-7695 and undici CVE-2026-1527: a line break in a value begins a new line."""

    EVIL = ("\r\nX-Evil: 1", "\nX-Evil: 1", "\rX-Evil: 1", "a\0b", "\r\n\r\nGET / HTTP/1.1\r\n")

    @pytest.mark.rule(27)
    @pytest.mark.parametrize("evil", EVIL)
    def test_injection_is_refused_at_the_call(self, evil: str) -> None:
        uri = parse_uri("ws://server.example.com/chat")
        calls: dict[str, Callable[[], object]] = {
            "subprotocol": lambda: build_request(uri, key=make_key(), subprotocols=[f"chat{evil}"]),
            "value": lambda: build_request(
                uri, key=make_key(), additional_headers=[("X", f"y{evil}")]
            ),
            "name": lambda: build_request(
                uri, key=make_key(), additional_headers=[(f"X{evil}", "y")]
            ),
            "cookie": lambda: build_request(
                uri, key=make_key(), additional_headers=[("Cookie", f"session={evil}")]
            ),
            "origin": lambda: build_request(uri, key=make_key(), origin=f"http://a{evil}"),
            "path": lambda: parse_uri(f"ws://server.example.com/chat{evil}"),
            "query": lambda: parse_uri(f"ws://server.example.com/?room={evil}"),
            "host": lambda: parse_uri(f"ws://server.example.com{evil}/"),
            "target": lambda: Request(f"/{evil}").serialize(),
            "response header": lambda: Headers([("Set-Cookie", f"a=b{evil}")]),
            "response reason": lambda: Response(200, reason=f"OK{evil}").serialize(),
        }
        for name, call in calls.items():
            with pytest.raises(LocalProtocolError):
                call()
                raise AssertionError(name)

    @pytest.mark.parametrize("evil", EVIL)
    def test_a_server_echoes_no_line_break(self, evil: str) -> None:
        policy = Policy(subprotocols=[f"chat{evil}"])
        parsed = parse_request(wire.request_head(add=[("Sec-WebSocket-Protocol", "chat")]))
        assert parsed is not None
        assert check_request(parsed[0], policy).subprotocol is None
        error = HandshakeError("no", headers=[("X", f"y{evil}")])
        answer = refuse(error).serialize()
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"y" + evil.encode() not in answer


class TestPingFlood:
    """A peer that pings and does not read."""

    @pytest.mark.rule(58)
    @pytest.mark.parametrize("role", ROLES)
    def test_at_most_one_pong_waits(self, role: Role) -> None:
        protocol = opened(role)
        ping = wire.frame(PING, b"x" * 125, key=key_for(role))

        def flood() -> None:
            for _ in range(20_000):  # 2.6 MB, one ping a read, and nothing is written
                protocol.receive_data(ping)

        assert grown(flood) < 100_000
        assert len(wire.split_frames(protocol.data_to_send())) <= 2


class TestHijacking:
    """Cross-site WebSocket hijacking: the default is the server's own origin."""

    ORIGINS = (
        (None, True),
        ("https://chat.example.com", True),
        ("https://chat.example.com:443", True),
        ("https://CHAT.EXAMPLE.COM", True),
        ("HTTPS://chat.example.com", True),
        ("null", False),
        ("", False),
        ("http://chat.example.com", False),
        ("https://chat.example.com:8443", False),
        ("https://evil.chat.example.com", False),
        ("https://example.com", False),
        ("https://www.example.com", False),
        ("https://chat.example.com.evil.example", False),
        ("https://evilchat.example.com", False),
        ("https://chat.example.community", False),
        ("https://chat.example.com@evil.example", False),
        ("https://evil.example/chat.example.com", False),
        ("https://evil.example#chat.example.com", False),
        ("https://chat-example.com", False),
        ("https://chat.example.com https://evil.example", False),
    )

    @pytest.mark.rule(18)
    @pytest.mark.parametrize(("origin", "welcome"), ORIGINS)
    def test_20_origins(self, origin: str | None, welcome: bool) -> None:
        lines = [] if origin is None else [("Origin", origin)]
        head = wire.request_head(replace={"Host": "chat.example.com"}, add=lines)
        parsed = parse_request(head)
        assert parsed is not None
        if welcome:
            assert check_request(parsed[0], Policy(secure=True)).response.status == 101
        else:
            with pytest.raises(HandshakeError) as caught:
                check_request(parsed[0], Policy(secure=True))
            assert caught.value.status == 403

    @pytest.mark.rule(18)
    def test_two_origin_headers(self) -> None:
        line = ("Origin", "https://chat.example.com")
        for lines in ([line, line], [line, ("Origin", "https://evil.example")]):
            data = wire.request_head(replace={"Host": "chat.example.com"}, add=lines)
            parsed = parse_request(data)
            assert parsed is not None
            with pytest.raises(HandshakeError) as caught:
                check_request(parsed[0], Policy(secure=True))
            assert caught.value.status == 403
