"""A session's model and rewards behind one counter: every velocity, decode and reward call is made and billed here."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from core import denoise
from core.config import ExploreConfig
from core.errors import ConfigError
from core.events import Cost
from core.models.protocol import Conditioning, FlowModel, check_finite
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

    def velocity(self, latents: Tensor, sigma: float, meter: Meter | None) -> Tensor:
        """Guided velocity (B, C, H, W), in micro-batches. Raises ModelError where it is not finite."""
        with torch.no_grad():
            parts, seconds = _timed(
                lambda: [self.model.velocity(x, sigma, self.conditioning) for x in self._batches(latents)]
            )
        if meter:
            meter.spend(nfe=len(latents) * self.nfe_per_velocity, seconds=seconds)
        return check_finite(torch.cat(parts), latents, f"velocity at sigma {sigma:.3f}", self.model.id)

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

    def scores(self, final_latents: Tensor, meter: Meter | None) -> Scores:
        """Decode final latents (B, C, H, W) and score the pictures with every reward."""
        parts, seconds = _timed(lambda: [self.model.decode(x) for x in self._batches(final_latents)])
        pixels = torch.cat(parts)
        prompts = [self.config.prompt] * len(pixels)
        rewards: dict[str, tuple[float, ...]] = {}
        for name, reward in self.rewards.items():
            rewards[name], spent = _timed(partial(score, reward, pixels, prompts))
            seconds += spent
        if meter:
            meter.spend(decodes=len(pixels), reward_calls=len(pixels) * len(rewards), seconds=seconds)
        images = (pixels * 255).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
        return Scores(images, rewards, weighted_total(rewards, self.config.rewards))

    def _batches(self, tensor: Tensor) -> Sequence[Tensor]:
        return tensor.split(self.config.batch_size)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """The work's result and its wall seconds."""
    started = time.perf_counter()
    return work(), time.perf_counter() - started
