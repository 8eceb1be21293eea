"""The training's model and rewards behind one bill and one clock: velocities, decodes and rewards of mixed prompts."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache

from torch import Tensor

from core.evaluation import Meter, weighted_total
from core.grpo.sampling import chunks, stack
from core.models.protocol import Conditioning, FlowModel
from core.rewards.protocol import Reward, score
from core.train_config import TrainConfig

ENCODED_PROMPTS = 4_096


WHOLE_PHASES = ("search", "evaluate", "sample", "watch")  # told with everything that is done inside them


class Clock:
    """Wall seconds by phase; a phase inside another counts for itself alone, but inside a whole phase for that."""

    def __init__(self) -> None:
        """At rest."""
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        self._switch()
        outer = self._running[-1] if self._running else ""
        self._running.append(outer if outer in WHOLE_PHASES else name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._running:
            name = self._running[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


class Scorer:
    """Everything that costs, for one config. Prompts are encoded once, as long as there are not too many of them."""

    def __init__(self, config: TrainConfig, model: FlowModel, rewards: Mapping[str, Reward]):
        """`rewards` holds the config's, loaded."""
        self.config, self.model, self.rewards = config, model, rewards
        self.sigmas = model.sigmas(config.num_steps)
        self.shape = tuple(model.latent_shape)
        self.meter, self.clock = Meter(), Clock()
        self.encode = lru_cache(maxsize=ENCODED_PROMPTS)(lambda prompt: model.encode(prompt, config.guidance_scale))

    def velocity(self, latents: Tensor, sigma: float, conditioning: Conditioning) -> Tensor:
        """Guided velocity of one micro-batch, billed; gradients as the caller has them."""
        self.meter.spend(nfe=len(latents) * self.model.nfe(conditioning))
        return self.model.velocity(latents, sigma, conditioning)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) of final latents, billed."""
        with self.clock.phase("reward"):
            self.meter.spend(decodes=len(latents))
            return self.model.decode(latents)

    def scores(self, pixels: Tensor, prompts: Sequence[str], names: Sequence[str]) -> dict[str, tuple[float, ...]]:
        """Every named reward's B scores, billed."""
        with self.clock.phase("reward"):
            self.meter.spend(reward_calls=len(pixels) * len(names))
            return {name: score(self.rewards[name], pixels, prompts) for name in names}

    def totals(self, pixels: Tensor, prompts: Sequence[str]) -> tuple[float, ...]:
        """The trained sum of rewards (B,); rewards that are only watched are not asked."""
        return weighted_total(self.scores(pixels, prompts, tuple(self.config.climbed)), self.config.rewards)

    def guesses(self, latents: Tensor, sigma: float, prompts: Sequence[str]) -> tuple[float, ...]:
        """The trained sum (B,) of the one-step guesses x_t - t v (Eq. 6), in micro-batches."""
        found: list[float] = []
        for part in chunks(len(latents), self.config.micro_batch):
            batch, told = latents[part.start : part.stop], [prompts[i] for i in part]
            velocity = self.velocity(batch, sigma, stack([self.encode(prompt) for prompt in told]))
            found += self.totals(self.decode(batch - sigma * velocity), told)
        return tuple(found)
