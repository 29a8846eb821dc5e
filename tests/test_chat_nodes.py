"""Two nodes of one chat, each a server of its own, on one real Valkey."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from refimpl import connect
from refimpl.auth import AuthError, Claims
from refimpl.chat import DEMO, MAX_FRAME, Chat
from refimpl.chat.sessions import SignedOut
from refimpl.chat.stores import LIMITS, MemoryStores, ValkeyStores
from refimpl.middleware import User
from refimpl.middleware.serving import OUR_ENGINE, Running, running
from refimpl.sessions import Limits
from tests.support.chatting import browser, guest, kept, new_chat, new_ticket, refusal, signed_in
from tests.support.chatting import user as user_on
from tests.support.stores import prefix, until
from tests.support.valkeys import Valkey

QUICK = Limits(lease=0.6, keep=LIMITS.keep, remember=LIMITS.remember)
KEY = secrets.token_bytes(32)

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="no Valkey for Windows")


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@asynccontextmanager
async def node(
    name: str, valkey: Valkey, keys: str, *, timeout: float = 5.0, **options: Any
) -> AsyncIterator[tuple[Chat, Running]]:
    """Serve one node. keys: the prefix of the chat's keys."""
    stores = ValkeyStores(valkey.url, limits=QUICK, prefix=keys, timeout=timeout)
    chat = new_chat(stores=stores, node=name, key=KEY, **options)
    settings = {
        "ws_max_size": MAX_FRAME,
        "ws_per_message_deflate": False,
        "timeout_graceful_shutdown": 1,
        "lifespan": "on",
    }
    async with running(chat, engine=OUR_ENGINE, settings=settings) as server:
        yield chat, server


Two = tuple[tuple[Chat, Running], tuple[Chat, Running]]


@pytest.fixture
async def nodes(valkey: Valkey) -> AsyncIterator[Two]:
    keys = prefix()
    async with node("node-1", valkey, keys) as one, node("node-2", valkey, keys) as two:
        yield one, two


