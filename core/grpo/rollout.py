"""Drawing an epoch's pictures: who is drawn together, with which noise, and what is kept to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core import noise
from core.grpo.sampling import chunks, stack
from core.grpo.scoring import Scorer
from core.grpo.searching import searched_noises
from core.models.protocol import Conditioning
from core.sde import SDEStep, sde_step
from core.search import cem
from core.train_config import TrainConfig


@dataclass(frozen=True)
class Member:
    """One picture of an epoch: member `index` of group `group`; `searched` is whether its noise is chosen.

    `seed` names its random streams ("x1", "sde", "search"), the same that a session in Explore with this seed uses.
    """

    group: int
    index: int
    prompt: str
    seed: int
    searched: bool


@dataclass(frozen=True)
class Trajectories:
    """A micro-batch of B members over the S trained steps, and how they ended.

    `before`, `after` (S, B, C, H, W): latents before and after each step in `steps`; `log_prob`, `noise_norm` (S, B);
    `pixels` (B, 3, h, w) in [0, 1]. Replayed in this very composition, a velocity repeats bit for bit.
    """

    members: tuple[Member, ...]
    conditioning: Conditioning
    steps: tuple[int, ...]
    before: Tensor
    after: Tensor
    log_prob: Tensor
    noise_norm: Tensor
    pixels: Tensor


def members_of(config: TrainConfig, epoch: int, prompts: Sequence[str]) -> list[Member]:
    """The epoch's pictures, group by group; searched members come first in each."""
    return [
        Member(
            group,
            index,
            prompt,
            noise.stream(config.seed, "member", epoch, group, index).initial_seed() & 0x7FFFFFFF,
            index < config.searched_members,
        )
        for group, prompt in enumerate(prompts)
        for index in range(config.group_size)
    ]


def layout(config: TrainConfig, members: Sequence[Member]) -> list[list[list[Member]]]:
    """The micro-batches of each of the optimiser's steps.

    A step has whole groups. Searched members stand in other micro-batches than the rest, so that the gradients of the
    two can be compared without computing either twice.
    """
    bounds = [round(u * config.prompts_per_epoch / config.updates_per_epoch) for u in range(config.updates_per_epoch)]
    bounds.append(config.prompts_per_epoch)
    found = []
    for first, last in zip(bounds, bounds[1:], strict=False):
        inside = [one for one in members if first <= one.group < last]
        parts = [[one for one in inside if one.searched], [one for one in inside if not one.searched]]
        found.append([[part[i] for i in chunk] for part in parts for chunk in chunks(len(part), config.micro_batch)])
    return found


def take(
    config: TrainConfig, sigmas: Sequence[float], step: int, velocity: Tensor, latents: Tensor, **given: Tensor
) -> SDEStep:
    """The stochastic step of a schedule, with given `noise` (to draw) or `prev_sample` (to score)."""
    return sde_step(
        velocity,
        latents,
        sigmas[step],
        sigmas[step + 1],
        kind=config.step_kind,
        noise_level=config.effective_noise_level,
        sigma_max=sigmas[1],
        **given,
    )


@torch.no_grad()
def roll_out(
    scorer: Scorer, members: Sequence[Member], steps: tuple[int, ...], searched: frozenset[int]
) -> Trajectories:
    """Draw members, stochastic at `steps` and by the ODE elsewhere.

    With the source `search` the noise of searched members is searched at the steps in `searched`; with `best_of_k` each
    searched member is the best of K whole trajectories from its x_1.
    """
    config = scorer.config
    if config.noise_source == "best_of_k" and members[0].searched:
        attempts = [_trajectories(scorer, members, steps, frozenset(), k) for k in range(config.search.num_candidates)]
        return _best_of(scorer, attempts)
    return _trajectories(scorer, members, steps, searched if members[0].searched else frozenset(), 0)


def _trajectories(
    scorer: Scorer, members: Sequence[Member], steps: tuple[int, ...], searched: frozenset[int], attempt: int
) -> Trajectories:
    """One trajectory a member; `attempt` names other noises for the steps, from the same x_1."""
    config, sigmas, shape = scorer.config, scorer.sigmas, scorer.shape
    conditioning = stack([scorer.encode(one.prompt) for one in members])
    latents = torch.cat([noise.normal(shape, one.seed, "x1") for one in members])
    before, after, log_probs, norms = [], [], [], []
    for step, (sigma, sigma_next) in enumerate(zip(sigmas, sigmas[1:], strict=False)):
        velocity = scorer.velocity(latents, sigma, conditioning)
        if step not in steps:
            latents = latents + velocity * (sigma_next - sigma)
            continue
        if step in searched:
            noises = searched_noises(scorer, members, step, latents, velocity)
        else:
            name = (step,) if attempt == 0 else (step, attempt)
            noises = torch.cat([noise.normal(shape, one.seed, "sde", *name) for one in members])
        drawn = take(config, sigmas, step, velocity, latents, noise=noises)
        before.append(latents)
        after.append(drawn.prev_sample)
        log_probs.append(drawn.log_prob)
        norms.append(cem.shell_norm(noises).flatten())
        latents = drawn.prev_sample
    return Trajectories(
        members=tuple(members),
        conditioning=conditioning,
        steps=steps,
        before=torch.stack(before),
        after=torch.stack(after),
        log_prob=torch.stack(log_probs),
        noise_norm=torch.stack(norms),
        pixels=scorer.decode(latents),
    )


def _best_of(scorer: Scorer, attempts: Sequence[Trajectories]) -> Trajectories:
    """For every member the trajectory with the highest reward, the first of equals; not finite never wins."""
    members = attempts[0].members
    totals = [scorer.totals(one.pixels, [member.prompt for member in members]) for one in attempts]
    chosen = [max(cem.top([total[i] for total in totals], 1), default=0) for i in range(len(members))]

    def picked(name: str, axis: int) -> Tensor:
        return torch.stack(
            [getattr(attempts[k], name).select(axis, i) for i, k in enumerate(chosen)],
            dim=axis,
        )

    return Trajectories(
        members=members,
        conditioning=attempts[0].conditioning,
        steps=attempts[0].steps,
        before=picked("before", 1),
        after=picked("after", 1),
        log_prob=picked("log_prob", 1),
        noise_norm=picked("noise_norm", 1),
        pixels=picked("pixels", 0),
    )
