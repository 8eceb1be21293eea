"""One stochastic sampling step and the log-probability of what it drew.

Time runs from sigma 1 (noise) to 0 (data), so dt = sigma_next - sigma < 0; the velocity is v = x_1 - x_0. All
arithmetic is float32. Kinds: `sde` (Flow-GRPO, arXiv 2505.05470), `cps` (arXiv 2509.05952), `dance` (DanceGRPO,
arXiv 2505.07818) and `ode` (Euler).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.config import DEFAULT_NOISE_LEVEL, STEP_KINDS, StepKind


@dataclass(frozen=True)
class SDEStep:
    """A step's outcome. `prev_sample`, `mean` (B, C, H, W); `step_std`, `std_dev_t`, `log_prob` (B,).

    `step_std` is the standard deviation of the injected noise; `log_prob` is averaged over all but the batch dimension.
    """

    prev_sample: Tensor
    mean: Tensor
    step_std: Tensor
    std_dev_t: Tensor
    log_prob: Tensor


def sde_step(
    velocity: Tensor,
    latents: Tensor,
    sigma: float | Tensor,
    sigma_next: float | Tensor,
    *,
    kind: StepKind = "sde",
    noise_level: float | None = None,
    sigma_max: float | None = None,
    noise: Tensor | None = None,
    prev_sample: Tensor | None = None,
) -> SDEStep:
    """Take one step from `sigma` to `sigma_next`, with given noise, or score a given `prev_sample`.

    velocity, latents, noise, prev_sample: (B, C, H, W); sigma, sigma_next: floats or (B,). `noise_level` is a (`sde`,
    `cps`) or eta (`dance`). `sigma_max` replaces a sigma of 1 in `sde`'s denominator (Flow-GRPO passes sigmas[1]).
    Raises ValueError for an unknown kind, for shapes that differ, for sigma == 1 without `sigma_max`, and when not
    exactly one of `noise` and `prev_sample` is given (an `ode` step needs neither).
    """
    if kind not in STEP_KINDS:
        raise ValueError(f"kind: expected one of {', '.join(STEP_KINDS)}, got {kind!r}")
    if velocity.shape != latents.shape:
        raise ValueError(f"velocity: expected the latents' shape {tuple(latents.shape)}, got {tuple(velocity.shape)}")
    if noise is not None and prev_sample is not None:
        raise ValueError("expected noise or prev_sample, got both")
    if noise is None and prev_sample is None and kind != "ode":
        raise ValueError(f"a {kind} step needs noise (to draw) or prev_sample (to score), got neither")
    x, v = latents.float(), velocity.float()
    now, then = _column(sigma, x), _column(sigma_next, x)
    level = DEFAULT_NOISE_LEVEL[kind] if noise_level is None else noise_level
    mean, step_std, std_dev_t = _moments(kind, x, v, now, then, level, sigma_max)
    if prev_sample is not None:
        drawn = prev_sample.float()
    else:
        drawn = mean if noise is None else mean + step_std * noise.float()
    return SDEStep(drawn, mean, _flat(step_std, x), _flat(std_dev_t, x), _log_prob(kind, drawn, mean, step_std))


def _moments(
    kind: StepKind, x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor, level: float, sigma_max: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, step_std and std_dev_t of the step's Gaussian; the last two broadcast against x."""
    dt = sigma_next - sigma
    if kind == "ode":
        zero = torch.zeros_like(sigma)
        return x + v * dt, zero, zero
    if kind == "cps":
        step_std = sigma_next * math.sin(level * math.pi / 2)
        x0, x1 = x - sigma * v, x + (1 - sigma) * v
        mean = (1 - sigma_next) * x0 + torch.sqrt((sigma_next**2 - step_std**2).clamp(min=0)) * x1
        return mean, step_std, step_std
    if kind == "dance":
        std_dev_t = torch.full_like(sigma, level)
        x0 = x - sigma * v
        mean = x + v * dt + level**2 / 2 * (x - (1 - sigma) * x0) / sigma**2 * dt
        return mean, std_dev_t * torch.sqrt(-dt), std_dev_t
    std_dev_t = level * torch.sqrt(sigma / (1 - _below_one(sigma, sigma_max)))
    drift = std_dev_t**2 / (2 * sigma)
    mean = x * (1 + drift * dt) + v * (1 + drift * (1 - sigma)) * dt
    return mean, std_dev_t * torch.sqrt(-dt), std_dev_t


