"""Learning from an epoch's trajectories: the optimiser's steps, replayed micro-batch by micro-batch."""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from core.errors import TrainError
from core.grpo.loss import policy_loss, reference_kl
from core.grpo.policy import Policy
from core.grpo.rollout import Trajectories, Velocity, first_velocity, take
from core.grpo.scoring import Scorer


@dataclass
class Tally:
    """Means over what was trained, gathered number by number; `per_step` by timestep index."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: Tensor) -> None:
        """Take in the values (N,)."""
        self.sums[name] = self.sums.get(name, 0.0) + float(values.detach().double().sum())
        self.counts[name] = self.counts.get(name, 0) + values.numel()

    def mean(self, name: str) -> float | None:
        """The mean of what came under a name; None when nothing did."""
        return self.sums[name] / self.counts[name] if self.counts.get(name) else None


@dataclass(frozen=True)
class Learned:
    """What an epoch's updates did: figures by name, and by timestep for the three that are kept so."""

    metrics: dict[str, float]
    per_step: dict[str, tuple[float | None, ...]]


PER_STEP = ("clip_fraction", "ratio_mean", "approx_kl")


class Updates:
    """One epoch's updates. `advantages` maps (group, index) to a member's advantage; members of advantage 0 are left
    out of the mean, and micro-batches with nothing else are not replayed at all.
    """

    def __init__(
        self,
        scorer: Scorer,
        policy: Policy,
        optimizer: torch.optim.Optimizer,
        clip_range: float,
        advantages: Mapping[tuple[int, int], float],
        *,
        with_reference: bool,
    ):
        """`with_reference` measures the divergence from the reference even where it is not part of the loss."""
        self.scorer, self.policy, self.optimizer = scorer, policy, optimizer
        self.clip_range, self.advantages, self.with_reference = clip_range, advantages, with_reference
        self.tally = Tally()
        self.steps_taken = 0
        self.first_deviation: float | None = None
        self.cosines: list[float] = []
        self.norms: list[float] = []

    def run(self, updates: Sequence[Sequence[Trajectories]]) -> Learned:
        """Take one step of the optimiser for each list of micro-batches. Raises TrainError for non-finite values."""
        for micro_batches in updates:
            self._update(micro_batches)
        names = ("loss", "approx_kl", "kl_ref", "clip_fraction")
        metrics = {name: value for name in names if (value := self.tally.mean(name)) is not None}
        metrics["updates"] = float(self.steps_taken)
        if self.first_deviation is not None:
            metrics["ratio_max_deviation"] = self.first_deviation
        for name, values in (("grad_norm", self.norms), ("grad_cosine_searched", self.cosines)):
            if values:
                metrics[name] = sum(values) / len(values)
        count = len(self.scorer.sigmas) - 1
        per_step = {name: tuple(self.tally.mean(f"{name}/{step}") for step in range(count)) for name in PER_STEP}
        return Learned(metrics, per_step)

    def _update(self, micro_batches: Sequence[Trajectories]) -> None:
        """Accumulate the gradient over micro-batches and timesteps, cut its norm, and take one step."""
        weights = [torch.tensor([self.advantages[m.group, m.index] for m in one.members]) for one in micro_batches]
        trained = sum(int((one != 0).sum()) for one in weights)
        if not trained:
            return
        self.optimizer.zero_grad(set_to_none=True)
        searched: list[Tensor] | None = None
        pairs = list(zip(micro_batches, weights, strict=True))
        for index, (trajectories, advantages) in enumerate(pairs):
            if bool((advantages != 0).any()):
                accumulate(self, trajectories, advantages, trained)
            last_searched = trajectories.members[0].searched and (
                index + 1 < len(pairs) and not pairs[index + 1][0].members[0].searched
            )
            if last_searched:
                searched = self._gradient(copy=True)
        self._step(searched)

    def _gradient(self, *, copy: bool = False) -> list[Tensor]:
        found = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.policy.parameters.values()]
        return [one.clone() for one in found] if copy else found

    def _step(self, searched: list[Tensor] | None) -> None:
        if searched is not None:
            rest = [whole - part for whole, part in zip(self._gradient(), searched, strict=True)]
            if (cosine := _cosine(searched, rest)) is not None:
                self.cosines.append(cosine)
        parameters: list[nn.Parameter] = list(self.policy.parameters.values())
        norm = float(nn.utils.clip_grad_norm_(parameters, self.scorer.config.max_grad_norm))
        if not math.isfinite(norm):
            raise TrainError(f"the gradient is not finite (its norm is {norm}); a smaller learning rate may help")
        self.norms.append(norm)
        self.optimizer.step()
        self.policy.updated()
        self.steps_taken += 1


