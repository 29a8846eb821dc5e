"""The registry: who may connect to an endpoint, and what code below it knows of its connection."""

from __future__ import annotations

import asyncio

import pytest

from refimpl.errors import HandshakeError, LocalProtocolError
from refimpl.middleware import Connection, Ended, RequestID, User, bind, current, find
from tests.support.asgi_peer import Peer, echo, websocket_scope
from tests.test_middleware_registry import ACCEPT, registry


class TestPolicy:
    async def test_by_default_the_page_must_be_our_own(self):
        for origin, status in (("http://a.example", None), ("http://evil.example", 403)):
            peer = Peer(websocket_scope(headers=[("origin", origin)]))
            peer.leave()
            assert (await peer.run(registry())).status == status

    async def test_each_endpoint_has_origins_of_its_own(self):
        made = registry(origins=["https://friend.example"])
        made.add("open", echo, origins=["*"])
        for path, origin, status in (
            ("/ws/echo", "https://friend.example", None),
            ("/ws/echo", "http://a.example", 403),
            ("/ws/open", "https://anyone.example", None),
        ):
            peer = Peer(websocket_scope(path, headers=[("origin", origin)]))
            peer.leave()
            assert (await peer.run(made)).status == status, (path, origin)

    async def test_over_tls_the_own_origin_is_https(self):
        for scheme, status in (("wss", None), ("ws", 403)):
            scope = websocket_scope(headers=[("origin", "https://a.example")])
            peer = Peer({**scope, "scheme": scheme})
            peer.leave()
            assert (await peer.run(registry())).status == status

    @pytest.mark.parametrize("limit", [0, 1, 3])
    async def test_the_limit_counts_those_at_a_time(self, limit):
        made = registry(limit=limit)
        peers = [Peer(websocket_scope()) for _ in range(limit)]
        tasks = [peer.start(made) for peer in peers]
        for peer in peers:
            await peer.until("websocket.accept")
        refused = await Peer(websocket_scope()).run(made)
        assert (refused.status, refused.headers()["retry-after"]) == (503, "5")
        for peer, task in zip(peers, tasks, strict=True):
            peer.leave()
            await task
        assert made.connections("echo") == 0
        if limit:
            again = Peer(websocket_scope())
            again.leave()
            assert (await again.run(made)).sent == [ACCEPT]

    async def test_handshakes_that_wait_for_the_guard_count_too(self):
        answer = asyncio.Event()

        async def guard(scope):
            await answer.wait()
            return ()

        made = registry(limit=1, guard=guard)
        first = Peer(websocket_scope())
        task = first.start(made)
        await asyncio.sleep(0)
        assert (await Peer(websocket_scope()).run(made)).status == 503
        first.leave()
        answer.set()
        await task

    async def test_a_guard_refuses_with_its_own_answer(self):
        async def guard(scope):
            raise HandshakeError("sign in first", status=401, headers=[("x-why", "token")])

        peer = await Peer(websocket_scope()).run(registry(guard=guard))
        assert (peer.status, peer.body) == (401, b"sign in first\n")
        assert peer.headers()["x-why"] == "token"

    async def test_what_a_guard_returns_is_bound_while_the_connection_lives(self):
        seen = []

        async def guard(scope):
            return [User("ada"), RequestID("r")]

        async def endpoint(scope, receive, send):
            seen.append(await asyncio.create_task(deep()))

        async def deep():
            return current(User).id, current(RequestID).value

        await Peer(websocket_scope()).run(registry(guard=guard, endpoint=endpoint))
        assert seen == [("ada", "r")]
        assert find(User) is None

    async def test_a_guard_that_breaks_is_the_servers_to_answer(self):
        async def guard(scope):
            raise ZeroDivisionError

        made = registry(guard=guard)
        peer = Peer(websocket_scope())
        with pytest.raises(ZeroDivisionError):
            await peer.run(made)
        assert peer.sent == [] and made.connections("echo") == 0

    @pytest.mark.parametrize(
        ("offered", "accepted"),
        [(["chat.v2"], "chat.v2"), (["chat.v2", "chat.v1"], "chat.v1"), ([], None)],
    )
    async def test_the_endpoints_first_choice_among_the_offers(self, offered, accepted):
        made = registry(subprotocols=["chat.v1", "chat.v2"])
        peer = Peer(websocket_scope(subprotocols=offered))
        peer.leave()
        await peer.run(made)
        assert peer.sent[0].get("subprotocol") == accepted

    async def test_only_foreign_offers_are_refused_without_repeating_them(self):
        scope = websocket_scope(subprotocols=["bearer.CANARY"])
        peer = await Peer(scope).run(registry(subprotocols=["chat.v1"]))
        assert (peer.status, peer.body) == (400, b"this endpoint speaks chat.v1\n")

    async def test_other_offers_are_hidden_from_the_endpoint(self):
        seen = []

        async def endpoint(scope, receive, send):
            seen.append(scope["subprotocols"])

        scope = websocket_scope(subprotocols=["bearer.CANARY", "chat.v1"])
        await Peer(scope).run(registry(endpoint=endpoint, subprotocols=["chat.v1"]))
        assert seen == [["chat.v1"]]

    async def test_without_subprotocols_of_its_own_the_endpoint_chooses(self):
        seen = []

        async def endpoint(scope, receive, send):
            seen.append(scope["subprotocols"])

        await Peer(websocket_scope(subprotocols=["a", "b"])).run(registry(endpoint=endpoint))
        assert seen == [["a", "b"]]


