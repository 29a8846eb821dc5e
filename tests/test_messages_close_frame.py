"""Floor 3, closing: the body of a Close frame and its codes (RFC 6455 5.5.1 and 7.4)."""

from __future__ import annotations

import pytest

from refimpl.errors import Close, LocalProtocolError, RemoteProtocolError
from refimpl.framing import CloseCode
from refimpl.messages.close_frame import parse_close, serialize_close

ON_THE_WIRE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


class TestSection5_5_1:
    """The body of a Close frame."""

    @pytest.mark.rule(68)
    def test_5_5_1_empty_body_means_no_status(self) -> None:
        assert parse_close(b"") == Close(CloseCode.NO_STATUS_RECEIVED, "")

    @pytest.mark.rule(60)
    @pytest.mark.parametrize("byte", [b"\x00", b"\x03", b"\xff"])
    def test_5_5_1_one_byte_body_fails(self, byte: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            parse_close(byte)
        assert caught.value.close_code == 1002

    @pytest.mark.rule(63)
    @pytest.mark.parametrize("reason", ["", "bye", "größer", "\U0001f984", "x" * 123])
    def test_5_5_1_code_and_reason_round_trip(self, reason: str) -> None:
        body = serialize_close(4001, reason)
        assert body == (4001).to_bytes(2, "big") + reason.encode()
        assert parse_close(body) == Close(4001, reason)

    @pytest.mark.rule(63)
    @pytest.mark.parametrize(
        "reason", [b"\xff", b"\xc3", b"ok\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"]
    )
    def test_5_5_1_reason_that_is_not_utf8_fails(self, reason: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            parse_close(b"\x03\xe8" + reason)
        assert caught.value.close_code == 1007

    @pytest.mark.rule(63)
    @pytest.mark.parametrize("reason", ["x" * 124, "é" * 62, "x" * 1000])
    def test_5_5_1_reason_over_123_bytes_is_not_sent(self, reason: str) -> None:
        with pytest.raises(LocalProtocolError):
            serialize_close(1000, reason)

    @pytest.mark.rule(63)
    @pytest.mark.parametrize("reason", ["x" * 122, "x" * 123, "é" * 61])
    def test_5_5_1_reason_up_to_123_bytes_is_sent(self, reason: str) -> None:
        assert len(serialize_close(1000, reason)) == 2 + len(reason.encode())

    @pytest.mark.rule(63)
    def test_5_5_1_reason_with_a_lone_surrogate_is_not_sent(self) -> None:
        with pytest.raises(LocalProtocolError):
            serialize_close(1000, "\ud800")


class TestSection7_4:
    """Close codes."""

    @pytest.mark.rule(61)
    def test_7_4_every_code_is_accepted_or_rejected_as_listed(self) -> None:
        for code in range(65536):
            body = code.to_bytes(2, "big")
            if code in ON_THE_WIRE:
                assert parse_close(body) == Close(code, "")
            else:
                with pytest.raises(RemoteProtocolError) as caught:
                    parse_close(body)
                assert caught.value.close_code == 1002

    @pytest.mark.rule(62)
    @pytest.mark.parametrize("code", [1006, 1015])
    def test_7_4_1_reserved_codes_are_never_sent(self, code: int) -> None:
        with pytest.raises(LocalProtocolError):
            serialize_close(code)

    @pytest.mark.rule(62)
    def test_7_4_1_code_1005_is_sent_as_an_empty_body(self) -> None:
        assert serialize_close(1005) == b""
        with pytest.raises(LocalProtocolError):
            serialize_close(1005, "a reason needs a code in front of it")

    @pytest.mark.rule(61, 62)
    def test_7_4_every_code_is_sent_or_refused_as_listed(self) -> None:
        for code in {-1, *range(6000), 65535, 65536, 2**20} - {1005}:
            if code in ON_THE_WIRE:
                assert serialize_close(code) == code.to_bytes(2, "big")
            else:
                with pytest.raises(LocalProtocolError):
                    serialize_close(code)

    @pytest.mark.rule(61)
    def test_7_4_1_names_carry_the_registered_numbers(self) -> None:
        assert [code.value for code in CloseCode] == [*range(1000, 1004), *range(1005, 1016)]
        assert CloseCode.INVALID_PAYLOAD == 1007
        assert CloseCode.NO_STATUS_RECEIVED == 1005
