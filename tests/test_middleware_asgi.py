"""One way to refuse: over HTTP, in place of a WebSocket, and where a server can only say 403."""

from __future__ import annotations

import pytest

from refimpl.auth import (
    Authenticate,
    Authenticator,
    AuthError,
    Claims,
    Source,
    TicketOffice,
    Tickets,
)
from refimpl.errors import HandshakeError
from refimpl.middleware import Registry, bind
from refimpl.middleware.asgi import deny, no_such_endpoint, respond
from refimpl.middleware.static import not_found, upgrade_required
from tests.support.asgi_peer import Peer, echo, http_scope, page, websocket_scope
from tests.support.signing import ADA, NOW, verifier

PLAIN = "text/plain; charset=utf-8"
KINDS = [http_scope("/x"), websocket_scope("/x")]


def refuses(status, *arguments):
    async def app(scope, receive, send):
        await deny(scope, receive, send, status, *arguments)

    return app


@pytest.mark.parametrize("scope", KINDS, ids=["http", "websocket"])
class TestRespond:
    async def test_a_body_is_plain_text_and_its_length_is_known(self, scope):
        peer = await Peer(scope).run(refuses(404, b"no such room\n", [("Retry-After", "60")]))
        assert (peer.status, peer.body) == (404, b"no such room\n")
        assert peer.headers() == {
            "content-type": PLAIN,
            "content-length": "13",
            "retry-after": "60",
        }

    async def test_a_content_type_of_ones_own_is_the_only_one(self, scope):
        peer = await Peer(scope).run(refuses(404, b"{}", [("Content-Type", "application/json")]))
        assert peer.headers() == {"content-type": "application/json", "content-length": "2"}

    async def test_nothing_has_no_type(self, scope):
        peer = await Peer(scope).run(refuses(404))
        assert peer.headers() == {"content-length": "0"}


class TestDeny:
    async def test_a_server_without_denials_gets_the_close_that_it_knows(self):
        peer = await Peer(websocket_scope(denial=False)).run(refuses(404, b"no"))
        assert peer.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]

    async def test_a_client_that_left_is_told_nothing(self):
        peer = Peer(websocket_scope())
        peer.leave(at_once=True)
        assert (await peer.run(refuses(404))).sent == []

    async def test_plain_http_is_not_waited_for(self):
        async def receive():
            raise AssertionError("nothing has to come first")

        peer = Peer(http_scope())
        await deny(peer.scope, receive, peer.send, 404)
        assert peer.status == 404

    async def test_respond_asks_for_nothing(self):
        peer = Peer(websocket_scope())
        await respond(peer.scope, peer.send, 503)
        assert peer.status == 503


def sell(scope, receive, send):
    """Sell tickets without a door in front: only the method is wrong."""
    return TicketOffice(Tickets())(scope, receive, send)


def door():
    return Authenticate(
        page, Authenticator(verifier=verifier(), sources=frozenset({Source.COOKIE}))
    )


@pytest.mark.parametrize(
    ("refuser", "kind", "status"),
    [
        (no_such_endpoint, "http", 404),
        (no_such_endpoint, "websocket", 404),
        (not_found, "http", 404),
        (not_found, "websocket", 404),
        (upgrade_required, "http", 426),
        (upgrade_required, "websocket", 404),
        (Registry(refuses(404)), "http", 404),
        (Registry(refuses(404)), "websocket", 404),
        (door(), "http", 401),
        (door(), "websocket", 401),
        (sell, "http", 405),
    ],
)
async def test_whoever_refuses_answers_whole(refuser, kind, status):
    """Each answer has one length, which is its body's, and at most one type."""
    scope = http_scope("/ws/x") if kind == "http" else websocket_scope("/ws/x", query_string=b"")
    peer = await Peer(scope).run(refuser)
    assert peer.status == status
    headers = peer.headers()  # fails where one stands there twice
    assert headers["content-length"] == str(len(peer.body))
    assert ("content-type" in headers) is bool(peer.body)


class TestGuardsOfTheRegistry:
    @staticmethod
    def refusing(error):
        async def guard(scope):
            raise error

        registry = Registry(page)
        registry.add("echo", echo, guard=guard)
        return registry

    async def test_an_error_that_brings_a_type_has_it_once(self):
        peer = await Peer(websocket_scope()).run(self.refusing(AuthError("expired", "got an end")))
        assert peer.status == 401
        assert peer.headers()["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("status", [0, 101, 600])
    async def test_an_error_of_another_server_is_no_answer_to_this_client(self, status):
        """A guard that dials in vain raises the client's error: ours to log, and a 500."""
        error = HandshakeError("got no answer", status=status)
        peer = Peer(websocket_scope())
        with pytest.raises(HandshakeError):
            await peer.run(self.refusing(error))
        assert peer.sent == []


async def test_a_ticket_is_still_sold():
    with bind(Claims(ADA, "token-1", NOW, NOW + 900)):
        peer = await Peer(http_scope("/api/tickets", method="POST")).run(TicketOffice(Tickets()))
    assert (peer.status, b"ticket" in peer.body) == (201, True)
