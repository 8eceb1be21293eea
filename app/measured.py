"""The finished rows of a stored measurement as arrays: what `core.reliability` works on. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import sqlalchemy as sa

from core.measure_config import Estimate, MeasureConfig
from storage import reliability
from storage.engine import Database

Array: TypeAlias = np.ndarray


@dataclass(frozen=True)
class Measured:
    """P finished rows, K siblings, S timesteps; None of the database is NaN here.

    `proxy[estimate][reward]` and `truth[reward]` are (P, K, S), `walked[reward]` (P, S), `ended[reward]` (P,),
    distances by estimate (P, K, S), `returned[estimate][mode][reward]`, `averaged[estimate]` and `elite_mean[estimate]`
    (P, S). `nfe[estimate]` is a sibling's cost at each step (S,), `nfe["truth"]` that of following it to its end.
    `prompts` (P,) numbers the prompts.
    """

    config: MeasureConfig
    steps: tuple[int, ...]
    sigmas: tuple[float, ...]
    rows: tuple[int, ...]
    prompts: Array
    proxy: dict[str, dict[str, Array]]
    truth: dict[str, Array]
    walked: dict[str, Array]
    ended: dict[str, Array]
    latent_distance: dict[str, Array]
    pixel_distance: dict[str, Array]
    returned: dict[str, dict[str, dict[str, Array]]]
    averaged: dict[str, Array]
    elite_mean: dict[str, Array]
    nfe: dict[str, Array]

    def telling(self, estimate: Estimate) -> int:
        """How many timesteps say something of an estimate: without those at the end where it is the truth itself."""
        return sum(not self.config.is_trivial(estimate, step) for step in self.steps)


def read_measured(database: Database, record_id: str) -> Measured | None:
    """Read a measurement's finished rows in short looks; None before one is finished. Raises NotFound."""
    with database.read() as tx:
        config, rows = reliability.get_config(tx, record_id), sorted(reliability.done_rows(tx, record_id))
    found: list[sa.Row] = []
    for some in reliability.in_turns(rows, config):
        with database.read() as tx:
            found += reliability.measured(tx, record_id, some)
    steps = config.measured_steps
    wanted = [row for row in found if row.step in steps]
    return _arrays(config, rows, wanted) if rows else None


def _arrays(config: MeasureConfig, rows: Sequence[int], found: Sequence[sa.Row]) -> Measured:
    count = len(config.measured_steps)
    table = [found[index : index + count] for index in range(0, len(found), count)]

    def each(*path: str) -> Array:
        """(P, S, ...): what lies at a path of every step's data."""
        return np.array([[_at(one.data, path) for one in line] for line in table], dtype=float)

    def by_sibling(*path: str) -> Array:
        return each(*path).transpose(0, 2, 1)

    first, names = table[0][0].data, config.estimates
    scored, readings = tuple(first["truth"]), {name: tuple(one["rewards"]) for name, one in first["returned"].items()}
    return Measured(
        config=config,
        steps=config.measured_steps,
        sigmas=tuple(one.sigma for one in table[0]),
        rows=tuple(rows),
        prompts=np.array([row // len(config.seeds) for row in rows]),
        proxy={name: {key: by_sibling("proxy", name, key) for key in scored} for name in names},
        truth={key: by_sibling("truth", key) for key in scored},
        walked={key: each("walked", key) for key in scored},
        ended={key: each("ended", key)[:, 0] for key in scored},
        latent_distance={name: by_sibling("latent_distance", name) for name in names},
        pixel_distance={name: by_sibling("pixel_distance", name) for name in names},
        returned={
            name: {mode: {key: each("returned", name, "rewards", mode, key) for key in scored} for mode in modes}
            for name, modes in readings.items()
        },
        averaged={name: each("returned", name, "averaged") for name in readings},
        elite_mean={name: each("returned", name, "elite_mean") for name in readings},
        nfe={name: each("cost", name, "nfe")[0] / config.num_siblings for name in names}
        | {"truth": each("truth_cost", "nfe")[0] / config.num_siblings},
    )


def _at(data: Any, path: Sequence[str]) -> Any:
    for name in path:
        data = data[name]
    return data
