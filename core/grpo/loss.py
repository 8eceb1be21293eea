"""The clipped objective of one timestep and the divergence from the reference, as pure functions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.config import StepKind
from core.sde import SDEStep


@dataclass(frozen=True)
class PolicyLoss:
    """Per sample (B,): `loss` to be minimised, `ratio`, `clipped` (outside the range), `approx_kl`."""

    loss: Tensor
    ratio: Tensor
    clipped: Tensor
    approx_kl: Tensor


def policy_loss(log_prob: Tensor, old_log_prob: Tensor, advantages: Tensor, clip_range: float) -> PolicyLoss:
    """max(-A r, -A clip(r, 1 - c, 1 + c)) with r = exp(log_prob - old_log_prob), all (B,).

    `approx_kl` is half the squared difference of the log-probabilities.
    """
    difference = log_prob - old_log_prob
    ratio = torch.exp(difference)
    loss = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip_range, 1 + clip_range))
    return PolicyLoss(loss, ratio, (ratio - 1).abs() > clip_range, 0.5 * difference**2)


def reference_kl(step: SDEStep, reference: SDEStep, kind: StepKind) -> Tensor:
    """How far a step's mean lies from the reference's, (B,): ||mean - mean_ref||^2, averaged, over twice a variance.

    For `sde` the variance is std_dev_t^2, without dt, as Flow-GRPO has it; for `cps` and `dance` it is step_std^2, the
    Gaussians' true divergence (averaged over dimensions). 0 where a step has no noise.
    """
    scale = reference.std_dev_t if kind == "sde" else reference.step_std
    axes = tuple(range(1, step.mean.ndim))
    squared = (step.mean - reference.mean).pow(2).mean(axes)
    safe = torch.where(scale > 0, scale, torch.ones_like(scale))
    return torch.where(scale > 0, squared / (2 * safe**2), torch.zeros_like(squared))
