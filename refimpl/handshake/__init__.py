"""The opening handshake: from two HTTP heads to an open WebSocket (RFC 6455 section 4).

`head` parses and writes heads, and `fields` reads the values in them. On a server, `server` checks
a request and accepts it, `refusal` answers one that is refused, and `proxies` finds the client
behind a proxy. On a client, `uri` says where to connect, `client` builds a request and checks the
answer, and `response` reads the answer from a stream. `hosts` holds the rules for host names, and
`arguments` those for arguments with several values. No I/O: bytes in, bytes out.

>>> uri = parse_uri("ws://example.com/chat")
>>> request = build_request(uri, key=make_key(), subprotocols=["v2.chat", "v1.chat"])
>>> acceptance = check_request(request, Policy(subprotocols=["v1.chat"]))
>>> check_response(request, acceptance.response).subprotocol
'v1.chat'
"""

from refimpl.handshake.arguments import as_tuple
from refimpl.handshake.client import Agreement, build_request, check_response
from refimpl.handshake.fields import (
    GUID,
    Extension,
    accept_key,
    has_token,
    is_valid_key,
    make_key,
    parse_extensions,
    parse_list,
    parse_subprotocols,
    serialize_extension,
)
from refimpl.handshake.head import (
    LIMITS,
    MAX_HEAD,
    MAX_HEADERS,
    MAX_LINE,
    MAX_START_LINE,
    Headers,
    HeadLimits,
    MultipleValuesError,
    Request,
    Response,
    parse_request,
    parse_response,
)
from refimpl.handshake.hosts import default_hosts, is_loopback
from refimpl.handshake.proxies import Client, find_client, parse_networks
from refimpl.handshake.refusal import refuse
from refimpl.handshake.response import ResponseReader, read_response
from refimpl.handshake.server import Acceptance, Policy, check_origin, check_request
from refimpl.handshake.uri import URI, parse_uri

__all__ = [
    "GUID",
    "LIMITS",
    "MAX_HEAD",
    "MAX_HEADERS",
    "MAX_LINE",
    "MAX_START_LINE",
    "URI",
    "Acceptance",
    "Agreement",
    "Client",
    "Extension",
    "HeadLimits",
    "Headers",
    "MultipleValuesError",
    "Policy",
    "Request",
    "Response",
    "ResponseReader",
    "accept_key",
    "as_tuple",
    "build_request",
    "check_origin",
    "check_request",
    "check_response",
    "default_hosts",
    "find_client",
    "has_token",
    "is_loopback",
    "is_valid_key",
    "make_key",
    "parse_extensions",
    "parse_list",
    "parse_networks",
    "parse_request",
    "parse_response",
    "parse_subprotocols",
    "parse_uri",
    "read_response",
    "refuse",
    "serialize_extension",
]
