"""The embedded world's exact verifier as a reward. It looks for what the caption asks for, and cannot be flattered."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.rewards.pixels import finite, to_uint8
from core.shapes.scenes import parse_caption
from core.shapes.verifier import verify


class VerifierReward:
    """Partial credit in [0, 1] for what a picture shows of its caption, or with `strict` 1 for all of it and else 0.

    Pictures are rounded to bytes first, as a saved one would be. A prompt that is not a caption of the shapes' world
    has no truth to check: its score is NaN, and so is that of a picture with values that are not finite.
    """

    def __init__(self, name: str, *, strict: bool = False) -> None:
        """`name` is the registry's."""
        self.name = name
        self.strict = strict

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Scores (B,) float32 of images (B, 3, H, W) in [0, 1]."""
        scores = []
        for picture, sound, prompt in zip(to_uint8(images), finite(images), prompts, strict=True):
            caption = parse_caption(prompt)
            if caption is None or not sound:
                scores.append(float("nan"))
                continue
            strict, partial = verify(picture, caption)
            scores.append(float(strict) if self.strict else partial)
        return torch.tensor(scores, dtype=torch.float32)
