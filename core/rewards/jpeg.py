"""JPEG compressibility (Black et al. 2023, DDPO): a reward with a known optimum, the plain picture."""

import io
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from core.rewards.pixels import finite, to_uint8

QUALITY = 95  # DDPO's


class JpegCompressibilityReward:
    """Minus the picture's size as a JPEG of quality 95, in kB (1,000 bytes). The prompt plays no part."""

    def __init__(self, name: str = "jpeg-compressibility") -> None:
        """`name` is the registry's."""
        self.name = name

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Scores (B,) float32, below 0, of images (B, 3, H, W) in [0, 1]; NaN where a picture is not finite."""
        scores = []
        for picture, sound in zip(to_uint8(images), finite(images), strict=True):
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, format="JPEG", quality=QUALITY)
            scores.append(-len(buffer.getvalue()) / 1000 if sound else float("nan"))
        return torch.tensor(scores, dtype=torch.float32)
