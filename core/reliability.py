"""Does the reward of an estimate predict the reward of the final picture? Statistics on plain arrays.

`proxy[p, k, s]` is the reward of the estimate from sibling k of row p (a prompt and a seed) at timestep s. `truth` is
either (P, K, S), the reward of the picture that this very sibling led to ("within siblings": what a search at that step
can use), or (P, K), one truth a trajectory ("between seeds": another quantity, and labelled so). Everything is computed
inside a row and then summed up over rows, never pooled: prompts differ in level, and pooling reports that difference.

A NaN on either side leaves that pair out. A row whose proxy or truth is constant has no rank correlation: it is left
out of the correlations and counted. Figures that cannot be computed are NaN.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray
Pairs: TypeAlias = tuple[Array, Array]  # proxy and truth of one row, finite, equally long

NUM_DRAWS = 400  # random draws a row, where candidates are drawn or ties must be broken
NUM_PERMUTATIONS = 400
FEWEST_PROMPTS = 5  # fewer, drawn again and again, give an interval that is far too narrow


@dataclass(frozen=True)
class Timestep:
    """What holds at one timestep.

    `spearman_low` and `spearman_high` bound the median by a bootstrap over prompts (95%), `null_low` and `null_high`
    are where it falls when truths are shuffled within rows (95%). `truth_std` is sigma_R, `expected_gain` is
    G = i(K, T) r sigma_R, `regret` the truth that the proxy's best misses against the best there was.
    """

    sigma: float | None
    rows: int
    constant_rows: int
    missing: int
    spearman_median: float
    spearman_low: float
    spearman_high: float
    null_low: float
    null_high: float
    kendall_median: float
    pearson_mean: float
    top1: float
    elite_recall: float
    selection_efficiency: float
    regret: float
    truth_std: float
    expected_gain: float
    bias: float
    slope: float


@dataclass(frozen=True)
class Reliability:
    """An analysis: which quantity it is, and a Timestep for each of the S timesteps."""

    quantity: Literal["within siblings", "between seeds"]
    timesteps: tuple[Timestep, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, None where a figure cannot be computed."""
        rows = [
            {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in asdict(one).items()}
            for one in self.timesteps
        ]
        return {"quantity": self.quantity, "timesteps": rows}


def analyse(
    proxy: Array,
    truth: Array,
    *,
    sigmas: Sequence[float] | None = None,
    num_elites: int = 2,
    draw: int | None = None,
    num_bootstrap: int = 1000,
    seed: int = 0,
    prompts: Sequence[int] | None = None,
) -> Reliability:
    """Analyse proxy (P, K, S) against truth (P, K) or (P, K, S).

    `draw=k` computes top-1, recall, efficiency, regret and the gain's i(k, T) for searches that see k random candidates
    of the K. `prompts[p]` names the prompt of row p where a prompt has several rows; the bootstrap draws whole prompts.
    Raises ValueError for shapes that do not fit.
    """
    proxy, truth = np.asarray(proxy, dtype=float), np.asarray(truth, dtype=float)
    _check(proxy, truth, sigmas, num_elites, draw, prompts)
    groups = np.arange(len(proxy)) if prompts is None else np.unique(np.asarray(prompts), return_inverse=True)[1]
    within = truth.ndim == 3
    timesteps = tuple(
        _timestep(
            proxy[:, :, s],
            truth[:, :, s] if within else truth,
            sigma=None if sigmas is None else float(sigmas[s]),
            groups=groups,
            num_elites=num_elites,
            draw=draw,
            num_bootstrap=num_bootstrap,
            rng=np.random.default_rng([seed, s]),
        )
        for s in range(proxy.shape[2])
    )
    return Reliability("within siblings" if within else "between seeds", timesteps)


