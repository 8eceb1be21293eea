"""What a search is compared with: whole trajectories from the same unsearched x_1, each at its own cost.

`no_search` random SDE noise; `ode` Euler; `random_elites` the same rounds and norms without a signal; `best_of_sde` and
`best_of_seed` the best of as many whole trajectories as the search's velocity evaluations buy.
"""

import torch
from torch import Tensor

from core import noise
from core.config import Arm, ExploreConfig, StepKind
from core.denoise import one_step
from core.evaluation import Evaluator, Meter
from core.events import INITIAL, ArmFinished
from core.schedule import in_window
from core.sde import sde_step
from core.search import cem
from core.search.rounds import Rounds


def run_arm(arm: Arm, evaluator: Evaluator, sigmas: tuple[float, ...], search_nfe: int) -> ArmFinished:
    """Run one arm to its final image. `search_nfe` is what the search spent: the budget of the best-of arms."""
    config, shape, meter = evaluator.config, evaluator.model.latent_shape, Meter()
    count = 1
    if arm in ("best_of_sde", "best_of_seed"):
        count = max(1, search_nfe // (config.num_steps * evaluator.nfe_per_velocity))
    start = start_noise(arm, config, shape, count)
    kind: StepKind = "ode" if arm == "ode" else config.step_kind
    latents, trail = start, []
    for step, (sigma, sigma_next) in enumerate(zip(sigmas, sigmas[1:], strict=False)):
        velocity = evaluator.velocity(latents, sigma, meter)
        if step and count == 1:
            trail.append(evaluator.glimpse(one_step(latents, velocity, sigma)).total[0])
        drawn = sde_step(
            velocity,
            latents,
            sigma,
            sigma_next,
            kind=kind,
            noise_level=None if kind == "ode" else config.effective_noise_level,
            sigma_max=sigmas[1],
            noise=step_noise(arm, config, shape, sigmas, step, count),
        )
        latents = drawn.prev_sample
    final = evaluator.scores(latents, meter)
    best = evaluator.in_competition(final).best()
    return ArmFinished(
        arm=arm,
        image=final.images[best],
        rewards={name: values[best] for name, values in final.rewards.items()},
        trajectories=count,
        trail=(*trail, final.total[0]) if count == 1 else (),
        latents=latents[best : best + 1],
        cost=meter.cost,
    )


def start_noise(arm: Arm, config: ExploreConfig, shape: tuple[int, ...], count: int) -> Tensor:
    """The x_1 (count, C, H, W) an arm starts from: the session's before any search of it, so that its gain shows.

    Where x_1 is searched, `random_elites` starts from what the same rounds give without a signal.
    """
    if arm == "best_of_seed":
        return noise.candidates(shape, count, config.seed, "fresh-x1")
    if arm == "random_elites" and config.searches_initial:
        return random_elites_noise(config, shape, INITIAL)
    return noise.normal(shape, config.seed, "x1").expand(count, *shape)


def step_noise(
    arm: Arm, config: ExploreConfig, shape: tuple[int, ...], sigmas: tuple[float, ...], step: int, count: int
) -> Tensor:
    """The noise (count, C, H, W) an arm injects; `no_search` shares its streams with the search's other steps."""
    if arm in ("best_of_sde", "best_of_seed"):
        return torch.cat([noise.normal(shape, config.seed, arm, k, step) for k in range(count)])
    searched = in_window(sigmas, config.window_min, config.window_max)[step] and config.search.num_iterations > 0
    if arm == "random_elites" and searched:
        return random_elites_noise(config, shape, step)
    return noise.normal(shape, config.seed, "sde", step)


def random_elites_noise(config: ExploreConfig, shape: tuple[int, ...], step: int) -> Tensor:
    """The search's own rounds from the same draws, with elites drawn blindly: its norms without its signal."""
    search, rounds = config.search, Rounds(config, shape, step)
    state, blind = rounds.start(), [0.0] * search.num_candidates
    for iteration in range(search.num_iterations):
        elites = cem.random_choice(blind, search.num_elites, rounds.blind(iteration))
        state = rounds.tell(state, rounds.ask(state, iteration), blind, elites)
    return rounds.result(state, "mean" if search.result == "best" else search.result)
