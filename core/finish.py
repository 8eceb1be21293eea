"""Finish from here: candidates of a search rolled out to the final pictures they really lead to.

A candidate was scored by a guess of the final picture. The truth of that guess is what the sampler makes of its noise:
the noise goes through the SDE step as if it had been chosen, and the rest of the schedule is followed without further
noise (the ODE), so that nothing but the candidate decides the picture. This is the `truth` that a reliability
measurement sets against the guesses of siblings branched at one step: each sibling has its own.
"""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from core.config import ExploreConfig, validate
from core.denoise import euler
from core.errors import SearchError
from core.evaluation import Evaluator, Meter
from core.events import INITIAL, Branch, CandidateFinished, Cost
from core.models.protocol import FlowModel
from core.rewards.protocol import Reward
from core.sde import sde_step
from core.search.rounds import Rounds


def finish(
    config: ExploreConfig, model: FlowModel, rewards: Mapping[str, Reward], branch: Branch, candidates: Sequence[int]
) -> Iterator[CandidateFinished]:
    """Roll out some candidates of one round, in the order given, in micro-batches of the config's `batch_size`.

    Each costs what it takes from the end of its step on: the velocity before the step was the session's own. Raises
    SearchError for a candidate the round does not have, ConfigError, ModelError and RewardError.
    """
    evaluator = Evaluator(validate(config), model, rewards)
    sigmas, count = model.sigmas(config.num_steps), config.search.num_candidates
    foreign = [index for index in candidates if not 0 <= index < count]
    if foreign or not INITIAL <= branch.step < config.num_steps:
        raise SearchError(
            f"expected candidates from 0 to {count - 1} of a step from {INITIAL} to {config.num_steps - 1}, "
            f"got {list(candidates)} of step {branch.step}"
        )
    taken = _taken(evaluator, sigmas, branch)
    for start in range(0, len(candidates), config.batch_size):
        chunk = list(candidates[start : start + config.batch_size])
        yield from _rolled_out(evaluator, sigmas[branch.step + 1 :], taken[chunk], branch, chunk)


def noises(config: ExploreConfig, latent_shape: tuple[int, ...], branch: Branch) -> Tensor:
    """The round's candidate noises (K, C, H, W), bit for bit those that the search tried."""
    return Rounds(config, latent_shape, branch.step).candidates_after(branch.earlier)


def _taken(evaluator: Evaluator, sigmas: tuple[float, ...], branch: Branch) -> Tensor:
    """Where each of the round's noises leads in its step, (K, C, H, W); at INITIAL they are the starting noises."""
    config, candidates = evaluator.config, noises(evaluator.config, evaluator.model.latent_shape, branch)
    if branch.step == INITIAL:
        return candidates
    sigma, sigma_next = sigmas[branch.step : branch.step + 2]
    return sde_step(
        evaluator.velocity(branch.latents, sigma, None),
        branch.latents,
        sigma,
        sigma_next,
        kind=config.step_kind,
        noise_level=config.effective_noise_level,
        sigma_max=sigmas[1],
        noise=candidates,
    ).prev_sample


def _rolled_out(
    evaluator: Evaluator, rest: tuple[float, ...], latents: Tensor, branch: Branch, chunk: list[int]
) -> Iterator[CandidateFinished]:
    """One micro-batch from `rest[0]` to its end; each candidate bears its share of the seconds."""
    meter = Meter()
    final = euler(latents, rest, lambda x, sigma: evaluator.velocity(x, sigma, meter))
    scores, count, cost = evaluator.scores(final, meter), len(chunk), meter.cost
    share = Cost(cost.nfe // count, cost.decodes // count, cost.reward_calls // count, cost.seconds / count)
    for place, candidate in enumerate(chunk):
        yield CandidateFinished(
            step=branch.step,
            iteration=branch.iteration,
            candidate=candidate,
            image=scores.images[place],
            rewards={name: values[place] for name, values in scores.rewards.items()},
            total=scores.total[place],
            cost=share,
        )