def accumulate(updates: Updates, trajectories: Trajectories, advantages: Tensor, trained: int) -> None:
    """Add a micro-batch's share of the gradient: the loss is the mean over `trained` members and the timesteps."""
    config, scorer, tally = updates.scorer.config, updates.scorer, updates.tally
    mask = advantages != 0
    for position, step in enumerate(trajectories.steps):
        latents, after = trajectories.before[position], trajectories.after[position]
        velocity = _velocity(scorer, trajectories, position)
        scored = take(config, scorer.sigmas, step, velocity, latents, prev_sample=after)
        one = policy_loss(scored.log_prob, trajectories.log_prob[position], advantages, updates.clip_range)
        loss = one.loss
        if updates.with_reference:
            free = not config.kl_beta
            with torch.no_grad(), updates.policy.reference():
                # Where it is only looked at, it is not part of the training's bill.
                base = _velocity(scorer, trajectories, position, scorer.model.velocity if free else scorer.velocity)
                reference = take(config, scorer.sigmas, step, base, latents, prev_sample=after)
            with torch.no_grad() if free else nullcontext():
                kl = reference_kl(scored, reference, config.step_kind)
            tally.add("kl_ref", kl[mask])
            if not free:
                loss = loss + config.kl_beta * kl
        share = (loss * mask).sum() / (trained * len(trajectories.steps))
        if not bool(torch.isfinite(share)):
            raise TrainError(f"the loss is {float(share)} at timestep {step + 1}; a smaller learning rate may help")
        share.backward()
        _note(updates, step, one.ratio.detach()[mask], one.clipped[mask], one.approx_kl.detach()[mask], loss[mask])


def _velocity(scorer: Scorer, trajectories: Trajectories, position: int, ask: Velocity | None = None) -> Tensor:
    """The velocity (B, C, H, W) before a trained step, as the rollout computed it."""
    latents, sigma = trajectories.before[position], scorer.sigmas[trajectories.steps[position]]
    if position == 0:
        return first_velocity(scorer, trajectories.members, latents, sigma, ask)
    return (ask or scorer.velocity)(latents, sigma, trajectories.conditioning)


def _note(updates: Updates, step: int, ratio: Tensor, clipped: Tensor, approx_kl: Tensor, loss: Tensor) -> None:
    tally = updates.tally
    tally.add("loss", loss)
    for name, values in (("clip_fraction", clipped.float()), ("approx_kl", approx_kl)):
        tally.add(name, values)
        tally.add(f"{name}/{step}", values)
    tally.add(f"ratio_mean/{step}", ratio)
    if not updates.steps_taken:
        updates.first_deviation = max(updates.first_deviation or 0.0, float((ratio - 1).abs().max()))


def _cosine(a: Sequence[Tensor], b: Sequence[Tensor]) -> float | None:
    """The cosine of two gradients; None where one of them is 0."""
    dot, first, second = (
        sum(float((x.double() * y.double()).sum()) for x, y in zip(one, other, strict=True))
        for one, other in ((a, b), (a, a), (b, b))
    )
    return dot / math.sqrt(first * second) if first > 0 and second > 0 else None
