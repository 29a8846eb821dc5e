"""The debug endpoints' door: who gets in, who does not, and what a bad request can do."""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.errors import LocalProtocolError
from refimpl.handshake import Headers, Request, is_loopback
from refimpl.profiling import debug as debug_module
from refimpl.profiling import debug_request
from refimpl.profiling.debug import MAX_CONNECTIONS, DebugServer, serve_debug
from refimpl.profiling.debug_request import (
    MAX_HEAD,
    MIN_TOKEN,
    PROFILES,
    AccessCheck,
    Refused,
)
from tests.certificates import HERE as CERTIFICATES
from tests.support.asking import PATIENCE, ask, head, send

CANARY = "canary-0123456789-0123456789-0123456789"


class TestToken:
    @pytest.mark.parametrize("look", PROFILES)
    async def test_no_path_is_open_without_it(self, look: str) -> None:
        async with serve_debug() as debug:
            reply = await ask(debug, look, authorization=None)
        assert reply.status == 401
        assert reply.headers["www-authenticate"].startswith("Bearer")

    @pytest.mark.parametrize(
        "value",
        [
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            f"Bearer {CANARY[:-1]}",
            f"Bearer {CANARY}x",
            f"Bearer {CANARY.upper()}",
            f"Bearer {CANARY} {CANARY}",
            f"Basic {CANARY}",
            CANARY,
            "Bearer \xff\xfe",
        ],
    )
    async def test_a_wrong_one_is_refused(
        self, value: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serve_debug(token=CANARY) as debug:
            reply = await ask(debug, "tasks", authorization=value)
        assert reply.status == 401
        assert CANARY[:20] not in caplog.text + reply.text
        assert "refused 127.0.0.1:" in caplog.text

    async def test_the_right_one_is_let_in_however_bearer_is_written(self) -> None:
        async with serve_debug(token=CANARY) as debug:
            for scheme in ("Bearer", "bearer", "BEARER"):
                reply = await ask(debug, "tasks", authorization=f"{scheme} {CANARY}")
                assert reply.status == 200

    async def test_two_of_them_are_refused(self) -> None:
        async with serve_debug(token=CANARY) as debug:
            twice = head(debug, "tasks").replace(
                b"\r\n\r\n", b"\r\nauthorization: Bearer wrong\r\n\r\n"
            )
            assert (await send(debug, twice)).status == 400

    @pytest.mark.parametrize("name", ["token", "access_token"])
    async def test_it_does_not_count_in_the_query(
        self, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serve_debug(token=CANARY) as debug:
            alone = await ask(debug, f"tasks?{name}={CANARY}", authorization=None)
            beside = await ask(debug, f"tasks?{name}={CANARY}")
        assert alone.status == 401
        assert beside.status == 400
        assert "Authorization header" in beside.text
        assert CANARY not in caplog.text + alone.text + beside.text

    async def test_it_is_in_no_log_even_where_it_stands_in_the_path(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        async with serve_debug(token=CANARY) as debug:
            assert (await ask(debug, CANARY)).status == 404
            assert (await ask(debug, "tasks")).status == 200
        assert CANARY not in caplog.text

    async def test_a_new_one_is_made_for_each_server(self) -> None:
        async with serve_debug() as one, serve_debug() as other:
            assert one.token != other.token
            assert len(one.token) >= MIN_TOKEN
            assert (await ask(one, "tasks", authorization=f"Bearer {other.token}")).status == 401

    @pytest.mark.parametrize(
        "token", ["", "x" * (MIN_TOKEN - 1), "x" * 40 + " ", "x" * 40 + "\r\nA: b", "ü" * 40]
    )
    async def test_one_that_is_short_or_no_header_value_is_an_error_at_start(
        self, token: str
    ) -> None:
        with pytest.raises(ValueError, match="got a debug token") as caught:
            async with serve_debug(token=token):
                pass
        assert token not in str(caught.value) or not token

    async def test_the_shortest_allowed(self) -> None:
        async with serve_debug(token="x" * MIN_TOKEN) as debug:
            assert (await ask(debug, "tasks")).status == 200


class TestAddress:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "", "example.com"])
    async def test_an_address_that_others_reach_is_refused(self, host: str) -> None:
        with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
            async with serve_debug(host=host):
                pass

    async def test_allowed_it_still_needs_tls(self) -> None:
        with pytest.raises(ValueError, match="expected ssl"):
            async with serve_debug(host="0.0.0.0", allow_remote=True):
                pass

    @pytest.mark.parametrize("environment", ["production", "prod", "PRODUCTION"])
    async def test_never_in_production(
        self, environment: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for name in (environment, None):
            monkeypatch.setenv("REFIMPL_ENV", environment)
            with pytest.raises(ValueError, match="in production"):
                async with serve_debug(
                    host="0.0.0.0", ssl=context, allow_remote=True, environment=name
                ):
                    pass

    async def test_on_this_machine_it_may_run_in_production(self) -> None:
        async with serve_debug(environment="production") as debug:
            assert (await ask(debug, "tasks")).status == 200

    async def test_with_tls_and_allowed_it_answers_over_tls_alone(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / "localhost.pem")
        trusting = ssl.create_default_context(cafile=str(CERTIFICATES / "ca.pem"))
        async with serve_debug(host="0.0.0.0", ssl=context, allow_remote=True) as debug:
            assert debug.url.startswith("https://")
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", debug.port, ssl=trusting, server_hostname="localhost"
                )
                writer.write(head(debug, "tasks"))
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", debug.port)
                writer.write(head(debug, "tasks"))
                assert b"HTTP/1.1 200" not in await reader.read(-1)
                writer.close()

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1.2.3"])
    async def test_this_machine_by_other_names(self, host: str) -> None:
        async with serve_debug(host=host) as debug:
            assert is_loopback(debug.host)


class TestOtherSites:
    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "10.0.0.1",
            "[::ffff:10.0.0.1]",
            "[oops",
            "",
            None,
        ],
    )
    async def test_a_rebound_name_is_refused(self, host: str | None) -> None:
        async with serve_debug() as debug:
            reply = await ask(debug, "tasks", host=host)
        assert reply.status == 403
        assert "Host" in reply.text

    @pytest.mark.parametrize(
        "around",
        ["x@{}", "x:y@{}", "@{}", "{}/x", "{}/", "{}?x", "{}#x", "{}\\x", "//{}", "http://{}",
         "{} x", "{}\tx", "{},x", "{}, evil.example", "{}%00", "{}:9:9", "{}:x", "{}:-1",
         "{}:65536", "{}:9@evil.example", "evil.example:9@{}", "evil.example/{}", "[{}", "{}]",
         "{}:\xb2"],
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
    async def test_what_is_no_host_and_port_is_refused(self, around: str, name: str) -> None:
        host = around.format(name)
        with pytest.raises(Refused, match="got a Host"):
            AccessCheck("x" * MIN_TOKEN).check(Request("/", Headers([("Host", host)])))

    @pytest.mark.parametrize(
        "host",
        ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.", "localhost.",
         "[127.0.0.1]", "[localhost]", "::1", "[::1%25lo]", "0.0.0.0"],
    )  # fmt: skip
    async def test_other_spellings_of_this_machine_are_refused(self, host: str) -> None:
        with pytest.raises(Refused, match="got a Host"):
            AccessCheck("x" * MIN_TOKEN).check(Request("/", Headers([("Host", host)])))

    @given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30))
    def test_any_other_host_is_refused(self, host: str) -> None:
        """Whatever is let in is an address of this machine and a port, and nothing else."""
        try:
            headers = Headers([("Host", host), ("Authorization", f"Bearer {'x' * MIN_TOKEN}")])
            AccessCheck("x" * MIN_TOKEN).check(Request("/debug/pprof/", headers))
        except (Refused, LocalProtocolError):
            return
        this_machine = r"(?i:127(\.\d+){3}|localhost|\[[0:]*:0*1\]|\[[0:]*:ffff:[^]]+\])(:\d{0,5})?"
        assert re.fullmatch(this_machine, host)

    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "127.0.0.1:9",
            "[::1]:6060",
            "LOCALHOST:1",
            "127.9.9.9",
            "127.0.0.1:",
            "[::ffff:127.0.0.1]",
        ],
    )
    async def test_this_machine_through_a_tunnel_is_not(self, host: str) -> None:
        async with serve_debug() as debug:
            assert (await ask(debug, "tasks", host=host)).status == 200

    @pytest.mark.parametrize(
        "sent",
        [
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec_fetch_site": "cross-site"},
            {"sec_fetch_site": "same-site"},
        ],
    )
    async def test_a_page_elsewhere_gets_nothing(self, sent: dict[str, str]) -> None:
        async with serve_debug() as debug:
            reply = await ask(debug, "tasks", **sent)
        assert reply.status == 403
        assert not [name for name in reply.headers if name.startswith("access-control")]

    async def test_an_answer_is_kept_guessed_and_run_by_nobody(self) -> None:
        async with serve_debug() as debug:
            headers = (await ask(debug)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")


class TestBadRequests:
    @pytest.mark.parametrize(
        "seconds",
        [
            "0",
            "-1",
            "31",
            "30.1",
            "1e9",
            "1e-9",
            "nan",
            "inf",
            "five",
            "",
            "1_0",
            "٣",
            "0x1",
            "9" * 99,
        ],
    )
    @pytest.mark.parametrize("look", ["profile", "heap", "allocs"])
    async def test_absurd_seconds(self, look: str, seconds: str) -> None:
        async with serve_debug() as debug:
            data = head(debug, f"{look}?seconds=SECONDS").replace(
                b"SECONDS", seconds.encode() if seconds.isascii() else b"%D9%A3"
            )
            reply = await send(debug, data)
        assert reply.status == 400
        assert "expected more than 0, at most 30" in reply.text

    @pytest.mark.parametrize(
        ("path", "status", "says"),
        [
            ("nonsense", 404, "no such path"),
            ("profile/", 404, "no such path"),
            ("../pprof/tasks", 404, "no such path"),
            ("%74asks", 404, "no such path"),
            ("tasks?seconds=1", 400, "expected: format"),
            ("profile?color=red", 400, "expected: seconds, format"),
            ("profile?seconds=1&seconds=2", 400, "repeated"),
            ("profile?format=pdf", 400, "format="),
            ("heap?base=2", 400, "base=1"),
            ("heap?base=1&seconds=1", 400, "one of them"),
        ],
    )
    async def test_unknown_paths_and_parameters(self, path: str, status: int, says: str) -> None:
        async with serve_debug() as debug:
            reply = await ask(debug, path)
        assert (reply.status, says in reply.text) == (status, True)

    @pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "DELETE", "CONNECT"])
    async def test_get_only(self, method: str) -> None:
        async with serve_debug() as debug:
            reply = await ask(debug, "tasks", method)
        assert (reply.status, reply.headers["allow"]) == (405, "GET")

    @pytest.mark.parametrize(
        ("make", "status"),
        [
            (lambda good: good.replace(b"\r\n\r\n", b"\r\nx: " + b"y" * 9000 + b"\r\n\r\n"), 431),
            (lambda good: good[:-2] + b"x: y\r\n" * 200 + b"\r\n", 431),
            (lambda good: good[:-2] + (b"x: " + b"y" * 8000 + b"\r\n") * 40, 431),
            (lambda good: good.replace(b"/tasks", b"/" + b"t" * 9000), 414),
            (lambda good: good.replace(b"\r\n", b"\n"), 400),
            (lambda good: b"\x16\x03\x01\x02\x00" + good, 400),
            (lambda good: b"\x00" * 100, 400),
            (lambda good: good.replace(b"\r\n\r\n", b"\r\nno colon\r\n\r\n"), 400),
            (lambda good: good.replace(b"\r\n\r\n", b"\r\ncontent-length: 5\r\n\r\n"), 400),
            (lambda good: good[:-2] + b"transfer-encoding: chunked\r\n\r\n", 400),
            (lambda good: good + good, 400),
        ],
        ids=[
            "long line", "many lines", "long head", "long target", "bare LF", "TLS", "NULs",
            "no colon", "body", "chunked", "pipelined",
        ],
    )  # fmt: skip
    async def test_heads_that_are_huge_or_none(self, make, status: int) -> None:  # type: ignore[no-untyped-def]
        async with serve_debug() as debug:
            data = make(head(debug, "tasks"))
            assert (await send(debug, data)).status == status
            assert (await ask(debug, "tasks")).status == 200

    async def test_a_head_is_read_up_to_its_limit_and_no_further(self) -> None:
        async with serve_debug() as debug:
            pad = b"x: " + b"y" * 1000 + b"\r\n"
            good = head(debug, "tasks")
            room = (MAX_HEAD - len(good)) // len(pad)
            assert (await send(debug, good[:-2] + pad * room + b"\r\n")).status == 200
            assert (await send(debug, good[:-2] + pad * (room + 20))).status == 431


