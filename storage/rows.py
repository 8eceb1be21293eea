"""The rows of a session's view: iterations, steps, arms and finished candidates as pages have them.

`after` keeps what was written since: rows carry the record's counter (see `storage.counter`), so a page that asks for
what is new makes nobody read what is old.
"""

from collections.abc import Collection, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import ExploreConfig
from storage.progress import COSTS
from storage.tables import (
    arm_rewards,
    arms,
    candidate_rewards,
    candidates,
    finish_rewards,
    finishes,
    iterations,
    step_rewards,
    steps,
)
from storage.values import arm_order

# What an iteration's row says of its candidates as a whole, and from which column.
_SUMMARY = {
    "num_candidates": "num_candidates",
    "finite": "num_finite",
    "best": "total_best",
    "mean": "total_mean",
    "threshold": "total_threshold",
}
_ITERATION = (
    "step",
    "iteration",
    "elites",
    "mean_norm",
    "std_quantiles",
    "cosine",
    "over_noise",
    "batch_size",
)
_ARRAYS = {"images": "image", "total": "total", "norms": "norm", "kurtosis": "kurtosis"}


def rows_of(tx: Session, table: sa.Table, record_id: str, *where: sa.ColumnElement[bool]) -> list[sa.Row]:
    """A session's rows of one table, in the order of their key."""
    query = sa.select(table).where(table.c.record_id == record_id, *where)
    return list(tx.execute(query.order_by(*table.primary_key)))


def reward_order(config: ExploreConfig, found: Iterable[str]) -> list[str]:
    """Rewards as they are shown: the config's, then any others by name."""
    known = set(found)
    return [name for name in config.rewards if name in known] + sorted(known - set(config.rewards))


def rewards_by(
    tx: Session, table: sa.Table, record_id: str, config: ExploreConfig, *where: sa.ColumnElement[bool]
) -> dict[tuple[Any, ...], dict[str, float | None]]:
    """Rewards by what was scored (the key without record and name), each in the config's order."""
    about = [column for column in table.primary_key if column.name not in ("record_id", "name")]
    query = sa.select(table.c.name, table.c.value, *about).where(table.c.record_id == record_id, *where)
    found: dict[tuple[Any, ...], dict[str, float | None]] = {}
    for name, value, *key in tx.execute(query).tuples():
        found.setdefault(tuple(key), {})[name] = value
    ordered = reward_order(config, (name for values in found.values() for name in values))
    return {key: {name: values[name] for name in ordered if name in values} for key, values in found.items()}


def step_rows(tx: Session, record_id: str, config: ExploreConfig, after: int | None = None) -> list[dict[str, Any]]:
    """Steps taken, step -1 being the search of x_1."""
    rows = rows_of(tx, steps, record_id, *_newer(steps, after))
    if not rows:
        return []
    rewards = rewards_by(tx, step_rewards, record_id, config, step_rewards.c.step.between(rows[0].step, rows[-1].step))
    return [
        {"step": row.step, "image": row.image, "rewards": rewards.get((row.step,), {})}
        | {"noise_norm": row.noise_norm, "log_prob": row.log_prob}
        | cost_of_row(row)
        for row in rows
    ]


def arm_rows(tx: Session, record_id: str, config: ExploreConfig, after: int | None = None) -> list[dict[str, Any]]:
    """Whole trajectories' outcomes: the search first, then in the config's order."""
    rows = {row.arm: row for row in rows_of(tx, arms, record_id, *_newer(arms, after))}
    rewards = rewards_by(tx, arm_rewards, record_id, config) if rows else {}
    return [
        {"arm": arm, "image": row.image, "rewards": rewards.get((arm,), {})}
        | {"trajectories": row.trajectories, "trail": row.trail}
        | cost_of_row(row)
        for arm in arm_order(config, rows)
        for row in (rows[arm],)
    ]


