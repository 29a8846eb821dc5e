"""The event loop's lag: every beat that a pause swallowed is noted, and nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from refimpl.profiling.lag import LagMonitor
from tests.support.clockwork import virtual_time


def block(seconds):
    """Keep the loop busy for so long, on the loop's own clock."""
    asyncio.get_running_loop().clock.now += seconds


@virtual_time
async def test_a_loop_that_is_on_time_shows_no_lag():
    async with LagMonitor(0.01) as lag:
        await asyncio.sleep(0.105)
    assert len(lag.samples) == 10
    assert lag.worst == pytest.approx(0, abs=1e-9)


@virtual_time
async def test_every_beat_that_a_pause_swallowed_is_noted():
    async with LagMonitor(0.01) as lag:
        await asyncio.sleep(0.035)
        block(0.1)
        await asyncio.sleep(0.02)
    late = [round(each, 3) for _, each in lag.samples if each > 0.001]
    assert late == [0.095, 0.085, 0.075, 0.065, 0.055, 0.045, 0.035, 0.025, 0.015, 0.005]
    assert lag.worst == pytest.approx(0.095)


@virtual_time
async def test_a_pause_at_the_end_of_the_block_counts():
    async with LagMonitor(0.01) as lag:
        block(0.1)
    assert lag.worst == pytest.approx(0.09)


@virtual_time
async def test_before_the_first_beat_nothing_was_late():
    async with LagMonitor(10) as lag:
        pass
    assert lag.worst == 0
    assert not lag.samples


@virtual_time
async def test_only_the_newest_samples_are_kept_after_a_pause_without_end():
    async with LagMonitor(0.01, keep=5) as lag:
        block(1e5)
        await asyncio.sleep(0.001)
        assert len(lag.samples) == 5
        assert lag.worst <= 0.051
        await asyncio.sleep(0.055)
        assert len(lag.samples) == 5
        assert lag.worst == pytest.approx(0, abs=1e-6)


@virtual_time
async def test_an_error_in_the_block_passes_and_the_beat_stops():
    with pytest.raises(LookupError):
        async with LagMonitor(0.01):
            raise LookupError
    # virtual_time fails where a timer is left


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_an_interval_that_is_none_is_refused(interval):
    with pytest.raises(ValueError, match="more than 0"):
        LagMonitor(interval)