def _check(
    proxy: Array,
    truth: Array,
    sigmas: Sequence[float] | None,
    num_elites: int,
    draw: int | None,
    prompts: Sequence[int] | None,
) -> None:
    if proxy.ndim != 3 or proxy.shape[1] < 2:
        raise ValueError(f"proxy is expected to have the shape (P, K, S) with K at least 2, got {proxy.shape}")
    if truth.shape not in (proxy.shape, proxy.shape[:2]):
        raise ValueError(f"truth is expected to have the shape {proxy.shape} or {proxy.shape[:2]}, got {truth.shape}")
    if sigmas is not None and len(sigmas) != proxy.shape[2]:
        raise ValueError(f"expected {proxy.shape[2]} sigmas, one a timestep, got {len(sigmas)}")
    if prompts is not None and len(prompts) != len(proxy):
        raise ValueError(f"expected {len(proxy)} prompts, one a row, got {len(prompts)}")
    most = proxy.shape[1] if draw is None else draw
    if draw is not None and not 2 <= draw <= proxy.shape[1]:
        raise ValueError(f"draw is expected to be from 2 to K = {proxy.shape[1]}, got {draw}")
    if not 1 <= num_elites <= most:
        raise ValueError(f"num_elites is expected to be from 1 to {most}, got {num_elites}")


def _timestep(
    proxy: Array,
    truth: Array,
    *,
    sigma: float | None,
    groups: Array,
    num_elites: int,
    draw: int | None,
    num_bootstrap: int,
    rng: np.random.Generator,
) -> Timestep:
    finite = np.isfinite(proxy) & np.isfinite(truth)
    rows = [(proxy[p, ok], truth[p, ok]) for p, ok in enumerate(finite)]
    usable = [p for p, (a, _) in enumerate(rows) if len(a) >= 2]
    varied = [p for p in usable if np.ptp(rows[p][0]) > 0 and np.ptp(rows[p][1]) > 0]
    ranked = [(ranks(rows[p][0]), ranks(rows[p][1])) for p in varied]
    rho = np.array([float(np.corrcoef(*sides)[0, 1]) for sides in ranked])
    low, high = _bootstrap_median(rho, groups[varied], num_bootstrap, rng)
    null_low, null_high = _null_median(ranked, rng)
    pearson = [float(np.corrcoef(*rows[p])[0, 1]) for p in varied]
    spreads = [float(np.std(rows[p][1], ddof=1)) for p in usable]
    # A constant row predicts nothing and gains nothing: it counts with r = 0.
    leverage = sum(r * float(np.std(rows[p][1], ddof=1)) for r, p in zip(pearson, varied, strict=True))
    intensity = selection_intensity(draw or proxy.shape[1], num_elites)
    chosen = _choices([rows[p] for p in usable], num_elites, draw, rng)
    return Timestep(
        sigma=sigma,
        rows=len(usable),
        constant_rows=len(usable) - len(varied),
        missing=int((~finite).sum()),
        spearman_median=_median(rho),
        spearman_low=low,
        spearman_high=high,
        null_low=null_low,
        null_high=null_high,
        kendall_median=_median(np.array([kendall(*rows[p]) for p in varied])),
        pearson_mean=float(np.mean(pearson)) if pearson else math.nan,
        truth_std=float(np.sqrt(np.mean(np.square(spreads)))) if spreads else math.nan,
        expected_gain=intensity * leverage / len(usable) if usable else math.nan,
        bias=_mean([float(np.mean(a - b)) for a, b in (rows[p] for p in usable)]),
        slope=_slope([rows[p] for p in usable]),
        **chosen,
    )


def spearman(a: Array, b: Array) -> float:
    """Rank correlation with average ranks for ties; NaN where one side is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def ranks(values: Array) -> Array:
    """From 1 for the smallest; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def kendall(a: Array, b: Array) -> float:
    """Kendall's tau-b; NaN where one side is constant."""
    first, second = (np.sign(side[:, None] - side) for side in (a, b))
    size = math.sqrt(float((first * first).sum()) * float((second * second).sum()))
    return float((first * second).sum()) / size if size else math.nan


