"""The peer `ws` of the bench, on Node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from refimpl.bench import bench
from refimpl.bench.peers import PEERS
from refimpl.bench.workloads import WORKLOADS

pytestmark = pytest.mark.node


async def test_ws_echoes_and_broadcasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORKLOADS, "bcast", replace(WORKLOADS["bcast"], connections=20))
    assert PEERS["ws"].missing() is None
    record = await bench([PEERS["ws"]], ["1m", "bcast"], rounds=1, seconds=0.05)
    assert record.versions["ws"].startswith("ws 8.")
    assert record.costs("bcast", "ws")[0] > 0
