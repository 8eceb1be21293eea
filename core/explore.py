"""The session engine: one sampling trajectory with a noise search at the window's steps, as a generator of events.

The caller decides the pace: between two events it may wait, stop for good, or send the elites it prefers into the
generator after an IterationScored. What was stored of a stopped session (an ExploreState) continues it bit-identically.
"""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from torch import Tensor

from core import noise
from core.arms import run_arm
from core.config import ExploreConfig, validate
from core.denoise import one_step
from core.evaluation import Evaluator, Meter
from core.events import (
    INITIAL,
    ArmFinished,
    ExploreEvent,
    ExploreState,
    IterationScored,
    SessionFinished,
    SessionStarted,
    StepCommitted,
)
from core.models.protocol import FlowModel
from core.plan import search_nfe
from core.rewards.protocol import Reward
from core.schedule import in_window
from core.sde import SDEStep, excess_std, sde_step, step_stds
from core.search import cem, diagnostics
from core.search.protocol import SearchState
from core.search.rounds import Rounds

Exploration = Generator[ExploreEvent, tuple[int, ...] | None, None]


def explore(
    config: ExploreConfig, model: FlowModel, rewards: Mapping[str, Reward], *, state: ExploreState | None = None
) -> Exploration:
    """Run a session, yielding SessionStarted, the searched trajectory (x_1 first where it is searched), and the arms.

    `rewards` holds at least the config's rewards by name. With a `state` only what comes after it is yielded (behind
    SessionStarted, which always comes first). Raises ConfigError, ModelError, RewardError, SearchError.
    """
    return _Session(validate(config), model, rewards, state or ExploreState()).run()


@dataclass(frozen=True)
class _Step:
    """One step of the schedule, with the velocity already known where it starts."""

    index: int
    sigma: float
    sigma_next: float
    latents: Tensor
    velocity: Tensor


@dataclass(frozen=True)
class _Place:
    """Where a search tries its noises: `perturb` makes latents (K, C, H, W) of them, at noise level `rest[0]`."""

    index: int
    perturb: Callable[[Tensor], Tensor]
    rest: tuple[float, ...]
    over_noise: float = 1.0


