"""The reliability measurement: what siblings of one latent are guessed to become, and what they become.

For every prompt and seed one trajectory is walked with random noise. At each measured step K noises are tried from its
latents: every estimate scores them (proxy), then each is taken through the stochastic step and followed by the ODE to
its final picture (truth). What a one-iteration search would return is followed to its end too.

The walk begins with noise; with a `start_sigma` it begins at that noise level, with a picture (what the model draws
from the prompt and seed by the ODE) under fresh noise, and takes all its steps from there.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core import noise
from core.config import READINGS, ResultMode
from core.denoise import Velocity, euler, one_step, spaced
from core.evaluation import Evaluator, Meter, Scores
from core.events import MeasureStarted, Returned, SiblingsMeasured
from core.measure_config import NUM_MEAN, Estimate, MeasureConfig, validate
from core.models.protocol import FlowModel
from core.rewards.protocol import Reward
from core.sde import SDEStep, excess_std, sde_step, step_stds
from core.search import cem

RETURNED: tuple[ResultMode, ...] = ("mean", "mean_on_shell", "best")
EULER_STEPS = {"2-step": 2, "3-step": 3, "5-step": 5}


@dataclass(frozen=True)
class _Place:
    """A latent on a trajectory, with the velocity there and the noise levels that are left (this one first)."""

    step: int
    latents: Tensor
    velocity: Tensor
    rest: tuple[float, ...]
    sigma_max: float


def schedule(config: MeasureConfig, model: FlowModel) -> MeasureStarted:
    """The noise levels that a measurement walks along: the model's own, brought down to `start_sigma` where given."""
    base = config.base
    top = 1.0 if config.start_sigma is None else config.start_sigma
    sigmas = tuple(top * sigma for sigma in model.sigmas(base.num_steps))
    kind, level = base.step_kind, base.effective_noise_level
    return MeasureStarted(
        sigmas=sigmas,
        step_std=step_stds(sigmas, kind, level),
        excess_std=tuple(excess_std(kind, a, b, level, sigmas[1]) for a, b in zip(sigmas, sigmas[1:], strict=False)),
    )


def measure(
    config: MeasureConfig, model: FlowModel, rewards: Mapping[str, Reward], *, done: frozenset[int] = frozenset()
) -> Iterator[SiblingsMeasured]:
    """Measure row after row (prompts outer, seeds inner), an event a step; rows in `done` are left out.

    Raises ConfigError, ModelError, RewardError.
    """
    validate(config)
    for row, (prompt, seed) in enumerate(config.pairs):
        if row not in done:
            yield from _Row(row, prompt, seed, config, model, rewards).run()


