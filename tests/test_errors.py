"""Floor 0: what the errors of the stack carry and what they derive from."""

from __future__ import annotations

import pickle

import pytest

from refimpl.errors import (
    Close,
    ConcurrencyError,
    ConnectionClosed,
    HandshakeError,
    LocalProtocolError,
    RemoteProtocolError,
    WebSocketError,
)

NORMAL, AWAY, WRONG, EMPTY = (
    Close(1000, "bye"),
    Close(1001, ""),
    Close(1002, "bad"),
    Close(1005, ""),
)


class TestHierarchy:
    """One base to catch them all, and a side that made the mistake."""

    @pytest.mark.parametrize(
        "error",
        [
            LocalProtocolError,
            RemoteProtocolError,
            HandshakeError,
            ConnectionClosed,
            ConcurrencyError,
        ],
    )
    def test_every_error_is_a_websocket_error(self, error: type[Exception]) -> None:
        assert issubclass(error, WebSocketError)
        assert issubclass(error, Exception)

    def test_a_second_reader_is_our_own_mistake(self) -> None:
        assert issubclass(ConcurrencyError, LocalProtocolError)

    def test_local_and_remote_are_apart(self) -> None:
        assert not issubclass(LocalProtocolError, RemoteProtocolError)
        assert not issubclass(RemoteProtocolError, LocalProtocolError)

    def test_remote_error_says_which_code_to_send(self) -> None:
        assert RemoteProtocolError("got 1, expected 2").close_code == 1002
        assert RemoteProtocolError("too big", close_code=1009).close_code == 1009
        assert str(RemoteProtocolError("got 1, expected 2")) == "got 1, expected 2"


class TestHandshakeError:
    """RFC 6455 4.2.2: what the refusal says."""

    def test_4_2_2_defaults_to_400_malformed(self) -> None:
        error = HandshakeError("got nothing")
        assert (error.status, error.reason, error.headers, error.body) == (
            400,
            "malformed",
            (),
            b"",
        )
        assert str(error) == "got nothing"

    def test_4_2_2_carries_status_slug_headers_and_body(self) -> None:
        error = HandshakeError(
            "got POST", status=405, reason="method", headers=(("Allow", "GET"),), body=b"no"
        )
        assert (error.status, error.reason, error.body) == (405, "method", b"no")
        assert error.headers == (("Allow", "GET"),)


class TestConnectionClosed:
    """RFC 6455 7.1.5 and 7.1.6: the code and the reason of the connection."""

    @pytest.mark.rule(68)
    def test_7_1_5_code_is_what_was_received(self) -> None:
        error = ConnectionClosed(sent=NORMAL, received=AWAY, order="received")
        assert (error.code, error.reason) == (1001, "")
        assert (error.sent, error.received, error.order) == (NORMAL, AWAY, "received")

    @pytest.mark.rule(68)
    def test_7_1_5_no_close_received_is_1006(self) -> None:
        for sent in (None, NORMAL):
            error = ConnectionClosed(sent=sent, received=None, order="sent" if sent else None)
            assert (error.code, error.reason) == (1006, "")

    @pytest.mark.rule(68)
    def test_7_1_5_empty_close_is_1005(self) -> None:
        error = ConnectionClosed(sent=EMPTY, received=EMPTY, order="received")
        assert error.code == 1005

    @pytest.mark.parametrize(
        ("sent", "received", "clean"),
        [
            (NORMAL, NORMAL, True),
            (AWAY, NORMAL, True),
            (NORMAL, AWAY, True),
            (WRONG, NORMAL, False),
            (NORMAL, WRONG, False),
            (NORMAL, None, False),
            (None, NORMAL, False),
            (None, None, False),
        ],
    )
    def test_7_1_4_clean_needs_both_sides_and_a_good_code(
        self, sent: Close | None, received: Close | None, clean: bool
    ) -> None:
        assert ConnectionClosed(sent=sent, received=received, order=None).clean is clean

    @pytest.mark.parametrize("sent", [None, NORMAL, WRONG, EMPTY])
    @pytest.mark.parametrize("received", [None, AWAY, EMPTY])
    @pytest.mark.parametrize("order", ["sent", "received", None])
    def test_message_names_the_codes(
        self, sent: Close | None, received: Close | None, order: str
    ) -> None:
        text = str(ConnectionClosed(sent=sent, received=received, order=order))  # type: ignore[arg-type]
        assert text
        for said in (sent, received):
            if said is not None and said.code not in (1005, 1006):
                assert str(said.code) in text


class TestPickling:
    """Errors cross process borders (test runners, executors) without losing what they carry."""

    @pytest.mark.parametrize(
        "error",
        [
            LocalProtocolError("a"),
            RemoteProtocolError("b", close_code=1009),
            HandshakeError("c", status=403, reason="origin", headers=(("A", "b"),), body=b"x"),
            ConnectionClosed(sent=NORMAL, received=AWAY, order="sent"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_errors_survive_pickling(self, error: Exception) -> None:
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert copy.__dict__ == error.__dict__
        assert str(copy) == str(error)
