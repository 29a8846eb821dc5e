"""Who asks behind proxies: X-Forwarded-*, Forwarded (RFC 7239), and who is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.errors import HandshakeError
from refimpl.handshake import Headers, Policy
from refimpl.handshake.proxies import Client, find_client, parse_networks

PROXY, EDGE, CLIENT = "10.0.0.1", "10.0.0.2", "192.0.2.7"
TRUSTED = parse_networks(["10.0.0.0/8", "::1", "fe80::/10"])
SPOOFED = "6.6.6.6"

Lines = list[tuple[str, str]]


def client(lines: Lines, peer: str | None = PROXY, *, secure: bool = False) -> Client:
    return find_client(Headers(lines), peer, TRUSTED, secure=secure)


def forwarded_for(*values: str) -> Lines:
    return [("X-Forwarded-For", value) for value in values]


EVERYTHING: Lines = [
    ("X-Forwarded-For", CLIENT),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "a.example"),
    ("Forwarded", f"for={CLIENT};proto=https;host=a.example"),
]


class TestTrust:
    """A header counts where it comes from a trusted address, and is ignored elsewhere."""

    @pytest.mark.parametrize("peer", [PROXY, "10.255.255.255", "::1", "::ffff:10.0.0.1"])
    def test_a_trusted_peer_is_believed(self, peer: str) -> None:
        assert client(EVERYTHING, peer) == Client(CLIENT, True, "a.example")

    @pytest.mark.parametrize("peer", ["fe80::1%eth0", "fe80::1"])
    def test_a_peer_on_the_link_has_a_zone(self, peer: str) -> None:
        assert client(EVERYTHING, peer) == Client(CLIENT, True, "a.example")

    @pytest.mark.parametrize(
        "peer", ["11.0.0.1", "192.0.2.1", "::2", "::ffff:11.0.0.1", "testserver"]
    )
    def test_any_other_is_not(self, peer: str) -> None:
        assert client(EVERYTHING, peer) == Client(peer, False, None)
        assert client(EVERYTHING, peer, secure=True) == Client(peer, True, None)

    @pytest.mark.parametrize("peer", [None, ""])
    def test_a_peer_without_an_ip_address_is_not(self, peer: str | None) -> None:
        assert client(EVERYTHING, peer) == Client("", False, None)

    def test_by_default_nobody_is(self) -> None:
        assert find_client(Headers(EVERYTHING), PROXY, ()) == Client(PROXY)
        assert find_client(Headers(EVERYTHING), PROXY, parse_networks([])) == Client(PROXY)

    def test_without_headers_the_peer_is_the_client(self) -> None:
        assert client([]) == Client(PROXY, False, None)
        assert client([], secure=True) == Client(PROXY, True, None)

    @pytest.mark.parametrize(
        "text", ["", "*", "localhost", "10.0.0.1/8", "10.0.0.0/33", "::1%eth0/"]
    )
    def test_what_is_no_network_is_refused_at_the_call(self, text: str) -> None:
        with pytest.raises(ValueError, match="in trusted_proxies"):
            parse_networks([text])

    def test_one_str_is_no_list(self) -> None:
        with pytest.raises(TypeError, match="got trusted_proxies as one str"):
            parse_networks("10.0.0.1")  # type: ignore[arg-type]

    def test_everybody_can_be_trusted(self) -> None:
        everybody = parse_networks(["0.0.0.0/0", "::/0"])
        found = find_client(Headers(EVERYTHING), SPOOFED, everybody)
        assert found == Client(CLIENT, True, "a.example")


class TestForwardedFor:
    """X-Forwarded-For: read from the right, since the left end is the client's to write."""

    @pytest.mark.parametrize(
        ("lines", "address"),
        [
            (forwarded_for(CLIENT), CLIENT),
            (forwarded_for(f"{SPOOFED}, {CLIENT}"), CLIENT),
            (forwarded_for(f"{SPOOFED}, {CLIENT}, {EDGE}"), CLIENT),
            (forwarded_for(SPOOFED, f"{CLIENT}, {EDGE}"), CLIENT),
            (forwarded_for(SPOOFED, CLIENT, EDGE), CLIENT),
            (forwarded_for(f"{SPOOFED},{CLIENT} ,\t{EDGE}, "), CLIENT),
            (forwarded_for(f"{EDGE}, {CLIENT}"), CLIENT),
            (forwarded_for(EDGE), EDGE),  # all of them are ours: the first asked
            (forwarded_for(f"10.9.9.9, {EDGE}"), "10.9.9.9"),
            (forwarded_for(""), PROXY),
            (forwarded_for(" , "), PROXY),
        ],
    )
    def test_chain(self, lines: Lines, address: str) -> None:
        assert client(lines).address == address

    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("192.0.2.7:4711", "192.0.2.7"),
            ("192.0.2.7:_hidden", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ],
    )
    def test_forms_of_an_address(self, text: str, address: str) -> None:
        assert client(forwarded_for(text)).address == address
        assert client([("Forwarded", f'for="{text}"')]).address == address

    @pytest.mark.parametrize(
        "text",
        [
            "unknown",
            "_hidden",
            "a.example",
            "192.0.2",
            "192.0.2.007",
            "192.0.2.7:",
            "192.0.2.7:port",
            "192.0.2.7:123456",
            "[2001:db8::1",
            "[2001:db8::1]4711",
            "[]",
            "fe80::1%eth0",
            "10.0.0.1/8",
            "127.0.0.1 ",
            "\xe9",
            "::1]",
            ":",
        ],
    )
    def test_what_is_no_address_names_nobody(self, text: str) -> None:
        expected = "127.0.0.1" if text == "127.0.0.1 " else PROXY
        assert client(forwarded_for(text)).address == expected
        assert client(forwarded_for(f"{SPOOFED}, {text}")).address != SPOOFED
        assert client([("Forwarded", f'for={SPOOFED}, for="{text}"')]).address != SPOOFED

    def test_a_chain_without_end_is_cut(self) -> None:
        lines = forwarded_for(", ".join([SPOOFED, *[EDGE] * 10_000]))
        assert client(lines).address == EDGE
        assert client([("Forwarded", f"for={SPOOFED}" + f",for={EDGE}" * 1000)]).address == EDGE


