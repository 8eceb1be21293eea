"""What a fine-tune is watched by: held-out pictures with fixed noise, their distance from true scenes, diversity."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.evaluation import weighted_total
from core.grpo.sampling import fixed_noise, pictures
from core.grpo.scoring import Scorer
from core.rewards.verifier import VerifierReward
from core.shapes.scenes import draw, parse_caption, sample_scene
from core.train_plan import SAMPLES

SCENES_SEED = 60_003
MIN_SCENES = 20  # fewer pictures than this say nothing about a distribution


class HeldOut:
    """Prompts that are never trained, drawn by the ODE from noise that is the same in every run and epoch."""

    def __init__(self, scorer: Scorer, prompts: Sequence[str], features: Any):
        """`features` maps pictures (B, 3, h, w) to unit vectors (B, D), or is None where no reward can."""
        self.scorer, self.prompts, self.features = scorer, tuple(prompts), features
        self.sigmas = scorer.model.sigmas(scorer.config.eval_steps)
        self.starts = fixed_noise(scorer.shape, "held-out", range(len(self.prompts)))
        self.strict = VerifierReward("strict", strict=True)
        self._scenes: Tensor | None = None

    def judge(self, suffix: str = "") -> tuple[dict[str, float], int]:
        """The metrics heldout, heldout/<name>, verifier and kid of the present weights, and the velocities it took.

        `suffix` is set behind the first word of each ("_ema"). What is not finite for a prompt is left out of its mean.
        """
        config = self.scorer.config
        pixels, nfe = self._draw(len(self.prompts))
        rewards = self.scorer.scores(pixels, self.prompts, tuple(config.rewards))
        found: dict[str, float | None] = {f"heldout{suffix}": _mean(weighted_total(rewards, config.rewards))}
        found |= {f"heldout{suffix}/{name}": _mean(values) for name, values in rewards.items()}
        found[f"verifier{suffix}"] = _mean(self.strict(pixels, self.prompts).tolist())
        found[f"kid{suffix}"] = self._distance(pixels)
        return {name: value for name, value in found.items() if value is not None}, nfe

    def sheet(self) -> tuple[np.ndarray, tuple[float, ...]]:
        """The first prompts' pictures (P, H, W, 3) uint8 and their trained rewards."""
        pixels, _ = self._draw(min(SAMPLES, len(self.prompts)))
        totals = self.scorer.totals(pixels, self.prompts[: len(pixels)])
        images = (pixels * 255).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
        return images, totals

    def _draw(self, count: int) -> tuple[Tensor, int]:
        scorer = self.scorer
        told = [scorer.encode(prompt) for prompt in self.prompts[:count]]
        pixels = pictures(scorer.model, told, self.starts[:count], self.sigmas, scorer.config.micro_batch)
        return pixels, count * (len(self.sigmas) - 1) * scorer.model.nfe(told[0])

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


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None
