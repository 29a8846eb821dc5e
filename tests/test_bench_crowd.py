"""The crowd: every server of the comparison starts, opens and answers; the record is whole."""

from __future__ import annotations

import pytest

from refimpl.bench.crowd import SERVERS, gather_crowd, recorded_crowds
from refimpl.lab import assert_nothing_left


@pytest.mark.parametrize("name", SERVERS)
async def test_a_small_crowd_opens_and_everyone_is_answered(name: str) -> None:
    crowd = await gather_crowd(name, 20)
    assert (crowd.server, crowd.connections, crowd.answered) == (name, 20, 20)
    assert crowd.seconds > 0
    await assert_nothing_left()


def test_the_record_has_a_crowd_of_ten_thousand_for_each_server() -> None:
    crowds = recorded_crowds()
    assert crowds.keys() == SERVERS.keys()
    for crowd in crowds.values():
        assert crowd.answered == crowd.connections == 10_000
        assert 1_000 < crowd.bytes_each < 100_000
