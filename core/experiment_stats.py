"""Statistics over a handful of seeds: means with t intervals, and what so few could have shown at all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95
POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """A mean of `count` numbers with its 95% t interval; None for the bounds of fewer than two."""

    mean: float
    low: float | None
    high: float | None
    count: int

    @property
    def spans_zero(self) -> bool:
        """Whether 0 cannot be told from the mean; so it is where there is no interval."""
        return self.low is None or self.high is None or self.low <= 0 <= self.high


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of independent values and Student's interval of it. ValueError for none."""
    count = len(values)
    if not count:
        raise ValueError("expected at least one value")
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, None, None, 1)
    half = _quantile(count, 0.5 + CONFIDENCE / 2) * _standard_error(values, mean)
    return Interval(mean, mean - half, mean + half, count)


def paired(one: Sequence[float], other: Sequence[float]) -> Interval:
    """The mean difference `one - other` of values that belong together, such as those of one seed."""
    if len(one) != len(other):
        raise ValueError(f"expected as many values of both, got {len(one)} and {len(other)}")
    return mean_interval([a - b for a, b in zip(one, other, strict=True)])


def detectable(values: Sequence[float]) -> float | None:
    """The smallest true mean that as many values with this spread would have told from 0 with a power of 80%.

    (t(.975) + t(.8)) times the standard error, with n - 1 degrees of freedom; None for values without a spread.
    """
    count = len(values)
    if len(set(values)) < 2:
        return None
    needed = _quantile(count, 0.5 + CONFIDENCE / 2) + _quantile(count, POWER)
    return needed * _standard_error(values, math.fsum(values) / count)


def at_equal(cost: Sequence[float], value: Sequence[float], budget: float) -> float | None:
    """A curve's value where its rising `cost` reaches a budget, straight between its points; None outside them."""
    if not cost or not cost[0] <= budget <= cost[-1]:
        return None
    for (left, before), (right, after) in zip(
        zip(cost, value, strict=True), list(zip(cost, value, strict=True))[1:], strict=False
    ):
        if left <= budget <= right:
            share = 0.0 if right == left else (budget - left) / (right - left)
            return before + share * (after - before)
    return value[-1]


def _standard_error(values: Sequence[float], mean: float) -> float:
    count = len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)


def _quantile(count: int, share: float) -> float:
    return float(stats.t.ppf(share, count - 1))
