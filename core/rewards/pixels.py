"""Pictures as tensors and as bytes, and the resizing that image processors do, on the device."""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

PRECISION = 22  # bits of Pillow's fixed-point coefficients


def to_uint8(images: Tensor) -> np.ndarray:
    """Pictures (B, 3, H, W) float in [0, 1] to (B, H, W, 3) uint8: clamped, then rounded to the nearest of 256 levels.

    That is what a saved picture holds, so a reward of the bytes agrees with one of the file.
    """
    return (images.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def finite(images: Tensor) -> list[bool]:
    """Whether each picture is free of NaN and infinity: bytes cannot show them."""
    return images.isfinite().flatten(1).all(1).tolist()


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Pictures (B, 3, H, W) float in [0, 1] as bytes resized by Pillow's antialiased bicubic, again float in [0, 1].

    Bit for bit what `Image.resize(..., BICUBIC)` makes of the saved picture (Pillow's Resample.c: first the rows, then
    the columns, each in fixed point and rounded to bytes), but batched and where the pictures are. The sums are whole
    numbers below 2^53, exact in float64. A picture with values that are not finite comes back as NaN.
    """
    place = images.device
    exact = images.cpu() if place.type == "mps" else images  # float64 is not to be had there
    broken = ~exact.isfinite().flatten(1).all(1)
    levels = (exact.clamp(0, 1) * 255).round().double()
    levels[broken] = 0
    if width != levels.shape[-1]:
        levels = _pass(levels, width)
    if height != levels.shape[-2]:
        levels = _pass(levels.mT, height).mT
    levels[broken] = math.nan
    return (levels / 255).float().to(place)


def _pass(levels: Tensor, size: int) -> Tensor:
    """One pass over the last dimension: (..., N) levels to (..., size)."""
    weights = _coefficients(levels.shape[-1], size).to(levels.device)
    sums = levels @ weights.T + 2.0 ** (PRECISION - 1)
    return (sums / 2.0**PRECISION).floor().clamp(0, 255)


@lru_cache(maxsize=32)
def _coefficients(before: int, after: int) -> Tensor:
    """Pillow's bicubic weights (after, before), whole numbers in units of 2^-22, as float64."""
    scale = before / after
    stretch = max(scale, 1.0)
    support = 2.0 * stretch
    weights = torch.zeros(after, before, dtype=torch.float64)
    for index in range(after):
        centre = (index + 0.5) * scale
        low, high = max(0, int(centre - support + 0.5)), min(before, int(centre + support + 0.5))
        row = [_bicubic((place - centre + 0.5) / stretch) for place in range(low, high)]
        total = sum(row)
        fixed = [math.trunc(value / total * 2**PRECISION + math.copysign(0.5, value)) for value in row]
        weights[index, low:high] = torch.tensor(fixed, dtype=torch.float64)
    return weights


def _bicubic(x: float) -> float:
    """Keys' cubic with a = -1/2."""
    x, a = abs(x), -0.5
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0
