"""Names that a server answers to, and all others that a page could give it."""

from __future__ import annotations

import pytest

from refimpl.middleware import AllowedHosts
from refimpl.middleware.serving import running
from tests.support.asgi_peer import Peer, echo, http_scope, page, websocket_scope

NAMES = ["127.0.0.1", "::1", "localhost"]
OURS = ["127.0.0.1", "127.0.0.1:8000", "LocalHost:8000", "localhost:", "[::1]:8000", "[0:0:0::1]"]
FOREIGN = [
    "",
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1/evil.example",
    "127.0.0.1:8000:8000",
    "127.0.0.1:8000@evil.example",
    "127.0.0.1, evil.example",
    "localhost.",
    "[::1",
    "::1",
    "[::1]evil.example",
    "[::1%25lo]",
    "[evil.example]",
    "127.1",
    "loc\xe4lhost",
    "127.0.0.1 ",
    "127.0.0.1\x00",
]


def scope_with(kind: str, hosts: list[str]):
    made = http_scope("/ws/echo") if kind == "http" else websocket_scope()
    made["headers"] = [(b"host", host.encode("latin-1")) for host in hosts]
    return made


async def app(scope, receive, send):
    await (page if scope["type"] == "http" else echo)(scope, receive, send)


@pytest.mark.parametrize("kind", ["http", "websocket"])
class TestAllowedHosts:
    @pytest.mark.parametrize("host", OURS)
    async def test_ours_pass(self, kind, host):
        peer = Peer(scope_with(kind, [host]))
        peer.leave()
        await peer.run(AllowedHosts(app, NAMES))
        assert peer.status == 200 if kind == "http" else peer.types == "websocket.accept"

    @pytest.mark.parametrize("host", FOREIGN)
    async def test_others_are_refused(self, kind, host):
        peer = await Peer(scope_with(kind, [host])).run(AllowedHosts(app, NAMES))
        assert peer.status == 400
        assert host.encode() not in peer.body or not host

    @pytest.mark.parametrize("hosts", [[], ["localhost", "evil.example"], ["localhost"] * 2])
    async def test_there_is_exactly_one(self, kind, hosts):
        peer = await Peer(scope_with(kind, hosts)).run(AllowedHosts(app, NAMES))
        assert peer.status == 400


async def test_lifespan_passes():
    seen = []

    async def every(*arguments):
        seen.append(arguments)

    given = ({"type": "lifespan"}, None, None)
    await AllowedHosts(every, NAMES)(*given)
    assert seen == [given]


def test_a_text_where_a_list_is_wanted_is_refused():
    with pytest.raises(ValueError, match="expected a list"):
        AllowedHosts(app, "localhost")


async def test_a_server_on_ipv6_says_so_in_brackets():
    try:
        async with running(app, host="::1") as server:
            assert server.http == f"http://[::1]:{server.port}"
            assert server.ws == f"ws://[::1]:{server.port}"
    except OSError:
        pytest.skip("this system has no IPv6")
