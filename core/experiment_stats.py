"""Statistics over a handful of seeds: means with t intervals, and what so few could have shown at all."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache

from scipy import integrate, optimize, special, stats

CONFIDENCE = 0.95
POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """A mean of `count` independent parts with its 95% t interval; None for the bounds of fewer than two."""

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


def clustered(values: Sequence[float], clusters: Sequence[Hashable]) -> Interval:
    """The mean of values of which those of one cluster, such as a caption that comes twice, count as one draw.

    The standard error is that of a ratio of the clusters' sums to their sizes (Cochran 1977, Sampling Techniques, eq.
    2.46), Student's t with one degree of freedom less than there are clusters: where each has one value this is
    `mean_interval`. `count` counts clusters. ValueError for no values, or another number of clusters' names.
    """
    if len(values) != len(clusters) or not values:
        raise ValueError(f"expected a cluster's name a value, got {len(values)} and {len(clusters)}")
    mean, sums = math.fsum(values) / len(values), dict[Hashable, float]()
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    count = len(sums)
    if count == 1:
        return Interval(mean, None, None, 1)
    error = math.sqrt(math.fsum(one**2 for one in sums.values()) * count / (count - 1)) / len(values)
    half = _quantile(count, 0.5 + CONFIDENCE / 2) * error
    return Interval(mean, mean - half, mean + half, count)


def detectable(values: Sequence[float]) -> float | None:
    """The smallest true mean that as many values with this spread would have told from 0 with a power of 80%.

    `needed_errors` times the standard error; None for values without a spread.
    """
    if len(set(values)) < 2:
        return None
    return needed_errors(len(values)) * _standard_error(values, math.fsum(values) / len(values))


@cache
def needed_errors(count: int) -> float:
    """How many standard errors a true mean must be from 0 for the two-sided t test of `count` values to find it with a
    power of 80%: the noncentrality at which the noncentral t lies outside the quantiles of t that often.

    Integrated over the spread that such a sample may show; scipy's own noncentral t gives NaN so far out.
    """
    limit, freedom = _quantile(count, 0.5 + CONFIDENCE / 2), count - 1

    def found(share: float, away: float) -> float:
        reach = limit * math.sqrt(float(stats.chi2.ppf(share, freedom)) / freedom)
        return float(special.ndtr(away - reach) + special.ndtr(-reach - away))

    def missing(away: float) -> float:
        return float(integrate.quad(found, 0.0, 1.0, args=(away,), limit=200)[0]) - POWER

    return float(optimize.brentq(missing, 0.0, 4 * limit, xtol=1e-6))


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
