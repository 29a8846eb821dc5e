"""Behind a proxy that ends TLS: the page's own Origin is https, and the client is not the proxy.

uvicorn takes `X-Forwarded-Proto` and `X-Forwarded-For` from the peers that `--forwarded-allow-ips`
names, 127.0.0.1 by default, and writes them into the scope; everything here goes by the scope.
"""

from __future__ import annotations

import httpx
import pytest

from refimpl import HandshakeError, connect
from refimpl.chat import DEMO
from refimpl.chat.limits import address_of
from refimpl.middleware.asgi import Receive, Scope, Send, deny
from refimpl.middleware.serving import OUR_ENGINE, Running, running
from tests.support.chatting import Guest, chatting

ENGINES = [OUR_ENGINE, "websockets-sansio", "wsproto"]
FORWARDED = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7"}
NOBODY: dict[str, object] = {"forwarded_allow_ips": "192.0.2.1"}


def browser(server: Running, origin: str) -> httpx.AsyncClient:
    """Return a page's client behind a proxy that keeps the Host, as it should."""
    headers = {**FORWARDED, "origin": origin}
    return httpx.AsyncClient(base_url=server.http, headers=headers, timeout=10)


async def sign_in(client: httpx.AsyncClient) -> int:
    """Return the status of signing in; the client keeps the cookie."""
    body = {"name": "Alice", "password": DEMO["Alice"]}
    response = await client.post("/api/sign-in", json=body)
    if response.status_code == 200:
        client.headers["cookie"] = response.headers["set-cookie"].partition(";")[0]
    return response.status_code


async def new_ticket(client: httpx.AsyncClient) -> str:
    response = await client.post("/api/tickets")
    assert response.status_code == 201
    return str(response.json()["ticket"])


def https(server: Running) -> str:
    """Return the origin that a browser in front of the proxy sees."""
    return server.http.replace("http:", "https:")


@pytest.mark.parametrize("engine", ENGINES)
class TestATrustedProxy:
    async def test_the_pages_own_origin_is_let_in(self, engine: str) -> None:
        """10: it got 403 where only the server's own TLS counts, for this server has none."""
        async with chatting(engine=engine) as (_, server):
            async with browser(server, https(server)) as client:
                assert await sign_in(client) == 200
                page = await client.get("/")
                assert "strict-transport-security" in page.headers
                uri = f"{server.ws}/ws/chat?ticket={await new_ticket(client)}"
                async with connect(
                    uri, origin=https(server), additional_headers=list(FORWARDED.items())
                ) as socket:
                    assert (await Guest(socket).hear())["user"]["name"] == "Alice"

    async def test_the_same_name_without_tls_is_another_origin(self, engine: str) -> None:
        async with chatting(engine=engine) as (_, server):
            async with browser(server, server.http) as client:
                assert await sign_in(client) == 403
            async with browser(server, https(server)) as client:
                await sign_in(client)
                uri = f"{server.ws}/ws/chat?ticket={await new_ticket(client)}"
                with pytest.raises(HandshakeError) as refused:
                    await connect(
                        uri, origin=server.http, additional_headers=list(FORWARDED.items())
                    )
                assert refused.value.status == 403

    async def test_the_client_is_who_asked_the_proxy(self, engine: str) -> None:
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] in ("http", "websocket"):
                seen.append(address_of(scope))
                await deny(scope, receive, send, 404)

        async with running(app, engine=engine) as server:
            async with browser(server, server.http) as client:
                await client.get("/")
            with pytest.raises(HandshakeError):
                await connect(f"{server.ws}/", additional_headers=list(FORWARDED.items()))
        assert seen == ["203.0.113.7"] * 2


@pytest.mark.parametrize("engine", ENGINES)
class TestAPeerThatIsNotTrusted:
    """Whoever may say who they are could be everybody, and speak TLS that nobody does."""

    async def test_its_words_count_for_nothing(self, engine: str) -> None:
        async with chatting(engine=engine, settings=NOBODY) as (_, server):
            async with browser(server, https(server)) as client:
                assert await sign_in(client) == 403
            async with browser(server, server.http) as client:
                assert await sign_in(client) == 200
                page = await client.get("/")
                assert "strict-transport-security" not in page.headers
                uri = f"{server.ws}/ws/chat?ticket={await new_ticket(client)}"
                with pytest.raises(HandshakeError) as refused:
                    await connect(
                        uri, origin=https(server), additional_headers=list(FORWARDED.items())
                    )
                assert refused.value.status == 403