class TestSlowClients:
    async def test_half_a_request_is_waited_for_only_so_long(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(debug_request, "HEAD_TIMEOUT", 0.1)
        async with serve_debug() as debug:
            assert (await send(debug, head(debug, "tasks")[:-2])).status == 408
            assert (await send(debug, b"")).status == 408

    async def test_an_answer_that_nobody_takes_is_dropped(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(debug_module, "SEND_TIMEOUT", 0.1)
        huge = debug_request.Answer("text/plain", "x" * 20_000_000)

        async def large(looks: object) -> str:
            return huge.body

        monkeypatch.setattr(debug_module, "index", large)
        async with serve_debug() as debug:
            _, writer = await asyncio.open_connection("127.0.0.1", debug.port, limit=1024)
            writer.write(head(debug, ""))
            await connected(debug, 1)
            await connected(debug, 0)
            assert (await ask(debug, "tasks")).status == 200
            writer.close()

    @pytest.mark.parametrize("sent", [b"", b"GET /debug/pp", b"GET / HTTP/1.1\r\n\r\n"])
    @pytest.mark.parametrize("more", [0, 1, 50])
    async def test_a_silent_crowd_makes_room(self, sent: bytes, more: int) -> None:
        """Who has not shown the token leaves when there is no room, the oldest first."""
        async with serve_debug() as debug, crowd(debug, MAX_CONNECTIONS + more, sent) as links:
            assert (await ask(debug, "tasks")).status == 200
            assert len(debug._tasks) <= MAX_CONNECTIONS + 1
            for reader, _ in links[: more + 1]:
                await gone(reader)
            assert (await ask(debug, "tasks")).status == 200

    async def test_the_oldest_goes_first(self) -> None:
        async with serve_debug() as debug, crowd(debug, MAX_CONNECTIONS, b"") as links:
            await connected(debug, MAX_CONNECTIONS)
            for _, writer in links[1:]:
                writer.write(head(debug, "tasks")[:-2])
            async with crowd(debug, 1, b""):
                await gone(links[0][0])
                for reader, writer in links[1:]:
                    writer.write(b"\r\n")
                    assert (await reader.readline()).startswith(b"HTTP/1.1 200")

    async def test_a_crowd_with_the_token_is_not_disturbed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = threading.Event()

        async def slow(looks: object) -> str:
            await asyncio.to_thread(answer.wait, PATIENCE)
            return "at last"

        monkeypatch.setattr(debug_module, "index", slow)
        async with serve_debug() as debug:
            async with crowd(debug, MAX_CONNECTIONS, head(debug, "")) as links:
                async with asyncio.timeout(PATIENCE):
                    while debug._strangers or len(debug._tasks) < MAX_CONNECTIONS:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)  # another thread's loop
                assert (await ask(debug, "tasks")).status == 503
                answer.set()
                for reader, _ in links:
                    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            async with asyncio.timeout(PATIENCE):
                while (await ask(debug, "tasks")).status == 503:
                    pass

    async def test_no_tls_handshake_is_waited_for_longer(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(debug_module, "HEAD_TIMEOUT", 0.1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / "localhost.pem")
        async with serve_debug(ssl=context) as debug, crowd(debug, 1, b"") as [(reader, _)]:
            await gone(reader)


@asynccontextmanager
async def crowd(
    debug: DebugServer, size: int, sent: bytes
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Open connections one after the other, and send the same on each."""
    links = []
    for _ in range(size):
        links.append(await asyncio.open_connection("127.0.0.1", debug.port))
        links[-1][1].write(sent)
    try:
        yield links
    finally:
        for _, writer in links:
            writer.transport.abort()


async def gone(reader: asyncio.StreamReader) -> None:
    """Wait until the server has hung up."""
    async with asyncio.timeout(PATIENCE):
        try:
            await reader.read(-1)
        except ConnectionError:
            pass


async def connected(debug: DebugServer, number: int) -> None:
    """Wait until so many clients are connected, as the server sees it."""
    async with asyncio.timeout(PATIENCE):
        while len(debug._tasks) != number:  # noqa: ASYNC110 - another thread's loop
            await asyncio.sleep(0.001)