class _Session:
    """The engine's working parts; its methods are generators that `run` chains."""

    def __init__(self, config: ExploreConfig, model: FlowModel, rewards: Mapping[str, Reward], state: ExploreState):
        self.config = config
        self.evaluator = Evaluator(config, model, rewards)
        self.shape = tuple(model.latent_shape)
        self.sigmas = model.sigmas(config.num_steps)
        window = in_window(self.sigmas, config.window_min, config.window_max)
        self.searched = tuple(inside and config.search.num_iterations > 0 for inside in window)
        self.state = state
        self.meter = Meter(state.cost)
        # A search without a signal is shown with its rewards, but they cost it nothing.
        self.search_meter = None if config.search.selection == "random" else self.meter

    def run(self) -> Exploration:
        """All events in order."""
        first = noise.normal(self.shape, self.config.seed, "x1")
        yield self._started(first)
        done = len(self.state.committed)
        trail = list(self.state.trail)
        if done < self.config.num_steps:
            latents, velocity = yield from self._begin(first, done)
        else:
            latents = self.state.committed[-1]
        for index in range(done, self.config.num_steps):
            step = _Step(index, self.sigmas[index], self.sigmas[index + 1], latents, velocity)
            chosen = (yield from self._search(self._place(step))) if self.searched[index] else self._random_noise(index)
            drawn = self._take(step, chosen)
            latents = estimated = drawn.prev_sample
            if step.sigma_next > 0:
                velocity = self.evaluator.velocity(latents, step.sigma_next, self.meter)
                estimated = one_step(latents, velocity, step.sigma_next)
            event = self._committed(step, chosen, drawn, estimated)
            trail.append(self._total(event.rewards))
            yield event
        yield from self._arms(latents, tuple(trail))

    def _begin(
        self, first: Tensor, done: int
    ) -> Generator[ExploreEvent, tuple[int, ...] | None, tuple[Tensor, Tensor]]:
        """The latents before step `done` and the velocity there; a search of x_1 that is still to do is done here."""
        searching = self._under_way == INITIAL
        if searching:
            latents = yield from self._search(_Place(INITIAL, lambda candidates: candidates, self.sigmas))
        elif done:
            latents = self.state.committed[-1]
        else:
            latents = first if self.state.initial is None else self.state.initial
        # A resumed session has paid for this velocity already: it came with the step before.
        fresh = searching or not (done or self.state.iterations or self.state.initial is not None)
        velocity = self.evaluator.velocity(latents, self.sigmas[done], self.meter if fresh else None)
        if searching:
            yield self._chosen(latents, velocity)
        return latents, velocity

    def _started(self, first: Tensor) -> SessionStarted:
        config, sigmas = self.config, self.sigmas
        kind, level = config.step_kind, config.effective_noise_level
        return SessionStarted(
            sigmas=sigmas,
            searched=self.searched,
            step_std=step_stds(sigmas, kind, level),
            excess_std=tuple(
                excess_std(kind, a, b, level, sigmas[1]) for a, b in zip(sigmas, sigmas[1:], strict=False)
            ),
            latent_shape=self.shape,
            latents=first,
        )

    def _random_noise(self, index: int) -> Tensor:
        return noise.normal(self.shape, self.config.seed, "sde", index)

    def _take(self, step: _Step, chosen: Tensor) -> SDEStep:
        return sde_step(
            step.velocity,
            step.latents,
            step.sigma,
            step.sigma_next,
            kind=self.config.step_kind,
            noise_level=self.config.effective_noise_level,
            sigma_max=self.sigmas[1],
            noise=chosen,
        )

    def _search(self, place: _Place) -> Generator[ExploreEvent, tuple[int, ...] | None, Tensor]:
        """One search; returns the noise to use (1, C, H, W)."""
        search, rounds = self.config.search, Rounds(self.config, self.shape, place.index)
        state = rounds.start()
        stored = self.state.iterations if place.index == self._under_way else ()
        for iteration in range(search.num_iterations):
            candidates = rounds.ask(state, iteration)
            if iteration < len(stored):
                total, elites = stored[iteration].total, stored[iteration].elites
            else:
                event = self._score(place, iteration, state, candidates, rounds)
                sent = yield event
                total, elites = event.total, event.elites if sent is None else sent
            state = rounds.tell(state, candidates, total, elites)
        return rounds.result(state, search.result)

    @property
    def _under_way(self) -> int:
        """The step whose iterations the stored state holds."""
        waiting = self.config.searches_initial and self.state.initial is None and not self.state.committed
        return INITIAL if waiting else len(self.state.committed)

    def _place(self, step: _Step) -> _Place:
        """Where the noises of a step are tried: in the step's own latents, or where the sampler would go with them."""
        drawn = self._take(step, step.latents.new_zeros(step.latents.shape))
        step_std = float(drawn.step_std[0])
        if self.config.search.reading == "literal":
            over_noise = math.sqrt(1 + (step_std / step.sigma) ** 2)
            rest = self.sigmas[step.index :]
            return _Place(step.index, lambda noises: step.latents + step_std * noises, rest, over_noise)  # Eq. 5
        return _Place(step.index, lambda noises: drawn.mean + step_std * noises, self.sigmas[step.index + 1 :])

    def _score(
        self, place: _Place, iteration: int, state: SearchState, candidates: Tensor, rounds: Rounds
    ) -> IterationScored:
        """Perturb, estimate, decode and score the candidates (algorithm 1, lines 4 to 6)."""
        search, meter = self.config.search, self.search_meter
        estimated = self.evaluator.estimate(place.perturb(candidates), place.rest, meter)
        scores = self.evaluator.in_competition(self.evaluator.scores(estimated, meter))
        ranking = self.evaluator.ranking(scores)
        elites = cem.chosen(search, ranking, rounds.blind(iteration))
        return IterationScored(
            step=place.index,
            iteration=iteration,
            images=scores.images,
            rewards=scores.rewards,
            total=scores.total,
            elites=elites,
            norms=diagnostics.norms(candidates),
            kurtosis=diagnostics.kurtosis(candidates),
            mean_norm=diagnostics.norms(state.search_mean)[0],
            std_quantiles=diagnostics.std_quantiles(state.search_std),
            cosine=diagnostics.mean_cosine(candidates),
            over_noise=place.over_noise,
            batch_size=min(self.evaluator.batch_size, search.num_candidates),
            cost=self.meter.cost,
        )

    def _chosen(self, first: Tensor, velocity: Tensor) -> StepCommitted:
        """The x_1 that its search chose, with its estimate for the eye."""
        scores = self.evaluator.glimpse(one_step(first, velocity, self.sigmas[0]))
        return StepCommitted(
            step=INITIAL,
            latents=first,
            image=scores.images[0],
            rewards={name: values[0] for name, values in scores.rewards.items()},
            noise_norm=diagnostics.norms(first)[0],
            log_prob=float(-(first.double().square().mean() + math.log(2 * math.pi)) / 2),
            cost=self.meter.cost,
        )

    def _committed(self, step: _Step, chosen: Tensor, drawn: SDEStep, estimated: Tensor) -> StepCommitted:
        """The step taken, with its estimate for the eye; the final picture is decoded here and billed."""
        ended = step.sigma_next == 0
        scores = self.evaluator.scores(estimated, self.meter) if ended else self.evaluator.glimpse(estimated)
        return StepCommitted(
            step=step.index,
            latents=drawn.prev_sample,
            image=scores.images[0],
            rewards={name: values[0] for name, values in scores.rewards.items()},
            noise_norm=diagnostics.norms(chosen)[0] if float(drawn.step_std[0]) > 0 else 0.0,
            log_prob=float(drawn.log_prob[0]),
            cost=self.meter.cost,
        )

    def _total(self, rewards: Mapping[str, float]) -> float:
        return sum(weight * rewards[name] for name, weight in self.config.rewards.items() if weight)

    def _arms(self, latents: Tensor, trail: tuple[float, ...]) -> Exploration:
        """The search's own outcome, then every arm that is not stored yet."""
        total = self.meter.cost + self.state.arms_cost
        if "search" not in self.state.arms:
            final = self.evaluator.scores(latents, None)
            rewards = {name: values[0] for name, values in final.rewards.items()}
            yield ArmFinished("search", final.images[0], rewards, 1, trail, latents, self.meter.cost)
        budget = search_nfe(self.config, self.sigmas, self.evaluator.nfe_per_velocity)
        for arm in self.config.arms:
            if arm not in self.state.arms:
                event = run_arm(arm, self.evaluator, self.sigmas, budget)
                total += event.cost
                yield event
        yield SessionFinished(total)
