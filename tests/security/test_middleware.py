"""Attacks on the middleware floor: foreign pages, path confusion, traversal, forged headers."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.middleware import Context, Registry
from refimpl.middleware.registry import endpoint_name
from refimpl.middleware.serving import running
from refimpl.middleware.static import is_public, site
from tests.support.asgi_peer import Peer, echo, page, websocket_scope

# Against a server at http://a.example: what a page elsewhere, or no page at all, may send.
FOREIGN = [
    [""],
    ["null"],
    ["NULL"],
    ["http://evil.example"],
    ["http://sub.a.example"],
    ["http://example"],
    ["http://aa.example"],
    ["http://a.example.evil.example"],
    ["http://evil.example/a.example"],
    ["http://a.example@evil.example"],
    ["http://a.example:81"],
    ["http://a.example:8080"],
    ["https://a.example"],
    ["ws://a.example"],
    ["file://a.example"],
    ["http://a.example/"],
    ["http://a.example "],
    ["http://a.example http://evil.example"],
    ["http://a.example", "http://evil.example"],
    ["http://a.example", "http://a.example"],
    ["http://a.example#x"],
    ["a.example"],
    ["*"],
]
OWN = [[], ["http://a.example"], ["http://a.example:80"], ["HTTP://A.EXAMPLE"]]


@pytest.mark.parametrize("origins", FOREIGN, ids=repr)
async def test_a_foreign_page_never_reaches_an_endpoint(origins):
    registry = Registry(page)

    async def never(scope, receive, send):
        raise AssertionError("reached")

    registry.add("echo", never)
    headers = [("origin", origin) for origin in origins]
    peer = await Peer(websocket_scope(headers=headers)).run(registry)
    assert peer.status in (400, 403)


@pytest.mark.parametrize("origins", OWN, ids=repr)
async def test_our_own_page_and_programs_do(origins):
    registry = Registry(page)
    registry.add("echo", echo)
    peer = Peer(websocket_scope(headers=[("origin", origin) for origin in origins]))
    peer.leave()
    assert (await peer.run(registry)).types == "websocket.accept"


@pytest.mark.parametrize("hosts", [[], ["a.example", "b.example"], ["a.example", "a.example"]])
async def test_without_exactly_one_host_there_is_no_own_origin(hosts):
    registry = Registry(page)
    registry.add("echo", echo)
    scope = websocket_scope(headers=[("origin", "http://a.example")])
    scope["headers"] = [(b"host", host.encode()) for host in hosts] + scope["headers"][1:]
    assert (await Peer(scope).run(registry)).status == 400


async def test_a_control_character_in_a_header_is_refused_not_a_crash():
    registry = Registry(page)
    registry.add("echo", echo)
    scope = websocket_scope(headers=[("origin", "http://a.example\x00")])
    assert (await Peer(scope).run(registry)).status == 400


@given(st.text(max_size=30))
def test_a_name_is_found_in_no_path_but_its_own(rest):
    name = endpoint_name(websocket_scope(f"/ws/{rest}", raw_path=b"/ws/echo"), "/ws/")
    assert (name == "echo") is (rest == "echo")


@given(st.lists(st.sampled_from(["/", "..", ".", "ws", "echo", "%2e", "\\", "\x00", " ", "a"])))
def test_no_mixture_of_tricks_is_public_or_a_name(parts):
    path = "/" + "".join(parts)
    if is_public(path):
        segments = path.strip("/").split("/")
        assert not any(
            segment.startswith(".") or segment.endswith((".", " ")) for segment in segments
        )
        assert "\\" not in path and "\x00" not in path
    name = endpoint_name(websocket_scope(path, raw_path=path.encode()), "/ws/")
    assert name is None or path == f"/ws/{name}"


TRAVERSAL = [
    b"/../secret.txt",
    b"/..%2fsecret.txt",
    b"/%2e%2e/secret.txt",
    b"/%2e%2e%2fsecret.txt",
    b"/%252e%252e/secret.txt",
    b"/..\\secret.txt",
    b"/..%5csecret.txt",
    b"/assets/../../secret.txt",
    b"/assets/%2e%2e/%2e%2e/secret.txt",
    b"/assets/..%c0%af../secret.txt",
    b"//secret.txt",
    b"/%2fetc/passwd",
    b"/etc/passwd",
    b"/./../secret.txt",
    b"/....//secret.txt",
    b"/secret.txt%00.html",
    b"/%00",
    b"/" + b"a/" * 2000,
    b"/" + b"a" * 5000,
]


async def test_no_path_leads_out_of_the_folder(tmp_path):
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "index.html").write_text("the page", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("SECRET", encoding="utf-8")
    async with running(site(folder), engine="wsproto") as server:
        for path in TRAVERSAL:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            async with asyncio.timeout(5):
                answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            assert int(answer.split()[1]) in (400, 404), path
            assert b"SECRET" not in answer and b"root:" not in answer
        async with httpx.AsyncClient(base_url=server.http) as client:
            assert (await client.get("/")).text == "the page"  # and it still serves


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x=1", "a\nb", "a\x00", "<script>", "x" * 70])
async def test_a_request_id_never_carries_anything_into_the_answer(value):
    scope = websocket_scope("/ws/none", headers=[("x-request-id", value)])
    peer = await Peer(scope).run(Context(Registry(page), new_id=lambda: "new"))
    assert peer.headers()["x-request-id"] == "new"
