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
from core.experiment_stats import clustered
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
    prompts = trial.asked["prompts"]
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
        runs.save_trial(tx, claim.record_id, trial.number, result=result_of(rows, config.climbed, prompts))
        jobs.finish(tx, claim, "succeeded")


def sessions_of(config: TrainConfig, asked: Mapping[str, Any]) -> Iterator[ExploreConfig]:
    """A session a prompt; without a search its own arm is one more `no_search`, which is not counted."""
    search = PRESETS[asked["search"] or "no-search"]
    for place, prompt in enumerate(asked["prompts"]):
        yield replace(config.of_member(prompt, config.seed + place), search=search, arms=ARMS)


def result_of(
    rows: Sequence[Mapping[str, Any]], weights: Mapping[str, float], prompts: Sequence[str]
) -> dict[str, Any]:
    """Means by model and arm, and paired gains with their intervals: of training in each arm, of the search on each.

    Intervals are over captions: where some of `prompts` are the same, from other noise, they count as one. `prompts` of
    the result is how many were drawn, `different` how many of these are different.
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
        told = {measure: _told(each[measure], prompts) for measure in measures}
        arms.append({"model": model, "arm": arm, "nfe": nfe, "rewards": told})
    gains = []
    for model, arm in values:
        against = [("base", arm)] if model == "trained" else []
        against += [(model, "no_search")] if arm == "search" else []
        for other in against:
            gained = {m: _told(_gains(values[model, arm][m], values[other][m]), prompts) for m in measures}
            gains.append(
                {"model": model, "arm": arm, "against": {"model": other[0], "arm": other[1]}, "rewards": gained}
            )
    return {"arms": arms, "gains": gains, "prompts": len(prompts), "different": len(set(prompts))}


def _total(scored: Mapping[str, float | None], weights: Mapping[str, float]) -> float | None:
    values = [(weight, scored.get(name)) for name, weight in weights.items()]
    return None if any(value is None for _, value in values) else sum(w * v for w, v in values if v is not None)


def _gains(one: Mapping[int, float | None], other: Mapping[int, float | None]) -> dict[int, float | None]:
    """By prompt, where both have a number."""
    pairs = ((place, value, other.get(place)) for place, value in one.items())
    return {place: mine - its for place, mine, its in pairs if mine is not None and its is not None}


def _told(values: Mapping[int, float | None], prompts: Sequence[str]) -> dict[str, Any] | None:
    whole = {place: value for place, value in values.items() if value is not None}
    if not whole:
        return None
    found = clustered(list(whole.values()), [prompts[place] for place in whole])
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
