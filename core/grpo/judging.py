"""What a fine-tune is watched by: held-out pictures with fixed noise, their distance from true scenes, diversity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.evaluation import weighted_total
from core.experiment_stats import clustered
from core.grpo.sampling import fixed_noise, pictures
from core.grpo.scoring import Scorer
from core.rewards.verifier import VerifierReward
from core.shapes.scenes import draw, parse_caption, sample_scene
from core.train_plan import SAMPLES

SCENES_SEED = 60_003
MIN_SCENES = 20  # fewer pictures than this say nothing about a distribution
Each = Mapping[str, Sequence[float | None]]  # "heldout", "verifier": a number a prompt, None where it is not finite


@dataclass(frozen=True)
class Judgement:
    """What the present weights are worth: metrics by name, what they are means of, and the velocities it took."""

    metrics: dict[str, float]
    each: Each
    nfe: int


class HeldOut:
    """Prompts to be judged by, drawn by the ODE from noise that is the same in every run and epoch.

    `shown` are the places of those that make the sample sheets.
    """

    def __init__(self, scorer: Scorer, prompts: Sequence[str], features: Any):
        """`features` maps pictures (B, 3, h, w) to unit vectors (B, D), or is None where no reward can."""
        self.scorer, self.prompts, self.features = scorer, tuple(prompts), features
        self.shown = tuple(self.prompts.index(prompt) for prompt in list(dict.fromkeys(self.prompts))[:SAMPLES])
        self.sigmas = scorer.model.sigmas(scorer.config.eval_steps)
        self.starts = fixed_noise(scorer.shape, "held-out", range(len(self.prompts)))
        self.strict = VerifierReward("strict", strict=True)
        self._scenes: Tensor | None = None

    def judge(self, suffix: str = "") -> Judgement:
        """The metrics heldout, heldout/<name>, verifier and kid of the present weights.

        `suffix` is set behind the first word of each ("_ema"). What is not finite for a prompt is left out of its mean.
        """
        config = self.scorer.config
        pixels, nfe = self._draw(range(len(self.prompts)))
        rewards = self.scorer.scores(pixels, self.prompts, tuple(config.rewards))
        each = {"heldout": weighted_total(rewards, config.rewards)}
        each["verifier"] = tuple(self.strict(pixels, self.prompts).tolist())
        found = {f"{name}{suffix}": _mean(values) for name, values in each.items()}
        found |= {f"heldout{suffix}/{name}": _mean(values) for name, values in rewards.items()}
        found[f"kid{suffix}"] = self._distance(pixels)
        metrics = {name: value for name, value in found.items() if value is not None}
        return Judgement(metrics, {name: _finite(values) for name, values in each.items()}, nfe)

    def sheet(self) -> tuple[np.ndarray, tuple[float, ...]]:
        """The shown prompts' pictures (P, H, W, 3) uint8 and their trained rewards."""
        pixels, _ = self._draw(self.shown)
        totals = self.scorer.totals(pixels, [self.prompts[place] for place in self.shown])
        images = (pixels * 255).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
        return images, totals

    def _draw(self, places: Sequence[int]) -> tuple[Tensor, int]:
        scorer = self.scorer
        told = [scorer.encode(self.prompts[place]) for place in places]
        pixels = pictures(scorer.model, told, self.starts[list(places)], self.sigmas, scorer.config.micro_batch)
        return pixels, len(places) * (len(self.sigmas) - 1) * scorer.model.nfe(told[0])

    def _distance(self, pixels: Tensor) -> float | None:
        """KID of the pictures whose prompts are captions to freshly drawn scenes of them; None for too few."""
        captions = [parse_caption(prompt) for prompt in self.prompts]
        known = [i for i, caption in enumerate(captions) if caption is not None]
        if self.features is None or len(known) < MIN_SCENES:
            return None
        if self._scenes is None:
            rng = np.random.default_rng(SCENES_SEED)
            drawn = np.stack([draw(sample_scene(rng, caption)) for caption in captions if caption is not None])
            self._scenes = self.features(torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255)
        return kernel_distance(self.features(pixels[known]), self._scenes)


def gains(first: Each, each: Each, prompts: Sequence[str], suffix: str = "") -> dict[str, float]:
    """heldout_gain, heldout_gain_low and _high, the same of verifier: how much better than at first, and its bounds.

    Paired by prompt and noise, 95% intervals over captions, one that comes twice counting once. Nothing where there is
    no first judgement, no bounds where fewer than two captions have a finite number in both.
    """
    found: dict[str, float] = {}
    for name, before in first.items():
        rows = zip(before, each[name], prompts, strict=True)
        pairs = [(after - one, prompt) for one, after, prompt in rows if one is not None and after is not None]
        if pairs:
            gain, key = clustered(*zip(*pairs, strict=True)), f"{name}{suffix}_gain"
            found[key] = gain.mean
            if gain.low is not None and gain.high is not None:
                found |= {f"{key}_low": gain.low, f"{key}_high": gain.high}
    return found


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """KID (arXiv 1801.01401): the unbiased squared MMD of unit features a, b (N, D) under the kernel (1 + a.b)^3.

    Number i of either side shows the same caption, and such pairs are left out (Gretton et al. 2012, eq. 4 with z_i =
    (a_i, b_i)): matched captions would otherwise look nearer than two samples of one distribution are.
    """
    count = len(a)
    own, other, cross = ((1 + x.double() @ y.double().T) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    gathered = own + other - 2 * cross
    return float((gathered.sum() - gathered.trace()) / (count * (count - 1)))


def diversity(features: Tensor, groups: Sequence[int]) -> float | None:
    """Mean distance 1 - cosine between two pictures of one group, of unit features (B, D); groups weigh the same."""
    found = []
    for group in sorted(set(groups)):
        own = features[[i for i, one in enumerate(groups) if one == group]].double()
        count = len(own)
        if count > 1:
            cosine = (own.sum(0).pow(2).sum() - own.pow(2).sum()) / (count * (count - 1))
            found.append(1 - float(cosine))
    return float(np.mean(found)) if found else None


def _finite(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(value if np.isfinite(value) else None for value in values)


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None
