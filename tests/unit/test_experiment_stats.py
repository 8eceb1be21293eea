"""Statistics over a few seeds, against closed forms and scipy's own."""

import math

import pytest
from scipy import stats

from core.experiment_stats import at_equal, detectable, mean_interval, paired


def test_the_interval_is_students() -> None:
    values = [0.1, 0.4, 0.35]
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, 2, loc=sum(values) / 3, scale=stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((sum(values) / 3, low, high))
    assert found.count == 3 and found.spans_zero
    assert not mean_interval([1.0, 1.1, 1.05]).spans_zero and not mean_interval([-1.0, -1.1, -1.05]).spans_zero


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    found = mean_interval([0.5])
    assert (found.mean, found.low, found.high, found.spans_zero) == (0.5, None, None, True)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])


def test_pairing_takes_out_what_both_share() -> None:
    base, gain = [0.1, 0.5, 0.9], [0.21, 0.6, 1.0]
    found = paired(gain, base)
    assert found.mean == pytest.approx(0.31 / 3) and not found.spans_zero
    assert mean_interval(gain).low < mean_interval(base).high, "unpaired they could not be told apart"
    with pytest.raises(ValueError, match="as many values of both"):
        paired([1.0], [])


def test_the_minimum_detectable_effect_is_told_from_zero_four_times_in_five() -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    needed = (stats.t.ppf(0.975, 3) + stats.t.ppf(0.8, 3)) * stats.sem(values)
    assert detectable(values) == pytest.approx(needed)
    assert detectable([1.0]) is None and detectable([2.0, 2.0]) is None


def test_curves_are_read_at_equal_cost_between_their_points() -> None:
    cost, value = [0.0, 10.0, 30.0], [0.1, 0.2, 0.6]
    assert at_equal(cost, value, 20.0) == pytest.approx(0.4)
    assert at_equal(cost, value, 0.0) == 0.1 and at_equal(cost, value, 30.0) == pytest.approx(0.6)
    assert at_equal(cost, value, 31.0) is None and at_equal(cost, value, -1.0) is None and at_equal([], [], 0) is None
    assert at_equal([5.0], [0.3], 5.0) == 0.3 and not math.isnan(at_equal([5.0, 5.0], [0.3, 0.4], 5.0) or 0)
