"""Statistics over a few seeds, against closed forms and scipy's own."""

import math

import pytest
from scipy import stats

from core.experiment_stats import at_equal, clustered, detectable, mean_interval, needed_errors, paired


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


def test_a_caption_that_comes_twice_counts_once() -> None:
    values = [0.1, 0.4, 0.35, -0.2]
    alone, doubled = mean_interval(values), clustered([*values, *values], [*"abcd", *"abcd"])
    assert (doubled.mean, doubled.low, doubled.high) == pytest.approx((alone.mean, alone.low, alone.high))
    assert doubled.count == 4 and clustered(values, "abcd") == pytest.approx(alone)
    uneven = clustered([1.0, 1.0, 0.0], ["a", "a", "b"])
    error = math.sqrt(2 * (2 * (2 / 3) ** 2)) / 3  # sums of what is left: 2/3 and -2/3
    assert uneven.mean == pytest.approx(2 / 3) and uneven.high == pytest.approx(2 / 3 + stats.t.ppf(0.975, 1) * error)
    assert clustered([1.0, 2.0], ["a", "a"]).low is None
    with pytest.raises(ValueError, match="a value, got 1 and 2"):
        clustered([1.0], ["a", "b"])


@pytest.mark.parametrize("count", [5, 10, 30])
def test_the_minimum_detectable_effect_has_the_power_that_scipys_noncentral_t_tells(count: int) -> None:
    limit, away = stats.t.ppf(0.975, count - 1), needed_errors(count)
    power = stats.nct.sf(limit, count - 1, away) + stats.nct.cdf(-limit, count - 1, away)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_two_seeds_need_sixteen_standard_errors() -> None:
    """400,000 draws with such means were told from 0 in .7993 (two seeds) and .8006 (three) of cases."""
    assert needed_errors(2) == pytest.approx(16.334, abs=1e-3) and needed_errors(3) == pytest.approx(5.653, abs=1e-3)
    values = [1.0, 2.0, 3.0, 4.0]
    assert detectable(values) == pytest.approx(needed_errors(4) * stats.sem(values))
    assert detectable([1.0]) is None and detectable([2.0, 2.0]) is None


def test_curves_are_read_at_equal_cost_between_their_points() -> None:
    cost, value = [0.0, 10.0, 30.0], [0.1, 0.2, 0.6]
    assert at_equal(cost, value, 20.0) == pytest.approx(0.4)
    assert at_equal(cost, value, 0.0) == 0.1 and at_equal(cost, value, 30.0) == pytest.approx(0.6)
    assert at_equal(cost, value, 31.0) is None and at_equal(cost, value, -1.0) is None and at_equal([], [], 0) is None
    assert at_equal([5.0], [0.3], 5.0) == 0.3 and not math.isnan(at_equal([5.0, 5.0], [0.3, 0.4], 5.0) or 0)
