"""A browser's own page, behind a proxy that ends TLS.

drydock#867: the page came over https, its WebSocket over a plain socket from the proxy, and the
check of Origin took the scheme of that socket: 403 for the site's own page. Traefik, moreover, says
`X-Forwarded-Proto: wss` for an upgrade.
"""

from __future__ import annotations

import pytest
import websockets

from refimpl.errors import HandshakeError
from refimpl.handshake import Policy, check_request, parse_request
from refimpl.handshake.proxies import find_client, parse_networks
from refimpl.middleware import Registry
from refimpl.middleware.asgi import Receive, Scope, Send
from refimpl.middleware.serving import running
from tests.support.wire import request_head

PAGE = ("Origin", "https://server.example.com")
TRUSTED = ["10.0.0.0/8"]


def status(lines: list[tuple[str, str]], peer: str, trusted: list[str], host: str = "") -> int:
    """Return the status that a server behind these proxies answers with."""
    replace = {"Host": host} if host else {}
    parsed = parse_request(request_head(replace=replace, add=lines))
    assert parsed is not None
    request, policy = parsed[0], Policy(trusted_proxies=parse_networks(trusted))
    client = find_client(request.headers, peer, policy.trusted_proxies, secure=policy.secure)
    try:
        return check_request(request, policy.for_client(client)).response.status
    except HandshakeError as error:
        return error.status


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_its_own_origin_is_https(scheme: str) -> None:
    lines = [PAGE, ("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", scheme)]
    assert status(lines, "10.0.0.1", TRUSTED) == 101
    assert (
        status([PAGE, ("Forwarded", f"for=192.0.2.7;proto={scheme}")], "10.0.0.1", TRUSTED) == 101
    )


def test_a_proxy_that_changes_host_says_the_clients() -> None:
    lines = [PAGE, ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "server.example.com")]
    assert status(lines, "10.0.0.1", TRUSTED, host="backend:8000") == 101
    assert status(lines[:2], "10.0.0.1", TRUSTED, host="backend:8000") == 403


@pytest.mark.parametrize(
    ("peer", "trusted"), [("192.0.2.9", TRUSTED), ("10.0.0.1", []), ("10.0.0.1", ["10.0.0.2"])]
)
def test_nobody_else_can_say_so(peer: str, trusted: list[str]) -> None:
    lines = [PAGE, ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "server.example.com")]
    assert status(lines, peer, trusted) == 403


@pytest.mark.parametrize(
    ("origin", "proto", "expected"),
    [
        ("https", "https", 101),
        ("https", "wss", 101),
        ("http", None, 101),
        ("https", None, 403),
        ("http", "https", 403),
    ],
)
@pytest.mark.parametrize("believed", [True, False])
async def test_the_engine_goes_by_uvicorns_own_setting(
    origin: str, proto: str | None, expected: int, believed: bool
) -> None:
    """uvicorn's middleware stands between the engine and the application, for WebSockets too."""
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"][0])
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    registry = Registry(app)
    registry.add("chat", app)
    headers = {"X-Forwarded-For": "192.0.2.7", **({"X-Forwarded-Proto": proto} if proto else {})}
    settings: dict[str, object] = {"forwarded_allow_ips": "127.0.0.1" if believed else "10.0.0.1"}
    if not believed:
        expected = 101 if origin == "http" else 403
    async with running(registry, settings=settings) as server:
        page = f"{origin}://127.0.0.1:{server.port}"
        try:
            async with websockets.connect(
                f"{server.ws}/ws/chat",
                origin=websockets.Origin(page),
                additional_headers=headers,
                proxy=None,
            ):
                pass
        except websockets.InvalidStatus as refused:
            assert refused.response.status_code == expected == 403
        else:
            assert expected == 101
            assert seen == ["192.0.2.7" if believed else "127.0.0.1"]
