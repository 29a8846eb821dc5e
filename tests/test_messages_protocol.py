"""Floor 3, both roles of the protocol without I/O, linked."""

from __future__ import annotations

import pytest

from refimpl.messages import Closed, Ping, Pong
from tests.support import wire
from tests.support.pair import Pair


class TestLinkedPair:
    """Both roles against each other, in any pieces."""

    @pytest.mark.rule(46)
    @pytest.mark.parametrize("chunk", [None, 1, 2, 3, 7, 1000])
    def test_a_conversation(self, chunk: int | None) -> None:
        pair = Pair(chunk=chunk)
        pair.client.send_text("Hello")
        pair.client.send_binary(b"\x00" * 300)
        pair.client.send_ping(b"?")
        pair.server.send_text("größer")
        at_server, at_client = pair.pump()
        assert at_server == ["Hello", b"\x00" * 300, Ping(b"?")]
        assert at_client == ["größer", Pong(b"?")]
        pair.client.send_close(1000, "bye")
        [at_server], [at_client] = pair.pump()
        assert isinstance(at_server, Closed)
        assert isinstance(at_client, Closed)
        assert at_server.error.clean
        assert at_client.error.clean
        assert (at_server.error.order, at_client.error.order) == ("received", "sent")

    @pytest.mark.rule(64)
    def test_both_close_at_once(self) -> None:
        pair = Pair()
        pair.client.send_close(1000, "mine")
        pair.server.send_close(1001, "mine too")
        [at_server], [at_client] = pair.pump()
        assert isinstance(at_server, Closed)
        assert isinstance(at_client, Closed)
        assert (at_server.error.code, at_client.error.code) == (1000, 1001)
        assert len(wire.split_frames(pair.from_client)) == 1
        assert len(wire.split_frames(pair.from_server)) == 1

    def test_everything_queued_is_one_write(self) -> None:
        pair = Pair()
        for number in range(100):
            pair.server.send_text(str(number))
        data = pair.server.data_to_send()
        assert len(wire.split_frames(data)) == 100
        assert pair.server.data_to_send() == b""
