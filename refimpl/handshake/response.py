"""The answer to a client's request, read from a stream: a 101, or a refusal with its body.

RFC 9112 sections 4, 6.3 and 7.1. What a valid 101 has to say is checked in `client`.
"""

import re
from dataclasses import replace

from refimpl.errors import HandshakeError
from refimpl.handshake.client import Agree, Agreement, check_response
from refimpl.handshake.fields import has_token
from refimpl.handshake.head import Buffer, Request, Response, parse_response

__all__ = ["read_response"]

MAX_BODY = 64 * 1024
NO_BODY = (204, 304)
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


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