@cache
def selection_intensity(count: int, top: int) -> float:
    """i(K, T): the expected mean of the largest `top` of `count` standard normals; i(5, 1) = 1.163."""
    if not 1 <= top <= count:
        raise ValueError(f"top is expected to be from 1 to count = {count}, got {top}")
    if top == count:
        return 0.0
    # The sum of the top T order statistics' densities at x is K phi(x) P(at most T - 1 of the other K - 1 exceed x).
    # Sums over even steps are exact here to rounding: the integrand is smooth and gone at both ends. (Without scipy,
    # which would take 70 MB of the web process for this one number.)
    x = np.linspace(-12.0, 12.0, 2401)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    above, below = (np.array([math.erfc(sign * value / math.sqrt(2)) / 2 for value in x]) for sign in (1, -1))
    others = count - 1
    log_ways = [math.lgamma(count) - math.lgamma(j + 1) - math.lgamma(count - j) for j in range(top)]
    at_most = sum(np.exp(ways + j * np.log(above) + (others - j) * np.log(below)) for j, ways in enumerate(log_ways))
    return float((x * count * density * at_most).sum() * (x[1] - x[0])) / top


def _choices(rows: Sequence[Pairs], num_elites: int, draw: int | None, rng: np.random.Generator) -> dict[str, float]:
    """Top-1 hit, elite recall, regret (means over rows) and selection efficiency (a ratio of sums over rows)."""
    tables = [_choose(*row, num_elites, draw, rng) for row in rows if len(row[0]) >= max(num_elites, draw or 2)]
    if not tables:
        return dict.fromkeys(("top1", "elite_recall", "selection_efficiency", "regret"), math.nan)
    hit, recall, gained, possible = np.array(tables).T
    return {
        "top1": float(hit.mean()),
        "elite_recall": float(recall.mean()),
        "selection_efficiency": float(gained.sum() / possible.sum()) if possible.sum() > 0 else math.nan,
        "regret": float((possible - gained).mean()),
    }


