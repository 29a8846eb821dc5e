"""The chat over real sockets: the way in, the two endpoints, and everything that is refused."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from refimpl import connect
from refimpl.chat import DEMO, MAX_FRAME
from refimpl.chat.app import PAGE
from refimpl.chat.fair_queue import FairQueue
from refimpl.middleware.asgi import Message
from refimpl.middleware.serving import Running
from tests.support.asgi_peer import Peer, http_scope
from tests.support.chatting import (
    COOKIE,
    PATIENCE,
    Clock,
    Guest,
    browser,
    chatting,
    guest,
    new_chat,
    new_ticket,
    refusal,
    signed_in,
    user,
)
from tests.support.clockwork import virtual_time

FILES = sorted(path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file())
FIELDS = json.dumps({"name": "Alice", "password": DEMO["Alice"]}).encode()
FOREIGN = ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1.evil.example"]


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with chatting() as (_, running):
        yield running


@pytest.fixture
async def visitor() -> AsyncIterator[httpx.AsyncClient]:
    """A client without a session, and a chat that it reaches without a network."""
    async with browser("http://chat.example", new_chat()) as client:
        yield client


class Markup(HTMLParser):
    """Collects what a strict Content-Security-Policy would not run, and what a page loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        if tag in ("script", "link", "img"):
            self.loads.append(given.get("src") or given.get("href") or "")