def _below_one(sigma: Tensor, sigma_max: float | None) -> Tensor:
    """Sigma with ones replaced by `sigma_max`, for the denominator 1 - sigma only."""
    at_one = sigma == 1
    if not bool(at_one.any()):
        return sigma
    if sigma_max is None or not 0 < sigma_max < 1:
        raise ValueError(f"the sde divides by 1 - sigma: expected sigma_max in (0, 1), got {sigma_max}")
    return torch.where(at_one, torch.full_like(sigma, sigma_max), sigma)


def _log_prob(kind: StepKind, drawn: Tensor, mean: Tensor, step_std: Tensor) -> Tensor:
    """Averaged Gaussian log-density (B,), for `cps` -mean((prev - mean)^2); zeros where step_std is 0."""
    axes = tuple(range(1, mean.ndim))
    squared = (drawn - mean) ** 2
    if kind == "cps":
        return torch.where(step_std.expand_as(mean).amax(axes) > 0, -squared.mean(axes), 0.0)
    safe = torch.where(step_std > 0, step_std, torch.ones_like(step_std))
    density = -squared / (2 * safe**2) - torch.log(safe) - 0.5 * math.log(2 * math.pi)
    return torch.where((step_std > 0).expand_as(density), density, torch.zeros_like(density)).mean(axes)


def excess_std(kind: StepKind, sigma: float, sigma_next: float, noise_level: float, sigma_max: float) -> float:
    """The noise a step leaves beyond sigma_next although the velocity is exact: sqrt(variance - sigma_next^2).

    A point x = (1 - sigma) x_0 + sigma e with v = e - x_0 goes to mean(x) + step_std n; the coefficient of e is that of
    the Euler step plus drift. (For `cps` it is 0 by construction.)
    """
    e = torch.ones(1, 1)
    step = sde_step(
        e, sigma * e, sigma, sigma_next, kind=kind, noise_level=noise_level, sigma_max=sigma_max, noise=0 * e
    )
    variance = float(step.mean) ** 2 + float(step.step_std) ** 2
    excess = variance - sigma_next**2
    return math.sqrt(excess) if excess > 1e-9 else 0.0


def _column(value: float | Tensor, like: Tensor) -> Tensor:
    """A float or (B,) as float32 (B or 1, 1, ..., 1) beside `like`."""
    tensor = torch.as_tensor(value, dtype=torch.float32, device=like.device)
    if tensor.ndim > 1 or (tensor.ndim == 1 and len(tensor) not in (1, len(like))):
        raise ValueError(f"sigma: expected a float or shape ({len(like)},), got shape {tuple(tensor.shape)}")
    return tensor.reshape(-1, *([1] * (like.ndim - 1)))


def _flat(value: Tensor, like: Tensor) -> Tensor:
    return value.flatten().expand(len(like)) if value.numel() == 1 else value.flatten()


def step_stds(sigmas: Sequence[float], kind: StepKind, noise_level: float) -> tuple[float, ...]:
    """The injected noise's standard deviation at every step of a schedule (n + 1 sigmas)."""
    zero = torch.zeros(1, 1)
    return tuple(
        float(
            sde_step(
                zero, zero, now, then, kind=kind, noise_level=noise_level, sigma_max=sigmas[1], noise=zero
            ).step_std
        )
        for now, then in zip(sigmas, sigmas[1:], strict=False)
    )
