"""Reliability measurements as they are recorded and read.

Every function works in the transaction `tx` it is given. Saving is idempotent: what a resumed run records again
replaces what was there.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import NotFound, StorageError
from core.events import Cost, MeasureStarted, SiblingsMeasured
from core.measure_config import MeasureConfig, from_dict, to_dict
from storage.counter import advance
from storage.progress import COSTS
from storage.sessions import new_id
from storage.tables import records, reliability, siblings
from storage.values import checked_id, clean, number, numbers
from storage.views import record_row

KIND = "reliability"
_NUMBERS_AT_ONCE = 20_000  # read in one look: some hundred kB of JSON


@dataclass(frozen=True)
class Sheet:
    """The pictures of K siblings in one file, row by row: `columns` of cells that are `cell` pixels wide."""

    name: str
    columns: int
    cell: int


def create(tx: Session, config: MeasureConfig, *, name: str | None = None, parent: str | None = None) -> str:
    """Make the record of a measurement to come and return its id."""
    record_id, more = new_id(), len(config.prompts) - 1
    if name is None and more:
        name = f"{config.prompts[0][:100]} and {more} more"
    plain = to_dict(config)
    row = {
        "id": record_id,
        "kind": KIND,
        "name": None if name is None else clean(name),
        "prompt": config.prompts[0],
        "preset": KIND,
        "model": clean(config.base.model),
        "state": "pending",
        "headline": {},
        "parent": parent,
        "created_at": time.time(),
        "config": plain,
        "config_hash": config_hash(plain),
    }
    tx.execute(sa.insert(records).values(row))
    tx.execute(sa.insert(reliability).values(record_id=record_id))
    return record_id


def get_config(tx: Session, record_id: str) -> MeasureConfig:
    """What is measured. NotFound for a record of another kind."""
    return from_dict(measurement_row(tx, record_id).config)


def measurement_row(tx: Session, record_id: str) -> sa.Row:
    """The record's row. NotFound where there is no such measurement."""
    row = record_row(tx, record_id)
    if row.kind != KIND:
        raise NotFound(f"there is no measurement {record_id!r:.60}")
    return row


def save_started(tx: Session, record_id: str, event: MeasureStarted) -> None:
    """Keep the schedule."""
    names = ("sigmas", "step_std", "excess_std")
    _change(tx, record_id, {name: numbers(getattr(event, name)) for name in names})


def save_siblings(tx: Session, record_id: str, event: SiblingsMeasured, guesses: Sheet, finals: Sheet) -> None:
    """Keep one step of one row; the record's picture is the newest sheet of final pictures."""
    measurement_row(tx, record_id)
    key = {"record_id": record_id, "row": event.row, "step": event.step}
    if (guesses.columns, guesses.cell) != (finals.columns, finals.cell):
        raise StorageError("the two sheets of a step are expected to have cells alike")
    row = {"prompt": event.prompt, "seed": event.seed, "sigma": event.sigma, "sigma_next": event.sigma_next}
    row |= {"guesses": guesses.name, "finals": finals.name, **_cost(event.total_cost), "seq": advance(tx, record_id)}
    row["data"] = _data(event) | {"sheet": {"columns": guesses.columns, "cell": guesses.cell}}
    tx.execute(sa.delete(siblings).where(*(siblings.c[name] == value for name, value in key.items())))
    tx.execute(sa.insert(siblings).values(key | row))
    tx.execute(sa.update(records).where(records.c.id == record_id).values(picture=finals.name))


def _data(event: SiblingsMeasured) -> dict[str, Any]:
    """The numbers as JSON has them: None for what is not finite."""
    return {
        "proxy": {
            name: {reward: numbers(values) for reward, values in each.items()} for name, each in event.proxy.items()
        },
        "truth": {reward: numbers(values) for reward, values in event.truth.items()},
        "walked": {reward: number(value) for reward, value in event.walked.items()},
        "ended": {reward: number(value) for reward, value in event.ended.items()},
        "latent_distance": {name: numbers(values) for name, values in event.latent_distance.items()},
        "pixel_distance": {name: numbers(values) for name, values in event.pixel_distance.items()},
        "returned": {
            name: {
                "elites": list(one.elites),
                "rewards": {mode: {key: number(v) for key, v in each.items()} for mode, each in one.rewards.items()},
                "averaged": number(one.averaged),
                "elite_mean": number(one.elite_mean),
            }
            for name, one in event.returned.items()
        },
        "cost": {name: _cost(cost) for name, cost in event.cost.items()},
        "truth_cost": _cost(event.truth_cost),
    }


