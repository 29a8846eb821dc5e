"""Files, an API and WebSockets under one address: the path table, caching, headers."""

from __future__ import annotations

import errno
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from refimpl.middleware import CacheRules, SecurityHeaders, cache_control, security_headers
from refimpl.middleware.static import Files, is_public, site
from tests.support.asgi_peer import Peer, http_scope, websocket_scope

FINGERPRINTED = "/static/js/app.3f9a1c07.js"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "public"
    for name in (
        "index.html",
        "assets/logo.svg",
        "static/js/app.3f9a1c07.js",
        "static/js/app.3f9a1c07.js.map",
        "static/js/plain.js",
        "docs/index.html",
        "ws/trap.txt",
        "api/trap.txt",
        ".env",
        ".git/config",
        "app.js.bak",
        "notes~",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("SECRET", encoding="utf-8")
    return root


async def health(request):
    return JSONResponse({"ok": True})


async def broken(request):
    raise ZeroDivisionError


@pytest.fixture
def app(folder):
    return site(folder, api=[Route("/health", health), Route("/broken", broken)])


@pytest.fixture
async def client(app):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://a.example") as made:
        yield made


class TestPathTable:
    @pytest.mark.parametrize(
        ("path", "status", "says", "kept"),
        [
            ("/", 200, "content of index.html", "no-cache"),
            ("/index.html", 200, "content of index.html", "no-cache"),
            ("/docs/", 200, "content of docs/index.html", "no-cache"),
            ("/assets/logo.svg", 200, "content of assets", "public, max-age=3600"),
            (FINGERPRINTED, 200, "content of static", "public, max-age=31536000, immutable"),
            ("/static/js/plain.js", 200, "content of static", "no-cache"),
            ("/api/health", 200, '{"ok":true}', "no-cache"),
            ("/api/nothing", 404, '{"error":"not found"}', "no-store"),
            ("/api/trap.txt", 404, '{"error":"not found"}', "no-store"),
            ("/api/", 404, '{"error":"not found"}', "no-store"),
            ("/ws/trap.txt", 426, "WebSocket only", "no-store"),
            ("/ws/", 426, "WebSocket only", "no-store"),
            ("/ws", 426, "WebSocket only", "no-store"),
            ("/nothing", 404, "Not Found", "no-store"),
            ("/static/js/gone.3f9a1c07.js", 404, "Not Found", "no-store"),
        ],
    )
    async def test_each_path_has_one_owner(self, client, path, status, says, kept):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (status, kept)
        assert says in answer.text

    async def test_426_names_what_to_upgrade_to(self, client):
        assert (await client.get("/ws/echo")).headers["upgrade"] == "websocket"

    @pytest.mark.parametrize(
        "path", ["/", "/assets/logo.svg", "/ws/echo", "/ws", "/api/x", "/nope"]
    )
    async def test_no_websocket_reaches_a_file(self, app, path):
        peer = await Peer(websocket_scope(path)).run(app)
        assert (peer.status, peer.body) == (404, b"There is no such endpoint.\n")

    async def test_other_methods_are_refused_where_the_path_is_known(self, client):
        for path in ("/api/health", "/assets/logo.svg", "/"):
            assert (await client.post(path)).status_code == 405, path

    async def test_a_catch_all_mount_of_files_swallows_no_socket(self, folder):
        async def endpoint(websocket):
            raise AssertionError("the mount stands before it")

        routes = [Mount("/", Files(directory=folder)), WebSocketRoute("/ws/echo", endpoint)]
        peer = await Peer(websocket_scope("/ws/echo")).run(Starlette(routes=routes))
        assert peer.status == 404
        peer = await Peer(http_scope("/ws/trap.txt")).run(Starlette(routes=routes))
        assert peer.status == 426

    async def test_the_rules_hold_below_a_root_path(self, app):
        scope = http_scope(f"/shop{FINGERPRINTED}", root_path="/shop")
        peer = await Peer(scope).run(app)
        assert (peer.status, "immutable" in peer.headers()["cache-control"]) == (200, True)
        peer = await Peer(http_scope("/shop/ws/echo", root_path="/shop")).run(app)
        assert peer.status == 426

    async def test_mounted_below_a_root_path(self, folder):
        routes = [Mount("/files", Files(directory=folder))]
        transport = httpx.ASGITransport(Starlette(routes=routes))
        async with httpx.AsyncClient(transport=transport, base_url="http://a.example") as client:
            answer = await client.get("/files/assets/logo.svg")
            assert answer.text == "content of assets/logo.svg"
            assert (await client.get("/files/.env")).status_code == 404


class TestRevalidation:
    @pytest.mark.parametrize("path", ["/", FINGERPRINTED, "/assets/logo.svg"])
    async def test_the_same_etag_gets_304_without_a_body(self, client, path):
        first = await client.get(path)
        again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("etag", "cache-control"):  # RFC 9110 15.4.5
            assert again.headers[name] == first.headers[name]
        assert again.headers["x-content-type-options"] == "nosniff"

    async def test_changed_content_is_sent_again(self, client, folder):
        first = await client.get("/index.html")
        (folder / "index.html").write_text("something longer than before", encoding="utf-8")
        again = await client.get("/index.html", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.text) == (200, "something longer than before")
        assert again.headers["etag"] != first.headers["etag"]

    @pytest.mark.parametrize("given", ['"other"', 'W/"other", "more"', "nonsense"])
    async def test_other_etags_get_the_file(self, client, given):
        answer = await client.get("/", headers={"if-none-match": given})
        assert answer.status_code == 200

    async def test_a_weak_etag_in_a_list_matches(self, client):
        etag = (await client.get("/")).headers["etag"]
        answer = await client.get("/", headers={"if-none-match": f'"other", W/{etag}'})
        assert answer.status_code == 304

    async def test_if_modified_since(self, client):
        changed = (await client.get("/")).headers["last-modified"]
        assert (await client.get("/", headers={"if-modified-since": changed})).status_code == 304

    async def test_head_is_get_without_the_body(self, client):
        got, head = await client.get("/"), await client.head("/")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == got.headers["etag"]


class TestHeaders:
    @pytest.mark.parametrize(
        "path", ["/", "/api/health", "/api/broken", "/nothing", "/ws/echo", FINGERPRINTED]
    )
    async def test_every_answer_has_them_errors_too(self, client, path):
        answer = await client.get(path)
        for name, value in security_headers(secure=False).items():
            assert answer.headers[name] == value

    async def test_a_denied_websocket_has_them(self, app):
        peer = await Peer(websocket_scope("/nothing")).run(app)
        assert peer.headers()["x-content-type-options"] == "nosniff"

    async def test_an_accepted_one_has_none_of_them(self):
        async def accepts(scope, receive, send):
            await send({"type": "websocket.accept", "headers": []})

        peer = await Peer(websocket_scope()).run(SecurityHeaders(CacheRules(accepts)))
        assert peer.sent == [{"type": "websocket.accept", "headers": []}]

    async def test_strict_transport_security_over_tls_only(self, app):
        for scheme, there in (("http", False), ("https", True)):
            peer = await Peer({**http_scope("/api/health"), "scheme": scheme}).run(app)
            assert ("strict-transport-security" in peer.headers()) is there

    async def test_what_the_application_says_itself_wins(self):
        own = {"Cache-Control": "private", "X-Frame-Options": "SAMEORIGIN"}
        app = SecurityHeaders(CacheRules(PlainTextResponse("x", headers=own)))
        headers = (await Peer(http_scope("/assets/x")).run(app)).headers()
        assert (headers["cache-control"], headers["x-frame-options"]) == ("private", "SAMEORIGIN")

    def test_the_policy_lets_in_our_own_modules_and_socket_and_nothing_inline(self):
        csp = security_headers(secure=False)["content-security-policy"]
        rules = dict(rule.split(" ", 1) for rule in csp.split("; "))
        assert rules["default-src"] == "'self'"
        assert not {"script-src", "connect-src", "style-src"} & set(rules)  # default-src holds
        assert "unsafe" not in csp and "*" not in csp
        assert {"object-src", "base-uri", "frame-ancestors"} <= set(rules)

    async def test_a_policy_of_ones_own(self):
        app = SecurityHeaders(PlainTextResponse("x"), csp="default-src 'none'")
        headers = (await Peer(http_scope()).run(app)).headers()
        assert headers["content-security-policy"] == "default-src 'none'"

    @pytest.mark.parametrize(
        ("path", "immutable"),
        [
            ("/static/js/app.3f9a1c07.js", True),
            ("/static/css/a-b.0123456789abcdef0123456789abcdef.css", True),
            ("/static/js/app.3f9a1c0.js", False),  # seven digits
            ("/static/js/app.notahash.js", False),
            ("/static/js/3f9a1c07.js", False),  # no name before it
            ("/static/js/app.3f9a1c07", False),  # no suffix behind it
            ("/other/static/js/app.3f9a1c07.js", False),
            ("/static/js/app.3f9a1c07.js\n", False),
        ],
    )
    def test_only_a_fingerprint_is_for_ever(self, path, immutable):
        assert ("immutable" in cache_control(path)) is immutable

    @pytest.mark.parametrize(
        ("rules", "message"),
        [
            ((), "a last one for every path"),
            (((r"/static/.*", "no-cache"),), "a last one for every path"),
            (((r".*", "no-cache"), (r"/api/.*", "no-store")), "a last one for every path"),
            (((r"(", "no-cache"), (r".*", "no-cache")), "no regular expression"),
            (((r".*", "no-cache\r\nset-cookie: a=b"),), "no header value"),
            (((r".*", "für immer \u2026"),), "no header value"),
        ],
    )
    def test_rules_that_could_fail_in_a_request_are_refused_at_once(self, rules, message):
        """14: without a rule for every path, StopIteration came out of a coroutine."""
        with pytest.raises(ValueError, match=message):
            CacheRules(PlainTextResponse("x"), rules=rules)

    @pytest.mark.parametrize("csp", ["default-src 'self'\r\nset-cookie: a=b", "\u2026", "a\x00"])
    def test_a_policy_that_is_no_header_value_is_refused_at_once(self, csp):
        with pytest.raises(ValueError, match="no header value"):
            SecurityHeaders(PlainTextResponse("x"), csp=csp)

    async def test_rules_of_ones_own_are_kept_for_every_path(self):
        rules = [(r"/a", "private"), (r".*", "no-store")]
        for path, kept in (("/a", "private"), ("*", "no-store"), ("/a\nb", "no-store")):
            app = CacheRules(PlainTextResponse("x"), rules=iter(rules))
            assert (await Peer(http_scope(path)).run(app)).headers()["cache-control"] == kept

    def test_no_rule_for_a_path_is_named(self):
        with pytest.raises(LookupError, match="no rule"):
            cache_control("/a", [("/b", "no-cache")])


class TestPublic:
    @pytest.mark.parametrize(
        "path",
        [
            "/app.js.map",
            "/app.js.map/",
            "/static/js/app.3f9a1c07.js.map/",
            "/static/js/app.3f9a1c07.js.map",
            "/static/js/app.3f9a1c07.js.MAP",
            "/.env",
            "/.git/config",
            "/app.js.bak",
            "/notes~",
        ],
    )
    async def test_what_is_there_but_not_public_is_404(self, client, path):
        assert (await client.get(path)).status_code == 404

    @pytest.mark.parametrize(
        "path", ["", "/", "/a", "/a b/ü.svg", "/a/b.c.d", "/a-b_c/(1).png", "/a/"]
    )
    def test_ordinary_names(self, path):
        assert is_public(path)

    @pytest.mark.parametrize(
        "path",
        [
            "/..",
            "/a/../b",
            "//a",
            "/a//b",
            "/.a",
            "/a/.b",
            "/a.",
            "/a ",
            "/a\\b",
            "/c:/x",
            "/a\x00b",
            "/a.js.map",
            "/a.js.map.",
            "/x.js::$DATA",
            "/a\nb",
            "/./a",
            "/..\\x",
            "/a\x7f",
        ],
    )
    def test_tricks(self, path):
        assert not is_public(path)

    async def test_a_redirect_stays_here_whatever_host_says(self, client):
        answer = await client.get("/docs", headers={"host": "evil.example"})
        assert (answer.status_code, answer.headers["location"]) == (307, "/docs/")

    @pytest.mark.parametrize(
        "name", ["\u65e5\u672c", "gr\u00fc\u00dfe", "a b", "100%", "a?b", "a#b"]
    )
    async def test_a_folder_of_any_name_redirects_to_itself(self, client, folder, name):
        """27: a name outside of Latin-1 gave 500, one inside of it raw bytes in a header."""
        (folder / name).mkdir()
        (folder / name / "index.html").write_text("found", encoding="utf-8")
        answer = await client.get(f"/{quote(name)}")
        assert (answer.status_code, answer.headers["location"]) == (307, f"/{quote(name)}/")
        assert (await client.get(answer.headers["location"])).text == "found"

    async def test_a_site_in_a_folder_of_any_name(self, tmp_path):
        folder = tmp_path / "\u65e5\u672c"
        folder.mkdir()
        (folder / "index.html").write_text("found", encoding="utf-8")
        peer = await Peer(http_scope("/")).run(site(folder))
        assert (peer.status, peer.body) == (200, b"found")

    @pytest.mark.parametrize(
        "path",
        ["/\ud83e", "/\udcff", "/a\ufffd", "/" + "a" * 300, "/" + "a/" * 3000, "/index.html/x"],
        ids=["half a pair", "a byte that is no UTF-8", "its replacement", "long", "deep", "below"],
    )
    async def test_a_path_that_no_file_can_have_is_404(self, app, path):
        peer = Peer({**http_scope("/"), "path": path})
        assert (await peer.run(app)).status == 404

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (PermissionError(errno.EACCES, "denied"), 404),
            (OSError(errno.ELOOP, "a link to itself"), 404),
            (OSError(errno.EIO, "a broken disk"), 500),
        ],
    )
    async def test_a_file_that_may_not_be_read_is_not_there(
        self, client, monkeypatch, error, status
    ):
        """Starlette says 401 where permission is missing, though nothing here asks for a name."""

        def stat(*_, **__):
            raise error

        assert (await client.get("/index.html")).status_code == 200
        monkeypatch.setattr("starlette.staticfiles.os.stat", stat)
        answer = await client.get("/index.html")
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"

    async def test_a_link_out_of_the_folder_is_not_followed(self, client, folder):
        try:
            (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
        except OSError:
            pytest.skip("this system makes no links")
        assert (await client.get("/link.txt")).status_code == 404