class _Row:
    """One prompt and seed: the walk, and the siblings tried along it."""

    def __init__(
        self,
        row: int,
        prompt: str,
        seed: int,
        config: MeasureConfig,
        model: FlowModel,
        rewards: Mapping[str, Reward],
    ):
        self.row, self.prompt, self.seed, self.config = row, prompt, seed, config
        self.settings = config.of_row(prompt, seed)
        self.evaluator = Evaluator(self.settings, model, rewards)
        self.shape = tuple(model.latent_shape)
        self.sigmas = schedule(config, model).sigmas

    def run(self) -> Iterator[SiblingsMeasured]:
        """Walk with the noises an unsearched session of this prompt and seed draws, then measure along the way."""
        places, guesses = self._walk()
        told = _mean_rewards([self.evaluator.scores(guesses, None)])
        walked = [{name: values[step] for name, values in told.items()} for step in range(len(places))]
        for place in places:
            if place.step in self.config.measured_steps:
                yield self._measure(place, walked[place.step], walked[-1])

    def _walk(self) -> tuple[list[_Place], Tensor]:
        """Every place of the trajectory, and the one-step guess after each step (S, C, H, W); the last is its end."""
        latents, places, guesses = self._start(), [], []
        velocity = self.evaluator.velocity(latents, self.sigmas[0], None)
        for step, sigma_next in enumerate(self.sigmas[1:]):
            places.append(_Place(step, latents, velocity, self.sigmas[step:], self.sigmas[1]))
            latents = self._take(places[-1], noise.normal(self.shape, self.seed, "sde", step)).prev_sample
            if sigma_next > 0:
                velocity = self.evaluator.velocity(latents, sigma_next, None)
            guesses.append(one_step(latents, velocity, sigma_next))
        return places, torch.cat(guesses)

    def _start(self) -> Tensor:
        """x_1, or the model's own picture under as much noise as the first level says."""
        first, top = noise.normal(self.shape, self.seed, "x1"), self.config.start_sigma
        if top is None:
            return first
        whole = self.evaluator.model.sigmas(self.settings.num_steps)
        picture = euler(first, whole, lambda x, sigma: self.evaluator.velocity(x, sigma, None))
        return (1 - top) * picture + top * noise.normal(self.shape, self.seed, "start")

    def _take(self, place: _Place, noises: Tensor) -> SDEStep:
        """The stochastic step with each of the noises (K, C, H, W)."""
        return sde_step(
            place.velocity,
            place.latents,
            place.rest[0],
            place.rest[1],
            kind=self.settings.step_kind,
            noise_level=self.settings.effective_noise_level,
            sigma_max=place.sigma_max,
            noise=noises,
        )

    def _measure(self, place: _Place, walked: dict[str, float], ended: dict[str, float]) -> SiblingsMeasured:
        config = self.config
        noises = noise.candidates(self.shape, config.num_siblings, self.seed, f"siblings of {self.prompt}", place.step)
        taken, meter = self._take(place, noises), Meter()
        ends = self._follow(taken.prev_sample, place, meter)
        truth = self.evaluator.scores(ends, meter)
        proxy, cost, latent_distance, pixel_distance, first = {}, {}, {}, {}, truth
        for name in config.estimates:
            own = Meter()
            guesses = self._estimate(name, place, noises, taken.prev_sample, own)
            scored = [self.evaluator.in_competition(self.evaluator.scores(one, own)) for one in guesses]
            proxy[name] = _mean_rewards(scored)
            cost[name] = own.cost
            latent_distance[name] = _distances(np.stack([(one - ends).numpy(force=True) for one in guesses]))
            pixels = np.stack([one.images.astype(np.float32) - truth.images for one in scored]) / 255
            pixel_distance[name] = _distances(pixels)
            if name == config.estimates[0]:
                first = scored[0]
        searched = [name for name in config.estimates if name in READINGS]
        return SiblingsMeasured(
            row=self.row,
            prompt=self.prompt,
            seed=self.seed,
            step=place.step,
            sigma=place.rest[0],
            sigma_next=place.rest[1],
            proxy=proxy,
            truth=_mean_rewards([truth]),
            walked=walked,
            ended=ended,
            latent_distance=latent_distance,
            pixel_distance=pixel_distance,
            returned={name: self._returned(name, place, noises, proxy[name]["total"]) for name in searched},
            guesses=first.images,
            finals=truth.images,
            cost=cost,
            truth_cost=meter.cost,
        )

    def _follow(self, taken: Tensor, place: _Place, meter: Meter | None) -> Tensor:
        """By the ODE to the end, from latents at the step's next noise level."""
        return euler(taken, place.rest[1:], lambda x, sigma: self.evaluator.velocity(x, sigma, meter))

    def _estimate(
        self, name: Estimate, place: _Place, noises: Tensor, moved: Tensor, meter: Meter
    ) -> tuple[Tensor, ...]:
        """Estimated final latents (K, C, H, W), several where rewards are averaged; `moved` is where the step led."""
        sigma, sigma_next = place.rest[:2]

        def velocity(x: Tensor, at: float) -> Tensor:
            return self.evaluator.velocity(x, at, meter)

        if name == "literal":
            step_std = float(self._take(place, noises[:1]).step_std[0])
            perturbed = place.latents + step_std * noises  # Eq. 5
            return (one_step(perturbed, velocity(perturbed, sigma), sigma),)
        if sigma_next == 0:
            return (moved,)
        if name in EULER_STEPS:
            return (euler(moved, spaced(sigma_next, EULER_STEPS[name]), velocity),)
        slope = velocity(moved, sigma_next)
        guess = one_step(moved, slope, sigma_next)
        if name == "sde":
            return (guess,)
        if name == "heun":
            return (one_step(moved, (slope + velocity(guess, 0.0)) / 2, sigma_next),)
        return tuple(self._further_guess(place, moved, slope, index, velocity) for index in range(NUM_MEAN))

    def _further_guess(self, place: _Place, latents: Tensor, slope: Tensor, index: int, velocity: Velocity) -> Tensor:
        """A one-step guess after one more random step."""
        ahead = _Place(place.step + 1, latents, slope, place.rest[1:], place.sigma_max)
        fresh = noise.candidates(self.shape, len(latents), self.seed, "further", place.step, index)
        moved, sigma = self._take(ahead, fresh).prev_sample, ahead.rest[1]
        return moved if sigma == 0 else one_step(moved, velocity(moved, sigma), sigma)

    def _returned(self, name: Estimate, place: _Place, noises: Tensor, total: Sequence[float]) -> Returned:
        """One iteration of the search with an estimate, every result mode followed to its end; not billed."""
        elites = cem.top(total, self.config.num_elites)
        state = cem.tell(cem.start(self.shape), noises, total, elites)
        blank = torch.zeros(1, *self.shape)
        results = torch.cat([cem.result(state, mode, blank) for mode in RETURNED])
        moved = self._take(place, results).prev_sample
        ends = _mean_rewards([self.evaluator.scores(self._follow(moved, place, None), None)])
        on_shell = slice(RETURNED.index("mean_on_shell"), RETURNED.index("mean_on_shell") + 1)
        guess = self._estimate(name, place, results[on_shell], moved[on_shell], Meter())
        return Returned(
            elites=elites,
            rewards={mode: {key: values[i] for key, values in ends.items()} for i, mode in enumerate(RETURNED)},
            averaged=_mean_rewards([self.evaluator.scores(x, None) for x in guess])["total"][0],
            elite_mean=float(np.mean([total[i] for i in elites])) if elites else math.nan,
        )


