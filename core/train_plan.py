"""What a fine-tune will cost, known before it runs. No torch, so that a page can say it."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.prompts import judged_on
from core.schedule import in_window
from core.train_config import TrainConfig, windows

SAMPLES = 8  # pictures on a sheet


@dataclass(frozen=True)
class Forwards:
    """Velocity evaluations by purpose: the mean over the places of a random window, if no group is skipped.

    Of one epoch: `rollout`, `search`, `update` (replayed, and the reference where it is part of the loss); of one look:
    `evaluate`, `sample`. Looking is not part of the training's cost.
    """

    rollout: float
    search: float
    update: float
    evaluate: float
    sample: float

    @property
    def epoch(self) -> float:
        """All of one epoch's training."""
        return self.rollout + self.search + self.update


def forwards(config: TrainConfig, sigmas: Sequence[float], nfe_per_velocity: int) -> Forwards:
    """For a schedule (num_steps + 1 sigmas). Raises ConfigError for an unknown set, or too few steps in the window."""
    places, inside = windows(config, tuple(sigmas)), in_window(sigmas, config.window_min, config.window_max)
    drawn = config.prompts_per_epoch * config.group_size
    chosen = config.prompts_per_epoch * config.searched_members
    tries = config.search.num_candidates
    before = sum(steps[0] for steps in places) / len(places)  # steps by the ODE, walked once by those who share a start
    starts = config.prompts_per_epoch if config.share_start else drawn
    points, tried = _points(config)  # those who share a start stand at one point before the first stochastic step
    extra = tries - 1 if config.noise_source == "best_of_k" else 0
    later = config.num_steps - before - 1
    searched = 0.0
    # A blind search scores nothing, unless its result is the best that was seen.
    if config.noise_source == "search" and (config.search.selection != "random" or config.search.result == "best"):
        steps = sum(sum(inside[step] for step in steps) for steps in places) / len(places)
        searched = chosen * steps * tries * config.search.num_iterations
    judged = judged_on(config)
    return Forwards(
        rollout=(starts * before + points + tried * extra + (drawn + chosen * extra) * later) * nfe_per_velocity,
        search=searched * nfe_per_velocity,
        update=(points + drawn * (len(places[0]) - 1)) * (2 if config.kl_beta else 1) * nfe_per_velocity,
        evaluate=judged.captions * config.eval_steps * (2 if config.ema else 1) * nfe_per_velocity,
        sample=min(SAMPLES, judged.different) * config.eval_steps * nfe_per_velocity,
    )


def _points(config: TrainConfig) -> tuple[int, int]:
    """Points in an epoch's micro-batches where its members stand before the first stochastic step: all, and searched.

    As `core.grpo.rollout.layout` makes them: a group that two micro-batches share counts in both.
    """
    if not config.share_start:
        return config.prompts_per_epoch * config.group_size, config.prompts_per_epoch * config.searched_members
    parts = config.searched_members, config.group_size - config.searched_members
    bounds = [round(u * config.prompts_per_epoch / config.updates_per_epoch) for u in range(config.updates_per_epoch)]
    groups = [last - first for first, last in zip(bounds, [*bounds[1:], config.prompts_per_epoch], strict=True)]
    found = [sum(_shared(count, size, config.micro_batch) for count in groups) for size in parts]
    return sum(found), found[0]


def _shared(groups: int, size: int, micro_batch: int) -> int:
    """Pairs of a group and a micro-batch that holds some of its `size` members, the groups in a row."""
    if not size:
        return 0
    starts = range(0, groups * size, micro_batch)
    return sum((min(first + micro_batch, groups * size) - 1) // size - first // size + 1 for first in starts)


def looks(epochs: int, every: int) -> int:
    """How often something is looked at: before the first epoch, every `every` epochs, and after the last."""
    regular = epochs // every if every else 0
    return 1 + regular + (0 if every and epochs % every == 0 else 1)