def save_finished(tx: Session, record_id: str, headline: dict[str, Any]) -> None:
    """Keep what the measurement cost in all, and what lists say of it."""
    cost = total_cost(tx, record_id)
    _change(tx, record_id, _cost(cost) | {"finished_at": time.time()})
    tx.execute(sa.update(records).where(records.c.id == record_id).values(headline=headline, state="succeeded"))


def total_cost(tx: Session, record_id: str) -> Cost:
    """What has been spent so far."""
    sums = [sa.func.coalesce(sa.func.sum(siblings.c[name]), 0) for name in COSTS]
    nfe, decodes, reward_calls, seconds = tx.execute(sa.select(*sums).where(siblings.c.record_id == record_id)).one()
    return Cost(int(nfe), int(decodes), int(reward_calls), float(seconds))


def places(tx: Session, record_id: str) -> set[tuple[int, int]]:
    """The (row, step) that are stored."""
    stored = sa.select(siblings.c.row, siblings.c.step).where(siblings.c.record_id == checked_id(record_id))
    return {(row, step) for row, step in tx.execute(stored).tuples()}


def done_rows(tx: Session, record_id: str) -> frozenset[int]:
    """The rows of which every measured step is stored."""
    stored, steps = places(tx, record_id), get_config(tx, record_id).measured_steps
    return frozenset(row for row in {row for row, _ in stored} if all((row, step) in stored for step in steps))


def schedule(tx: Session, record_id: str) -> sa.Row:
    """The measurement's own row: sigmas, step_std, excess_std (None before it has begun), finished_at and cost."""
    return tx.execute(sa.select(reliability).where(reliability.c.record_id == record_id)).one()


def measured(tx: Session, record_id: str, rows: list[int]) -> list[sa.Row]:
    """Everything stored of some rows, a line a step, in order. Ask for few rows at a time."""
    wanted = sa.select(siblings).where(siblings.c.record_id == checked_id(record_id), siblings.c.row.in_(rows))
    return list(tx.execute(wanted.order_by(siblings.c.row, siblings.c.step)))


def shown(tx: Session, record_id: str) -> dict[int, list[tuple[int, str]]]:
    """By row, the steps that are stored, each with the name of its sheet of final pictures."""
    query = sa.select(siblings.c.row, siblings.c.step, siblings.c.finals).where(siblings.c.record_id == record_id)
    found: dict[int, list[tuple[int, str]]] = {}
    for row, step, finals in tx.execute(query.order_by(siblings.c.row, siblings.c.step)).tuples():
        found.setdefault(row, []).append((step, finals))
    return found


def in_turns(rows: list[int], config: MeasureConfig) -> Iterator[list[int]]:
    """The rows in portions that a short look can read."""
    scored = len(config.base.rewards) + 1
    numbers_of_row = len(config.measured_steps) * config.num_siblings * len(config.estimates) * scored
    size = max(1, _NUMBERS_AT_ONCE // numbers_of_row)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def newest_finished(tx: Session, model: str, limit: int = 20) -> list[sa.Row]:
    """The newest finished measurements of a model (id and config), without those in the trash."""
    query = (
        sa.select(records.c.id, records.c.config)
        .join(reliability)
        .where(records.c.kind == KIND, records.c.model == clean(model), records.c.state == "succeeded")
        .where(records.c.deleted_at.is_(None), ~records.c.erased)
    )
    return list(tx.execute(query.order_by(reliability.c.finished_at.desc(), records.c.id).limit(limit)))


def _change(tx: Session, record_id: str, values: dict[str, Any]) -> None:
    changed = tx.execute(sa.update(reliability).where(reliability.c.record_id == checked_id(record_id)).values(values))
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise NotFound(f"there is no measurement {record_id!r:.60}")
    advance(tx, record_id)


def _cost(cost: Cost) -> dict[str, Any]:
    return {name: getattr(cost, name) for name in COSTS}


def config_hash(plain: dict[str, Any]) -> str:
    """A short digest of a plain config."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
