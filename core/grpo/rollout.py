"""Drawing an epoch's pictures: who is drawn together, with which noise, and what is kept to learn from."""

from collections.abc import Callable, Mapping, Sequence
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

Velocity = Callable[[Tensor, float, Conditioning], Tensor]


@dataclass(frozen=True)
class Member:
    """One picture of an epoch: member `index` of group `group`; `searched` is whether its noise is chosen.

    `seed` names its random streams ("sde", "search"), the same that a session in Explore with this seed uses; `start`
    that of its x_1, the first member's for all of a group that share it.
    """

    group: int
    index: int
    prompt: str
    seed: int
    start: int
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
    found = []
    for group, prompt in enumerate(prompts):
        streams = [noise.stream(config.seed, "member", epoch, group, index) for index in range(config.group_size)]
        seeds = [stream.initial_seed() & 0x7FFFFFFF for stream in streams]  # as large as a session's may be
        for index, seed in enumerate(seeds):
            start = seeds[0] if config.share_start else seed
            found.append(Member(group, index, prompt, seed, start, index < config.searched_members))
    return found


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


def first_velocity(
    scorer: Scorer, members: Sequence[Member], latents: Tensor, sigma: float, ask: Velocity | None = None
) -> Tensor:
    """Velocity (B, C, H, W) before the first stochastic step, where those who share a start stand at one point.

    It is computed once a point, in the rollout as in the replay, and so is its gradient. `ask` in place of the billed
    velocity is for what is only looked at.
    """
    points = {one.start: row for row, one in reversed(list(enumerate(members)))}
    rows = sorted(points.values())
    place = {start: rows.index(row) for start, row in points.items()}
    conditioning = stack([scorer.encode(members[row].prompt) for row in rows])
    found = (ask or scorer.velocity)(latents[rows], sigma, conditioning)
    return found[[place[one.start] for one in members]]


@torch.no_grad()
def prefixes(scorer: Scorer, members: Sequence[Member], until: int) -> dict[int, Tensor]:
    """The latents (1, C, H, W) before step `until` by the members' starts: those who share one walk there once."""
    walked = {one.start: one for one in members}
    firsts = list(walked.values())
    found: dict[int, Tensor] = {}
    for part in chunks(len(firsts), scorer.config.micro_batch):
        batch = [firsts[i] for i in part]
        conditioning = stack([scorer.encode(one.prompt) for one in batch])
        latents = torch.cat([noise.normal(scorer.shape, one.start, "x1") for one in batch])
        for sigma, sigma_next in zip(scorer.sigmas[:until], scorer.sigmas[1:], strict=False):
            latents = latents + scorer.velocity(latents, sigma, conditioning) * (sigma_next - sigma)
        found |= {one.start: latents[row : row + 1] for row, one in enumerate(batch)}
    return found


@torch.no_grad()
def roll_out(
    scorer: Scorer,
    members: Sequence[Member],
    starts: Mapping[int, Tensor],
    steps: tuple[int, ...],
    searched: frozenset[int],
) -> Trajectories:
    """Draw members from the latents before steps[0], stochastic at `steps` and by the ODE afterwards.

    With the source `search` the noise of searched members is searched at the steps in `searched`; with `best_of_k` each
    searched member is the best of K trajectories from the same latents.
    """
    config = scorer.config
    if config.noise_source == "best_of_k" and members[0].searched:
        tries = range(config.search.num_candidates)
        return _best_of(scorer, [_trajectories(scorer, members, starts, steps, frozenset(), k) for k in tries])
    return _trajectories(scorer, members, starts, steps, searched if members[0].searched else frozenset(), 0)


def _trajectories(
    scorer: Scorer,
    members: Sequence[Member],
    starts: Mapping[int, Tensor],
    steps: tuple[int, ...],
    searched: frozenset[int],
    attempt: int,
) -> Trajectories:
    """One trajectory a member; `attempt` names other noises for the steps."""
    config, sigmas, shape = scorer.config, scorer.sigmas, scorer.shape
    conditioning = stack([scorer.encode(one.prompt) for one in members])
    latents = torch.cat([starts[one.start] for one in members])
    before, after, log_probs, norms = [], [], [], []
    for step in range(steps[0], config.num_steps):
        sigma, sigma_next = sigmas[step], sigmas[step + 1]
        first = step == steps[0]
        velocity = (
            first_velocity(scorer, members, latents, sigma) if first else scorer.velocity(latents, sigma, conditioning)
        )
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
