"""A worker's job that tries a trained model: against its base, with and without a search, on prompts never trained.

Every arm draws the same prompts from the same starting noises, so differences are paired by prompt. A trial is short:
one that is cut off begins again.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.toolbox import Resident
from app.trained import trained_id
from core.config import PRESETS, Arm, ExploreConfig
from core.events import ArmFinished
from core.experiment_stats import Interval, mean_interval, paired
from core.train_config import TrainConfig
from storage import jobs, runs
from storage.engine import Database
from storage.values import number

ARMS: tuple[Arm, ...] = ("ode", "no_search")


def perform(database: Database, resident: Resident, claim: jobs.Claim, stop: threading.Event) -> None:
    """Draw every arm of both models, obeying commands between two prompts. Raises LabError."""
    with database.read() as tx:
        config = runs.get_config(tx, claim.record_id)
        trial = next(one for one in runs.trials_of(tx, claim.record_id) if one.number == claim.payload["trial"])
    with database.write() as tx:
        jobs.check_fence(tx, claim)
        runs.save_trial(tx, claim.record_id, trial.number, job_id=claim.job_id)  # of a trial that is tried again
    resident.toolbox.set_threads(config.threads)
    rewards = resident.rewards(config.rewards)
    rows: list[dict[str, Any]] = []
    models = {"base": config.model, "trained": trained_id(config.model, claim.record_id, trial.asked["epoch"])}
    for name, model_id in models.items():
        model = resident.model(model_id)
        for place, session in enumerate(sessions_of(config, trial.asked)):
            if not _may_go_on(database, claim, stop, place):
                return
            for event in resident.toolbox.explore(session, model, rewards):
                if isinstance(event, ArmFinished) and (event.arm != "search" or trial.asked["search"]):
                    scored = {reward: number(value) for reward, value in event.rewards.items()}
                    spent = {"nfe": event.cost.nfe, "seconds": event.cost.seconds}
                    rows.append({"model": name, "arm": event.arm, "prompt": place, "rewards": scored, **spent})
    with database.write() as tx:
        jobs.check_fence(tx, claim)
        runs.save_trial(tx, claim.record_id, trial.number, result=result_of(rows, config.climbed))
        jobs.finish(tx, claim, "succeeded")


def sessions_of(config: TrainConfig, asked: Mapping[str, Any]) -> Iterator[ExploreConfig]:
    """A session a prompt; without a search its own arm is one more `no_search`, which is not counted."""
    search = PRESETS[asked["search"] or "no-search"]
    for place, prompt in enumerate(asked["prompts"]):
        yield replace(config.of_member(prompt, config.seed + place), search=search, arms=ARMS)


def result_of(rows: Sequence[Mapping[str, Any]], weights: Mapping[str, float]) -> dict[str, Any]:
    """Means by model and arm, and paired gains with their intervals: of training in each arm, of the search on each.

    A prompt counts where every arm of both models has a finite number.
    """
    measures = [*rows[0]["rewards"], "total"]
    values: dict[tuple[str, str], dict[str, dict[int, float | None]]] = {}
    for row in rows:
        each = values.setdefault((row["model"], row["arm"]), {measure: {} for measure in measures})
        for measure in measures:
            each[measure][row["prompt"]] = (
                _total(row["rewards"], weights) if measure == "total" else row["rewards"][measure]
            )
    arms = []
    for (model, arm), each in values.items():
        mine = [row for row in rows if (row["model"], row["arm"]) == (model, arm)]
        nfe = sum(row["nfe"] for row in mine) / len(mine)
        told = {measure: _told(mean_interval, _whole(each[measure])) for measure in measures}
        arms.append({"model": model, "arm": arm, "nfe": nfe, "rewards": told})
    gains = []
    for model, arm in values:
        against = [("base", arm)] if model == "trained" else []
        against += [(model, "no_search")] if arm == "search" else []
        for other in against:
            gained = {m: _told(paired, *_common(values[model, arm][m], values[other][m])) for m in measures}
            gains.append(
                {"model": model, "arm": arm, "against": {"model": other[0], "arm": other[1]}, "rewards": gained}
            )
    return {"arms": arms, "gains": gains, "prompts": len({row["prompt"] for row in rows})}


def _total(scored: Mapping[str, float | None], weights: Mapping[str, float]) -> float | None:
    values = [(weight, scored.get(name)) for name, weight in weights.items()]
    return None if any(value is None for _, value in values) else sum(w * v for w, v in values if v is not None)


def _whole(values: Mapping[int, float | None]) -> list[float]:
    return [value for value in values.values() if value is not None]


def _common(one: Mapping[int, float | None], other: Mapping[int, float | None]) -> tuple[list[float], list[float]]:
    places = [place for place in one if one[place] is not None and other.get(place) is not None]
    return [float(one[place] or 0.0) for place in places], [float(other[place] or 0.0) for place in places]


def _told(summary: Any, *values: list[float]) -> dict[str, Any] | None:
    if not values[0]:
        return None
    found: Interval = summary(*values)
    return {"mean": found.mean, "low": found.low, "high": found.high, "count": found.count}


def _may_go_on(database: Database, claim: jobs.Claim, stop: threading.Event, place: int) -> bool:
    """Whether the next prompt may be drawn; a trial can only be cancelled, and begins again when the worker stops."""
    with database.write() as tx:
        jobs.append_event(tx, claim, "prompt", step=place)
        for command in jobs.pending_commands(tx, claim.job_id):
            if command.kind == "cancel":
                jobs.finish(tx, claim, "cancelled")
                return False
            jobs.consume(tx, command.id, "an evaluation can only be cancelled")
        if stop.is_set():
            jobs.release(tx, claim)
        return not stop.is_set()
