"""Sessions as they are recorded, listed and shown.

Every function works in the transaction `tx` it is given. Saving is idempotent: what a resumed run records again
replaces what was there, so each row is the latest run's and there is never a second one.
"""

import math
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import ExploreConfig, config_hash, from_dict, to_dict
from core.errors import StorageError
from core.events import (
    ArmFinished,
    CandidateFinished,
    Cost,
    IterationScored,
    SessionFinished,
    SessionStarted,
    StepCommitted,
)
from storage.counter import advance
from storage.jobs import STATUSES
from storage.tables import (
    arm_rewards,
    arms,
    candidate_rewards,
    candidates,
    finish_rewards,
    finishes,
    iterations,
    records,
    sessions,
    step_rewards,
    steps,
)
from storage.values import arm_order, checked_id, clean, missing, number, numbers, weighted
from storage.views import StoredState, session_row, stored_state, view

__all__ = [
    "StoredState",
    "create",
    "get_config",
    "new_id",
    "save_arm",
    "save_elites",
    "save_finish",
    "save_finished",
    "save_iteration",
    "save_started",
    "save_step",
    "set_state",
    "stored_state",
    "view",
]

# Made once, and rows go in as parameters: to build a statement costs more than to run it.
_IS_SESSION = sa.select(records.c.id).where(
    records.c.id == sa.bindparam("of"), records.c.kind == "session", ~records.c.erased
)
_ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that are mistaken for another


def create(tx: Session, config: ExploreConfig, *, name: str | None = None, parent: str | None = None) -> str:
    """Make the record of a session to come and return its id (twelve small letters and digits)."""
    record_id = new_id()
    row = {
        "id": record_id,
        "kind": "session",
        "name": None if name is None else clean(name),
        "prompt": config.prompt,
        "preset": clean(config.search.preset),
        "model": clean(config.model),
        "state": "pending",
        "headline": {},
        "parent": parent,
        "created_at": time.time(),
        "config": to_dict(config),
        "config_hash": config_hash(config),
    }
    tx.execute(sa.insert(records).values(row))
    tx.execute(sa.insert(sessions).values(record_id=record_id))
    return record_id


def new_id() -> str:
    """An id that no record has: twelve small letters and digits."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(12))


def get_config(tx: Session, record_id: str) -> ExploreConfig:
    """What the session was asked to do. NotFound for a record of another kind."""
    return from_dict(session_row(tx, record_id).config)


def set_state(tx: Session, record_id: str, state: str, error: str | None = None) -> None:
    """Set what the lists show. For a session with a job, `storage.jobs` does this by itself."""
    if state not in STATUSES:
        raise StorageError(f"a state is expected to be one of {', '.join(STATUSES)}, got {state!r}")
    _change_record(tx, record_id, state=state, error=None if error is None else clean(error))
    advance(tx, record_id)


def save_started(tx: Session, record_id: str, event: SessionStarted, latents_name: str) -> None:
    """Keep the schedule and the name of the stored x_1."""
    row = {
        "sigmas": numbers(event.sigmas),
        "searched": [bool(flag) for flag in event.searched],
        "step_std": numbers(event.step_std),
        "excess_std": numbers(event.excess_std),
        "latent_shape": list(event.latent_shape),
        "latents": latents_name,
    }
    _change_session(tx, record_id, row)
    advance(tx, record_id)


def save_iteration(tx: Session, record_id: str, event: IterationScored, image_names: Sequence[str]) -> None:
    """Keep one iteration's candidates; `image_names` are theirs in order."""
    if len(image_names) != len(event.total):
        raise StorageError(f"expected {len(event.total)} pictures, one a candidate, got {len(image_names)}")
    _require_session(tx, record_id)
    key = {"record_id": record_id, "step": event.step, "iteration": event.iteration}
    elites = [int(index) for index in event.elites]
    row = {
        "elites": elites,
        "mean_norm": number(event.mean_norm),
        "std_quantiles": numbers(event.std_quantiles),
        "cosine": number(event.cosine),
        "over_noise": number(event.over_noise),
        "batch_size": event.batch_size,
    }
    totals = numbers(event.total)
    _replace(
        tx, iterations, key, row | summary(dict(enumerate(totals)), elites) | _cost(event.cost) | _stamp(tx, record_id)
    )
    per_candidate = zip(image_names, event.total, event.norms, event.kurtosis, strict=True)
    _insert(
        tx,
        candidates,
        (
            key
            | {"candidate": index, "image": image, "total": number(total), "finite": number(total) is not None}
            | {"norm": number(norm), "kurtosis": number(kurtosis)}
            for index, (image, total, norm, kurtosis) in enumerate(per_candidate)
        ),
    )
    _insert(
        tx,
        candidate_rewards,
        (
            key | {"candidate": index} | reward
            for index in range(len(image_names))
            for reward in _rewards({name: values[index] for name, values in event.rewards.items()})
        ),
    )


def save_elites(tx: Session, record_id: str, step: int, iteration: int, elites: Iterable[int]) -> None:
    """Replace an iteration's elites by those a person chose; the session goes on, and resumes, with them."""
    chosen = [int(index) for index in elites]
    where = (iterations.c.record_id == record_id, iterations.c.step == step, iterations.c.iteration == iteration)
    of_it = (candidates.c.record_id == record_id, candidates.c.step == step, candidates.c.iteration == iteration)
    known = dict(tx.execute(sa.select(candidates.c.candidate, candidates.c.total).where(*of_it)).tuples().all())
    if not known:
        raise StorageError(f"session {record_id} has no iteration {iteration} at step {step}")
    if not chosen or len(set(chosen)) != len(chosen) or not known.keys() >= set(chosen):
        raise StorageError(f"expected some of the candidates 0 to {max(known)}, each once, got {chosen}")
    changed = {"elites": chosen, "total_threshold": summary(known, chosen)["total_threshold"]}
    tx.execute(sa.update(iterations).where(*where).values(changed | _stamp(tx, record_id)))


