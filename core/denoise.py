"""Estimates of the final latents x_0 from latents at a noise level, and whole deterministic trajectories."""

from collections.abc import Callable, Sequence

from torch import Tensor

from core.config import Estimator

Velocity = Callable[[Tensor, float], Tensor]  # (B, C, H, W), sigma -> (B, C, H, W)


def one_step(latents: Tensor, velocity: Tensor, sigma: float) -> Tensor:
    """x_0 = x_t - t v (Eq. 6), (B, C, H, W)."""
    return latents - sigma * velocity


def euler(latents: Tensor, sigmas: Sequence[float], velocity: Velocity) -> Tensor:
    """Follow the probability-flow ODE along `sigmas`: x + v dt at every step."""
    for sigma, sigma_next in zip(sigmas, sigmas[1:], strict=False):
        latents = latents + velocity(latents, sigma) * (sigma_next - sigma)
    return latents


def spaced(sigma: float, count: int) -> tuple[float, ...]:
    """`count` equal steps from sigma to 0, (count + 1,)."""
    return tuple(sigma * (1 - i / count) for i in range(count + 1))


def estimate(
    latents: Tensor,
    sigma: float,
    velocity: Velocity,
    *,
    kind: Estimator = "one_step",
    steps: int = 1,
    rest: Sequence[float] = (),
) -> Tensor:
    """The estimated final latents at a noise level; at sigma 0 the latents themselves, and no velocity is called.

    `one_step` is Eq. 6, `k_step` Euler over `steps` equal steps, `full` Euler along `rest`, the schedule's own
    remaining sigmas starting at `sigma`.
    """
    if sigma == 0:
        return latents
    if kind == "one_step":
        return one_step(latents, velocity(latents, sigma), sigma)
    return euler(latents, spaced(sigma, steps) if kind == "k_step" else rest, velocity)
