"""The client's side of the opening handshake: build a request, then check the answer.

RFC 6455 section 4.1.

>>> from refimpl.handshake.uri import parse_uri
>>> uri = parse_uri("ws://example.com:8080/chat?room=1")
>>> request = build_request(uri, key="dGhlIHNhbXBsZSBub25jZQ==")
>>> print(request.serialize().decode().splitlines()[0:2])
['GET /chat?room=1 HTTP/1.1', 'Host: example.com:8080']
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.handshake.arguments import as_tuple
from refimpl.handshake.fields import (
    Extension,
    accept_key,
    has_token,
    parse_extensions,
    parse_list,
    serialize_extension,
)
from refimpl.handshake.head import TOKEN, Headers, Request, Response
from refimpl.handshake.uri import URI

__all__ = ["Agree", "Agreement", "build_request", "check_response"]

Agree = Callable[[Extension, Extension], None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a valid 101 agreed on; a field is None if nothing was agreed."""

    subprotocol: str | None = None
    extension: Extension | None = None


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
    subprotocols = as_tuple("subprotocols", subprotocols)
    extensions = as_tuple("extensions", extensions)
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
    for name, value in as_tuple("additional_headers", additional_headers):
        if name in headers:
            raise LocalProtocolError(f"got {name} as an additional header, but it is set already")
        headers.add(name, value)
    return Request(uri.target, headers)


def check_response(request: Request, response: Response, agree: Agree | None = None) -> Agreement:
    """Return what a 101 agreed on, or raise HandshakeError for any other answer (RFC 6455 4.1).

    agree: called with an extension as offered and as answered; raises HandshakeError if the answer
    goes beyond the offer.
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
    """Return the subprotocol of the response: one of those offered, or None (RFC 6455 4.1)."""
    chosen = headers.get_all("Sec-WebSocket-Protocol")
    offered = parse_list(request.headers.get_all("Sec-WebSocket-Protocol"))
    if len(chosen) > 1 or not set(chosen) <= set(offered):
        raise HandshakeError("got a subprotocol that was not offered", reason="subprotocol")
    return chosen[0] if chosen else None


def _agreed(request: Request, headers: Headers, agree: Agree | None) -> Extension | None:
    """Return the extension of the response: one of those offered, or None (RFC 6455 9.1)."""
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
    """Return the error if the answer does not fit the offer, else None."""
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
