"""One str where several are wanted is refused at the call.

autobahn-python#691: a wildcard in the allowed origins let a foreign page in. Here the way in was
one str in place of a list: `"*" in "https://*.site.example"` is a search for a letter. The same
slip makes the subprotocols c, h, a and t of `subprotocols="chat"`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from refimpl.auth import Authenticate, Authenticator, Issuer, Key, Keyring, Source, Verifier
from refimpl.handshake import (
    Headers,
    Policy,
    build_request,
    check_origin,
    has_token,
    make_key,
    parse_extensions,
    parse_list,
    parse_subprotocols,
    parse_uri,
)
from refimpl.handshake.server import choose_subprotocol
from refimpl.middleware import Registry
from refimpl.middleware.asgi import Receive, Scope, Send
from refimpl.middleware.context import User
from refimpl.middleware.headers import CacheRules, cache_control
from refimpl.middleware.registry import Endpoint
from refimpl.middleware.static import path_table, site

KEYS = Keyring(Key("k", "HS256", bytes(32)))
VERIFIER = Verifier(KEYS, "https://id.example", "chat")
URI = parse_uri("ws://server.example.com/")
HEADERS = Headers([("Host", "server.example.com"), ("Origin", "https://evil.test")])


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody asks")


def request(**options: object) -> object:
    return build_request(URI, key=make_key(), **options)  # type: ignore[arg-type]


# Each call with one value that it takes a sequence of; it gets that value as it is, not in a list.
CALLS: dict[str, tuple[Callable[[object], object], object]] = {
    "Policy.origins": (
        lambda it: Policy(origins=it),  # type: ignore[arg-type]
        "https://*.site.example",
    ),
    "Policy.subprotocols": (lambda it: Policy(subprotocols=it), "chat"),  # type: ignore[arg-type]
    "Policy.allowed_hosts": (
        lambda it: Policy(allowed_hosts=it),  # type: ignore[arg-type]
        "site.example",
    ),
    "build_request.subprotocols": (lambda it: request(subprotocols=it), "chat"),
    "build_request.extensions": (lambda it: request(extensions=it), "permessage-deflate"),
    "build_request.headers": (lambda it: request(additional_headers=it), "X-A: b"),
    "Headers": (lambda it: Headers(it), "X-A: b"),  # type: ignore[arg-type]
    "parse_list": (lambda it: parse_list(it), "keep-alive, Upgrade"),  # type: ignore[arg-type]
    "has_token": (lambda it: has_token(it, "u"), "Upgrade"),  # type: ignore[arg-type]
    "parse_subprotocols": (lambda it: parse_subprotocols(it), "chat"),  # type: ignore[arg-type]
    "parse_extensions": (lambda it: parse_extensions(it), "x-unheard-of"),  # type: ignore[arg-type]
    "choose_subprotocol": (
        lambda it: choose_subprotocol(HEADERS, it),  # type: ignore[arg-type]
        "chat",
    ),
    "Authenticator.origins": (
        lambda it: Authenticator(verifier=VERIFIER, origins=it),  # type: ignore[arg-type]
        "https://*.site.example",
    ),
    "Authenticator.sources": (
        lambda it: Authenticator(verifier=VERIFIER, sources=it),  # type: ignore[arg-type]
        "cookie",
    ),
    "Authenticate.public": (
        lambda it: Authenticate(app, Authenticator(verifier=VERIFIER), public=it),  # type: ignore[arg-type]
        "/api/login",
    ),
    "Authenticate.subprotocols": (
        lambda it: Authenticate(app, Authenticator(verifier=VERIFIER), subprotocols=it),  # type: ignore[arg-type]
        "chat",
    ),
    "Registry.add.origins": (
        lambda it: Registry(app).add("a", app, origins=it),  # type: ignore[arg-type]
        "https://*.site.example",
    ),
    "Registry.add.subprotocols": (
        lambda it: Registry(app).add("a", app, subprotocols=it),  # type: ignore[arg-type]
        "chat",
    ),
    "Endpoint.origins": (
        lambda it: Endpoint(app, origins=it),  # type: ignore[arg-type]
        "https://*.site.example",
    ),
    "Endpoint.subprotocols": (
        lambda it: Endpoint(app, subprotocols=it),  # type: ignore[arg-type]
        "chat",
    ),
    "User.roles": (lambda it: User("ada", roles=it), "admin"),  # type: ignore[arg-type]
    "CacheRules.rules": (
        lambda it: CacheRules(app, rules=it),  # type: ignore[arg-type]
        "/static/.*",
    ),
    "cache_control.rules": (
        lambda it: cache_control("/", it),  # type: ignore[arg-type]
        "/static/.*",
    ),
    "path_table.api": (lambda it: path_table(".", it), "/api"),  # type: ignore[arg-type]
    "site.api": (lambda it: site(".", it), "/api"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", [str, str.encode], ids=["str", "bytes"])
def test_one_text_is_no_sequence(name: str, kind: Callable[[str], object]) -> None:
    call, value = CALLS[name]
    with pytest.raises(TypeError) as caught:
        call(kind(str(value)))
    assert "expected a list" in str(caught.value)
    assert str(value) not in str(caught.value)


@pytest.mark.parametrize("wrong", [5, object(), True])
def test_what_is_no_sequence_at_all_is_refused_likewise(wrong: object) -> None:
    with pytest.raises(TypeError, match="expected a list"):
        Policy(origins=wrong)  # type: ignore[arg-type]


def test_an_iterator_is_kept_for_more_than_the_first_request() -> None:
    policy = Policy(origins=iter(["https://evil.test"]))  # type: ignore[arg-type]
    for _ in range(3):
        check_origin(HEADERS, policy)


def test_a_list_that_changes_later_changes_no_policy() -> None:
    origins: list[str | None] = ["https://evil.test"]
    policy = Policy(origins=origins)
    origins.clear()
    check_origin(HEADERS, policy)


def test_sources_may_come_in_any_collection() -> None:
    rules = Authenticator(verifier=VERIFIER, sources=[Source.COOKIE])  # type: ignore[arg-type]
    assert rules.sources == frozenset({Source.COOKIE})


def test_a_token_is_issued_for_roles_that_are_whole() -> None:
    token = Issuer(KEYS, "https://id.example", "chat").issue(
        User("ada", roles=frozenset({"admin"}))
    )
    assert VERIFIER.verify(token).user.roles == frozenset({"admin"})
