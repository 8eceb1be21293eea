"""What an epoch of a fine-tune will cost, known before it runs. Standard library only, so that a page can say it."""

from dataclasses import dataclass

from core.schedule import in_window
from core.train_config import TrainConfig, windows

FORWARD_SHARE = 1 / 3  # of a trained micro-batch's time; its backward pass takes about twice its forward pass


@dataclass(frozen=True)
class EpochPlan:
    """Means over the places of a random window, if no group is skipped.

    `rollout_nfe`, `search_nfe`, `replay_nfe`, `reference_nfe`: velocity evaluations by purpose; `decodes`;
    `replayed` sample-timesteps that are run forward and backward; `evaluation_nfe` of one judgement (not in `nfe`).
    """

    rollout_nfe: float
    search_nfe: float
    replay_nfe: float
    reference_nfe: float
    decodes: float
    replayed: float
    evaluation_nfe: float

    @property
    def nfe(self) -> float:
        """All velocity evaluations of the training."""
        return self.rollout_nfe + self.search_nfe + self.replay_nfe + self.reference_nfe


def epoch_plan(config: TrainConfig, sigmas: tuple[float, ...], nfe_per_velocity: int) -> EpochPlan:
    """The plan for a schedule (num_steps + 1 sigmas). Raises ConfigError where the window holds too few steps."""
    found, inside = windows(config, sigmas), in_window(sigmas, config.window_min, config.window_max)
    drawn = config.prompts_per_epoch * config.group_size
    chosen = config.prompts_per_epoch * config.searched_members
    trained_steps = len(found[0])
    tries = config.search.num_candidates
    extra = chosen * (tries - 1) if config.noise_source == "best_of_k" else 0
    searched = 0.0
    if config.noise_source == "search" and (config.search.selection == "top" or config.search.result == "best"):
        steps = sum(sum(inside[step] for step in steps) for steps in found) / len(found)
        searched = chosen * steps * tries * config.search.num_iterations
    return EpochPlan(
        rollout_nfe=(drawn + extra) * config.num_steps * nfe_per_velocity,
        search_nfe=searched * nfe_per_velocity,
        replay_nfe=drawn * trained_steps * nfe_per_velocity,
        reference_nfe=drawn * trained_steps * nfe_per_velocity if config.kl_beta else 0,
        decodes=drawn + extra + searched,
        replayed=drawn * trained_steps,
        evaluation_nfe=config.eval_prompts * config.eval_steps * nfe_per_velocity * (2 if config.ema else 1),
    )


def seconds(config: TrainConfig, plan: EpochPlan, micro_seconds: float) -> float:
    """About how long the whole run takes, from one micro-batch's time forward and backward (its guidance included)."""
    per_velocity = micro_seconds * FORWARD_SHARE / config.micro_batch
    nfe_each = plan.replay_nfe / plan.replayed
    forward = (plan.nfe - plan.replay_nfe) / nfe_each * per_velocity
    backward = plan.replayed * micro_seconds / config.micro_batch
    judged = 1 + (config.epochs // config.eval_every if config.eval_every else 1)
    return config.epochs * (forward + backward) + judged * plan.evaluation_nfe / nfe_each * per_velocity
