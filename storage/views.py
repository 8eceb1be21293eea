"""Reading a stored session: the page's JSON, and the state from which it goes on."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import ExploreConfig, from_dict
from core.events import INITIAL, Cost, IterationState
from storage.counter import last_seq
from storage.jobs import job_view
from storage.tables import (
    arm_rewards,
    arms,
    candidate_rewards,
    candidates,
    iterations,
    records,
    sessions,
    step_rewards,
    steps,
)
from storage.values import arm_order, checked_id, iso, missing, nan_for_none, weighted

_COSTS = ("nfe", "decodes", "reward_calls", "seconds")


@dataclass(frozen=True)
class StoredState:
    """Where a session stands, with names of files for arrays: see `core.events.ExploreState`.

    `latents` names x_1 before any search of it, None before the session has started; `initial` the one that a search
    of it chose.
    """

    committed: tuple[str, ...] = ()
    iterations: tuple[IterationState, ...] = ()
    arms: tuple[str, ...] = ()
    cost: Cost = Cost()
    trail: tuple[float, ...] = ()
    arms_cost: Cost = Cost()
    latents: str | None = None
    finished: bool = False
    initial: str | None = None


def stored_state(tx: Session, record_id: str) -> StoredState:
    """Read where a session stands."""
    config = from_dict(record_row(tx, record_id).config)
    session = tx.execute(sa.select(sessions).where(sessions.c.record_id == record_id)).one()
    rows = _rows(tx, steps, record_id)
    initial = next((row.latents for row in rows if row.step == INITIAL), None)
    taken = [row for index, row in enumerate(row for row in rows if row.step != INITIAL) if row.step == index]
    searching = config.searches_initial and initial is None
    rewards = _rewards_by(tx, step_rewards, record_id, config)
    trail = nan_for_none(weighted(config.rewards, rewards.get((row.step,), {})) for row in taken)
    done = _rows(tx, arms, record_id)
    return StoredState(
        committed=tuple(row.latents for row in taken),
        iterations=iteration_states(tx, record_id, INITIAL if searching else len(taken)),
        arms=tuple(arm_order(config, [row.arm for row in done])),
        cost=_search_cost(tx, record_id),
        trail=trail,
        arms_cost=_arms_cost(done),
        latents=session.latents,
        finished=session.finished_at is not None,
        initial=initial,
    )


def view(tx: Session, record_id: str) -> dict[str, Any]:
    """A session as its page shows it: plain JSON values, None for numbers that are not finite, names for pictures."""
    record = record_row(tx, record_id)
    config = from_dict(record.config)
    session = tx.execute(sa.select(sessions).where(sessions.c.record_id == record_id)).one()
    taken, scored, done = (_rows(tx, table, record_id) for table in (steps, iterations, arms))
    finished = None if session.finished_at is None else _cost(session)
    listed = ("id", "name", "kind", "prompt", "preset", "model", "state", "error")
    shown = {name: getattr(record, name) for name in listed}
    shown |= {"created": iso(record.created_at), "config": record.config}
    shown |= {name: getattr(session, name) or [] for name in ("sigmas", "searched", "step_std", "excess_std")}
    return shown | {
        "steps": _step_views(tx, record_id, config, taken),
        "iterations": _iteration_views(tx, record_id, config, scored),
        "arms": _arm_views(tx, record_id, config, done),
        "cost": _cost_view(finished or _search_cost(tx, record_id) + _arms_cost(done)),
        "job": job_view(tx, record_id),
        "seq": last_seq(tx, record_id),
    }


def record_row(tx: Session, record_id: str) -> sa.Row:
    """A record's row; StorageError when there is none. The id may come from anywhere."""
    found = tx.execute(sa.select(records).where(records.c.id == checked_id(record_id), ~records.c.erased)).first()
    if found is None:
        raise missing(record_id)
    return found


def _rows(tx: Session, table: sa.Table, record_id: str) -> list[sa.Row]:
    """A session's rows of one table, in the order of their key."""
    return list(tx.execute(sa.select(table).where(table.c.record_id == record_id).order_by(*table.primary_key)))


