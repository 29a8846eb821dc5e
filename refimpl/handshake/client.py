"""The client's side of the opening handshake: build a request, then check the answer.

RFC 6455 sections 3 and 4.1.

>>> uri = parse_uri("ws://example.com:8080/chat?room=1")
>>> request = build_request(uri, key="dGhlIHNhbXBsZSBub25jZQ==")
>>> print(request.serialize().decode().splitlines()[0:2])
['GET /chat?room=1 HTTP/1.1', 'Host: example.com:8080']
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.handshake.fields import (
    Extension,
    accept_key,
    has_token,
    parse_extensions,
    parse_list,
    serialize_extension,
)
from refimpl.handshake.head import TOKEN, Buffer, Headers, Request, Response, parse_response

__all__ = ["URI", "Agreement", "build_request", "check_response", "parse_uri", "read_response"]

Agree = Callable[[Extension, Extension], None]

PORTS = {"ws": 80, "wss": 443}
MAX_BODY = 64 * 1024
NO_BODY = (204, 304)
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True)
class URI:
    """Where a WebSocket lives (RFC 6455 section 3). host: an IPv6 literal without its brackets."""

    secure: bool
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """The Host header: the port only where it is not the scheme's own (RFC 6455 4.1)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a valid 101 agreed on; None where nothing was."""

    subprotocol: str | None = None
    extension: Extension | None = None


