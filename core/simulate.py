"""Selection strategies compared by Monte-Carlo on a stored measurement, without a model.

From the K measured siblings of a row some are drawn at random, as a search would draw them; a strategy sees their
estimated rewards and picks; what it picked is judged by the measured truth. Rows are prompts and seeds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Strategy:
    """Draw `draw` candidates, keep the `keep` best by `estimate`; with `then`, the best of those by that estimate.

    Without an `estimate` it picks blindly; with the estimate "truth" it is the best that could be done. Where several
    are kept and no second look follows, their mean truth counts.
    """

    name: str
    draw: int
    keep: int = 1
    estimate: str | None = None
    then: str | None = None


@dataclass(frozen=True)
class Outcome:
    """Mean truth of what a strategy picks over that of a blind pick, its 95% interval over rows, and its NFE a row."""

    strategy: Strategy
    gain: float
    low: float
    high: float
    nfe: float


def simulate(
    strategies: Sequence[Strategy],
    proxies: Mapping[str, Array],
    truth: Array,
    nfe: Mapping[str, float],
    *,
    num_draws: int = 1000,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> list[Outcome]:
    """Compare strategies at one timestep. `proxies[name]` and `truth` are (P, K); `nfe[name]` is a candidate's cost.

    All strategies see the same draws. Raises ValueError for estimates that were not measured and draws that are larger
    than K. Candidates that have no finite estimate are picked last.
    """
    truth = np.asarray(truth, dtype=float)
    known = {"truth": truth, **{name: np.asarray(values, dtype=float) for name, values in proxies.items()}}
    for one in strategies:
        _check(one, known, truth.shape)
    order = np.argsort(np.random.default_rng(seed).random((num_draws, *truth.shape)), axis=2)
    blind = truth.mean(axis=1)
    rng = np.random.default_rng([seed, 1])
    rows = rng.integers(len(truth), size=(num_bootstrap, len(truth)))
    outcomes = []
    for one in strategies:
        gains = _picked(one, known, order[:, :, : one.draw]).mean(axis=0) - blind
        low, high = np.quantile(gains[rows].mean(axis=1), [0.025, 0.975])
        outcomes.append(Outcome(one, float(gains.mean()), float(low), float(high), _cost(one, nfe)))
    return outcomes


def _check(one: Strategy, known: Mapping[str, Array], shape: tuple[int, ...]) -> None:
    for name in (one.estimate, one.then):
        if name is not None and (name not in known or known[name].shape != shape):
            raise ValueError(f"{one.name}: expected an estimate of shape {shape} among {', '.join(known)}, got {name}")
    if not 1 <= one.keep <= one.draw <= shape[1]:
        raise ValueError(f"{one.name}: expected 1 <= keep <= draw <= {shape[1]}, got {one.keep} of {one.draw}")


def _picked(one: Strategy, known: Mapping[str, Array], drawn: Array) -> Array:
    """The truth of what is picked, (draws, P); `drawn` (draws, P, k) are candidates in random order."""
    truth = np.take_along_axis(known["truth"][None], drawn, axis=2)
    if one.estimate is None:
        return truth[:, :, : one.keep].mean(axis=2)
    kept = _top(np.take_along_axis(known[one.estimate][None], drawn, axis=2), one.keep)
    truth = np.take_along_axis(truth, kept, axis=2)
    if one.then is not None:
        second = np.take_along_axis(np.take_along_axis(known[one.then][None], drawn, axis=2), kept, axis=2)
        truth = np.take_along_axis(truth, _top(second, 1), axis=2)
    return truth.mean(axis=2)


def _top(values: Array, count: int) -> Array:
    """Places of the `count` largest along the last axis; ties by place, which is random here."""
    return np.argsort(-np.where(np.isfinite(values), values, -np.inf), axis=2, kind="stable")[:, :, :count]


def _cost(one: Strategy, nfe: Mapping[str, float]) -> float:
    """Sample-forwards of the velocity network; the truth as an estimate costs what `nfe` says it does."""
    first = one.draw * nfe.get(one.estimate, math.nan) if one.estimate else 0.0
    return first + (one.keep * nfe.get(one.then, math.nan) if one.then else 0.0)