class TestPage:
    @pytest.mark.parametrize("file", FILES)
    async def test_every_file_is_served_and_asked_for_again(
        self, visitor: httpx.AsyncClient, file: str
    ) -> None:
        response = await visitor.get("/" if file == "index.html" else f"/{file}")
        assert response.status_code == 200
        assert response.content == (PAGE / file).read_bytes()
        assert response.headers["cache-control"] == "no-cache"
        kind = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
        assert response.headers["content-type"].startswith(
            kind.get(file.rpartition(".")[2], "image/svg+xml")
        )
        again = await visitor.get(
            response.url.path, headers={"if-none-match": response.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")

    async def test_it_may_run_its_own_scripts_only(self, visitor: httpx.AsyncClient) -> None:
        response = await visitor.get("/")
        policy = response.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        page = Markup(response.text)
        assert page.inline == []
        assert page.loads and all(address.startswith("/static/") for address in page.loads)

    def test_no_script_makes_markup_of_text(self) -> None:
        danger = re.compile(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        )
        for file in FILES:
            assert not danger.search((PAGE / file).read_text(encoding="utf-8")), file

    def test_nothing_comes_from_elsewhere(self) -> None:
        for file in FILES:
            text = (PAGE / file).read_text(encoding="utf-8").replace("http://www.w3.org/", "")
            addresses = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", text)
            assert addresses == [], file

    async def test_nothing_else_is_served(self, server: Running) -> None:
        for path in (
            "/static/../../app.py",
            "/static/%2e%2e/%2e%2e/app.py",
            "/static/..%2f..%2fapp.py",
            "/static//main.js",
            "/static/%00",
            "/static/main.js%00.css",
            "/static/.env",
            "/static/main.js.map",
            "/app.py",
        ):
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            async with asyncio.timeout(PATIENCE):
                status = int((await reader.readline()).split()[1])
            writer.close()
            await writer.wait_closed()
            assert status in (400, 401, 404), path

    async def test_health(self, visitor: httpx.AsyncClient) -> None:
        response = await visitor.get("/api/health")
        assert response.json() == {"status": "ok", "connections": 0}
        assert response.headers["cache-control"] == "no-cache"


class TestSignIn:
    async def test_with_the_cookie_that_a_browser_guards_best(
        self, visitor: httpx.AsyncClient
    ) -> None:
        response = await visitor.post(
            "/api/sign-in", json={"name": "alice", "password": DEMO["Alice"]}
        )
        assert response.json() == {"user": {"id": "alice", "name": "Alice"}}
        assert response.headers["cache-control"] == "no-store"
        name, *attributes = response.headers["set-cookie"].split("; ")
        assert name.startswith(f"{COOKIE}=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(attributes)
        assert not any(attribute.startswith("Domain") for attribute in attributes)

    async def test_unknown_name_and_wrong_password_read_the_same(
        self, visitor: httpx.AsyncClient
    ) -> None:
        answers = [
            await visitor.post("/api/sign-in", json={"name": name, "password": "wrong"})
            for name in ("Alice", "Mallory")
        ]
        assert {answer.status_code for answer in answers} == {403}
        assert answers[0].json() == answers[1].json()
        assert "do not belong together" in answers[0].json()["detail"]
        assert all("set-cookie" not in answer.headers for answer in answers)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"name":"Alice"}',
            b'{"name":"Alice","password":1}',
            b'{"name":["Alice"],"password":"x"}',
            b'{"name":"Alice","password":"' + b"x" * 5000 + b'"}',
            b"[" * 4000,
            b"\xff\xfe",
            FIELDS + b"}",
            FIELDS[:-1] + b',"password":"amber-ladder"}',
            FIELDS[:-1] + b',"pass\\u0077ord":"amber-ladder"}',
            FIELDS[:-1] + b',"x":NaN}',
            FIELDS[:-1] + b',"x":"\\ud83e"}',
            FIELDS[:-1] + b',"\\udcff":1}',
            FIELDS[:-1] + b',"x":"\xed\xa0\xbe"}',
            b"\xef\xbb\xbf" + FIELDS,
            FIELDS.decode().encode("utf-16"),
            FIELDS.decode().encode("utf-16-le"),
            FIELDS.decode().encode("utf-32"),
            FIELDS + b"\x00",
        ],
    )
    async def test_bodies_that_are_none(self, visitor: httpx.AsyncClient, body: bytes) -> None:
        response = await visitor.post(
            "/api/sign-in", content=body, headers={"content-type": "application/json"}
        )
        assert response.status_code == 400
        assert response.json()["detail"] == "Send a name and a password."

    @pytest.mark.parametrize(
        "kind", ["application/json", "APPLICATION/JSON", "Application/Json ; charset=utf-8"]
    )
    async def test_types_compare_in_any_case(self, visitor: httpx.AsyncClient, kind: str) -> None:
        """27: APPLICATION/JSON was refused with 415 (RFC 9110 8.3.1)."""
        response = await visitor.post(
            "/api/sign-in", content=FIELDS, headers={"content-type": kind}
        )
        assert response.status_code == 200

    def test_a_body_that_drips_is_given_up(self) -> None:
        """21: a body without end held its request for ever."""
        statuses = []

        @virtual_time
        async def drip() -> None:
            async def receive() -> Message:
                await asyncio.sleep(1)
                return {"type": "http.request", "body": b" ", "more_body": True}

            peer = Peer(
                http_scope(
                    "/api/sign-in", method="POST", headers=[("content-type", "application/json")]
                )
            )
            await new_chat()(peer.scope, receive, peer.send)
            statuses.append((peer.status, asyncio.get_running_loop().time()))

        drip()
        assert statuses == [(408, 10)]

    async def test_header_lines_that_are_none(self, visitor: httpx.AsyncClient) -> None:
        fields = {"name": "Alice", "password": DEMO["Alice"]}
        response = await visitor.post("/api/sign-in", json=fields, headers={"x-odd": "a\x01b"})
        assert response.status_code == 403

    async def test_a_form_is_no_json(self, visitor: httpx.AsyncClient) -> None:
        fields = {"name": "Alice", "password": DEMO["Alice"]}
        assert (await visitor.post("/api/sign-in", data=fields)).status_code == 415
        text = await visitor.post(
            "/api/sign-in", content=json.dumps(fields), headers={"content-type": "text/plain"}
        )
        assert text.status_code == 415

    @pytest.mark.parametrize("origin", FOREIGN)
    async def test_no_foreign_page_signs_anybody_in(
        self, visitor: httpx.AsyncClient, origin: str
    ) -> None:
        fields = {"name": "Alice", "password": DEMO["Alice"]}
        response = await visitor.post("/api/sign-in", json=fields, headers={"origin": origin})
        assert response.status_code == 403
        assert "set-cookie" not in response.headers

    async def test_who_am_i(self, server: Running, visitor: httpx.AsyncClient) -> None:
        assert (await visitor.get("/api/me")).json() == {"user": None, "reason": "missing"}
        for cookies in (f"{COOKIE}=e30.e30.c2ln", f"{COOKIE}=a; {COOKIE}=b", f"{COOKIE}=\x01"):
            visitor.headers["cookie"] = cookies
            answer = await visitor.get("/api/me")
            assert answer.json() == {"user": None, "reason": "invalid"}
        async with signed_in(server, "Bob") as client:
            assert (await client.get("/api/me")).json()["user"] == {"id": "bob", "name": "Bob"}

    async def test_a_session_of_another_process_is_told_from_a_forged_one(self) -> None:
        """27: after a restart the page said that a session did not count, and not why."""
        async with chatting() as (_, first), signed_in(first, "Bob") as client:
            async with browser("http://chat.example", new_chat()) as visitor:
                visitor.headers["cookie"] = cookie = client.headers["cookie"]
                restarted = await visitor.get("/api/me")
                assert restarted.json() == {"user": None, "reason": "restarted"}
                assert (await visitor.post("/api/tickets")).status_code == 401
            client.headers["cookie"] = cookie[:-4] + "AAAA"  # our key's name, and no signature
            forged = await client.get("/api/me")
            assert forged.json() == {"user": None, "reason": "invalid"}

    async def test_an_expired_session_says_so(self) -> None:
        clock = Clock()
        async with chatting(session=100, now=clock) as (_, server):
            async with signed_in(server, "Bob") as client:
                clock.ahead = 100
                assert (await client.get("/api/me")).json() == {"user": None, "reason": "expired"}
                refused = await client.post("/api/tickets")
                assert (refused.status_code, "expired" in refused.text) == (401, True)

    @pytest.mark.parametrize(
        ("limits", "status"), [({"waiting_per_key": 0}, 429), ({"waiting": 0}, 503)]
    )
    async def test_too_many_at_once_are_told_to_wait(
        self, limits: dict[str, int], status: int
    ) -> None:
        chat = new_chat()
        chat.people.queue = FairQueue(at_once=0, **limits)
        async with browser("http://chat.example", chat) as visitor:
            fields = {"name": "Alice", "password": DEMO["Alice"]}
            response = await visitor.post("/api/sign-in", json=fields)
        assert (response.status_code, response.headers["retry-after"]) == (status, "2")
        assert response.json()["status"] == status


