"""What a fine-tune will cost, known before it runs. Standard library only, so that a page can say it."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    """For a schedule (num_steps + 1 sigmas). Raises ConfigError where the window holds too few steps."""
    places, inside = windows(config, tuple(sigmas)), in_window(sigmas, config.window_min, config.window_max)
    drawn = config.prompts_per_epoch * config.group_size
    chosen = config.prompts_per_epoch * config.searched_members
    tries = config.search.num_candidates
    before = sum(steps[0] for steps in places) / len(places)  # steps by the ODE, walked once by those who share a start
    starts = config.prompts_per_epoch if config.share_start else drawn
    extra = chosen * (tries - 1) if config.noise_source == "best_of_k" else 0
    searched = 0.0
    # A blind search scores nothing, unless its result is the best that was seen.
    if config.noise_source == "search" and (config.search.selection != "random" or config.search.result == "best"):
        steps = sum(sum(inside[step] for step in steps) for steps in places) / len(places)
        searched = chosen * steps * tries * config.search.num_iterations
    judged = config.eval_prompts * config.eval_steps * (2 if config.ema else 1)
    return Forwards(
        rollout=(starts * before + (drawn + extra) * (config.num_steps - before)) * nfe_per_velocity,
        search=searched * nfe_per_velocity,
        update=drawn * len(places[0]) * (2 if config.kl_beta else 1) * nfe_per_velocity,
        evaluate=judged * nfe_per_velocity,
        sample=min(SAMPLES, config.eval_prompts) * config.eval_steps * nfe_per_velocity,
    )


def looks(epochs: int, every: int) -> int:
    """How often something is looked at: before the first epoch, every `every` epochs, and after the last."""
    regular = epochs // every if every else 0
    return 1 + regular + (0 if every and epochs % every == 0 else 1)
