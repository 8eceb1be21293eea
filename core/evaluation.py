"""A session's model and rewards behind one counter: every velocity, decode and reward call is made and billed here."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from core import denoise
from core.config import ExploreConfig
from core.errors import ConfigError
from core.events import Cost
from core.microbatch import MicroBatches
from core.models.placement import fitting_batch
from core.models.protocol import Conditioning, FlowModel, check_finite
from core.rewards.degrade import DegradedReward
from core.rewards.protocol import Reward, score

T = TypeVar("T")


@dataclass
class Meter:
    """What has been spent so far."""

    cost: Cost = field(default_factory=Cost)

    def spend(self, nfe: int = 0, decodes: int = 0, reward_calls: int = 0, seconds: float = 0.0) -> None:
        """Add to the bill."""
        self.cost += Cost(nfe, decodes, reward_calls, seconds)


@dataclass(frozen=True)
class Scores:
    """Pictures (B, H, W, 3) uint8, every reward's B floats, and their weighted sum."""

    images: np.ndarray
    rewards: dict[str, tuple[float, ...]]
    total: tuple[float, ...]

    def best(self) -> int:
        """Index of the highest finite total; 0 when none is finite."""
        finite = [i for i, value in enumerate(self.total) if math.isfinite(value)]
        return max(finite, key=lambda i: (self.total[i], -i), default=0)


def normalised_total(rewards: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> tuple[float, ...]:
    """The weighted sum of a group's B rewards, each centred and divided by its standard deviation within the group.

    So a weight says how much a reward counts, whatever its unit. Scores that are not finite take no part in a reward's
    mean and deviation; a reward that all members share counts nothing.
    """
    return weighted_total({name: _standardised(rewards[name]) for name, weight in weights.items() if weight}, weights)


def _standardised(values: Sequence[float]) -> tuple[float, ...]:
    sound = np.array([value for value in values if math.isfinite(value)])
    centre, spread = (float(sound.mean()), float(sound.std())) if len(sound) else (0.0, 0.0)
    if spread <= 1e-9 * abs(centre):  # all the same, but for rounding
        spread = math.inf
    return tuple((value - centre) / spread for value in values)


def weighted_total(rewards: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> tuple[float, ...]:
    """The searched sum; rewards of weight 0 are only watched and cannot spoil it."""
    climbed = {name: weight for name, weight in weights.items() if weight}
    count = len(next(iter(rewards.values())))
    return tuple(sum(weight * rewards[name][i] for name, weight in climbed.items()) for i in range(count))


class Evaluator:
    """Velocities, estimates and scores for one prompt. Calls with `meter=None` are for the eye only and not billed."""

    def __init__(self, config: ExploreConfig, model: FlowModel, rewards: Mapping[str, Reward]):
        """Encode the prompt once. Raises ConfigError when a reward of the config was not handed in."""
        missing = [name for name in config.rewards if name not in rewards]
        if missing:
            raise ConfigError({"rewards": f"expected loaded rewards, got none named {', '.join(missing)}"})
        self.config = config
        self.model = model
        self.rewards = {name: rewards[name] for name in config.rewards}
        self.conditioning: Conditioning = model.encode(config.prompt, config.guidance_scale)
        self.nfe_per_velocity = model.nfe(self.conditioning)
        self._velocities = MicroBatches(fitting_batch(model, config.batch_size), f"velocities of {model.id}")
        self._decodes = MicroBatches(config.batch_size, f"pictures of {model.id}")
        self._scores = {name: MicroBatches(config.batch_size, f"scores of {name}") for name in self.rewards}

    def velocity(self, latents: Tensor, sigma: float, meter: Meter | None) -> Tensor:
        """Guided velocity (B, C, H, W), in micro-batches. Raises ModelError where it is not finite."""
        with torch.no_grad():
            found, seconds = _timed(
                lambda: self._velocities.run(lambda x: self.model.velocity(x, sigma, self.conditioning), latents)
            )
        if meter:
            meter.spend(nfe=len(latents) * self.nfe_per_velocity, seconds=seconds)
        return check_finite(found, latents, f"velocity at sigma {sigma:.3f}", self.model.id)

    def estimate(self, latents: Tensor, sigmas: Sequence[float], meter: Meter | None) -> Tensor:
        """The config's estimate of the final latents at sigmas[0], the first of the remaining schedule."""
        return denoise.estimate(
            latents,
            sigmas[0],
            lambda x, sigma: self.velocity(x, sigma, meter),
            kind=self.config.estimator,
            steps=self.config.estimator_steps,
            rest=sigmas,
        )

    def glimpse(self, latents: Tensor) -> Scores:
        """A guess along the way, for the eye alone: by the model's preview decoder where it has one. Not billed."""
        return self._scored(latents, getattr(self.model, "preview", self.model.decode), None)

    def scores(self, final_latents: Tensor, meter: Meter | None) -> Scores:
        """Decode final latents (B, C, H, W) and score the pictures with every reward."""
        return self._scored(final_latents, self.model.decode, meter)

    def _scored(self, latents: Tensor, decode: Callable[[Tensor], Tensor], meter: Meter | None) -> Scores:
        pixels, seconds = _timed(lambda: self._decodes.run(decode, latents))
        rewards: dict[str, tuple[float, ...]] = {}
        for name, reward in self.rewards.items():
            rewards[name], spent = _timed(partial(self._score, name, reward, pixels))
            seconds += spent
        if meter:
            meter.spend(decodes=len(pixels), reward_calls=len(pixels) * len(rewards), seconds=seconds)
        images = (pixels * 255).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
        return Scores(images, rewards, weighted_total(rewards, self.config.rewards))

    def _score(self, name: str, reward: Reward, pixels: Tensor) -> tuple[float, ...]:
        def work(part: Tensor) -> Tensor:
            return torch.tensor(score(reward, part, [self.config.prompt] * len(part)), dtype=torch.float64)

        return tuple(self._scores[name].run(work, pixels).tolist())

    def in_competition(self, scores: Scores) -> Scores:
        """Scores as a group's members are ranked by them: those of degraded rewards with their noise."""
        worse = {name: one for name, one in self.rewards.items() if isinstance(one, DegradedReward)}
        if not worse:
            return scores
        own = {
            name: one.degrade(scores.rewards[name], scores.images, self.config.prompt) for name, one in worse.items()
        }
        rewards = scores.rewards | own
        return replace(scores, rewards=rewards, total=weighted_total(rewards, self.config.rewards))

    def ranking(self, scores: Scores) -> tuple[float, ...]:
        """What decides who of a group is kept: the total, or with `reward_sum` normalised the sum on one scale."""
        if self.config.reward_sum == "raw":
            return scores.total
        return normalised_total(scores.rewards, self.config.rewards)

    @property
    def batch_size(self) -> int:
        """How many samples the network works on at once; smaller than the config's where memory ran out."""
        return self._velocities.size


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """The work's result and its wall seconds."""
    started = time.perf_counter()
    return work(), time.perf_counter() - started