def _choose(
    proxy: Array, truth: Array, num_elites: int, draw: int | None, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """One row, averaged over draws: (hit, recall, truth[argmax proxy] - mean, max truth - mean).

    Candidates are drawn in random order, so the first of equal proxies is a fair pick among them.
    """
    count = len(proxy)
    num_draws = 1 if draw in (None, count) and len(np.unique(proxy)) == count else NUM_DRAWS
    drawn = np.argsort(rng.random((num_draws, count)), axis=1)[:, : draw or count]
    a, b = proxy[drawn], truth[drawn]
    order = np.argsort(-a, axis=1, kind="stable")
    ranked = np.take_along_axis(b, order, axis=1)  # truths in the proxy's order
    best, mean = b.max(axis=1), b.mean(axis=1)
    bar = np.sort(b, axis=1)[:, -num_elites]  # the T-th largest truth
    recall = (ranked[:, :num_elites] >= bar[:, None]).mean(axis=1)
    picked = ranked[:, 0]
    return (
        float((picked == best).mean()),
        float(recall.mean()),
        float((picked - mean).mean()),
        float((best - mean).mean()),
    )


def _bootstrap_median(
    values: Array, groups: Array, num_bootstrap: int, rng: np.random.Generator
) -> tuple[float, float]:
    """95% interval of the median when whole groups (prompts) are drawn again; NaN for fewer than FEWEST_PROMPTS."""
    names = np.unique(groups)
    if len(names) < FEWEST_PROMPTS:
        return math.nan, math.nan
    members = [values[groups == name] for name in names]
    table = np.full((len(names), max(map(len, members))), np.nan)
    for line, own in zip(table, members, strict=True):
        line[: len(own)] = own
    drawn = table[rng.integers(len(names), size=(num_bootstrap, len(names)))].reshape(num_bootstrap, -1)
    return _interval(np.nanmedian(drawn, axis=1) if np.isnan(table).any() else np.median(drawn, axis=1))


def _null_median(ranked: Sequence[Pairs], rng: np.random.Generator) -> tuple[float, float]:
    """95% band of the median rank correlation when the truths of every row are shuffled; from each row's ranks."""
    if not ranked:
        return math.nan, math.nan
    if all(len(np.unique(side)) == len(side) for sides in ranked for side in sides):
        return _null_without_ties(tuple(len(a) for a, _ in ranked))
    return _shuffled_median(ranked, rng)


@lru_cache(256)
def _null_without_ties(counts: tuple[int, ...]) -> tuple[float, float]:
    """The band where no row has ties: it depends on how many siblings the rows have, and on nothing else."""
    return _shuffled_median([(np.arange(count), np.arange(count)) for count in counts], np.random.default_rng(0))


def _shuffled_median(ranked: Sequence[Pairs], rng: np.random.Generator) -> tuple[float, float]:
    shuffled = []
    for proxy, truth in ranked:
        a, b = _standardised(proxy), _standardised(truth)
        order = np.argsort(rng.random((NUM_PERMUTATIONS, len(a))), axis=1)
        shuffled.append((b[order] * a).mean(axis=1))
    return _interval(np.median(shuffled, axis=0))


def mean_interval(
    values: Array, groups: Array, *, num_bootstrap: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of values (P,) and its 95% interval when whole groups (prompts) are drawn again; NaN are left out.

    Fewer groups than FEWEST_PROMPTS tell no interval: its bounds are NaN.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return math.nan, math.nan, math.nan
    names, index = np.unique(np.asarray(groups)[finite], return_inverse=True)
    sums, counts = np.bincount(index, weights=values[finite]), np.bincount(index)
    mean = float(sums.sum() / counts.sum())
    if len(names) < FEWEST_PROMPTS:
        return mean, math.nan, math.nan
    drawn = np.random.default_rng(seed).integers(len(names), size=(num_bootstrap, len(names)))
    return mean, *_interval(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))


def _standardised(values: Array) -> Array:
    return (values - values.mean()) / values.std()


def _interval(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _slope(rows: Sequence[Pairs]) -> float:
    """Least squares of truth on proxy, both taken from their row's mean: 1 where a difference means what it says."""
    centred = [(a - a.mean(), b - b.mean()) for a, b in rows]
    variance = sum(float(a @ a) for a, _ in centred)
    return sum(float(a @ b) for a, b in centred) / variance if variance > 0 else math.nan


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def recommended(found: Reliability, held_out: Reliability) -> tuple[bool, ...]:
    """For every timestep whether a search there can be recommended.

    The rank correlation's lower bound lies above the null band, the expected gain is at least half of the largest, and
    choosing by the same proxy is expected to gain on a reward that it does not see (`held_out`: the same proxy analysed
    against that reward's truth). Leave the last step out of the arrays: it agrees with the truth by construction.
    """
    gains = [one.expected_gain for one in found.timesteps if math.isfinite(one.expected_gain)]
    bar = max(gains, default=math.inf) / 2
    return tuple(
        one.spearman_low > one.null_high and one.expected_gain >= bar > 0 and other.expected_gain > 0
        for one, other in zip(found.timesteps, held_out.timesteps, strict=True)
    )


def window(found: Reliability, held_out: Reliability) -> tuple[float, float] | None:
    """The run of recommended timesteps with the largest gain inside, as (lowest, highest) sigma; None without one."""
    fine = recommended(found, held_out)
    if not any(fine):
        return None
    best = max((s for s, ok in enumerate(fine) if ok), key=lambda s: found.timesteps[s].expected_gain)
    first = last = best
    while first > 0 and fine[first - 1]:
        first -= 1
    while last + 1 < len(fine) and fine[last + 1]:
        last += 1
    high, low = found.timesteps[first].sigma, found.timesteps[last].sigma
    if low is None or high is None:
        raise ValueError("a window needs sigmas: expected them to be given to analyse")
    return low, high