class TestProto:
    """X-Forwarded-Proto: the scheme that the client used, for each hop or once for all."""

    @pytest.mark.parametrize(
        ("scheme", "secure"),
        [("https", True), ("wss", True), ("http", False), ("ws", False), ("HTTPS", True)],
    )
    @pytest.mark.parametrize("own", [False, True])
    def test_scheme(self, scheme: str, secure: bool, own: bool) -> None:
        lines = [("X-Forwarded-Proto", scheme)]
        assert client(lines, secure=own) == Client(PROXY, secure, None)
        assert client([*forwarded_for(CLIENT), *lines], secure=own) == Client(CLIENT, secure, None)

    @pytest.mark.parametrize(
        "scheme", ["", "ftp", "https:", "https://", "on", "\xe9", "httpshttps"]
    )
    def test_what_is_no_scheme_changes_nothing(self, scheme: str) -> None:
        for own in (False, True):
            assert client([("X-Forwarded-Proto", scheme)], secure=own).secure is own

    @pytest.mark.parametrize(
        ("chain", "schemes", "secure"),
        [
            (f"{CLIENT}, {EDGE}", "https, http", True),  # TLS ends at the edge
            (f"{CLIENT}, {EDGE}", "http, https", False),
            (f"{CLIENT}, {EDGE}", "https", True),  # the edge says it, the next one lets it stand
            (f"{SPOOFED}, {CLIENT}", "https, http", False),  # the client wrote the first of both
            (CLIENT, "https, http", False),
            (f"{SPOOFED}, {CLIENT}, {EDGE}", "https, http, http", False),
            (f"{SPOOFED}, {CLIENT}, {EDGE}", "http, https, http", True),
        ],
    )
    def test_scheme_of_the_hop_that_names_the_client(
        self, chain: str, schemes: str, secure: bool
    ) -> None:
        lines = [*forwarded_for(chain), ("X-Forwarded-Proto", schemes)]
        assert client(lines) == Client(CLIENT, secure, None)


class TestHost:
    """X-Forwarded-Host: what the client asked for."""

    @pytest.mark.parametrize("host", ["a.example", "a.example:8443", "[::1]:80"])
    def test_host(self, host: str) -> None:
        assert client([("X-Forwarded-Host", host)]).host == host
        assert client([("Forwarded", f'host="{host}"')]).host == host

    @pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "http://a", "[::1", "a:b", "\xe9"])
    def test_what_is_no_host_is_none(self, host: str) -> None:
        assert client([("X-Forwarded-Host", host)]).host is None
        assert client([("Forwarded", f'host="{host}"')]).host is None

    def test_host_of_the_hop_that_names_the_client(self) -> None:
        chain = forwarded_for(f"{SPOOFED}, {CLIENT}, {EDGE}")
        lines = [*chain, ("X-Forwarded-Host", "evil.example, a.example, edge.internal")]
        assert client(lines).host == "a.example"