def parse_uri(text: str) -> URI:
    """Return the parts of a ws:// or wss:// URI; LocalProtocolError says what is wrong with it."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LocalProtocolError(f"got a URI with a bad host or port: {error}") from error
    if parts.scheme not in PORTS or not host:
        raise LocalProtocolError("got a URI without ws:// or wss:// and a host (RFC 6455 3)")
    if "#" in text:
        raise LocalProtocolError("got a URI with a fragment, which has no meaning (RFC 6455 3)")
    if parts.username is not None:
        raise LocalProtocolError("got a user in the URI, expected an Authorization header")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise LocalProtocolError("got a URI with a space, control or non-ASCII character")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return URI(parts.scheme == "wss", host, PORTS[parts.scheme] if port is None else port, target)


def build_request(
    uri: URI,
    *,
    key: str,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    extensions: Sequence[Extension] = (),
    additional_headers: Iterable[tuple[str, str]] = (),
) -> Request:
    """Return the request that opens a WebSocket (RFC 6455 section 4.1). key: from `make_key`."""
    if isinstance(subprotocols, str):
        raise LocalProtocolError("got subprotocols as one str, expected a list of str")
    if len(set(subprotocols)) != len(subprotocols) or not all(map(TOKEN.fullmatch, subprotocols)):
        raise LocalProtocolError("got subprotocols that are not unique tokens (RFC 6455 4.1)")
    headers = Headers(
        [
            ("Host", uri.host_header),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Version", "13"),
        ]
    )
    if origin is not None:
        headers.add("Origin", origin)
    if subprotocols:
        headers.add("Sec-WebSocket-Protocol", ", ".join(subprotocols))
    if extensions:
        headers.add("Sec-WebSocket-Extensions", ", ".join(map(serialize_extension, extensions)))
    for name, value in additional_headers:
        if name in headers:
            raise LocalProtocolError(f"got {name} as an additional header, but it is set already")
        headers.add(name, value)
    return Request(uri.target, headers)


def read_response(
    request: Request, buffer: Buffer, *, ended: bool = False, agree: Agree | None = None
) -> tuple[Response, Agreement, int] | None:
    """Return the 101, what it agrees on and the position behind it, or None for more bytes.

    Any other answer raises HandshakeError with the status, the headers and what there is of the
    body. ended: whether the server closed TCP. agree: as for `check_response`.
    """
    parsed = parse_response(buffer)
    if parsed is None:
        if ended:
            message = f"got {len(buffer)} bytes and the end of the stream, expected a response"
            raise HandshakeError(message, status=0, reason="no-response")
        return None
    response, position = parsed
    if response.status != 101:
        body = _read_body(response, bytes(buffer[position:]), ended)
        if body is None:
            return None
        response = replace(response, body=body)
    return response, check_response(request, response, agree), position


def check_response(request: Request, response: Response, agree: Agree | None = None) -> Agreement:
    """Return what a 101 agreed on, or raise HandshakeError for any other answer (RFC 6455 4.1).

    agree: given an extension as offered and as it came back, raises HandshakeError where its
    parameters go beyond the offer.
    """
    headers = response.headers
    if response.status != 101:
        raise _failed(response, f"got status {response.status}, expected 101", "status")
    for name, token in (("Upgrade", "websocket"), ("Connection", "Upgrade")):
        if not has_token(headers.get_all(name), token):
            raise _failed(response, f"got no {name}: {token} (RFC 6455 4.1)", "no-upgrade")
    expected = accept_key(request.headers["Sec-WebSocket-Key"])
    if headers.get_all("Sec-WebSocket-Accept") != [expected]:
        raise _failed(response, "got a wrong Sec-WebSocket-Accept (RFC 6455 4.1)", "accept")
    try:
        return Agreement(_agreed_subprotocol(request, headers), _agreed(request, headers, agree))
    except HandshakeError as error:
        raise _failed(response, str(error), error.reason) from error


def _agreed_subprotocol(request: Request, headers: Headers) -> str | None:
    """Return the subprotocol of the response: one of those offered, or none (RFC 6455 4.1)."""
    chosen = headers.get_all("Sec-WebSocket-Protocol")
    offered = parse_list(request.headers.get_all("Sec-WebSocket-Protocol"))
    if len(chosen) > 1 or not set(chosen) <= set(offered):
        raise HandshakeError("got a subprotocol that was not offered", reason="subprotocol")
    return chosen[0] if chosen else None


def _agreed(request: Request, headers: Headers, agree: Agree | None) -> Extension | None:
    """Return the extension of the response: one of those offered, or none (RFC 6455 9.1)."""
    chosen = parse_extensions(headers.get_all("Sec-WebSocket-Extensions"))
    offers = parse_extensions(request.headers.get_all("Sec-WebSocket-Extensions"))
    fitting = [offer for offer in offers if chosen and offer.name == chosen[0].name]
    if len(chosen) > 1 or (chosen and not fitting):
        raise HandshakeError("got an extension that was not offered", reason="extension")
    refusals = [_refusal(agree, offer, chosen[0]) for offer in fitting if agree is not None]
    if refusals and None not in refusals:  # one extension may be offered in several ways
        raise HandshakeError(str(refusals[0]), reason="extension") from refusals[0]
    return chosen[0] if chosen else None


def _refusal(agree: Agree, offer: Extension, answer: Extension) -> HandshakeError | None:
    """Return why the answer does not fit the offer; None where it does."""
    try:
        agree(offer, answer)
    except HandshakeError as error:
        return error
    return None


def _failed(response: Response, message: str, reason: str) -> HandshakeError:
    return HandshakeError(
        message,
        status=response.status,
        reason=reason,
        headers=tuple(response.headers),
        body=response.body,
    )


def _read_body(response: Response, received: bytes, ended: bool) -> bytes | None:
    """Return the body of a refusal, or None while more bytes are needed (RFC 9112 section 6.3).

    received: all bytes behind the head so far. At most MAX_BODY bytes are returned.
    """
    headers = response.headers
    if response.status in NO_BODY:
        return b""
    if has_token(headers.get_all("Transfer-Encoding"), "chunked"):
        body, whole = _join_chunks(received)
        enough = whole or ended or len(received) >= 2 * MAX_BODY  # tiny chunks are mostly framing
        return body[:MAX_BODY] if enough else None
    try:
        length = int(headers.get("Content-Length") or MAX_BODY)
    except (ValueError, LookupError):
        length = MAX_BODY
    length = min(max(length, 0), MAX_BODY)
    return received[:length] if ended or len(received) >= length else None


def _join_chunks(received: bytes) -> tuple[bytes, bool]:
    """Return the chunks so far as one, and whether the last has come (RFC 9112 section 7.1).

    What is no chunk ends the body: it is shown to a person, and nothing follows it.
    """
    body, position = b"", 0
    while (end := received.find(b"\r\n", position)) >= 0:
        size = CHUNK_SIZE.match(received, position, end)
        if size is None or int(size[0], 16) == 0:
            return body, True
        position = end + 2 + int(size[0], 16)
        body += received[end + 2 : position]
        position += 2  # the line end behind a chunk
    return body, False
