"""Sigmas from 1 (noise) to 0 (data), and which of their steps a window contains. Standard library only."""

from collections.abc import Sequence

ROUNDING = 1e-6  # a scheduler works in float32: a window that ends at one of its levels holds that level


def shifted(num_steps: int, shift: float = 3.0, num_train_timesteps: int = 1000) -> tuple[float, ...]:
    """diffusers' FlowMatchEulerDiscreteScheduler sigmas (num_steps + 1, the last 0) at a constant shift.

    It shifts twice: sigma_max and sigma_min of the training schedule are shifted values already, are spaced linearly,
    and shifted again (diffusers 0.42, `set_timesteps`).
    """

    def move(sigma: float) -> float:
        return shift * sigma / (1 + (shift - 1) * sigma)

    first, last = move(1.0), move(1 / num_train_timesteps)
    spaced = [first + (last - first) * i / (num_steps - 1) for i in range(num_steps)] if num_steps > 1 else [first]
    return (*(move(sigma) for sigma in spaced), 0.0)


def in_window(sigmas: Sequence[float], window_min: float, window_max: float) -> tuple[bool, ...]:
    """For every step, whether the sigma it starts from lies in the window; the last step never does.

    The last step goes to sigma 0, where the estimate of the final image is the new latent itself: a search there would
    optimise the picture's grain directly.
    """
    steps = len(sigmas) - 1
    low, high = window_min - ROUNDING, window_max + ROUNDING
    return tuple(s < steps - 1 and low <= sigmas[s] <= high for s in range(steps))
