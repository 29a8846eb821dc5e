"""The loads that must hold, small: they measure what they say, and say what breaks."""

import pytest

from refimpl.bench import Report, Row, churn, idle, room, slow_reader
from refimpl.bench.report import quantile


def value(report: Report, name: str) -> float:
    return next(row.value for row in report.rows if row.name == name)


class TestReport:
    @pytest.mark.parametrize(
        ("row", "kept"),
        [
            (Row("n", 2, at_most=2), True),
            (Row("n", 3, at_most=2), False),
            (Row("n", 2, at_least=3), False),
            (Row("n", 2), None),
        ],
    )
    def test_a_limit_is_kept_or_not(self, row: Row, kept: bool | None) -> None:
        assert row.kept is kept
        assert Report("title", [row]).kept is (kept is not False)

    def test_quantiles_are_samples(self) -> None:
        assert [quantile(range(1, 101), share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
        assert quantile([], 0.5) == 0
        assert quantile(range(1, 101), 0.07) == 7  # though 0.07 * 100 is more than 7 in floats


class TestLoads:
    async def test_idle_connections_stay(self) -> None:
        report = await idle(60, 1)
        assert value(report, "connections dropped") == 0
        assert value(report, "RSS per connection") > 0
        assert len(report.series["RSS per connection"]) >= 2

    async def test_a_room_hears_everything_in_order(self) -> None:
        report = await room(20, 20, 1)
        assert value(report, "deliveries missing") == value(report, "deliveries out of order") == 0
        assert 0 < value(report, "p50") <= value(report, "p99")

    async def test_a_revolving_door_leaves_nothing(self) -> None:
        report = await churn(30, 1)
        assert value(report, "visits") == 30
        assert value(report, "tasks left behind") <= 2
        assert value(report, "open files left behind") <= 2

    async def test_a_slow_reader_hurts_nobody_else(self) -> None:
        report = await slow_reader(5, 20, 1)
        assert value(report, "deliveries missing, without it") == 0
        assert value(report, "deliveries missing, with it") == 0
