"""What benchmarks share: a lab for a while, quantiles, sessions by the thousand without a model."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.recorder import Recorder
from app.services import Lab
from app.settings import Settings
from core.config import ExploreConfig, SearchConfig
from core.events import Cost, IterationScored, SessionFinished, SessionStarted, StepCommitted
from core.schedule import shifted
from storage import sessions

PROMPT = "a photo of a red circle left of a blue star"
SIDE = 64


@contextmanager
def temporary_lab() -> Iterator[Lab]:
    """A lab over an empty folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Settings(Path(folder), recorded=None))
        try:
            yield lab
        finally:
            lab.close()


@dataclass(frozen=True)
class Spent:
    """Seconds of one run: on the clock, and of this process's processors, which a busy machine does not stretch."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Spent:
    """Run it once and say what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def quantile(values: Sequence[float], share: float) -> float:
    """The `share` quantile of measured values."""
    return float(np.quantile(values, share))


def made_up_session(lab: Lab, *, steps: int, iterations: int, candidates: int, own_pictures: bool) -> str:
    """A finished session of made-up numbers in the database; returns its id.

    All steps but the last are searched. Every candidate has a picture: one of its own, or its number's.
    """
    search = SearchConfig(num_candidates=candidates, num_iterations=iterations)
    config = ExploreConfig(PROMPT, num_steps=steps, window_min=0.0, window_max=1.0, search=search, arms=())
    with lab.database.write() as tx:
        record_id = sessions.create(tx, config)
    recorder = Recorder(lab.database, lab.artifacts, record_id)
    rng = np.random.default_rng(0)
    sigmas = shifted(steps)
    latents = rng.normal(size=(1, 16, 8, 8)).astype(np.float32)
    flat = (0.5,) * steps
    recorder.record(SessionStarted(sigmas, (True,) * (steps - 1) + (False,), flat, flat, latents.shape[1:], latents))
    spent, files = 0, None
    for step in range(steps):
        for iteration in range(iterations if step < steps - 1 else 0):
            spent += candidates
            event = scored(rng, step, iteration, candidates, config, spent)
            files = recorder.keep(event) if own_pictures or files is None else files
            recorder.save(event, files)
        recorder.record(committed(rng, step, latents, spent))
    recorder.record(SessionFinished(Cost(2 * spent, spent, 2 * spent, spent / 50)))
    return record_id


def scored(
    rng: np.random.Generator, step: int, iteration: int, count: int, config: ExploreConfig, spent: int
) -> IterationScored:
    """An iteration of `count` candidates, made up; `spent` are all candidates until then, and number the pictures."""
    total = tuple((rng.normal(0.5 + 0.02 * iteration, 0.1, count)).tolist())
    images = np.stack([picture(spent - count + index) for index in range(count)])
    return IterationScored(
        step=step,
        iteration=iteration,
        images=images,
        rewards={name: total for name in config.rewards},
        total=total,
        elites=tuple(int(i) for i in np.argsort(total)[::-1][: config.search.num_elites]),
        norms=tuple(rng.normal(1, 0.02, count).tolist()),
        kurtosis=tuple(rng.normal(3 + iteration, 0.1, count).tolist()),
        mean_norm=(1 - 0.5**iteration) ** 0.5,
        std_quantiles=(0.1, 0.3, 0.5, 0.7, 1.0),
        cosine=1 - 0.5**iteration,
        over_noise=1.1,
        batch_size=32,
        cost=Cost(2 * spent, spent, 2 * spent, spent / 50),
    )


def committed(rng: np.random.Generator, step: int, latents: np.ndarray, spent: int) -> StepCommitted:
    """A step taken, with made-up rewards."""
    rewards = {"shapes-clip": float(rng.random()), "shapes-verifier": 0.5}
    return StepCommitted(
        step, latents, picture(step), rewards, 0.98, -0.9, Cost(2 * spent, spent, 2 * spent, spent / 50)
    )


def picture(number: int) -> np.ndarray:
    """A picture (SIDE, SIDE, 3) that differs from every other number's up to 2^24."""
    image = np.full((SIDE, SIDE, 3), 230, np.uint8)
    image[8:56, 8:56] = [(number >> shift) & 255 for shift in (0, 8, 16)]
    image[16:48, 16:48, number % 3] ^= 0x55
    return image


def rounded(figures: Any) -> Any:
    """Floats to three places, for reading, however deep."""
    if isinstance(figures, dict):
        return {name: rounded(value) for name, value in figures.items()}
    return round(figures, 3) if isinstance(figures, float) else figures
