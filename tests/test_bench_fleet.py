"""`refimpl load fleet`: two real nodes on one store, small and short."""

from __future__ import annotations

import pytest

from refimpl.bench import Row, fleet
from refimpl.bench.fleet_load import PEERS
from refimpl.bench.peers.fleet_refimpl import LEAD
from refimpl.cli import main
from refimpl.lab import valkey
from tests.test_cli import complaint


async def measured(told: list[float] | None = None) -> dict[str, Row]:
    """Return the rows of a small load, by name."""

    def tell(share: float, words: str) -> None:
        if told is not None:
            told.append(share)

    with valkey() as url:
        report = await fleet(url, members=3, rate=50, pairs=4, seconds=0.5, tell=tell)
    assert {len(points) for points in report.series.values()} == {100}
    return {row.name: row for row in report.rows}


async def test_every_delivery_comes_and_is_counted() -> None:
    told: list[float] = []
    rows = await measured(told)
    assert rows["room: deliveries missing"].value == 0
    assert rows["pairs: deliveries missing"].value == 0
    assert all(row.value > 0 for name, row in rows.items() if "missing" not in name)
    assert told == sorted(told) and len(told) == 5


DEAF = """
import refimpl.bench.peers.fleet_refimpl as node
from refimpl.lifecycle import broadcast

def deliver(members, payload):
    if payload[:1] == "{" or int(payload[:node.LEAD]) != 60:  # behind the 50 that warm up
        broadcast(members, payload)

node.Node = partial(node.Node, deliver=deliver)
main = node.main"""


async def test_what_a_node_does_not_deliver_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = f"from functools import partial{DEAF}", LEAD
    monkeypatch.setitem(PEERS, "refimpl", deaf)
    monkeypatch.setattr("refimpl.bench.fleet_load.PATIENCE", 0.2)
    rows = await measured()
    missing = rows["room: deliveries missing"]
    assert missing.value >= 6 and not missing.kept  # at six people


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--members=3", "--rate=50", "--pairs=4", "--seconds=0.5"]
    status = main.run(["load", "fleet", *options])
    assert "room: deliveries missing" in capsys.readouterr().out
    assert status in (0, 1)  # a limit on time may be broken on a busy machine


def test_without_a_store_there_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    assert "found no store at 127.0.0.1:1" in complaint(capsys, "load", "fleet", status=1)


def test_a_peer_that_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refimpl.bench.fleet_load.installed", lambda name: False)
    complained = complaint(capsys, "load", "fleet", "--peer=broadcaster", status=1)
    assert "pip install broadcaster" in complained
