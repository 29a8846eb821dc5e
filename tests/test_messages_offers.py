"""Floor 3, how permessage-deflate is agreed on: RFC 7692 sections 5 and 7.1."""

from __future__ import annotations

import pytest

from refimpl.errors import HandshakeError
from refimpl.handshake import Extension, Headers, Policy, Request, check_request, parse_extensions
from refimpl.messages import OFFER, HandshakeFailed, Parameters, Protocol, Role, State, negotiate
from refimpl.messages.deflate import agree, parse_parameters
from tests.support import wire
from tests.support.pair import EXTENSIONS

ROLES = [Role.SERVER, Role.CLIENT]
NAME = "permessage-deflate"


def answer_to(*offers: str) -> dict[str, str | None] | None:
    """Return the parameters with which the server answers these offers, None where it declines."""
    answer = negotiate(parse_extensions(offers))
    if answer is None:
        return None
    assert answer.name == NAME
    found = dict(answer.parameters)
    assert len(found) == len(answer.parameters)
    return found


def reversed_offers(line: str) -> list[tuple[str, str]]:
    """Return the offers of a header line as lines of their own, last first."""
    return [(EXTENSIONS, offer.strip()) for offer in reversed(line.split(","))]


class TestSection7_1:
    """Negotiation: what a server answers, what a client accepts."""

    @pytest.mark.rule(77)
    @pytest.mark.parametrize(
        "parameters",
        [
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "server_max_window_bits",
            "server_max_window_bits=",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=010",
            "server_max_window_bits=08",
            "server_max_window_bits=1",
            "server_max_window_bits=100",
            "server_max_window_bits=x",
            "server_max_window_bits=8",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=09",
            "client_max_window_bits; client_max_window_bits=10",
            "unheard_of",
            "unheard_of=10",
            "other_max_window_bits=10",
            "max_window_bits=10",
            "x_max_window_bits",
        ],
    )
    def test_7_1_server_declines_a_bad_offer(self, parameters: str) -> None:
        if parameters.endswith("="):  # not even a well-formed header
            with pytest.raises(HandshakeError):
                parse_extensions([f"{NAME}; {parameters}"])
            return
        assert answer_to(f"{NAME}; {parameters}") is None
        assert answer_to(f"{NAME}; {parameters}", NAME) is not None
        assert answer_to(f"{NAME}; {parameters}, x-other, {NAME}") is not None
        request = Request(
            "/", Headers([*wire.REQUEST_HEADERS, (EXTENSIONS, f"{NAME}; {parameters}")])
        )
        accepted = check_request(request, Policy(negotiate=negotiate))
        assert accepted.response.status == 101
        assert EXTENSIONS not in accepted.response.headers

    @pytest.mark.rule(77)
    def test_5_1_no_offer_no_answer(self) -> None:
        assert negotiate([]) is None
        assert answer_to("x-webkit-deflate-frame") is None

    @pytest.mark.rule(77, 79)
    def test_5_1_first_acceptable_offer_is_answered(self) -> None:
        answer = answer_to(f"{NAME}; server_max_window_bits=9, {NAME}; server_max_window_bits=10")
        assert answer is not None
        assert answer["server_max_window_bits"] == "9"

    @pytest.mark.rule(79)
    @pytest.mark.parametrize("bits", range(9, 16))
    def test_7_1_2_1_server_window_is_at_most_the_one_offered(self, bits: int) -> None:
        answer = answer_to(f"{NAME}; server_max_window_bits={bits}")
        assert answer is not None
        assert 9 <= int(answer["server_max_window_bits"] or 0) <= bits

    @pytest.mark.rule(79)
    @pytest.mark.parametrize("bits", range(8, 16))
    def test_7_1_2_2_client_window_is_at_most_the_one_offered(self, bits: int) -> None:
        answer = answer_to(f"{NAME}; client_max_window_bits={bits}")
        assert answer is not None
        assert 8 <= int(answer.get("client_max_window_bits") or 15) <= bits

    @pytest.mark.rule(79)
    def test_7_1_2_2_client_window_is_answered_only_if_offered(self) -> None:
        for offer in (NAME, f"{NAME}; server_max_window_bits=10"):
            answer = answer_to(offer)
            assert answer is not None
            assert "client_max_window_bits" not in answer
        answer = answer_to(f"{NAME}; client_max_window_bits")
        assert answer is not None
        assert answer.get("client_max_window_bits", "15") is not None

    @pytest.mark.rule(80)
    @pytest.mark.parametrize("side", ["server", "client"])
    def test_7_1_1_no_context_takeover_is_confirmed(self, side: str) -> None:
        answer = answer_to(f"{NAME}; {side}_no_context_takeover")
        assert answer is not None
        if side == "server":  # 7.1.1.1: a server that accepts the offer has to confirm
            assert answer["server_no_context_takeover"] is None

    @pytest.mark.rule(78)
    @pytest.mark.parametrize(
        "parameters",
        [
            "server_no_context_takeover=1",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover=0",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "client_max_window_bits",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=10; client_max_window_bits=10",
            "unheard_of",
            "other_max_window_bits=10",
        ],
    )
    def test_7_1_client_fails_on_a_bad_answer(self, parameters: str) -> None:
        [extension] = parse_extensions([f"{NAME}; {parameters}"])
        with pytest.raises(HandshakeError):
            parse_parameters(extension)
        client = self.client(OFFER)
        [failure] = client.receive_data(
            wire.response_head(add=[(EXTENSIONS, f"{NAME}; {parameters}")])
        )
        assert isinstance(failure, HandshakeFailed)
        assert client.state is State.CLOSED

    @pytest.mark.rule(78, 79)
    @pytest.mark.parametrize(
        ("offer", "answer"),
        [
            ("", "client_max_window_bits=10"),
            ("server_max_window_bits=10", ""),
            ("server_max_window_bits=10", "server_max_window_bits=11"),
            ("client_max_window_bits=10", "client_max_window_bits=11"),
            ("server_no_context_takeover", ""),
        ],
    )
    def test_7_1_client_fails_on_an_answer_beyond_its_offer(self, offer: str, answer: str) -> None:
        [offered] = parse_extensions([f"{NAME}; {offer}" if offer else NAME])
        client = self.client(offered)
        line = f"{NAME}; {answer}" if answer else NAME
        [failure] = client.receive_data(wire.response_head(add=[(EXTENSIONS, line)]))
        assert isinstance(failure, HandshakeFailed)

    @pytest.mark.rule(78, 79)
    @pytest.mark.parametrize(
        ("offer", "answer"),
        [
            ("", ""),
            ("", "server_max_window_bits=10"),
            ("", "server_no_context_takeover; client_no_context_takeover"),
            ("client_max_window_bits", ""),
            ("client_max_window_bits", "client_max_window_bits=8"),
            ("client_max_window_bits=12", "client_max_window_bits=12"),
            ("client_max_window_bits=12", "client_max_window_bits=9"),
            ("server_max_window_bits=12", "server_max_window_bits=8"),
            ("server_max_window_bits=12", "server_max_window_bits=12"),
            ("client_no_context_takeover", ""),
        ],
    )
    def test_7_1_client_accepts_an_answer_within_its_offer(self, offer: str, answer: str) -> None:
        [offered] = parse_extensions([f"{NAME}; {offer}" if offer else NAME])
        client = self.client(offered)
        line = f"{NAME}; {answer}" if answer else NAME
        client.receive_data(wire.response_head(add=[(EXTENSIONS, line)]))
        assert client.state is State.OPEN
        assert client.agreement.extension == parse_extensions([line])[0]

    @pytest.mark.rule(78, 79)
    @pytest.mark.parametrize("answer", ["client_max_window_bits=10", "server_max_window_bits=10"])
    def test_5_1_answer_may_fit_any_of_the_offers(self, answer: str) -> None:
        line = f"{NAME}; client_max_window_bits; server_max_window_bits=10, {NAME}"
        headers = Headers([*wire.REQUEST_HEADERS, (EXTENSIONS, line)])
        for offered in (headers, Headers([*wire.REQUEST_HEADERS, *reversed_offers(line)])):
            client = Protocol(Role.CLIENT)
            client.send_request(Request("/chat", offered))
            whole = f"{answer}; server_max_window_bits=9" if answer[0] == "c" else answer
            client.receive_data(wire.response_head(add=[(EXTENSIONS, f"{NAME}; {whole}")]))
            assert client.state is State.OPEN

    @pytest.mark.rule(78)
    def test_9_1_another_extension_that_was_agreed_is_not_taken_for_deflate(self) -> None:
        client = self.client(Extension("x-other"))
        [event] = client.receive_data(wire.response_head(add=[(EXTENSIONS, "x-other")]))
        assert isinstance(event, HandshakeFailed)

    @pytest.mark.rule(79)
    def test_7_1_2_2_our_offer_is_answered_by_our_server(self) -> None:
        answer = negotiate([OFFER])
        assert answer is not None
        agree(OFFER, answer)
        parameters = parse_parameters(answer)
        assert isinstance(parameters, Parameters)
        assert parameters.server_max_window_bits <= 15

    @staticmethod
    def client(offer: Extension) -> Protocol:
        """Return a client that made this offer."""
        pairs = "".join(
            f"; {name}" if value is None else f"; {name}={value}"
            for name, value in offer.parameters
        )
        client = Protocol(Role.CLIENT)
        headers = Headers([*wire.REQUEST_HEADERS, (EXTENSIONS, offer.name + pairs)])
        client.send_request(Request("/chat", headers))
        return client
