"""Pictures as tensors and as bytes."""

import numpy as np
from torch import Tensor


def to_uint8(images: Tensor) -> np.ndarray:
    """Pictures (B, 3, H, W) float in [0, 1] to (B, H, W, 3) uint8: clamped, then rounded to the nearest of 256 levels.

    That is what a saved picture holds, so a reward of the bytes agrees with one of the file.
    """
    return (images.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def finite(images: Tensor) -> list[bool]:
    """Whether each picture is free of NaN and infinity: bytes cannot show them."""
    return images.isfinite().flatten(1).all(1).tolist()
