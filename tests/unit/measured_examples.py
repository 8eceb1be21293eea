"""Measurements made up as arrays, so that what they show is known."""

from dataclasses import replace
from typing import Any

import numpy as np

from app.measured import Measured
from core.config import ExploreConfig
from core.measure_config import MeasureConfig
from core.schedule import shifted

LEARNED, HELD = "shapes-clip", "shapes-verifier"
BASE = ExploreConfig("-", rewards={LEARNED: 1.0, HELD: 0.0})


def config_of(prompts: int, seeds: int = 1, **changes: Any) -> MeasureConfig:
    names = tuple(f"prompt {number}" for number in range(prompts))
    usual = MeasureConfig(names, BASE, tuple(range(seeds)), 16, estimates=("literal", "sde", "5-step"))
    return replace(usual, **changes)


def measured(
    rho: list[float], spread: list[float] | None = None, *, config: MeasureConfig | None = None, held: float = 1.0
) -> Measured:
    """A measurement whose `sde` guess correlates with its truth as `rho` says at each step, the truth as widely spread.

    The held-out reward's truth is `held` times the climbed one's; `literal` says nothing, `5-step` everything. Searches
    return half a spread more than a random sibling, trajectories' guesses are their ends.
    """
    config = config or config_of(12, steps=tuple(range(len(rho))))
    rng, rows, count, steps = np.random.default_rng(0), len(config.pairs), config.num_siblings, len(rho)
    sizes = np.array(spread or [1.0] * steps)
    truth = rng.normal(size=(rows, count, steps)) * sizes
    noise = rng.normal(size=(rows, count, steps)) * sizes
    mixed = np.array(rho) * truth + np.sqrt(1 - np.square(rho)) * noise
    sigmas = shifted(config.base.num_steps)[:steps]

    def both(values: np.ndarray, factor: float = held) -> dict[str, np.ndarray]:
        return {LEARNED: values, HELD: factor * values, "total": values}

    means = truth.mean(axis=1)
    ends = rng.normal(size=rows)
    each = {"mean": both(means), "mean_on_shell": both(means), "best": both(means + 0.5 * sizes)}
    distances = {name: np.full(truth.shape, 0.1) for name in config.estimates}
    proxies = {"literal": rng.normal(size=truth.shape), "sde": mixed, "5-step": truth}
    return Measured(
        config=config,
        steps=config.measured_steps,
        sigmas=sigmas,
        rows=tuple(range(rows)),
        prompts=np.arange(rows) // len(config.seeds),
        proxy={name: both(proxies[name], 1.0) for name in config.estimates},
        truth=both(truth),
        walked=both(np.repeat(ends[:, None], steps, axis=1)),
        ended=both(ends),
        latent_distance=distances,
        pixel_distance=distances,
        returned={name: each for name in ("literal", "sde")},
        averaged=dict.fromkeys(("literal", "sde"), means.copy()),
        elite_mean=dict.fromkeys(("literal", "sde"), means + 0.25),
        nfe={name: np.full(steps, 2.0 if name != "5-step" else 10.0) for name in config.estimates}
        | {"truth": np.arange(steps, 0, -1) * 2.0},
    )
