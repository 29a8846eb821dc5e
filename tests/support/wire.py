"""Frames and request heads built by hand, for tests that must not trust the code under test.

Nothing here imports `refimpl`: what a test feeds to the parser was put together bit by bit from
RFC 6455 5.2, so the same mistake cannot stand on both sides of an assertion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

KEY = bytes.fromhex("37fa213d")
"""The masking key of the worked examples in RFC 6455 5.7."""


def xor(data: bytes, key: bytes) -> bytes:
    """Return data with the four bytes of key laid over it in turn (5.3), the slow obvious way."""
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    length: int | None = None,
    form: int | None = None,
) -> bytes:
    """Return one frame; length and form (7, 16 or 64 bits) may be forced to what is wrong."""
    declared = len(payload) if length is None else length
    if form is None:
        form = 7 if declared <= 125 else 16 if declared <= 0xFFFF else 64
    mask_bit = 0 if key is None else 0x80
    first = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if form == 7:
        head = first + bytes([mask_bit | declared])
    elif form == 16:
        head = first + bytes([mask_bit | 126]) + declared.to_bytes(2, "big")
    else:
        head = first + bytes([mask_bit | 127]) + declared.to_bytes(8, "big")
    return head + payload if key is None else head + key + xor(payload, key)


def close(code: int | None = None, reason: bytes = b"", *, key: bytes | None = None) -> bytes:
    """Return a Close frame; without a code its body is empty."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason, key=key)


def split_frames(stream: bytes) -> list[tuple[int, bool, int, bytes | None, bytes]]:
    """Return (opcode, fin, rsv, masking key, unmasked payload) of each frame in a whole stream."""
    found = []
    position = 0
    while position < len(stream):
        first, second = stream[position], stream[position + 1]
        length, position = second & 0x7F, position + 2
        if length >= 126:
            width = 2 if length == 126 else 8
            length = int.from_bytes(stream[position : position + width], "big")
            position += width
        key = None
        if second & 0x80:
            key, position = stream[position : position + 4], position + 4
        payload = stream[position : position + length]
        assert len(payload) == length, "the stream ends inside a frame"
        position += length
        found.append(
            (
                first & 0xF,
                bool(first & 0x80),
                first >> 4 & 7,
                key,
                payload if key is None else xor(payload, key),
            )
        )
    return found


def cuts(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Yield data in pieces of the given sizes, then whatever is left."""
    position = 0
    for size in sizes:
        if position >= len(data):
            return
        yield data[position : position + size]
        position += size
    if position < len(data):
        yield data[position:]


REQUEST_LINE = "GET /chat HTTP/1.1"
REQUEST_HEADERS: tuple[tuple[str, str], ...] = (
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)
"""A request every server must accept; the key is the one of RFC 6455 1.3."""

ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

RESPONSE_LINE = "HTTP/1.1 101 Switching Protocols"
RESPONSE_HEADERS: tuple[tuple[str, str], ...] = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Accept", ACCEPT),
)


def head(line: str, headers: Sequence[tuple[str, str]]) -> bytes:
    """Return a request or response head with CRLF line ends and the empty line."""
    lines = [line, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def changed(
    headers: Sequence[tuple[str, str]],
    *,
    drop: Sequence[str] = (),
    replace: dict[str, str] | None = None,
    add: Sequence[tuple[str, str]] = (),
) -> list[tuple[str, str]]:
    """Return headers without the dropped names, with the replaced values, then the added pairs."""
    replace = replace or {}
    kept = [(name, replace.get(name, value)) for name, value in headers if name not in drop]
    return [*kept, *add]


def request_head(
    line: str = REQUEST_LINE,
    *,
    drop: Sequence[str] = (),
    replace: dict[str, str] | None = None,
    add: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return the good request head with the given changes."""
    return head(line, changed(REQUEST_HEADERS, drop=drop, replace=replace, add=add))


def response_head(
    line: str = RESPONSE_LINE,
    *,
    drop: Sequence[str] = (),
    replace: dict[str, str] | None = None,
    add: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return the good 101 response head with the given changes."""
    return head(line, changed(RESPONSE_HEADERS, drop=drop, replace=replace, add=add))