def finish_rows(tx: Session, record_id: str, config: ExploreConfig, after: int | None = None) -> list[dict[str, Any]]:
    """Candidates with their true final pictures."""
    rows = rows_of(tx, finishes, record_id, *_newer(finishes, after))
    if not rows:
        return []
    within = (finish_rewards.c.step.between(rows[0].step, rows[-1].step),)
    rewards = rewards_by(tx, finish_rewards, record_id, config, *within)
    return [
        {"step": row.step, "iteration": row.iteration, "candidate": row.candidate, "image": row.image}
        | {"rewards": rewards.get((row.step, row.iteration, row.candidate), {}), "total": row.total}
        | {"nfe": row.nfe, "seconds": row.seconds}
        for row in rows
    ]


def iteration_rows(
    tx: Session,
    record_id: str,
    config: ExploreConfig,
    detail: Collection[int],
    *where: sa.ColumnElement[bool],
    after: int | None = None,
) -> list[dict[str, Any]]:
    """Scored iterations with what they came to; those of the steps in `detail` with an array for each of their
    candidates' numbers too."""
    names = (*_ITERATION, *_SUMMARY, *COSTS)
    columns = (iterations.c[name] for name in (*_ITERATION, *_SUMMARY.values(), *COSTS))
    query = sa.select(*columns).where(iterations.c.record_id == record_id, *where, *_newer(iterations, after))
    rows = tx.execute(query.order_by(*iterations.primary_key)).tuples().all()
    shown = [dict(zip(names, row, strict=True)) for row in rows]
    detailed = {(row["step"], row["iteration"]): row for row in shown if row["step"] in detail}
    if detailed:
        _add_arrays(tx, record_id, config, detailed)
    return shown


def cost_of_row(row: sa.Row) -> dict[str, Any]:
    """The cost columns as a view has them."""
    return {name: getattr(row, name) for name in COSTS}


def _newer(table: sa.Table, after: int | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if after is None else (table.c.seq > after,)


def _add_arrays(
    tx: Session, record_id: str, config: ExploreConfig, rows: dict[tuple[int, int], dict[str, Any]]
) -> None:
    """Fill in images, rewards, total, norms and kurtosis of these iterations, by candidate."""
    columns = [candidates.c[column] for column in _ARRAYS.values()]
    each = sa.select(candidates.c.step, candidates.c.iteration, *columns)
    each = each.where(candidates.c.record_id == record_id, *_within(candidates, rows))
    found = tx.execute(each.order_by(*candidates.primary_key)).tuples().all()
    for place, group in groupby(found, key=itemgetter(0, 1)):
        if place in rows:
            _, _, *arrays = zip(*group, strict=True)
            rows[place] |= {name: list(values) for name, values in zip(_ARRAYS, arrays, strict=True)} | {"rewards": {}}
    scored = candidate_rewards.c
    each = sa.select(scored.step, scored.iteration, scored.candidate, scored.name, scored.value)
    each = each.where(scored.record_id == record_id, *_within(candidate_rewards, rows))
    found = tx.execute(each.order_by(*candidate_rewards.primary_key)).tuples().all()
    for place, group in groupby(found, key=itemgetter(0, 1)):
        if place in rows:
            rows[place]["rewards"] = _reward_arrays(list(group), rows[place]["num_candidates"], config)


def _reward_arrays(
    found: list[tuple[int, int, int, str, float | None]], count: int, config: ExploreConfig
) -> dict[str, list[float | None]]:
    """An array of `count` values for each reward, from (step, iteration, candidate, name, value) sorted so."""
    _, _, numbers, names, values = zip(*found, strict=True)
    arrays: dict[str, list[float | None]] = {name: [None] * count for name in reward_order(config, names)}
    many = len(arrays)
    if names == names[:many] * count:  # each candidate has each reward, as always but for what nobody foresaw
        return {name: list(values[names.index(name) :: many]) for name in arrays}
    for candidate, name, value in zip(numbers, names, values, strict=True):
        arrays[name][candidate] = value
    return arrays


def _within(table: sa.Table, rows: Collection[tuple[int, int]]) -> tuple[sa.ColumnElement[bool], ...]:
    """A range of the table's key that holds these iterations: exact for those of one step, which a delta mostly has."""
    ordered = sorted(rows)
    (first, low), (last, high) = ordered[0], ordered[-1]
    if first == last:
        return (table.c.step == first, table.c.iteration.between(low, high))
    return (table.c.step.between(first, last),)