class TestTickets:
    async def test_only_with_a_session_and_from_our_own_page(
        self, server: Running, visitor: httpx.AsyncClient
    ) -> None:
        assert (await visitor.post("/api/tickets")).status_code == 401
        async with signed_in(server, "Alice") as client:
            for origin in FOREIGN:
                headers = {"origin": origin}
                assert (await client.post("/api/tickets", headers=headers)).status_code == 403
            del client.headers["origin"]
            assert (await client.post("/api/tickets")).status_code == 403

    async def test_one_opens_one_socket(self, server: Running) -> None:
        async with signed_in(server, "Alice") as client:
            ticket = await new_ticket(client)
            async with connect(f"{server.ws}/ws/chat?ticket={ticket}"):
                pass
            assert await refusal(f"{server.ws}/ws/chat?ticket={ticket}") == 401

    async def test_of_two_at_once_one_opens(self, server: Running) -> None:
        async with signed_in(server, "Alice") as client:
            uri = f"{server.ws}/ws/chat?ticket={await new_ticket(client)}"
            assert (
                sorted(await asyncio.gather(*(refusal(uri) for _ in range(5)))) == [0] + [401] * 4
            )


class TestHandshake:
    @pytest.mark.parametrize("name", ["chat", "wire"])
    async def test_bad_credentials(self, server: Running, name: str) -> None:
        for query, status in (
            ("", 401),
            ("?ticket=", 400),
            ("?ticket=unknown", 401),
            ("?ticket=a&ticket=b", 400),
            ("?ticket=%00", 400),
            ("?token=e30.e30.c2ln", 400),
            ("?ticket=" + "x" * 9000, 414),
        ):
            assert await refusal(f"{server.ws}/ws/{name}{query}") == status, query

    async def test_a_cookie_alone_opens_nothing(self, server: Running) -> None:
        async with signed_in(server, "Alice") as client:
            headers = {"Cookie": client.headers["cookie"]}
            uri = f"{server.ws}/ws/chat"
            assert await refusal(uri, additional_headers=headers, origin=server.http) == 401
            uri += f"?ticket={await new_ticket(client)}"
            assert await refusal(uri, additional_headers=headers, origin=server.http) == 0

    @pytest.mark.parametrize("name", ["chat", "wire"])
    async def test_pages_from_elsewhere(self, server: Running, name: str) -> None:
        async with signed_in(server, "Alice") as client:
            for origin in FOREIGN:
                uri = f"{server.ws}/ws/{name}?ticket={await new_ticket(client)}"
                assert await refusal(uri, origin=origin) == 403, origin

    async def test_paths_that_are_none(self, server: Running) -> None:
        paths = ("", "/", "/nobody", "/chat/", "//chat", "/%63hat", "/../ws/chat", "/chat%00")
        async with signed_in(server, "Alice") as client:
            for path in paths:
                status = await refusal(f"{server.ws}/ws{path}?ticket={await new_ticket(client)}")
                assert status in (400, 401, 404), path