class TestSection4:
    """RFC 7239 4: Forwarded."""

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ([f"for={CLIENT}"], Client(CLIENT)),
            ([f"For={CLIENT};Proto=HTTPS"], Client(CLIENT, True)),
            (
                [f"for={CLIENT};by={EDGE};proto=https;host=a.example"],
                Client(CLIENT, True, "a.example"),
            ),
            ([f'for="{CLIENT}:80" ; proto="https"'], Client(CLIENT, True)),
            ([f"for={CLIENT}:80"], Client(CLIENT)),
            ([r'for="192\.0.2.7"'], Client(CLIENT)),
            ([f"for={SPOOFED}, for={CLIENT}"], Client(CLIENT)),
            ([f"for={SPOOFED};proto=https,for={CLIENT};proto=http"], Client(CLIENT, False)),
            ([f"for={CLIENT};proto=https", f"for={EDGE};proto=http"], Client(CLIENT, True)),
            ([f"for={SPOOFED}", f", for={CLIENT} ,"], Client(CLIENT)),
            ([f";;for={CLIENT};;"], Client(CLIENT)),
            (["proto=https"], Client(PROXY, True)),
            (["for=unknown;proto=https"], Client(PROXY, True)),
            ([f"for={SPOOFED}, for=_hidden"], Client(PROXY)),
            (["host=a.example, for=10.0.0.3"], Client(PROXY, False, "a.example")),
            ([""], Client(PROXY)),
        ],
    )
    def test_4_elements(self, lines: list[str], expected: Client) -> None:
        assert client([("Forwarded", line) for line in lines]) == expected

    @pytest.mark.parametrize(
        "malformed",
        [
            f"for={SPOOFED};proto=https;for={SPOOFED}",
            f"for={SPOOFED} proto=https",
            f"for = {SPOOFED}",
            f'for="{SPOOFED}',
            f'for="{SPOOFED}\\"',
            f'for="{SPOOFED}"x',
            f"{SPOOFED}",
            "for",
            "for=",
            "=x",
            "for={}",
            "\xe9=x",
        ],
    )
    def test_4_malformed_line_says_nothing(self, malformed: str) -> None:
        assert client([("Forwarded", malformed)]) == Client(PROXY)
        lines = [("Forwarded", malformed), ("Forwarded", f"for={CLIENT};proto=http")]
        assert client(lines) == Client(CLIENT)
        assert client(lines[::-1]) == Client(PROXY)


class TestBothKinds:
    """A proxy writes one kind of header; the other is the client's, and may say something else."""

    def test_both_may_say_the_same(self) -> None:
        lines = [("Forwarded", f"for={CLIENT};proto=https"), *forwarded_for(CLIENT)]
        assert client(lines) == Client(CLIENT, True)
        assert client([*lines, ("X-Forwarded-Host", "a.example")]) == Client(
            CLIENT, True, "a.example"
        )

    @pytest.mark.parametrize(
        "line",
        [
            ("X-Forwarded-For", SPOOFED),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", "evil.example"),
        ],
    )
    def test_a_contradiction_is_refused(self, line: tuple[str, str]) -> None:
        forwarded = ("Forwarded", f"for={CLIENT};proto=https;host=a.example")
        with pytest.raises(HandshakeError, match="expected one of them") as caught:
            client([forwarded, line])
        assert (caught.value.status, caught.value.reason) == (400, "forwarded")
        assert line[1] not in str(caught.value)

    def test_what_cannot_be_read_contradicts_nothing(self) -> None:
        for malformed in ("for=unknown", "for", 'for="', "proto=x;host=a/b"):
            lines = [("Forwarded", malformed), *forwarded_for(CLIENT)]
            assert client([*lines, ("X-Forwarded-Proto", "https")]) == Client(CLIENT, True)


class TestPolicy:
    """What the client used is what origin and host are judged by."""

    def test_scheme_and_host_come_from_the_client(self) -> None:
        policy = Policy(origins=["https://a.example"], trusted_proxies=TRUSTED)
        seen = policy.for_client(Client(CLIENT, True, "a.example"))
        assert (seen.secure, seen.host) == (True, "a.example")
        assert (seen.origins, seen.trusted_proxies) == (policy.origins, TRUSTED)

    def test_without_a_proxy_nothing_is_copied(self) -> None:
        policy = Policy(secure=True)
        assert policy.for_client(Client(CLIENT, True)) is policy


ANY_TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]) | st.just("\t"))
FIELDS = st.text('for=prtohsb;,"\\ []:0123456789._') | ANY_TEXT
NAMES = st.sampled_from(["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"])


@given(st.lists(st.tuples(NAMES, FIELDS), max_size=4), st.sampled_from([PROXY, SPOOFED, None, "x"]))
def test_no_header_breaks_anything(lines: Lines, peer: str | None) -> None:
    try:
        found = client(lines, peer)
    except HandshakeError as error:
        assert error.reason == "forwarded"
    else:
        assert peer == PROXY or found == Client(peer or "", False, None)


@given(st.lists(FIELDS, max_size=3))
def test_what_a_client_writes_never_outdoes_its_proxy(written: list[str]) -> None:
    lines = [
        *forwarded_for(*written, CLIENT),
        *(("X-Forwarded-Proto", text) for text in [*written, "http"]),
        *(("X-Forwarded-Host", text) for text in [*written, "a.example"]),
    ]
    assert client(lines) == Client(CLIENT, False, "a.example")
    joined = [(name, ", ".join([*written, value])) for name, value in (lines[len(written)],)]
    assert client(joined).address == CLIENT


@given(FIELDS, st.sampled_from(["for=192.0.2.7;proto=http", 'for="192.0.2.7:80";proto="http"']))
def test_nor_in_a_forwarded_line_that_its_proxy_appends_to(written: str, own: str) -> None:
    assert client([("Forwarded", f"{written}, {own}")]) in (Client(CLIENT), Client(PROXY))
    assert client([("Forwarded", written), ("Forwarded", own)]) == Client(CLIENT)
