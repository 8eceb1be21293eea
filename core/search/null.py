"""What a blind search does to its noise: the null theory beside which a search's diagnostics are read.

Where elites carry no signal they are T independent draws m = mu + s n (elementwise, n standard normal), so that one
update takes mu to mu + s x with x ~ N(0, 1/T), and s^2 to s^2 v with v ~ chi^2(T - 1)/T independent of x (the variance
divides by T). From mu = 0 and s = 1 that gives, per element,

    E[s_i^2] = q_1 ... q_i with q = (T - 1)/T,    E[mu_i^2] = 1 - E[s_i^2],

so ||mu||^2/d is 1/T after one iteration, while the candidates keep the size of real noise (E[m^2] = 1) and merely grow
alike: two of them share E[mu_i^2] of their variance. Fourth moments follow in the same way. No torch here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SAMPLES = 20_000  # elements that stand for a real latent's: medians come out to about 1%
FLOORED_SAMPLES = 200_000  # where variances come from them too


@dataclass(frozen=True)
class Blind:
    """Expected diagnostics before each iteration and after the last: n + 1 entries for n iterations.

    `mean_norm` and `candidate_norm` are root mean squares (||.||/sqrt(d)); `cosine` is that of two candidates;
    `kurtosis` a candidate's over its elements (NaN with a floor under search_std); `std_median` the median of
    search_std. They are limits for many elements: the kurtosis of a few thousand comes out somewhat lower.
    """

    mean_norm: tuple[float, ...]
    candidate_norm: tuple[float, ...]
    cosine: tuple[float, ...]
    kurtosis: tuple[float, ...]
    std_median: tuple[float, ...]


@lru_cache(maxsize=256)
def blind(num_elites: tuple[int, ...], min_std: float = 0.0) -> Blind:
    """The theory for a search whose iteration i keeps `num_elites[i]` candidates (0 leaves the distribution as it is).

    Moments are exact without a floor `min_std`; with one, and for medians, they come from elements drawn with a fixed
    seed. Raises ValueError for a negative count or floor.
    """
    if min(num_elites, default=0) < 0 or not min_std >= 0:
        raise ValueError(f"expected counts and a floor of at least 0, got {num_elites} and {min_std}")
    spread = _spread(num_elites, min_std)
    mean2, std2 = _variances(num_elites) if min_std == 0 else _sample_variances(num_elites, spread)
    size2 = [a + b for a, b in zip(mean2, std2, strict=True)]
    return Blind(
        mean_norm=tuple(math.sqrt(value) for value in mean2),
        candidate_norm=tuple(math.sqrt(value) for value in size2),
        cosine=tuple(a / b for a, b in zip(mean2, size2, strict=True)),
        kurtosis=_kurtosis(num_elites) if min_std == 0 else (math.nan,) * len(size2),
        std_median=tuple(float(np.median(std)) for std in spread),
    )


def _variances(num_elites: Sequence[int]) -> tuple[list[float], list[float]]:
    """E[mu^2] and E[s^2] before each iteration and after the last."""
    std2 = [1.0]
    for count in num_elites:
        std2.append(std2[-1] * (count - 1) / count if count else std2[-1])
    return [1 - value for value in std2], std2


def _kurtosis(num_elites: Sequence[int]) -> tuple[float, ...]:
    """E[m^4], which is the kurtosis since E[m^2] stays 1, from E[mu^4], E[mu^2 s^2] and E[s^4]."""
    mean4, cross, std4 = 0.0, 0.0, 1.0
    found = [3.0]
    for count in num_elites:
        if count:
            mean4 += 6 * cross / count + 3 * std4 / count**2
            cross = (cross + std4 / count) * (count - 1) / count  # E[v] = (T - 1)/T
            std4 *= (count - 1) * (count + 1) / count**2  # E[v^2]
        found.append(mean4 + 6 * cross + 3 * std4)
    return tuple(found)


def _spread(num_elites: Sequence[int], min_std: float) -> list[np.ndarray]:
    """search_std of drawn elements before each iteration and after the last."""
    rng = np.random.default_rng(0)
    size = FLOORED_SAMPLES if min_std else SAMPLES
    path = [np.ones(size)]
    for count in num_elites:
        if not count:
            path.append(path[-1])
            continue
        kept = rng.chisquare(count - 1, size) / count if count > 1 else np.zeros(size)
        path.append(np.maximum(path[-1] * np.sqrt(kept), min_std))
    return path


def _sample_variances(num_elites: Sequence[int], spread: Sequence[np.ndarray]) -> tuple[list[float], list[float]]:
    std2 = [float((std**2).mean()) for std in spread]
    mean2 = [0.0]
    for count, value in zip(num_elites, std2, strict=False):
        mean2.append(mean2[-1] + (value / count if count else 0.0))
    return mean2, std2