class TestTalk:
    async def test_two_talk(self, server: Running) -> None:
        async with user(server, "Alice") as alice, user(server, "Bob") as bob:
            assert alice.welcome["user"] == {"id": "alice", "name": "Alice"}
            assert alice.welcome["rooms"][0]["id"] == "harbour"
            await alice.join()
            joined = await bob.join()
            assert [one["name"] for one in joined["people"]] == ["Alice", "Bob"]
            assert (await alice.until("presence"))["user"]["id"] == "bob"
            sent = await alice.say("Grüße, 世界, 🧦", "m1")
            assert (await bob.until("said"))["message"] == sent
            assert sent["name"] == "Alice" and sent["text"] == "Grüße, 世界, 🧦"

    async def test_one_comes_back_and_nothing_is_lost_or_doubled(self, server: Running) -> None:
        async with user(server, "Bob") as bob:
            await bob.join()
            async with signed_in(server, "Alice") as client:
                async with guest(server, client) as alice:
                    joined = await alice.join()
                    await alice.say("first", "m1")
                    await alice.send(type="say", room="harbour", id="m2", text="answered to nobody")
                    alice.socket.transport.abort()
                await bob.say("meanwhile", "b1")
                async with guest(server, client) as alice:
                    rest = await alice.join(after=1, epoch=joined["epoch"])
                    await alice.say("answered to nobody", "m2")
                    await alice.say("last", "m3")
                whole = await bob.join()
        texts = [message["text"] for message in whole["messages"]]
        assert sorted(texts) == ["answered to nobody", "first", "last", "meanwhile"]
        assert [message["seq"] for message in whole["messages"]] == [1, 2, 3, 4]
        assert all(message["seq"] > 1 for message in rest["messages"])

    async def test_a_mistake_is_answered_and_forgiven(self, server: Running) -> None:
        async with user(server, "Alice") as alice:
            for sent, code in (
                ("no JSON", "not-json"),
                (b"\x00\x01", "binary"),
                ('{"type":"say","room":"harbour","id":"m1","text":""}', "bad-field"),
                ('{"type":"say","room":"nowhere","id":"m1","text":"x"}', "unknown-room"),
                ('{"type":"say","room":"library","id":"m1","text":"x"}', "not-in-room"),
                ('{"type":"join","room":"nowhere"}', "unknown-room"),
            ):
                await alice.socket.send(sent)
                heard = await alice.hear()
                assert (heard["type"], heard["code"]) == ("error", code)
                assert heard["detail"]
            await alice.join()
            assert (await alice.say("still here", "m2"))["seq"] == 1

    async def test_mistakes_without_end_are_not(self, server: Running) -> None:
        async with user(server, "Alice") as alice:
            for _ in range(60):
                await alice.socket.send("{")
            assert await alice.end() == (1008, "too many malformed messages")

    @pytest.mark.parametrize("size", [MAX_FRAME, MAX_FRAME + 1])
    async def test_the_largest_frame(self, server: Running, size: int) -> None:
        async with user(server, "Alice") as alice:
            await alice.socket.send("x" * size)
            if size <= MAX_FRAME:
                assert (await alice.hear())["code"] == "not-json"
            else:
                assert (await alice.end())[0] == 1009

    async def test_pong(self, server: Running) -> None:
        async with user(server, "Alice") as alice:
            await alice.send(type="ping")
            assert await alice.hear() == {"type": "pong"}

    async def test_who_reads_too_slowly_is_parted_with_and_others_are_not(self) -> None:
        """What waits beyond our limit is closed with 1013; the kernel's buffers come before."""
        async with chatting(limit=64 * 1024, paced=False) as (_, server):
            async with signed_in(server, "Bob") as client:
                uri = f"{server.ws}/ws/chat?ticket={await new_ticket(client)}"
                async with connect(uri, max_queue=1) as slow, user(server, "Alice") as alice:
                    await slow.send('{"type":"join","room":"harbour"}')
                    await Guest(slow).until("joined")
                    await alice.join()
                    slow.transport.pause_reading()
                    left = None
                    for number in range(20_000):
                        await alice.send(
                            type="say", room="harbour", id=f"m{number}", text="x" * 2000
                        )
                        heard = await alice.hear()
                        if heard["type"] == "presence":
                            left = heard
                            break
                    assert left == {
                        "type": "presence",
                        "room": "harbour",
                        "user": {"id": "bob", "name": "Bob"},
                        "here": False,
                    }
                    slow.transport.abort()

    async def test_signing_out_ends_its_connections(self, server: Running) -> None:
        async with signed_in(server, "Alice") as client, guest(server, client) as alice:
            async with user(server, "Alice") as elsewhere:
                response = await client.post("/api/sign-out")
                assert response.status_code == 204
                assert f"{COOKIE}=; Max-Age=0" in response.headers["set-cookie"]
                assert await alice.end() == (4401, "signed out")
                await elsewhere.send(type="ping")
                assert await elsewhere.hear() == {"type": "pong"}

    async def test_a_session_that_runs_out_ends_its_connections(self) -> None:
        """Within 5 s of its end, even where the clock jumps over it."""
        clock = Clock()
        async with chatting(session=100, now=clock) as (_, server):
            async with user(server, "Alice") as alice:
                clock.ahead = 100
                async with asyncio.timeout(5):
                    assert await alice.end() == (4401, "the token has expired")

    async def test_the_server_says_goodbye(self) -> None:
        async with chatting() as (_, server):
            async with signed_in(server, "Alice") as client:
                uri = f"{server.ws}/ws/chat?ticket={await new_ticket(client)}"
                alice = await connect(uri)
        async with asyncio.timeout(PATIENCE):
            await alice.wait_closed()
        assert alice.close_code == 1012

    async def test_nobody_is_left_behind(self) -> None:
        async with chatting() as (chat, server):
            chat.records.linger = 0.0
            for _ in range(3):
                async with user(server, "Alice") as alice:
                    await alice.join()
            async with user(server, "Bob") as bob:
                while len(chat.lobby) + len(chat.records) > 2:
                    await bob.send(type="ping")
                    await bob.hear()
                assert await chat.lobby.people("harbour") == []


