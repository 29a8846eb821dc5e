"""Which hosts a server answers to: RFC 9110 7.4, and what DNS rebinding makes of a loopback server.

A page of evil.example may have its name resolve to 127.0.0.1. For the browser it is then of our own
origin: Host and Origin agree with each other, and only the name in them is foreign.
"""

from __future__ import annotations

import pytest

from refimpl.errors import HandshakeError
from refimpl.handshake import Policy, check_request, default_hosts, parse_request
from refimpl.handshake.server import check_host
from tests.support.wire import request_head


def outcome(head: bytes, policy: Policy) -> tuple[int, str]:
    """Return the status that a request gets, and the reason of a refusal."""
    parsed = parse_request(head)
    assert parsed is not None
    try:
        return check_request(parsed[0], policy).response.status, ""
    except HandshakeError as error:
        return error.status, error.reason


def asked(host: str, allowed: list[str] | None, **policy: object) -> tuple[int, str]:
    """Return the outcome of a request with this Host."""
    head = request_head(replace={"Host": host})
    return outcome(head, Policy(allowed_hosts=allowed, **policy))  # type: ignore[arg-type]


class TestSection7_4:
    """RFC 9110 7.4: a request for a host that is not ours gets 421."""

    @pytest.mark.parametrize(
        ("host", "allowed"),
        [
            ("a.example", ["a.example"]),
            ("A.Example", ["a.example"]),
            ("a.example", ["A.EXAMPLE"]),
            ("a.example.", ["a.example"]),
            ("a.example", ["a.example."]),
            ("a.example:8080", ["a.example"]),
            ("a.example:", ["a.example"]),
            ("b.example", ["a.example", "b.example"]),
            ("127.0.0.1:8765", ["127.0.0.1"]),
            ("[::1]", ["::1"]),
            ("[::1]:80", ["[::1]"]),
            ("[0:0::1]", ["::1"]),
            ("[2001:DB8::1]", ["2001:db8:0::1"]),
            ("evil.example", ["*"]),
            ("evil.example", None),
        ],
    )
    def test_7_4_a_host_of_ours_passes(self, host: str, allowed: list[str] | None) -> None:
        assert asked(host, allowed) == (101, "")

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "a.example.evil.example",
            "evil-a.example",
            "sub.a.example",
            "example",
            "a.example..",
            "%61.example",
            "127.0.0.1",
            "[::1]",
            "[::::]",
            "*",
        ],
    )
    def test_7_4_another_host_gets_421(self, host: str) -> None:
        assert asked(host, ["a.example"]) == (421, "foreign-host")
        assert asked(f"{host}:8080", ["a.example"]) == (421, "foreign-host")
        assert asked(host, []) == (421, "foreign-host")

    def test_9112_3_2_2_the_host_in_the_target_counts_too(self) -> None:
        for target, status in (
            ("http://a.example/chat", 101),
            ("ws://a.example:80?x", 101),
            ("http://evil.example/chat", 421),
            ("http://a.example@evil.example/", 421),
            ("http://evil.example?a.example", 421),
            ("http:///chat", 421),
        ):
            head = request_head(f"GET {target} HTTP/1.1", replace={"Host": "a.example"})
            assert outcome(head, Policy(allowed_hosts=["a.example"]))[0] == status, target

    def test_7_4_the_refusal_says_what_to_do(self) -> None:
        parsed = parse_request(request_head(replace={"Host": "evil.example"}))
        assert parsed is not None
        with pytest.raises(HandshakeError, match="expected one of allowed_hosts") as caught:
            check_host(parsed[0], Policy(allowed_hosts=["a.example"]))
        assert "evil" not in str(caught.value)

    @pytest.mark.parametrize(
        "entry",
        [
            "",
            "http://a.example",
            "a.example/",
            "a.example:80",
            "[::1]:80",
            "*.example",
            "a b",
            "[::1",
            "::g",
            "fe80::1%eth0",
            "a,b",
        ],
    )
    def test_an_entry_that_fits_no_host_is_refused_at_the_call(self, entry: str) -> None:
        with pytest.raises(ValueError, match="in allowed_hosts"):
            Policy(allowed_hosts=[entry])


class TestRebinding:
    """A server on a loopback address answers to the names of this machine, and to no other."""

    @pytest.mark.parametrize(
        ("bound", "names"),
        [
            ("127.0.0.1", ("localhost", "127.0.0.1", "::1")),
            ("localhost", ("localhost", "127.0.0.1", "::1")),
            ("LOCALHOST", ("localhost", "127.0.0.1", "::1")),
            ("::1", ("localhost", "127.0.0.1", "::1")),
            ("127.0.0.2", ("localhost", "127.0.0.1", "::1", "127.0.0.2")),
            (["127.0.0.1", "::1"], ("localhost", "127.0.0.1", "::1")),
            (["127.0.0.1", "192.0.2.1"], None),
            (["", "127.0.0.1"], None),
            ([], None),
            ("0.0.0.0", None),
            ("::", None),
            ("", None),
            (None, None),
            ("192.0.2.1", None),
            ("example.com", None),
            ("localhost.example.com", None),
        ],
    )
    def test_default_of_a_bind(
        self, bound: str | list[str] | None, names: tuple[str, ...] | None
    ) -> None:
        assert default_hosts(bound) == names

    @pytest.mark.parametrize("origin", ["http://evil.example:8765", None])
    @pytest.mark.parametrize("origins", [None, ["*"], [None], ["http://evil.example:8765"]])
    def test_a_rebound_name_gets_421_whatever_origins_are_welcome(
        self, origin: str | None, origins: list[str | None] | None
    ) -> None:
        lines = [("Origin", origin)] if origin else []
        head = request_head(replace={"Host": "evil.example:8765"}, add=lines)
        policy = Policy(origins=origins, allowed_hosts=default_hosts("127.0.0.1"))
        assert outcome(head, policy) == (421, "foreign-host")

    @pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1:8765", "[::1]:8765"])
    def test_pages_of_this_machine_pass_and_others_do_not(self, host: str) -> None:
        policy = Policy(allowed_hosts=default_hosts("127.0.0.1"))
        for origin, status in ((f"http://{host}", 101), ("http://evil.example:8765", 403)):
            head = request_head(replace={"Host": host}, add=[("Origin", origin)])
            assert outcome(head, policy)[0] == status


class TestHostOfTheClient:
    """Behind a proxy the host that the client asked for may be another than in Host."""

    POLICY = Policy(host="chat.example", secure=True, allowed_hosts=["chat.example"])

    @pytest.mark.parametrize(
        ("origin", "status"),
        [
            ("https://chat.example", 101),
            (None, 101),
            ("http://chat.example", 403),
            ("https://backend:8000", 403),
        ],
    )
    def test_10_2_the_own_origin_is_the_one_that_the_client_sees(
        self, origin: str | None, status: int
    ) -> None:
        lines = [("Origin", origin)] if origin else []
        head = request_head(replace={"Host": "backend:8000"}, add=lines)
        assert outcome(head, self.POLICY)[0] == status

    def test_7_4_it_is_the_one_that_has_to_be_ours(self) -> None:
        head = request_head(replace={"Host": "chat.example"})
        policy = Policy(host="evil.example", allowed_hosts=["chat.example"])
        assert outcome(head, policy) == (421, "foreign-host")
