"""What a search does to its noises: sizes, shapes, likeness. Plain numbers for the board and the charts."""

import torch
from torch import Tensor

from core.search.cem import shell_norm

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def norms(noise: Tensor) -> tuple[float, ...]:
    """||m||/sqrt(d) of every candidate (K, C, H, W)."""
    return tuple(shell_norm(noise).flatten().tolist())


def kurtosis(noise: Tensor) -> tuple[float, ...]:
    """Fourth standardised moment of each candidate's elements: 3 for Gaussian noise, more when the search collapses."""
    flat = noise.flatten(1).double()
    centered = flat - flat.mean(1, keepdim=True)
    variance = centered.pow(2).mean(1)
    fourth = centered.pow(4).mean(1)
    return tuple(torch.where(variance > 0, fourth / variance.clamp(min=1e-30) ** 2, torch.nan).tolist())


def mean_cosine(noise: Tensor) -> float:
    """Mean cosine over all pairs of candidates (K, C, H, W); NaN for a single one."""
    flat = torch.nn.functional.normalize(noise.flatten(1).double(), dim=1)
    count = len(flat)
    if count < 2:
        return float("nan")
    return float((flat.sum(0).pow(2).sum() - count) / (count * (count - 1)))


def std_quantiles(search_std: Tensor) -> tuple[float, ...]:
    """Smallest, quartiles and largest of the search's standard deviations."""
    return tuple(torch.quantile(search_std.flatten().double(), torch.tensor(QUANTILES, dtype=torch.float64)).tolist())
