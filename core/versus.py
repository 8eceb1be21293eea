"""Which of two ways is better where both ran on the same prompts and seeds: paired differences with a bootstrap.

Pure functions over plain numbers by (prompt, seed). Prompts are drawn again where there are enough of them: what is
then said holds for prompts like these. Where there are few prompts but many seeds of each, seeds are drawn again within
their prompts: what is said then holds for these prompts only. Efron and Tibshirani 1993, An Introduction to the
Bootstrap, chapter 8.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.reliability import FEWEST_PROMPTS, mean_interval

FEWEST_SEEDS = FEWEST_PROMPTS  # as few are drawn again within a prompt
NUM_BOOTSTRAP = 10_000

Key = tuple[str, int]
Over = Literal["prompts", "seeds"]


@dataclass(frozen=True)
class Versus:
    """`one - other` over `pairs` shared (prompt, seed): means of both and of the difference with its 95% interval.

    `over` says what was drawn again; None, with no `low` and `high`, where there are too few pairs for an interval.
    """

    one: float
    other: float
    mean: float
    low: float | None
    high: float | None
    pairs: int
    prompts: int
    over: Over | None

    @property
    def better(self) -> Literal["one", "other"] | None:
        """Which is surely higher; None where 0 cannot be told from the difference, or nothing can be said."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return None
        return "one" if self.low > 0 else "other"


def versus(
    one: Mapping[Key, float], other: Mapping[Key, float], *, num_bootstrap: int = NUM_BOOTSTRAP, seed: int = 0
) -> Versus | None:
    """Compare values by (prompt, seed) where both have a finite one; None where they share none."""
    keys = sorted(key for key in one.keys() & other.keys() if math.isfinite(one[key]) and math.isfinite(other[key]))
    if not keys:
        return None
    first, second = (np.array([side[key] for key in keys], dtype=float) for side in (one, other))
    names, group = np.unique([prompt for prompt, _ in keys], return_inverse=True)
    low, high, over = _interval(first - second, group, num_bootstrap, seed)
    means = float(first.mean()), float(second.mean()), float((first - second).mean())
    return Versus(*means, low, high, len(keys), len(names), over)


def _interval(
    differences: np.ndarray, group: np.ndarray, num_bootstrap: int, seed: int
) -> tuple[float | None, float | None, Over | None]:
    """Bounds of the mean of differences (N,) whose prompts are numbered by `group` (N,), and what was drawn again."""
    counts = np.bincount(group)
    if len(counts) >= FEWEST_PROMPTS:
        _, low, high = mean_interval(differences, group, num_bootstrap=num_bootstrap, seed=seed)
        return low, high, "prompts"
    if counts.min() < FEWEST_SEEDS:
        return None, None, None
    rng = np.random.default_rng(seed)
    sums = sum(
        own[rng.integers(len(own), size=(num_bootstrap, len(own)))].sum(axis=1)
        for own in (differences[group == number] for number in range(len(counts)))
    )
    low, high = np.quantile(sums / len(differences), [0.025, 0.975])
    return float(low), float(high), "seeds"