@asynccontextmanager
async def session_on(
    server: Running, client: httpx.AsyncClient
) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client with the session of another one, at another node."""
    async with browser(server.http) as there:
        there.headers["cookie"] = client.headers["cookie"]
        yield there


class TestTalk:
    async def test_two_on_two_nodes_talk(self, nodes: Two) -> None:
        (_, one), (_, two) = nodes
        async with user_on(one, "Alice") as alice, user_on(two, "Bob") as bob:
            assert (alice.welcome["node"], bob.welcome["node"]) == ("node-1", "node-2")
            first = await alice.join()
            joined = await bob.join()
            assert [each["name"] for each in joined["people"]] == ["Alice", "Bob"]
            assert (await alice.until("presence"))["user"] == {"id": "bob", "name": "Bob"}
            sent = await alice.say("Grüße, 世界", "m1")
            assert (await bob.until("said"))["message"] == sent
            answer = await bob.say("I hear you", "b1")
            assert (await alice.until("said"))["message"] == answer
            assert answer["seq"] == sent["seq"] + 1
            assert first["epoch"] == joined["epoch"]

    async def test_who_is_elsewhere_counts_what_is_said_on_another_node(self, nodes: Two) -> None:
        (_, one), (_, two) = nodes
        async with user_on(one, "Alice") as alice, user_on(two, "Bob") as bob:
            await alice.join("harbour")
            await bob.join("library")
            await alice.say("ahoy", "m1")
            heard = await bob.until("activity")
            assert (heard["room"], heard["last"], heard["user"]) == ("harbour", 1, "alice")

    async def test_one_comes_back_on_the_other_node(self, nodes: Two) -> None:
        (chat, one), (_, two) = nodes
        async with user_on(two, "Bob") as bob, signed_in(one, "Alice") as client:
            await bob.join()
            async with guest(one, client) as alice:
                joined = await alice.join()
                last = await alice.say("first", "m1")
                await alice.send(type="say", room="harbour", id="m2", text="answered to nobody")
                alice.socket.transport.abort()
            await bob.say("meanwhile", "b1")
            async with session_on(two, client) as there, guest(two, there) as alice:
                place = {"after": last["seq"], "id": "m1", "user": "alice"}
                rest = await alice.join(epoch=joined["epoch"], **place)
                await alice.say("answered to nobody", "m2")
                assert rest["lost"] == 0
                assert last["seq"] not in [message["seq"] for message in rest["messages"]]
            texts = await kept(chat.lobby)
        assert sorted(texts) == ["answered to nobody", "first", "meanwhile"]

    async def test_a_user_with_tabs_on_both_is_there_until_the_last_goes(self, nodes: Two) -> None:
        (_, one), (_, two) = nodes
        async with user_on(one, "Bob") as bob, AsyncExitStack() as tabs:
            await bob.join()
            here = await tabs.enter_async_context(user_on(one, "Alice"))
            await here.join()
            assert (await bob.until("presence"))["here"] is True
            async with user_on(two, "Alice") as there:
                await there.join()
                await there.say("from the other", "m1")
            await here.say("still here", "m2")
            await tabs.aclose()
            heard = []
            while not heard or heard[-1]["type"] != "presence":
                heard.append(await bob.hear())
        assert [each["type"] for each in heard] == ["said", "said", "presence"]
        assert heard[-1]["here"] is False

    async def test_tabs_on_both_that_close_at_once_are_one_leave(self, nodes: Two) -> None:
        (_, one), (_, two) = nodes
        async with user_on(one, "Bob") as bob:
            await bob.join()
            for number in range(5):
                async with user_on(one, "Alice") as here, user_on(two, "Alice") as there:
                    await asyncio.gather(here.join(), there.join())
                    assert (await bob.until("presence"))["here"] is True
                    await asyncio.gather(here.socket.close(), there.socket.close())
                    assert (await bob.until("presence"))["here"] is False
                await bob.send(type="say", room="harbour", id=f"b{number}", text="alone")
                assert (await bob.hear())["type"] == "said"  # and nothing else came before it

    async def test_a_node_that_ends_without_a_word_leaves_nobody_behind(
        self, valkey: Valkey, nodes: Two
    ) -> None:
        """Its lease ends; whoever sweeps first tells each room once."""
        (one_chat, one), (two_chat, two) = nodes
        async with user_on(two, "Bob") as bob, user_on(one, "Alice") as alice:
            await bob.join()
            await alice.join()
            assert (await bob.until("presence"))["here"] is True
            for task in one_chat.lobby.node._tasks:  # as if it were stopped
                task.cancel()
            left = await bob.until("presence")
            assert (left["user"]["id"], left["here"]) == ("alice", False)
            await bob.say("alone", "b1")
            assert await two_chat.lobby.people("harbour") == [{"id": "bob", "name": "Bob"}]
            # What it does now is refused, and it begins a new life.
            await alice.send(type="say", room="harbour", id="m1", text="of an old life")
            assert (await alice.end())[0] == 1012
            assert await kept(two_chat.lobby) == ["alone"]


class TestSessions:
    async def test_a_ticket_of_one_node_opens_a_socket_on_the_other_once(self, nodes: Two) -> None:
        (_, one), (_, two) = nodes
        async with signed_in(one, "Alice") as client:
            ticket = await new_ticket(client)
        async with connect(f"{two.ws}/ws/chat?ticket={ticket}"):
            pass
        for server in (one, two):
            assert await refusal(f"{server.ws}/ws/chat?ticket={ticket}") == 401

    async def test_of_many_at_once_on_both_nodes_one_opens(self, nodes: Two) -> None:
        (_, one), (_, two) = nodes
        async with signed_in(one, "Alice") as client:
            ticket = await new_ticket(client)
        uris = [f"{server.ws}/ws/chat?ticket={ticket}" for server in (one, two) * 4]
        assert sorted(await asyncio.gather(*map(refusal, uris))) == [0] + [401] * 7

    async def test_a_session_of_one_node_is_one_on_the_other(self, nodes: Two) -> None:
        (_, one), (_, two) = nodes
        async with signed_in(one, "Alice") as client, session_on(two, client) as there:
            assert (await there.get("/api/me")).json()["user"]["id"] == "alice"

    async def test_signing_out_reaches_the_sockets_of_both_nodes(self, nodes: Two) -> None:
        (_, one), (_, two) = nodes
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(signed_in(one, "Alice"))
            there = await stack.enter_async_context(session_on(two, client))
            here = await stack.enter_async_context(guest(one, client))
            away = await stack.enter_async_context(guest(two, there))
            other = await stack.enter_async_context(user_on(two, "Alice"))
            unused = await new_ticket(there)
            assert (await client.post("/api/sign-out")).status_code == 204
            async with asyncio.timeout(2):
                assert await away.end() == (4401, "signed out")
                assert await here.end() == (4401, "signed out")
            for server in (one, two):
                assert await refusal(f"{server.ws}/ws/chat?ticket={unused}") == 401
            assert (await there.post("/api/tickets")).status_code == 401
            assert (await there.get("/api/me")).json() == {"user": None, "reason": "invalid"}
            await other.send(type="ping")
            assert (await other.hear())["type"] == "pong"

    async def test_a_node_that_starts_later_knows_who_signed_out(self, valkey: Valkey) -> None:
        keys = prefix()
        async with node("node-1", valkey, keys) as (_, one), signed_in(one, "Alice") as client:
            assert (await client.post("/api/sign-out")).status_code == 204
            async with node("node-2", valkey, keys) as (_, two), session_on(two, client) as there:
                assert (await there.post("/api/tickets")).status_code == 401

    async def test_a_store_that_comes_back_empty_is_told_again_who_signed_out(self) -> None:
        with Valkey() as valkey:
            keys = prefix()
            async with node("node-1", valkey, keys) as (chat, one):
                async with signed_in(one, "Alice") as client:
                    assert (await client.post("/api/sign-out")).status_code == 204
                valkey.kill()
                await until(lambda: chat.lobby.node.degraded)
                valkey.start()
                with valkey.client() as there:
                    await until(lambda: there.exists(f"{keys}{{signed-out}}"))
                    assert b"token" not in b"".join(there.scan_iter())
                async with node("node-2", valkey, keys) as (_, two):
                    async with session_on(two, client) as elsewhere:
                        assert (await elsewhere.post("/api/tickets")).status_code == 401

    async def test_no_secret_stands_in_the_store(self, valkey: Valkey, nodes: Two) -> None:
        (_, one), _ = nodes
        async with signed_in(one, "Alice") as client:
            ticket = await new_ticket(client)
            token = client.headers["cookie"].partition("=")[2]
            with valkey.client() as store:
                found = [(key, store.dump(key)) for key in store.scan_iter()]
        assert found
        for secret in (ticket, token, DEMO["Alice"], KEY.hex()):
            assert not any(secret.encode() in key + value for key, value in found)


class TestOutOfReach:
    async def test_reading_yes_talking_no(self) -> None:
        with Valkey() as valkey:
            async with node("node-1", valkey, prefix(), timeout=0.5) as (chat, server):
                async with signed_in(server, "Alice") as client, guest(server, client) as alice:
                    await alice.join()
                    await alice.say("before", "m1")
                    ticket = await new_ticket(client)
                    valkey.kill()
                    assert (await alice.until("store"))["degraded"] is True
                    await alice.send(type="say", room="harbour", id="m2", text="lost?")
                    refused = await alice.until("error")
                    assert (refused["code"], refused["id"]) == ("unavailable", "m2")
                    assert "cannot reach its store" in refused["detail"]
                    await self.nobody_comes_in(server, client, ticket)
                    assert (await client.get("/api/health")).json()["status"] == "degraded"
                    valkey.start()
                    assert (await alice.until("store"))["degraded"] is False
                    await alice.say("after", "m2")
                    await until(lambda: self.lets_in(client))
                    async with user_on(server, "Bob") as bob:
                        assert [each["id"] for each in (await bob.join())["people"]] == [
                            "alice",
                            "bob",
                        ]
                texts = await kept(chat.lobby)
        assert texts == ["after"]  # what an empty store forgot, pages have, and are told so

    @staticmethod
    async def lets_in(client: httpx.AsyncClient) -> bool:
        return (await client.get("/api/me")).status_code == 200

    @staticmethod
    async def nobody_comes_in(server: Running, client: httpx.AsyncClient, ticket: str) -> None:
        answers = [
            await client.post("/api/sign-in", json={"name": "Bob", "password": DEMO["Bob"]}),
            await client.post("/api/tickets"),
            await client.get("/api/me"),
            await client.post("/api/sign-out"),
        ]
        assert [answer.status_code for answer in answers] == [503] * 4
        assert all(answer.headers["retry-after"] for answer in answers)
        assert await refusal(f"{server.ws}/ws/chat?ticket={ticket}") == 503

    async def test_refusals_without_end_cost_nobody_the_connection(self) -> None:
        with Valkey() as valkey:
            async with node("node-1", valkey, prefix(), timeout=0.5, paced=False) as (_, server):
                async with user_on(server, "Alice") as alice:
                    await alice.join()
                    valkey.kill()
                    assert (await alice.until("store"))["degraded"] is True
                    for number in range(100):
                        await alice.send(type="say", room="harbour", id=f"m{number}", text="x")
                    for number in range(100):
                        assert (await alice.until("error"))["id"] == f"m{number}"

    async def test_a_chat_without_a_store_does_not_start(self) -> None:
        with Valkey() as valkey:
            valkey.kill()
            with pytest.raises(RuntimeError, match="did not start"):
                async with node("node-1", valkey, prefix(), timeout=0.2):
                    pass

    async def test_a_resync_reaches_the_page(self) -> None:
        """A store that was restarted empty: numbers go on, in another epoch."""
        with Valkey() as valkey:
            async with node("node-1", valkey, prefix(), timeout=0.5) as (_, server):
                async with user_on(server, "Alice") as alice:
                    joined = await alice.join()
                    for number in range(3):
                        await alice.say("before", f"m{number}")
                    valkey.kill()
                    await alice.until("store")
                    valkey.start()
                    told = await alice.until("resync")
        assert told["room"] == "harbour" and told["epoch"] != joined["epoch"]
        assert told["missing"] == 0 and told["last"] == 3


class TestStores:
    async def test_what_goes_wrong_with_the_store_of_tickets_is_a_503(self) -> None:
        with Valkey() as valkey:
            async with ValkeyStores(valkey.url, prefix=prefix(), timeout=0.2) as stores:
                assert await stores.tickets.put("a", "value", 30)
                assert not await stores.tickets.put("a", "other", 30)
                assert await stores.tickets.take("a") == "value"
                assert await stores.tickets.take("a") is None
                valkey.kill()
                for ask in (stores.tickets.put("b", "value", 30), stores.tickets.take("b")):
                    with pytest.raises(AuthError) as refused:
                        await ask
                    assert refused.value.status == 503

    async def test_many_sign_outs_are_read_whole(self, valkey: Valkey) -> None:
        keys = prefix()
        async with ValkeyStores(valkey.url, prefix=keys, now=lambda: 0.0) as stores:
            claims = [Claims(User(f"u{n % 50}"), f"t{n}", 0.0, 900.0) for n in range(2500)]
            await asyncio.gather(*map(stores.signed_out.end, claims[:900]))
            await asyncio.gather(*map(stores.signed_out.end, claims[900:1700]))
            await asyncio.gather(*map(stores.signed_out.end, claims[1700:]))
            async with ValkeyStores(valkey.url, prefix=keys, now=lambda: 0.0) as other:
                assert isinstance(other.signed_out, SignedOut)
                assert all(each in other.signed_out for each in claims)
                assert len(other.signed_out) == 2500

    async def test_nodes_of_one_process_may_share_their_memory(self) -> None:
        stores = MemoryStores(limits=QUICK)
        options = {"stores": stores, "key": KEY}
        async with (
            running(new_chat(**options, node="node-1")) as one,
            running(new_chat(**options, node="node-2")) as two,
            user_on(one, "Alice") as alice,
            user_on(two, "Bob") as bob,
        ):
            await alice.join()
            await bob.join()
            sent = await alice.say("ahoy", "m1")
            assert (await bob.until("said"))["message"] == sent
