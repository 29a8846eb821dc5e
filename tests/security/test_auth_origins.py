"""Cross-site hijacking: twenty Origins with the user's cookie, and one door (RFC 6455 10.2)."""

from __future__ import annotations

import pytest

from refimpl.auth import Authenticate, AuthError, Source
from refimpl.handshake import Headers
from tests.support.asgi import Exchange, scope_of
from tests.support.clockwork import virtual_time
from tests.support.signing import authenticator, forge
from tests.test_auth_asgi import Echo

COOKIE = ("Cookie", f"__Host-session={forge()}")
HOST = "chat.example"  # reached over TLS

ORIGINS: list[tuple[str, list[str], bool]] = [
    ("own", ["https://chat.example"], True),
    ("own, default port", ["https://chat.example:443"], True),
    ("own, another case", ["HTTPS://Chat.Example"], True),
    ("absent", [], False),
    ("null", ["null"], False),
    ("empty", [""], False),
    ("sub-domain", ["https://evil.chat.example"], False),
    ("sibling domain", ["https://blog.example"], False),
    ("parent domain", ["https://example"], False),
    ("ours as prefix", ["https://chat.example.evil.example"], False),
    ("ours as suffix", ["https://evilchat.example"], False),
    ("ours as user name", ["https://chat.example@evil.example"], False),
    ("ours in the path", ["https://evil.example/chat.example"], False),
    ("another port", ["https://chat.example:8443"], False),
    ("plain http", ["http://chat.example"], False),
    ("scheme of the socket", ["wss://chat.example"], False),
    ("trailing slash", ["https://chat.example/"], False),
    ("two headers", ["https://chat.example", "https://evil.example"], False),
    ("own, in two headers", ["https://chat.example", "https://chat.example"], False),
    ("two in one header", ["https://chat.example, https://evil.example"], False),
]


async def status_of(sent: list[str], **options: object) -> int:
    door = Authenticate(Echo(), authenticator(**options))
    lines = [COOKIE, *(("Origin", origin) for origin in sent)]
    exchange = await Exchange(door, scope_of(headers=lines)).settle()
    exchange.leave()
    await exchange.task
    return exchange.status


def test_there_are_twenty() -> None:
    assert len(ORIGINS) == 20
    assert len({tuple(origins) for _, origins, _ in ORIGINS}) == 20


@pytest.mark.parametrize(
    ("origins", "welcome"), [row[1:] for row in ORIGINS], ids=[row[0] for row in ORIGINS]
)
@virtual_time
async def test_only_our_own_page_may_use_the_cookie(origins: list[str], welcome: bool) -> None:
    assert await status_of(origins) == (101 if welcome else 403)


@virtual_time
@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://chat.example", 200), ("http://chat.example", 403), ("http://backend:8000", 403)],
)
async def test_behind_a_proxy_our_page_is_where_the_client_sees_it(
    origin: str, status: int
) -> None:
    lines = [("Host", "backend:8000"), ("Origin", origin), ("Authorization", f"Bearer {forge()}")]
    try:
        door = authenticator(sources=frozenset({Source.AUTHORIZATION}))
        await door.authenticate(Headers(lines), secure=True, host="chat.example")
    except AuthError as error:
        assert error.status == status
    else:
        assert status == 200


async def test_page_of_another_site_may_be_named() -> None:
    friends = ["https://app.example"]
    assert await status_of(["https://app.example"], origins=friends) == 101
    assert await status_of(["https://app.example.evil.example"], origins=friends) == 403
    assert await status_of(["https://chat.example"], origins=friends) == 403


@pytest.mark.parametrize("origins", [None, ["*"], [None]])
@virtual_time
async def test_cookie_without_origin_is_never_welcome(origins: list[str | None] | None) -> None:
    assert await status_of([], origins=origins) == 403


@pytest.mark.parametrize(("origin", "status"), [(None, 101), ("https://evil.example", 403)])
@virtual_time
async def test_program_without_origin_needs_no_page(origin: str | None, status: int) -> None:
    door = Authenticate(Echo(), authenticator())
    lines = [("Authorization", f"Bearer {forge()}")]
    lines += [("Origin", origin)] if origin else []
    exchange = await Exchange(door, scope_of(headers=lines)).settle()
    exchange.leave()
    await exchange.task
    assert exchange.status == status
