"""The histogram against the samples themselves: never off by more than it says."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.bench.report import quantile
from refimpl.profiling import Histogram

durations = st.floats(min_value=0, max_value=3600, allow_subnormal=False)
shares = st.floats(min_value=0, max_value=1)


def near(found: float, exact: float, error: float) -> bool:
    """Whether a quantile is as near as promised; a nanosecond is the finest a bucket knows."""
    return abs(found - exact) <= exact * error * 1.0001 + 1e-9


class TestQuantiles:
    @given(st.lists(durations, min_size=1, max_size=200), shares, st.integers(3, 10))
    def test_no_quantile_is_off_by_more_than_it_says(
        self, samples: list[float], share: float, bits: int
    ) -> None:
        histogram = Histogram(samples, bits=bits)
        assert near(histogram.quantile(share), quantile(samples, share), histogram.error)

    @pytest.mark.parametrize("bits", [3, 7])
    def test_the_bound_is_met_over_many_powers_of_two(self, bits: int) -> None:
        source = random.Random(7)
        samples = [10 ** source.uniform(-6, 3) for _ in range(5000)]
        histogram = Histogram(samples, bits=bits)
        worst = 0.0
        for percent in range(1, 100):
            exact = quantile(samples, percent / 100)
            worst = max(worst, abs(histogram.quantile(percent / 100) - exact) / exact)
        assert histogram.error / 4 < worst <= histogram.error  # it is a bound, and a near one

    def test_ends_and_mean_are_exact(self) -> None:
        samples = [0.0123456789, 0.5, 7.0000001]
        histogram = Histogram(samples)
        assert (histogram.quantile(0), histogram.quantile(1)) == (min(samples), max(samples))
        assert histogram.mean == pytest.approx(sum(samples) / 3, rel=1e-12)

    def test_a_share_that_is_whole_takes_its_sample_and_not_the_next(self) -> None:
        samples = [number / 1000 for number in range(1, 101)]
        histogram = Histogram(samples)
        for percent in range(1, 101):  # 0.07 * 100 is above 7 in floats
            assert near(histogram.quantile(percent / 100), samples[percent - 1], histogram.error)

    def test_nothing_recorded_is_nothing(self) -> None:
        histogram = Histogram()
        assert set(histogram.quantiles().values()) == {0.0}
        assert (histogram.mean, histogram.curve(), list(histogram.buckets())) == (0.0, [], [])

    @pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
    def test_a_share_that_is_none_is_refused(self, share: float) -> None:
        with pytest.raises(ValueError, match="expected 0 to 1"):
            Histogram([1]).quantile(share)


class TestRecording:
    @given(st.lists(durations, max_size=100), st.lists(durations, max_size=100))
    def test_merging_is_recording_both(self, one: list[float], other: list[float]) -> None:
        merged, both = Histogram(one), Histogram(one + other)
        merged.merge(Histogram(other))
        assert list(merged.buckets()) == list(both.buckets())
        assert (merged.count, merged.lowest, merged.highest) == (
            both.count,
            both.lowest,
            both.highest,
        )
        assert merged.mean == pytest.approx(both.mean)

    def test_other_buckets_do_not_merge(self) -> None:
        with pytest.raises(ValueError, match="got a histogram of 5 bits, expected 7"):
            Histogram().merge(Histogram(bits=5))

    @given(durations)
    def test_a_sample_lies_in_its_bucket(self, sample: float) -> None:
        ((low, behind, count),) = Histogram([sample]).buckets()
        assert count == 1
        assert low - 1e-9 <= sample < behind + 1e-9

    def test_buckets_follow_one_another_without_gap(self) -> None:
        histogram = Histogram(bits=3)
        for nanoseconds in range(1000):
            histogram.record(nanoseconds / 1e9)
        edges = list(histogram.buckets())
        assert sum(count for _, _, count in edges) == 1000
        for (_, behind, _), (low, _, _) in itertools.pairwise(edges):
            assert behind == low

    def test_memory_does_not_grow_with_the_samples(self) -> None:
        source = random.Random(3)
        histogram = Histogram(10 ** source.uniform(-5, 1) for _ in range(20_000))
        assert len(list(histogram.buckets())) <= 2600
        assert histogram.count == 20_000

    def test_a_count_is_many_samples(self) -> None:
        histogram = Histogram()
        histogram.record(0.001, 999)
        histogram.record(1.0)
        assert histogram.quantile(0.99) == pytest.approx(0.001, rel=histogram.error)
        assert histogram.quantile(1) == 1.0

    @pytest.mark.parametrize("wrong", [-1e-9, math.inf, math.nan])
    def test_what_is_no_duration_is_refused(self, wrong: float) -> None:
        with pytest.raises(ValueError, match="expected 0 or more"):
            Histogram().record(wrong)

    @pytest.mark.parametrize("bits", [0, 21])
    def test_absurd_precision_is_refused(self, bits: int) -> None:
        with pytest.raises(ValueError, match="expected 1 to 20"):
            Histogram(bits=bits)


class TestShowing:
    def test_the_curve_gives_the_tail_its_room(self) -> None:
        histogram = Histogram([0.001] * 999 + [1.0])
        curve = histogram.curve()
        assert [round(one_in) for one_in, _ in curve[::4]] == [1, 10, 100, 1000]
        assert curve[8][1] == pytest.approx(0.001, rel=histogram.error)
        assert sorted(curve) == curve

    def test_the_table_names_the_usual_quantiles(self) -> None:
        lines = Histogram([0.001] * 99 + [2.0]).table().splitlines()
        assert [line.split()[0] for line in lines] == [
            "p50", "p75", "p90", "p95", "p99", "p99.9", "max",
        ]  # fmt: skip
        assert lines[-1].endswith("2,000.000 ms")
        assert repr(Histogram([0.002])).startswith("Histogram(1 samples, p50 2 ms")
