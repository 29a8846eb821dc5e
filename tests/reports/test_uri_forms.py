"""Forms of a URI that connect, and what of them goes into Host.

yarl#1862: the zone of `http://[fe80::1%eth0]/` went into the Host header, and servers answered 400.
A zone means something on the sending machine only: it is used to connect and is never sent (RFC
6874 4, RFC 9844, RFC 9110 4.2). Whatever URI our client takes, our own server accepts its request.
"""

from __future__ import annotations

import socket
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl import WebSocket, connect, serve
from refimpl.errors import LocalProtocolError
from refimpl.handshake import build_request, check_request, parse_request, parse_uri

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@pytest.mark.parametrize(
    ("text", "host", "header"),
    [
        ("ws://[fe80::1%25eth0]/", "fe80::1%eth0", "[fe80::1]"),  # RFC 6874
        ("ws://[fe80::1%eth0]/", "fe80::1%eth0", "[fe80::1]"),  # RFC 9844
        ("ws://[FE80::1%25eth0]:8080/", "fe80::1%eth0", "[fe80::1]:8080"),
        ("wss://[fe80::1%2]/", "fe80::1%2", "[fe80::1]"),
        ("ws://[fe80::1%25]/", "fe80::1%25", "[fe80::1]"),  # interface number 25
        ("ws://[fe80::1%2525]/", "fe80::1%25", "[fe80::1]"),
        ("ws://[fe80::1%25br%2Dlan]/", "fe80::1%br-lan", "[fe80::1]"),
        ("ws://[::ffff:192.0.2.1]/", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]"),
        ("ws://ex%61mple.com/", "example.com", "example.com"),
        ("ws://EX%41MPLE%2Ecom:81/", "example.com", "example.com:81"),
        ("ws://a_b.example/", "a_b.example", "a_b.example"),
        ("ws://example.com./", "example.com.", "example.com."),
    ],
)
def test_zone_and_percent_signs_are_for_us_alone(text: str, host: str, header: str) -> None:
    uri = parse_uri(text)
    assert (uri.host, uri.host_header) == (host, header)
    assert uri.server_name == host.partition("%")[0]
    sent = build_request(uri, key=KEY).serialize()
    assert f"\r\nHost: {header}\r\n".encode() in sent
    parsed = parse_request(sent)
    assert parsed is not None
    assert check_request(parsed[0]).response.status == 101


@pytest.mark.parametrize(
    "text",
    [
        "ws://[fe80::1%]/",
        "ws://[fe80::1%25%]/",
        "ws://[fe80::1%eth0%25]/",
        "ws://[fe80::1%et%2Fh0]/",
        "ws://[fe80::1%25eth0%00]/",
        "ws://[fe80::1%25eth0%5D]/",
        "ws://[%25eth0]/",
        "ws://[fe80::g]/",
        "ws://[v1.fe80]/",
        "ws://[127.0.0.1]/",
        "ws://[]/",
        "ws://a[::1]/",
        "ws://[::1]a/",
        "ws://[::1]]/",
        "ws://fe80::1/",
        "ws://127.0.0.1%25eth0/",
        "ws://example.com%2Fpath/",
        "ws://example.com%3A80/",
        "ws://user%40example.com/",
        "ws://exa%20mple.com/",
        "ws://example.com%00/",
        "ws://example.com%0d%0aX:y/",
        "ws://ex%C3%A4mple.com/",
        "ws://example.com%/",
        "ws://example.com%4/",
        "ws://example.com%zz/",
        "ws://ex%2541mple.com/",
        "ws://a..example/",
        "ws://.example/",
        "ws://./",
        f"ws://{'a' * 64}.example/",
        f"ws://{'a.' * 130}example/",
        'ws://ex"ample.com/',
        "ws://ex|ample.com/",
        "ws://ex\\ample.com/",
        "ws://{example}/",
        "ws://example.com:+80/",
        "ws://example.com:8_0/",
        "ws://example.com:1:2/",
        "ws://example.com:99999999999999999999/",
        "ws://@example.com/",
    ],
)
def test_what_is_no_host_is_refused_in_words(text: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^got "):
        parse_uri(text)


LETTERS = st.text(string.ascii_letters + string.digits + "-._~%!$&'()*+,;=:@[]/?\\\"<>^`{|}2541")


@given(LETTERS, st.sampled_from(["", "/", "/a?b=c", "?x", "//evil"]))
def test_whatever_the_client_takes_the_server_accepts(host: str, target: str) -> None:
    try:
        uri = parse_uri(f"ws://{host}{target}")
    except LocalProtocolError:
        return
    parsed = parse_request(build_request(uri, key=KEY).serialize())
    assert parsed is not None
    assert check_request(parsed[0]).response.status == 101
    assert "%" not in uri.host_header


async def test_a_zone_connects_and_is_not_sent() -> None:
    async def handler(websocket: WebSocket) -> None:
        assert websocket.request is not None
        await websocket.send(websocket.request.headers["Host"])

    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
        port = listening.getsockname()[1]
        listening.close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with serve(handler, "::1", port):
        async with connect(f"ws://[::1%251]:{port}/") as websocket:  # interface 1 is the loopback
            assert await websocket.recv() == f"[::1]:{port}"