def save_step(tx: Session, record_id: str, event: StepCommitted, latents_name: str, image_name: str) -> None:
    """Keep a step taken: its latents, its estimate of the final picture and that picture's rewards."""
    _require_session(tx, record_id)
    key = {"record_id": record_id, "step": event.step}
    row = {
        "latents": latents_name,
        "image": image_name,
        "noise_norm": number(event.noise_norm),
        "log_prob": number(event.log_prob),
    }
    _replace(tx, steps, key, row | _cost(event.cost) | _stamp(tx, record_id))
    _insert(tx, step_rewards, (key | reward for reward in _rewards(event.rewards)))
    _change_record(tx, record_id, picture=image_name)


def save_arm(tx: Session, record_id: str, event: ArmFinished, latents_name: str, image_name: str) -> None:
    """Keep a whole trajectory's outcome; the record's headline is every arm's weighted reward so far."""
    _require_session(tx, record_id)
    key = {"record_id": record_id, "arm": event.arm}
    row = {"image": image_name, "latents": latents_name, "trajectories": event.trajectories}
    _replace(tx, arms, key, {**row, "trail": numbers(event.trail)} | _cost(event.cost) | _stamp(tx, record_id))
    _insert(tx, arm_rewards, (key | reward for reward in _rewards(event.rewards)))
    config = get_config(tx, record_id)
    found: dict[str, dict[str, float]] = {}
    for one in tx.execute(sa.select(arm_rewards).where(arm_rewards.c.record_id == record_id)):
        found.setdefault(one.arm, {})[one.name] = one.value
    headline = {arm: weighted(config.rewards, found[arm]) for arm in arm_order(config, found)}
    _change_record(tx, record_id, headline=headline, reward=headline.get("search"))
    if event.arm == "search":
        _change_record(tx, record_id, picture=image_name)


def save_finish(tx: Session, record_id: str, event: CandidateFinished, image_name: str) -> None:
    """Keep the true final picture of a candidate; its cost is its own and no part of the session's."""
    place = {"step": event.step, "iteration": event.iteration, "candidate": event.candidate}
    scored = [
        candidates.c.record_id == checked_id(record_id),
        *(candidates.c[name] == at for name, at in place.items()),
    ]
    if tx.execute(sa.select(candidates.c.candidate).where(*scored)).first() is None:
        _require_session(tx, record_id)
        raise StorageError(
            f"session {record_id} has no candidate {event.candidate} at step {event.step}, iteration {event.iteration}"
        )
    key = {"record_id": record_id} | place
    total = number(event.total)
    row = {"image": image_name, "total": total, "finite": total is not None}
    _replace(tx, finishes, key, row | _cost(event.cost) | _stamp(tx, record_id))
    _insert(tx, finish_rewards, (key | reward for reward in _rewards(event.rewards)))


def save_finished(tx: Session, record_id: str, event: SessionFinished) -> None:
    """Keep what the session cost in all."""
    _change_session(tx, record_id, _cost(event.cost) | {"finished_at": time.time()})
    advance(tx, record_id)
    set_state(tx, record_id, "succeeded")


def summary(totals: Mapping[int, float | None], elites: Iterable[int]) -> dict[str, Any]:
    """What an iteration's candidates came to: `totals` by candidate, None where one is not finite."""
    finite = [value for value in totals.values() if value is not None]
    return {
        "num_candidates": len(totals),
        "num_finite": len(finite),
        "total_best": max(finite, default=None),
        "total_mean": _mean(finite),
        "total_threshold": min((value for one in elites if (value := totals.get(one)) is not None), default=None),
    }


def _mean(values: Sequence[float]) -> float | None:
    """Equal values have exactly that mean, so that one sees from it that they are."""
    if not values or min(values) == max(values):
        return values[0] if values else None
    return math.fsum(values) / len(values)


def _stamp(tx: Session, record_id: str) -> dict[str, int]:
    return {"seq": advance(tx, record_id)}


def _require_session(tx: Session, record_id: str) -> None:
    if tx.scalar(_IS_SESSION, {"of": checked_id(record_id)}) is None:
        raise missing(record_id)


def _change_session(tx: Session, record_id: str, values: dict[str, Any]) -> None:
    changed = tx.execute(sa.update(sessions).where(sessions.c.record_id == checked_id(record_id)).values(values))
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise missing(record_id)


def _change_record(tx: Session, record_id: str, **values: Any) -> None:
    changed = tx.execute(sa.update(records).where(records.c.id == checked_id(record_id)).values(values))
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise missing(record_id)


def _replace(tx: Session, table: sa.Table, key: dict[str, Any], row: dict[str, Any]) -> None:
    """Put the row in place of the one with that key; what hung from the old row goes with it."""
    tx.execute(_deletion(table, tuple(key)), {f"{name}_is": value for name, value in key.items()})
    tx.execute(sa.insert(table), key | row)


@cache
def _deletion(table: sa.Table, key: tuple[str, ...]) -> sa.Delete:
    return sa.delete(table).where(*(table.c[name] == sa.bindparam(f"{name}_is") for name in key))


def _insert(tx: Session, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    listed = list(rows)
    if listed:
        tx.execute(sa.insert(table), listed)


def _rewards(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    finite = {name: number(value) for name, value in values.items()}
    return [{"name": name, "value": value, "finite": value is not None} for name, value in finite.items()]


def _cost(cost: Cost) -> dict[str, Any]:
    return {"nfe": cost.nfe, "decodes": cost.decodes, "reward_calls": cost.reward_calls, "seconds": cost.seconds}