def _mean_rewards(scored: Sequence[Scores]) -> dict[str, tuple[float, ...]]:
    """Every reward's and the total's K values, averaged over several scorings."""
    each = [{**one.rewards, "total": one.total} for one in scored]
    return {name: tuple(np.mean([one[name] for one in each], axis=0).tolist()) for name in each[0]}


def _distances(differences: np.ndarray) -> tuple[float, ...]:
    """Root mean squares of (M, K, ...) over everything but K."""
    squares = np.square(differences.astype(np.float64)).mean(axis=tuple(range(2, differences.ndim)))
    return tuple(np.sqrt(squares.mean(axis=0)).tolist())


def arrays(events: Sequence[SiblingsMeasured], estimate: Estimate, proxy: str, truth: str) -> dict[str, Any]:
    """`analyse`'s arguments from the events of whole rows: proxy and truth (P, K, S), sigmas (S,), prompts (P,).

    `proxy` and `truth` are names of rewards (or "total"), so that a held-out reward's truth can be asked for.
    """
    rows, steps = sorted({one.row for one in events}), sorted({one.step for one in events})
    by_place = {(one.row, one.step): one for one in events}
    whole = [row for row in rows if all((row, step) in by_place for step in steps)]
    names = {prompt: index for index, prompt in enumerate(dict.fromkeys(one.prompt for one in events))}
    table = [[by_place[row, step] for step in steps] for row in whole]
    return {
        "proxy": np.array([[one.proxy[estimate][proxy] for one in line] for line in table]).transpose(0, 2, 1),
        "truth": np.array([[one.truth[truth] for one in line] for line in table]).transpose(0, 2, 1),
        "sigmas": np.array([one.sigma for one in table[0]]),
        "prompts": np.array([names[line[0].prompt] for line in table]),
    }