class TestConnectionInTheContext:
    async def test_deep_code_sends_and_closes(self):
        async def endpoint(scope, receive, send):
            await receive()
            await send(ACCEPT)
            await asyncio.create_task(deep())

        async def deep():
            connection = current(Connection)
            assert connection.endpoint == "echo"
            await connection.send("text")
            await connection.send(b"bytes")
            await connection.close(4001, "enough")

        peer = await Peer(websocket_scope()).run(registry(endpoint=endpoint))
        assert peer.sent == [
            ACCEPT,
            {"type": "websocket.send", "text": "text"},
            {"type": "websocket.send", "bytes": b"bytes"},
            {"type": "websocket.close", "code": 4001, "reason": "enough"},
        ]

    async def test_closing_wakes_the_endpoint(self):
        handles = []

        async def endpoint(scope, receive, send):
            handles.append(current(Connection))
            await echo(scope, receive, send)

        peer = Peer(websocket_scope())
        task = peer.start(registry(endpoint=endpoint))
        await peer.until("websocket.accept")
        await handles[0].close(4001, "from elsewhere")
        await task
        assert peer.sent[-1]["code"] == 4001
        with pytest.raises(Ended):
            await handles[0].send("too late")
        await handles[0].close(4002, "again")  # nothing more to do
        assert len(peer.sent) == 2

    @pytest.mark.parametrize(
        ("code", "reason"), [(1006, ""), (999, ""), (5000, ""), (1000, "x" * 124), (1000, "\ud83e")]
    )
    async def test_a_code_or_reason_that_is_none_ends_nothing(self, code, reason):
        handles = []

        async def endpoint(scope, receive, send):
            handles.append(current(Connection))
            await echo(scope, receive, send)

        peer = Peer(websocket_scope())
        task = peer.start(registry(endpoint=endpoint))
        await peer.until("websocket.accept")
        with pytest.raises((LocalProtocolError, UnicodeError)):
            await handles[0].close(code, reason)
        await handles[0].send("still here")
        await handles[0].close(4001, "enough")
        await task
        assert [message.get("code") for message in peer.sent] == [None, None, 4001]

    async def test_it_is_gone_with_the_connection(self):
        with bind(RequestID("outer")):
            peer = Peer(websocket_scope())
            peer.leave()
            await peer.run(registry())
            assert find(Connection) is None


class TestApplicationsThatRaise:
    @pytest.mark.parametrize("accepts", [False, True])
    async def test_before_or_after_accept_the_error_goes_up_and_nothing_stays(self, accepts):
        async def broken(scope, receive, send):
            await receive()
            if accepts:
                await send(ACCEPT)
            raise ZeroDivisionError

        made = registry(endpoint=broken)
        peer = Peer(websocket_scope())
        with pytest.raises(ZeroDivisionError):
            await peer.run(made)
        assert made.connections("echo") == 0
        assert peer.sent == ([ACCEPT] if accepts else [])
