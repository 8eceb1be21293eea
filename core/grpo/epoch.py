"""The parts of one epoch that need no weights: which steps and prompts, and what the rewards of its pictures say."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from core import noise
from core.errors import TrainError
from core.evaluation import weighted_total
from core.grpo.advantages import Advantages, advantages
from core.grpo.rollout import Trajectories
from core.grpo.scoring import Scorer
from core.train_config import TrainConfig

PATIENCE = 3  # epochs in a row without any difference between pictures of a prompt


def steps_of(config: TrainConfig, places: Sequence[tuple[int, ...]], number: int) -> tuple[int, ...]:
    """The steps that are stochastic and trained in an epoch, drawn from the possible places."""
    return places[int(torch.randint(len(places), (), generator=noise.stream(config.seed, "window", number)))]


def prompts_of(config: TrainConfig, prompts: Sequence[str], number: int) -> list[str]:
    """An epoch's prompts: passes over all of them, each pass in an order of its own."""
    count, first = len(prompts), (number - 1) * config.prompts_per_epoch
    orders: dict[int, Tensor] = {}
    found = []
    for position in range(first, first + config.prompts_per_epoch):
        turn = position // count
        if turn not in orders:
            orders[turn] = torch.randperm(count, generator=noise.stream(config.seed, "prompts", turn))
        found.append(prompts[int(orders[turn][position % count])])
    return found


def judged(scorer: Scorer, drawn: Sequence[Trajectories]) -> tuple[Advantages, dict[str, float]]:
    """An epoch's advantages (P, G), and the metrics of its rewards: see `EpochFinished`."""
    config = scorer.config
    rewards: dict[str, list[float]] = {name: [] for name in config.rewards}
    totals = np.full((config.prompts_per_epoch, config.group_size), np.nan)
    for one in drawn:
        found = scorer.scores(one.pixels, [member.prompt for member in one.members], tuple(config.rewards))
        for name, values in found.items():
            rewards[name] += values
        for member, value in zip(one.members, weighted_total(found, config.rewards), strict=True):
            totals[member.group, member.index] = value
    group = advantages(totals.tolist(), std=config.advantage_std, clip=config.advantage_clip)
    return group, _metrics(rewards, totals, group, config.searched_members)


def _metrics(
    rewards: Mapping[str, Sequence[float]], totals: np.ndarray, group: Advantages, searched: int
) -> dict[str, float]:
    scored = totals[group.scored]
    found = {"unscored_share": 1 - float(group.scored.mean()), "zero_std_share": float(group.flat.mean())}
    if scored.size:
        found |= {
            "reward_mean": float(scored.mean()),
            "reward_std": float(scored.std()),
            "reward_min": float(scored.min()),
            "reward_max": float(scored.max()),
            "group_std": _mean_std(totals),
        }
    found |= {f"reward/{name}": float(np.mean(known)) for name, values in rewards.items() if (known := _finite(values))}
    if 0 < searched < totals.shape[1]:
        found["reward_searched"], found["reward_unsearched"] = (
            float(np.nanmean(part)) if np.isfinite(part).any() else np.nan
            for part in (totals[:, :searched], totals[:, searched:])
        )
    if searched:
        found["group_std_searched"] = _mean_std(totals[:, :searched])
    if searched < totals.shape[1]:
        found["group_std_unsearched"] = _mean_std(totals[:, searched:])
    return found


def check_signal(history: Sequence[Mapping[str, float]], metrics: Mapping[str, float], config: TrainConfig) -> None:
    """Raise TrainError where nothing can be learned: no finite reward, or equal rewards for too long."""
    if metrics["unscored_share"] == 1:
        names = ", ".join(config.climbed)
        raise TrainError(f"No picture got a finite reward from {names}: is that reward made for these prompts?")
    shares = [one.get("zero_std_share") for one in [*history, metrics]][-PATIENCE:]
    if len(shares) == PATIENCE and all(share == 1 for share in shares):
        raise TrainError(
            f"In {PATIENCE} epochs in a row all pictures of each prompt had equal rewards, so there was nothing to "
            "learn. Raise the noise level or the group size, or train another reward."
        )


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if np.isfinite(value)]


def _mean_std(totals: np.ndarray) -> float:
    """Mean over groups of the population standard deviation of what is finite in each; NaN where nothing is."""
    stds = [float(np.std(known)) for row in totals if (known := _finite(row.tolist()))]
    return float(np.mean(stds)) if stds else np.nan
