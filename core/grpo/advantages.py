"""Group-relative advantages: how much better a picture is than the others of its prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.train_config import AdvantageStd

EPSILON = 1e-4  # beside the standard deviation, as Flow-GRPO has it


@dataclass(frozen=True)
class Advantages:
    """`values` (P, G), 0 where nothing is to be learned; `stds` (P,) within each group (NaN without a finite reward).

    `scored` (P, G) tells members with a finite reward, `flat` (P,) groups whose finite rewards are all equal.
    """

    values: np.ndarray
    stds: np.ndarray
    scored: np.ndarray
    flat: np.ndarray


def advantages(rewards: Sequence[Sequence[float]], *, std: AdvantageStd = "batch", clip: float = 5.0) -> Advantages:
    """A = (r - mean of its group) / (std + 1e-4), cut at +-clip, of rewards (P, G).

    `std` is the population standard deviation of the whole batch's rewards or of the prompt's own. Members without a
    finite reward take no part; groups of equal rewards (one member included) have advantage 0.
    """
    given = np.asarray(rewards, dtype=np.float64)
    if given.ndim != 2:
        raise ValueError(f"expected rewards of shape (prompts, members), got {given.shape}")
    scored = np.isfinite(given)
    known = np.where(scored, given, np.nan)
    counts = scored.sum(1)
    means = np.array([row[ok].mean() if ok.any() else 0.0 for row, ok in zip(given, scored, strict=True)])
    stds = np.array([row[ok].std() if ok.any() else np.nan for row, ok in zip(given, scored, strict=True)])
    flat = np.array([counts[p] > 0 and np.ptp(known[p][scored[p]]) == 0 for p in range(len(given))], dtype=bool)
    scale = np.nan_to_num(stds) if std == "prompt" else np.full(len(given), given[scored].std() if scored.any() else 0)
    values = (known - means[:, None]) / (scale[:, None] + EPSILON)
    values[~scored] = 0.0
    values[flat] = 0.0
    return Advantages(np.clip(values, -clip, clip), stds, scored, flat)
