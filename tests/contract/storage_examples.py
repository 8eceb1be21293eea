"""A small session's events, with awkward numbers in them."""

import math
from dataclasses import replace

import numpy as np
import sqlalchemy as sa

from core.config import ExploreConfig, SearchConfig
from core.events import (
    ArmFinished,
    Cost,
    IterationScored,
    MeasureStarted,
    Returned,
    SessionFinished,
    SessionStarted,
    SiblingsMeasured,
    StepCommitted,
)
from core.measure_config import MeasureConfig
from core.train_config import TrainConfig
from core.train_events import EpochFinished, TrainStarted
from storage import reliability, runs, sessions
from storage.artifacts import Artifacts
from storage.engine import Database
from storage.tables import metadata

CONFIG = ExploreConfig(
    "a photo of a red circle",
    num_steps=2,
    search=SearchConfig(num_candidates=3, num_iterations=2, elite_fraction=0.67),
    # Not in alphabetical order: what is shown keeps the config's.
    rewards={"verifier": 1.0, "clip": 0.5, "size": 0.0},
    arms=("ode", "no_search"),
)
SHAPE = (4, 2, 2)


def latents(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((1, *SHAPE), dtype=np.float32)


def started() -> SessionStarted:
    return SessionStarted((1.0, 0.6, 0.0), (True, False), (0.3, 0.0), (0.1, math.nan), SHAPE, latents(0))


def scored(step: int, iteration: int) -> IterationScored:
    base = 0.1 + 0.2 * iteration + step
    return IterationScored(
        step=step,
        iteration=iteration,
        images=np.zeros((3, 8, 8, 3), np.uint8),
        rewards={
            "verifier": (base, math.nan, math.inf),
            "clip": (1 / 3, 0.5, 0.25),
            "size": (-1.5, -2.5, -math.inf),
        },
        total=(base + 1 / 6, math.nan, math.inf),
        elites=(0, 2),
        norms=(1.0, 0.9, 1.1),
        kurtosis=(3.0, math.nan, 2.9),
        mean_norm=0.7,
        std_quantiles=(0.1, 0.2, 0.3, 0.4, 0.5),
        cosine=math.nan,
        over_noise=1.09,
        batch_size=3,
        cost=Cost(10 * (2 * step + iteration + 1), 3, 3, 0.5),
    )


def committed(step: int) -> StepCommitted:
    rewards = {"verifier": 0.5 + step, "clip": 0.1, "size": math.nan}
    cost = Cost(20 * (step + 1) + 5, 7, 7, 1.5)
    return StepCommitted(step, latents(1 + step), np.zeros((8, 8, 3), np.uint8), rewards, 0.98, -0.5, cost)


def finished_arm(arm: str) -> ArmFinished:
    rewards = {"verifier": 0.75, "clip": math.nan if arm == "ode" else 0.5, "size": -1.0}
    cost = Cost(50 if arm == "search" else 4, 9, 9, 2.5)
    return ArmFinished(arm, np.zeros((8, 8, 3), np.uint8), rewards, 1, (0.2, math.nan), latents(9), cost)


def all_events() -> list[object]:
    """The whole session: the first step is searched, the second is not."""
    return [
        started(),
        scored(0, 0),
        scored(0, 1),
        committed(0),
        committed(1),
        finished_arm("search"),
        finished_arm("ode"),
        finished_arm("no_search"),
        SessionFinished(Cost(58, 27, 27, 7.5)),
    ]


def save(tx, artifacts: Artifacts, record_id: str, event: object) -> None:
    """Record one event with stand-in pictures, each with its own content."""

    def picture(*about: object) -> str:
        return artifacts.put(repr(about).encode(), "webp")

    match event:
        case SessionStarted():
            sessions.save_started(tx, record_id, event, artifacts.put_tensor(event.latents))
        case IterationScored(step=step, iteration=iteration):
            images = [picture("candidate", step, iteration, index) for index in range(3)]
            sessions.save_iteration(tx, record_id, event, images)
        case StepCommitted():
            sessions.save_step(tx, record_id, event, artifacts.put_tensor(event.latents), picture("step", event.step))
        case ArmFinished():
            sessions.save_arm(tx, record_id, event, artifacts.put_tensor(event.latents), picture("arm", event.arm))
        case SessionFinished():
            sessions.save_finished(tx, record_id, event)


def new_session(database: Database, prompt: str = CONFIG.prompt, **settings) -> str:
    with database.write() as tx:
        return sessions.create(tx, replace(CONFIG, prompt=prompt), **settings)


def record_all(database: Database, artifacts: Artifacts, record_id: str) -> None:
    for event in all_events():
        with database.write() as tx:
            save(tx, artifacts, record_id, event)


MEASURED = MeasureConfig(
    ("a photo of two stars", "a photo of a square"),
    replace(CONFIG, num_steps=3),
    seeds=(0, 4),
    num_siblings=3,
    estimates=("sde", "5-step"),
)


def siblings(row: int, step: int) -> SiblingsMeasured:
    """Awkward numbers among them, as a reward may give them."""
    prompt, seed = MEASURED.pairs[row]
    base = 0.1 * row + step
    values = {"verifier": (base, math.nan, 1 / 3), "clip": (-1.0, math.inf, 0.5), "size": (1.0, 2.0, 3.0)}
    rewards = values | {"total": (base, math.nan, 2 / 3)}
    means = {"verifier": 0.5, "clip": math.nan, "size": 1.0, "total": 0.5}
    return SiblingsMeasured(
        row=row,
        prompt=prompt,
        seed=seed,
        step=step,
        sigma=1 - step / 3,
        sigma_next=1 - (step + 1) / 3,
        proxy={"sde": rewards, "5-step": values | {"total": (1.0, 2.0, 3.0)}},
        truth=rewards,
        walked=means,
        ended=means,
        latent_distance={"sde": (0.1, math.nan, 0.3), "5-step": (0.0, 0.0, 0.0)},
        pixel_distance={"sde": (0.1, 0.2, 0.3), "5-step": (0.0, 0.0, 0.0)},
        returned={"sde": Returned((0, 2), {"best": means, "mean": means}, math.nan, 0.5)},
        guesses=np.zeros((3, 8, 8, 3), np.uint8),
        finals=np.zeros((3, 8, 8, 3), np.uint8),
        cost={"sde": Cost(6, 3, 9, 0.25), "5-step": Cost(30, 3, 9, 0.5)},
        truth_cost=Cost(12, 3, 9, 0.25),
    )


def new_measurement(database: Database, config: MeasureConfig = MEASURED, **settings) -> str:
    with database.write() as tx:
        return reliability.create(tx, config, **settings)


def measure_all(database: Database, artifacts: Artifacts, record_id: str, rows=range(4)) -> None:
    """Record the schedule and every step of some rows."""
    with database.write() as tx:
        reliability.save_started(
            tx, record_id, MeasureStarted((1.0, 2 / 3, 1 / 3, 0.0), (0.3, 0.2, 0.0), (0.1, 0.1, 0))
        )
    for row in rows:
        for step in (0, 1):
            sheets = [
                reliability.Sheet(artifacts.put(f"{kind} {row} {step}".encode(), "webp"), 3, 8)
                for kind in ("guesses", "finals")
            ]
            with database.write() as tx:
                reliability.save_siblings(tx, record_id, siblings(row, step), *sheets)


TRAINED = TrainConfig(
    epochs=2, prompts=("a photo of two stars", "a photo of a square"), rewards={"verifier": 1.0, "clip": 0.0}
)


def epoch(number: int) -> EpochFinished:
    """Awkward numbers among them, as a run that goes wrong may give them."""
    metrics = {"reward_mean": 0.1 * number, "grad_norm": math.inf, "kl_ref": math.nan, "heldout": 1 / 3}
    per_step = {"clip_fraction": (None, 0.5, math.nan), "ratio_mean": (None, 1.0, 1.0)}
    return EpochFinished(number, metrics, per_step, Cost(10 * number, 4, 4, 1.5 * number), {"rollout": 0.5})


def new_run(database: Database, config: TrainConfig = TRAINED, **settings) -> str:
    with database.write() as tx:
        return runs.create(tx, config, **settings)


def train_all(database: Database, artifacts: Artifacts, record_id: str) -> None:
    """Record a run's start and every epoch with its sheet, a checkpoint and a watched search."""
    started = TrainStarted((1.0, 0.5, 0.0), 100, 8, 0.01, 48, TRAINED.prompts, ("b",), ("b",), 24.0, 0.001)
    with database.write() as tx:
        runs.save_started(tx, record_id, started, {"python": "3.11"})
    for number in range(TRAINED.epochs + 1):
        sheet = reliability.Sheet(artifacts.put(f"sheet {number}".encode(), "webp"), 8, 16)
        files = {"pytorch_lora_weights.safetensors": {"sha256": f"{number:064x}", "bytes": 100}}
        with database.write() as tx:
            runs.save_epoch(tx, record_id, epoch(number))
            runs.save_samples(tx, record_id, number, True, sheet, (0.5, math.nan))
            runs.save_checkpoint(tx, record_id, number, f"1-{number}", files, kept=number == 1)
    with database.write() as tx:
        runs.save_watched(tx, record_id, 1, sessions.create(tx, CONFIG, parent=record_id))


def table_sizes(database: Database) -> dict[str, int]:
    """How many rows each table has."""

    with database.read() as tx:
        counts = {t.name: tx.scalar(sa.select(sa.func.count()).select_from(t)) for t in metadata.sorted_tables}
    return {name: int(count or 0) for name, count in counts.items()}
