"""The door in front of an ASGI application, in memory: who gets in, who does not, how it ends."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from refimpl.auth import AuthError, Claims, Source
from refimpl.middleware.asgi import Receive, Scope, Send
from refimpl.middleware.context import TenantID, User, current, find
from tests.support.asgi import Exchange, scope_of
from tests.support.clockwork import virtual_time
from tests.support.guarded import COOKIE, OWN, Echo, asked, bearer, guarded
from tests.support.signing import ADA, NOW, Clock, forge, issuer, unsigned


class TestDecisionFlow:
    """S12: missing is 401, invalid or expired is 401, else claims, user, context, handler."""

    @pytest.mark.parametrize("kind", ["websocket", "http"])
    @virtual_time
    async def test_missing_is_401_with_a_challenge(self, kind: str) -> None:
        door = guarded(sources=frozenset(Source) - {Source.FIRST_MESSAGE})
        exchange = await asked(door, kind)
        assert exchange.status == 401
        assert exchange.headers["www-authenticate"] == 'Bearer realm="refimpl"'
        assert exchange.headers["content-type"] == "application/problem+json"
        assert exchange.headers["cache-control"] == "no-store"
        assert "POST /api/tickets" in json.loads(exchange.body)["detail"]
        assert exchange.headers["content-length"] == str(len(exchange.body))
        assert door.refused == {"missing": 1}

    @pytest.mark.parametrize("kind", ["websocket", "http"])
    @pytest.mark.parametrize(
        ("token", "detail"),
        [
            (unsigned(), "the token is not valid here: sign in again"),
            ("rubbish", "the token is not valid here: sign in again"),
            (
                forge(claims={"iat": NOW - 900, "exp": NOW - 6}),
                "the token has expired: get a new one",
            ),
        ],
        ids=["none", "rubbish", "expired"],
    )
    @virtual_time
    async def test_invalid_and_expired_are_401(self, kind: str, token: str, detail: str) -> None:
        app = Echo()
        exchange = await asked(guarded(app), kind, headers=bearer(token))
        assert exchange.status == 401
        assert json.loads(exchange.body) == {
            "title": "Unauthorized",
            "status": 401,
            "detail": detail,
        }
        assert (
            f'error="invalid_token", error_description="{detail}"'
            in (exchange.headers["www-authenticate"])
        )
        assert app.scopes == []

    @pytest.mark.parametrize("kind", ["websocket", "http"])
    @virtual_time
    async def test_user_reaches_context_state_and_child_tasks(self, kind: str) -> None:
        app = Echo()
        exchange = await asked(guarded(app), kind, headers=bearer(issuer().issue(ADA)))
        assert exchange.status in (101, 200)
        assert app.users == [ADA]
        assert app.scopes[0]["state"]["user"] == ADA
        assert find(User) is None

    @virtual_time
    async def test_tenant_and_claims_are_bound_too(self) -> None:
        seen: list[object] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.extend([current(TenantID), current(Claims).token_id])
            await send({"type": "http.response.start", "status": 204, "headers": []})

        token = issuer(new_id=lambda: "id-7").issue(ADA)
        await asked(guarded(app), "http", headers=bearer(token))
        assert seen == [TenantID("north"), "id-7"]

    @virtual_time
    async def test_lifespan_passes(self) -> None:
        seen = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["type"])

        await guarded(app)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
        assert seen == ["lifespan"]

    @virtual_time
    async def test_server_without_denial_responses_says_403(self) -> None:
        exchange = await asked(guarded(), headers=bearer("x"), extensions={})
        assert exchange.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


class TestSources:
    @pytest.mark.parametrize(
        ("query", "headers"),
        [
            ("", [("Authorization", "Bearer {}")]),
            ("", [("authorization", "bEARER  {}")]),
            ("", [("Cookie", f"a=1; {COOKIE}={{}}; b=2"), OWN]),
            ("", [("Sec-WebSocket-Protocol", "chat.v1, bearer.{}")]),
        ],
        ids=["Authorization", "any case", "cookie", "subprotocol"],
    )
    @virtual_time
    async def test_token_is_found_and_then_gone(
        self, query: str, headers: list[tuple[str, str]]
    ) -> None:
        app, token = Echo(), forge()
        lines = [(name, value.replace("{}", token)) for name, value in headers]
        exchange = await asked(guarded(app), query=query, headers=lines)
        assert exchange.status == 101
        assert app.users[0].id == "ada"
        assert token[-20:] not in repr(app.scopes[0])
        assert token[-20:] not in repr(exchange.scope)
        assert token[-20:] not in repr(exchange.sent)

    @virtual_time
    async def test_other_cookies_protocols_and_parameters_stay(self) -> None:
        app, clock = Echo(), Clock()
        door = guarded(app, clock)
        assert door.authenticator.tickets is not None
        ticket = await door.authenticator.tickets.issue(door.authenticator.verifier.verify(forge()))
        query = f"room=a%20b&ticket={ticket}&x="
        await asked(door, query=query, headers=[("Sec-WebSocket-Protocol", "v2, v1")])
        assert app.scopes[0]["query_string"] == b"room=a%20b&x="
        assert app.scopes[0]["subprotocols"] == ["v2", "v1"]
        token = forge()
        lines = [("Cookie", f"a=1; {COOKIE}={token};b=2"), OWN]
        await asked(door, query="room=a%20b", headers=lines)
        assert app.scopes[1]["query_string"] == b"room=a%20b"
        assert (b"cookie", b"a=1; b=2") in app.scopes[1]["headers"]
        await asked(door, headers=[("Cookie", f"{COOKIE}={token}"), OWN])
        assert b"cookie" not in dict(app.scopes[2]["headers"])

    @pytest.mark.parametrize(
        ("headers", "query", "status", "reason"),
        [
            ([("Authorization", "Bearer"), OWN], "", 400, "malformed"),
            ([("Authorization", "Bearer "), OWN], "", 400, "malformed"),
            ([("Authorization", "Bearer a b"), OWN], "", 400, "malformed"),
            ([("Authorization", "Basic YTpi")], "", 401, "source"),
            ([("Cookie", f"{COOKIE}="), OWN], "", 400, "malformed"),
            ([("Cookie", f'{COOKIE}="a"'), OWN], "", 400, "malformed"),
            ([("Authorization", "Bearer " + "a" * 8193)], "", 400, "too-long"),
            ([], "ticket=", 400, "malformed"),
            ([], "ticket=a%00b", 400, "malformed"),
            ([], "ticket=" + "a" * 9000, 400, "too-long"),
            ([], "ticket=aaaa", 401, "ticket"),
            ([], "token=aaaa", 400, "token-in-url"),
            ([("Authorization", "Bearer a"), ("Authorization", "Bearer a")], "", 400, "two"),
            ([("Authorization", "Bearer a")], "ticket=a", 400, "two"),
            ([("Sec-WebSocket-Protocol", "bearer.a")], "", 400, "no-real-protocol"),
            ([("Sec-WebSocket-Protocol", "v1, bearer.")], "", 400, "malformed"),
            ([("Sec-WebSocket-Protocol", "v1, bearer.a!b")], "", 400, "malformed"),
            ([("X", "a\0b"), *bearer("a")], "", 400, "request"),
            ([("Host", "other.example"), *bearer("a")], "", 400, "request"),
        ],
    )
    @virtual_time
    async def test_bad_credential_is_refused(
        self, headers: list[tuple[str, str]], query: str, status: int, reason: str
    ) -> None:
        app = Echo()
        door = guarded(app)
        exchange = await asked(door, headers=headers, query=query)
        assert (exchange.status, door.refused) == (status, {reason: 1})
        assert app.scopes == []

    @virtual_time
    async def test_missing_host_is_refused(self) -> None:
        exchange = Exchange(guarded(), {**scope_of(headers=bearer(forge())), "headers": []})
        await exchange.settle()
        assert exchange.status == 400
        await exchange.task

    @virtual_time
    async def test_source_that_does_not_count_is_refused(self) -> None:
        door = guarded(sources=frozenset({Source.TICKET}))
        exchange = await asked(door, headers=bearer(forge()))
        assert (exchange.status, door.refused) == (401, {"source": 1})

    @virtual_time
    async def test_cookie_does_not_disturb_where_it_does_not_count(self) -> None:
        door = guarded(sources=frozenset({Source.AUTHORIZATION}))
        lines = [*bearer(forge()), ("Cookie", f"{COOKIE}={forge()}")]
        assert (await asked(door, headers=lines)).status == 101
        assert (await asked(guarded(), headers=lines)).status == 400

    @pytest.mark.parametrize(
        ("query", "lines"),
        [("ticket=abc", []), ("", [("Sec-WebSocket-Protocol", f"v1, bearer.{forge()}")])],
    )
    @virtual_time
    async def test_what_opens_sockets_buys_nothing_by_http(
        self, query: str, lines: list[tuple[str, str]]
    ) -> None:
        door = guarded()
        exchange = await asked(door, "http", query=query, headers=lines, method="POST")
        assert (exchange.status, door.refused) == (401, {"source": 1})

    @virtual_time
    async def test_ticket_is_refused_where_none_are_sold(self) -> None:
        door = guarded(tickets=None)
        exchange = await asked(door, query="ticket=abc")
        assert (exchange.status, door.refused) == (401, {"source": 1})


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "is_public"),
        [
            ("/", True),
            ("/assets/app.js", True),
            ("/assets/", True),
            ("/api/login", True),
            ("/assets", False),
            ("/assetsx", False),
            ("/api/login/", False),
            ("/api/loginx", False),
            ("/ws/chat", False),
            ("/WS/chat", False),
            ("", False),
            ("/.well-known/x", False),
            ("/assets/app.min.js", True),
            ("/assets/..app.js", True),
        ],
    )
    @virtual_time
    async def test_only_what_is_named_is_public(self, path: str, is_public: bool) -> None:
        door = guarded(public=["/", "/assets/", "/api/login"])
        exchange = await asked(door, "http", path=path)
        assert exchange.status == (200 if is_public else 401)

    @pytest.mark.parametrize(
        "path",
        [
            "/assets/../ws/chat",
            "/assets/..",
            "/assets/./x",
            "/assets//x",
            "//ws/chat",
            "/assets/..\\ws",
            "/assets\\x",
            "/assets/x\0.js",
            "/assets/x\n",
            "/assets/%2e%2e/ws/chat",
            "/assets/%2E./ws",
            "/assets/..%2fws",
            "/assets/%5cws",
            "/assets/%252e%252e/ws",
            "/assets/x%00",
            "/assets/..;/ws",
            "/ws/../assets/x",
        ],
    )
    @pytest.mark.parametrize("kind", ["http", "websocket"])
    @virtual_time
    async def test_path_that_two_programs_read_in_two_ways_is_refused(
        self, path: str, kind: str
    ) -> None:
        app = Echo()
        door = guarded(app, public=["/assets/"])
        exchange = await asked(door, kind, path=path, headers=bearer(forge()))
        assert (exchange.status, door.refused) == (400, {"path": 1})
        assert app.scopes == []

    @virtual_time
    async def test_root_path_is_no_part_of_it(self) -> None:
        door = guarded(public=["/assets/"])
        exchange = await asked(door, "http", path="/shop/assets/x", root_path="/shop")
        assert exchange.status == 200
        exchange = await asked(door, "http", path="/assets/x", root_path="/assets")
        assert exchange.status == 401

    @virtual_time
    async def test_public_path_is_served_as_it_is(self) -> None:
        app = Echo()
        door = guarded(app, public=["/reset"])
        exchange = await asked(door, "http", path="/reset", query="token=mail", headers=bearer("x"))
        assert exchange.status == 200
        assert app.scopes[0]["query_string"] == b"token=mail"
        assert app.users == [User("nobody")]

    @virtual_time
    async def test_error_of_a_public_application_is_its_own(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise AuthError("expired", "from elsewhere")

        with pytest.raises(AuthError):
            await asked(guarded(app, public=["/"]), "http", path="/")


class TestFirstMessage:
    ASK = json.dumps({"type": "auth", "token": forge()})

    @virtual_time
    async def test_socket_belongs_to_whoever_says_so_first(self) -> None:
        app = Echo()
        door = guarded(app, subprotocols=["v2", "v1"])
        scope = scope_of(headers=[("Sec-WebSocket-Protocol", "v1, v2, v3")])
        exchange = await Exchange(door, scope).settle()
        assert exchange.sent == [{"type": "websocket.accept", "subprotocol": "v2"}]
        exchange.say(self.ASK)
        exchange.say("hello")
        await exchange.settle()
        assert app.users[0].id == "ada"
        assert exchange.sent[1:] == [{"type": "websocket.send", "text": "hello"}]
        exchange.leave()
        await exchange.task

    @pytest.mark.parametrize(
        ("message", "code", "reason"),
        [
            ({"text": "hello"}, 4401, "missing"),
            ({"text": "{}"}, 4401, "missing"),
            ({"text": "[" * 8000}, 4401, "missing"),
            ({"text": json.dumps({"type": "auth"})}, 4400, "malformed"),
            ({"text": json.dumps({"type": "auth", "token": 1})}, 4400, "malformed"),
            ({"text": json.dumps({"type": "auth", "token": "\ud800"})}, 4401, "missing"),
            ({"text": json.dumps({"type": "auth", "token": unsigned()})}, 4401, "algorithm"),
            ({"text": '{"type": "auth", "token": "a", "token": "a"}'}, 4400, "two"),
            ({"text": json.dumps({"type": "auth", "token": "a" * 8193})}, 4400, "too-long"),
            ({"text": "a" * 9000}, 4400, "too-long"),
            ({"bytes": b"\0"}, 4400, "malformed"),
            ({"bytes": b"\0", "text": None}, 4400, "malformed"),
            (
                {"text": json.dumps({"type": "auth", "token": forge(claims={"exp": NOW})})},
                4401,
                "expired",
            ),
        ],
    )
    @virtual_time
    async def test_bad_first_message_closes(
        self, message: dict[str, object], code: int, reason: str
    ) -> None:
        app = Echo()
        door = guarded(app)
        exchange = await Exchange(door, scope_of()).settle()
        exchange.feed({"type": "websocket.receive", **message})
        await exchange.task
        assert exchange.closes == [code]
        assert len(exchange.sent[-1]["reason"].encode()) <= 123
        assert (door.refused, app.scopes) == ({reason: 1}, [])

    @virtual_time
    async def test_silence_closes_in_time(self) -> None:
        door = guarded(first_message_within=5)
        exchange = Exchange(door, scope_of())
        loop = asyncio.get_running_loop()
        began = loop.time()
        await exchange.task
        assert loop.time() - began == pytest.approx(5, abs=0.01)
        assert exchange.closes == [4401]

    @virtual_time
    async def test_client_that_leaves_first_is_no_error(self) -> None:
        door = guarded()
        exchange = await Exchange(door, scope_of()).settle()
        exchange.leave()
        await exchange.task
        assert door.refused == {}

    @virtual_time
    async def test_client_that_left_before_the_door_opened_is_no_error(self) -> None:
        async def gone() -> dict[str, object]:
            return {"type": "websocket.disconnect", "code": 1006}

        for lines in ([], bearer("x")):
            sent: list[object] = []
            await guarded()(scope_of(headers=lines), gone, sent.append)  # type: ignore[arg-type]
            assert sent == []

    @pytest.mark.parametrize(("status", "code"), [(404, 4404), (403, 4403)])
    @virtual_time
    async def test_denial_of_the_application_becomes_a_close(self, status: int, code: int) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            kind = "websocket.http.response"
            await send({"type": f"{kind}.start", "status": status, "headers": []})
            await send({"type": f"{kind}.body", "body": b"no"})

        exchange = Exchange(guarded(app), scope_of())
        exchange.say(self.ASK)
        await exchange.task
        assert exchange.closes == [code]
        assert len(exchange.sent) == 2


class TestApplicationsThatFail:
    @pytest.mark.parametrize("accepts", [False, True])
    @virtual_time
    async def test_error_passes_and_nothing_stays(self, accepts: bool) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            if accepts:
                await send({"type": "websocket.accept"})
            raise ZeroDivisionError

        exchange = Exchange(guarded(app), scope_of(headers=bearer(forge())))
        with pytest.raises(ZeroDivisionError):
            await exchange.task

    @virtual_time
    async def test_client_that_vanishes_within_the_refusal_is_the_servers_to_handle(self) -> None:
        exchange = Exchange(guarded(), scope_of(headers=bearer("x")))
        exchange.gone = True
        with pytest.raises(OSError, match="gone"):
            await exchange.task


@virtual_time
async def test_refusals_are_logged_without_the_credential(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await asked(guarded(), headers=bearer(unsigned()))
    assert "refused with 401: got another alg, expected HS256 for this kid" in caplog.text
    assert unsigned()[:20] not in caplog.text