def _rewards_by(
    tx: Session, table: sa.Table, record_id: str, config: ExploreConfig
) -> dict[tuple[Any, ...], dict[str, float | None]]:
    """Rewards by what was scored (the key without record and name), each in the config's order."""
    about = [column for column in table.primary_key if column.name not in ("record_id", "name")]
    query = sa.select(table.c.name, table.c.value, *about).where(table.c.record_id == record_id)
    found: dict[tuple[Any, ...], dict[str, float | None]] = {}
    for name, value, *key in tx.execute(query.order_by(*about, table.c.name)).tuples():
        found.setdefault(tuple(key), {})[name] = value
    known = {name for values in found.values() for name in values}
    ordered = [name for name in config.rewards if name in known] + sorted(known - set(config.rewards))
    return {key: {name: values[name] for name in ordered if name in values} for key, values in found.items()}


def iteration_states(tx: Session, record_id: str, step: int) -> tuple[IterationState, ...]:
    """The scored iterations of a step, without those behind one that is missing."""
    query = sa.select(candidates.c.iteration, candidates.c.total).where(
        candidates.c.record_id == record_id, candidates.c.step == step
    )
    rows = tx.execute(query.order_by(candidates.c.iteration, candidates.c.candidate))
    totals = {key: [row.total for row in group] for key, group in groupby(rows, key=lambda row: row.iteration)}
    scored = [row for row in _rows(tx, iterations, record_id) if row.step == step]
    return tuple(
        IterationState(elites=tuple(row.elites), total=nan_for_none(totals[row.iteration]))
        for index, row in enumerate(scored)
        if row.iteration == index
    )


def _search_cost(tx: Session, record_id: str) -> Cost:
    """The search's own cost at its latest step or iteration; both count from the session's beginning."""
    taken, scored = _rows(tx, steps, record_id), _rows(tx, iterations, record_id)
    latest = taken[-1:]
    if scored and (not taken or scored[-1].step > taken[-1].step):
        latest = scored[-1:]
    return _cost(latest[0]) if latest else Cost()


def _arms_cost(done: Iterable[sa.Row]) -> Cost:
    return sum((_cost(row) for row in done if row.arm != "search"), Cost())


def _cost(row: sa.Row) -> Cost:
    return Cost(**{name: getattr(row, name) for name in _COSTS})


def _cost_view(cost: Cost | sa.Row) -> dict[str, Any]:
    return {name: getattr(cost, name) for name in _COSTS}


def _step_views(tx: Session, record_id: str, config: ExploreConfig, taken: Iterable[sa.Row]) -> list[dict[str, Any]]:
    rewards = _rewards_by(tx, step_rewards, record_id, config)
    return [
        {
            "step": row.step,
            "image": row.image,
            "rewards": rewards.get((row.step,), {}),
            "noise_norm": row.noise_norm,
            "log_prob": row.log_prob,
        }
        for row in taken
    ]


def _iteration_views(
    tx: Session, record_id: str, config: ExploreConfig, scored: Iterable[sa.Row]
) -> list[dict[str, Any]]:
    by_iteration: dict[tuple[int, int], list[sa.Row]] = {}
    for row in _rows(tx, candidates, record_id):
        by_iteration.setdefault((row.step, row.iteration), []).append(row)
    rewards = _rewards_by(tx, candidate_rewards, record_id, config)
    kept = ("step", "iteration", "sheet", "elites", "mean_norm", "std_quantiles", "cosine", "over_noise", "batch_size")
    views = []
    for row in scored:
        group = by_iteration.get((row.step, row.iteration), [])
        each = [rewards.get((row.step, row.iteration, one.candidate), {}) for one in group]
        views.append(
            {name: getattr(row, name) for name in kept}
            | {
                "images": [one.image for one in group],
                "rewards": {name: [values.get(name) for values in each] for name in (each[0] if each else {})},
                "total": [one.total for one in group],
                "norms": [one.norm for one in group],
                "kurtosis": [one.kurtosis for one in group],
            }
        )
    return views


def _arm_views(tx: Session, record_id: str, config: ExploreConfig, done: Iterable[sa.Row]) -> list[dict[str, Any]]:
    rewards = _rewards_by(tx, arm_rewards, record_id, config)
    rows = {row.arm: row for row in done}
    return [
        {"arm": arm, "image": row.image, "rewards": rewards.get((arm,), {})}
        | {"trajectories": row.trajectories, "trail": row.trail}
        | _cost_view(row)
        for arm in arm_order(config, rows)
        for row in (rows[arm],)
    ]