async def test_no_secret_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [DEMO["Alice"]]
    async with chatting(settings={"log_level": "debug", "access_log": True}) as (_, server):
        async with signed_in(server, "Alice") as client:
            secrets.append(client.headers["cookie"].partition("=")[2])
            secrets.append(await new_ticket(client))
            async with connect(f"{server.ws}/ws/chat?ticket={secrets[-1]}"):
                pass
            assert await refusal(f"{server.ws}/ws/chat?ticket={secrets[-1]}") == 401
    own = [record for record in caplog.records if record.name.startswith(("refimpl", "uvicorn"))]
    assert own
    text = "\n".join(record.getMessage() for record in own)
    assert [secret for secret in secrets if secret in text] == []


def test_the_page_is_part_of_the_package() -> None:
    """What hatchling packs is decided by folder and .gitignore; both have to let the page in."""
    builder = pytest.importorskip("hatchling.builders.wheel")
    root = Path(__file__).resolve().parents[1]
    packed = {
        file.distribution_path
        for file in builder.WheelBuilder(str(root)).recurse_included_files()
        if file.distribution_path.startswith("refimpl/chat/page/")
    }
    assert packed == {f"refimpl/chat/page/{file}" for file in FILES}


def test_a_chat_has_a_key_of_its_own() -> None:
    one, other = new_chat(), new_chat()
    assert one.issuer.keys.signing.material != other.issuer.keys.signing.material
    assert one.issuer.keys.signing.kid != other.issuer.keys.signing.kid
