"""What a session will cost, known before it runs. Standard library only, so that a page can say it."""

from collections.abc import Sequence
from dataclasses import replace

from core.config import MAX_CANDIDATES, ExploreConfig
from core.errors import ConfigError
from core.events import Cost
from core.measure_config import NUM_MEAN, Estimate, MeasureConfig
from core.schedule import in_window

_VELOCITIES: dict[Estimate, int] = {"sde": 1, "2-step": 2, "3-step": 3, "5-step": 5, "heun": 2}


def searched_steps(config: ExploreConfig, sigmas: Sequence[float]) -> int:
    """How many places are searched: the window's steps, and x_1 where it is."""
    if not config.search.num_iterations:
        return 0
    return sum(in_window(sigmas, config.window_min, config.window_max)) + config.search_initial


def search_nfe(config: ExploreConfig, sigmas: Sequence[float], nfe_per_velocity: int) -> int:
    """Velocity evaluations of the searched trajectory; a search with blind elites pays for no scoring."""
    velocities = config.num_steps
    if config.search.selection != "random" and config.search.num_iterations:
        window = in_window(sigmas, config.window_min, config.window_max)
        per_iteration = config.search.num_candidates * config.search.num_iterations
        for step, inside in enumerate(window):
            skipped = config.search.reading == "sde"  # it looks from one step further on
            velocities += per_iteration * _estimate_velocities(config, len(window) - step - skipped) if inside else 0
        if config.searches_initial:
            velocities += per_iteration * _estimate_velocities(config, len(window))
    return velocities * nfe_per_velocity


def _estimate_velocities(config: ExploreConfig, steps_left: int) -> int:
    """Velocities of one estimate."""
    if config.estimator == "full":
        return steps_left
    return 1 if config.estimator == "one_step" else config.estimator_steps


def trajectories_for(config: ExploreConfig, sigmas: Sequence[float], nfe_per_velocity: int) -> int:
    """How many whole trajectories the search's velocity evaluations buy, at least one."""
    return max(1, search_nfe(config, sigmas, nfe_per_velocity) // (config.num_steps * nfe_per_velocity))


def total_nfe(config: ExploreConfig, sigmas: Sequence[float], nfe_per_velocity: int) -> int:
    """Velocity evaluations of search and arms together."""
    trajectory = config.num_steps * nfe_per_velocity
    many = trajectories_for(config, sigmas, nfe_per_velocity)
    arms = sum(trajectory * (many if arm.startswith("best_of") else 1) for arm in config.arms)
    return search_nfe(config, sigmas, nfe_per_velocity) + arms


def gated(
    config: ExploreConfig, window: tuple[float, float], sigmas: Sequence[float], nfe_per_velocity: int
) -> ExploreConfig:
    """The same search confined to a window (lowest, highest sigma), with as many candidates as the same NFE buys.

    Raises ConfigError where the window holds no step that can be searched, or too many for the cost.
    """
    name = "smart-grpo-gated" if config.search.preset.startswith("smart-grpo") else f"{config.search.preset}, gated"
    budget = search_nfe(config, sigmas, nfe_per_velocity)
    narrow = replace(config, window_min=window[0], window_max=window[1])
    if not any(in_window(sigmas, *window)):
        raise ConfigError(
            {"window_min": f"expected a window that holds a timestep, got {window[0]:g} to {window[1]:g}"}
        )

    def with_candidates(count: int) -> ExploreConfig:
        return replace(narrow, search=replace(config.search, preset=name, num_candidates=count))

    fitting = [with_candidates(count) for count in range(1, MAX_CANDIDATES + 1)]
    fitting = [one for one in fitting if one.search.num_elites and search_nfe(one, sigmas, nfe_per_velocity) <= budget]
    if not fitting:
        raise ConfigError({"window_max": "expected a window narrow enough for one elite a step at the same cost"})
    return fitting[-1]


def measurement_cost(config: MeasureConfig, nfe_per_velocity: int) -> Cost:
    """What a reliability measurement bills: estimates and roll-outs, not the walks; exact but for its seconds, 0."""
    rows, siblings, scored = len(config.pairs), config.num_siblings, len(config.base.rewards)
    nfe = decodes = 0
    for step in config.measured_steps:
        left = config.base.num_steps - 1 - step  # velocities from where the step leads to the end
        nfe += left + sum(_measured_velocities(name, left) for name in config.estimates)
        decodes += 1 + sum(NUM_MEAN if name == "mean-of-3" and left else 1 for name in config.estimates)
    each = rows * siblings
    return Cost(each * nfe * nfe_per_velocity, each * decodes, each * decodes * scored)


def _measured_velocities(name: Estimate, left: int) -> int:
    """Velocities of one sibling's estimate; where the step leads to sigma 0 only the literal reading needs one."""
    if name == "literal":
        return 1
    if not left:
        return 0
    if name == "mean-of-3":
        return 1 + (NUM_MEAN if left > 1 else 0)
    return _VELOCITIES[name]


def batch_notes(used: int, config: ExploreConfig) -> list[str]:
    """What a reader must know of an iteration whose batch was smaller than was asked for."""
    asked = min(config.batch_size, config.search.num_candidates)
    if used >= asked:
        return []
    told = f"There was memory for {used} of {asked} candidates at once. Another batch rounds differently"
    return [f"{told}: a repetition agrees within tolerance (about 0.0001), not to the bit."]


def iteration_notes(total: Sequence[float | None], num_elites: int, *, last: bool = False) -> list[str]:
    """What a reader of one iteration must know: unusable, equal or too few rewards. None stands for a NaN."""
    notes = []
    finite = [value for value in total if value is not None]
    lost = len(total) - len(finite)
    if not finite:
        return ["No candidate had a finite reward: the search distribution stays as it is."]
    if lost:
        notes.append(f"{lost} of {len(total)} rewards are not finite; those candidates cannot be elites.")
    if len(finite) > 1 and len(set(finite)) == 1:
        notes.append("All rewards are equal: the elites are the first by index, and the search learns nothing here.")
    if min(num_elites, len(finite)) == 1 and not last:
        notes.append("One elite: search_std becomes 0 (or its floor), so later candidates repeat it.")
    return notes
