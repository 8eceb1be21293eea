"""Fine-tunes as they are recorded and read.

Every function works in the transaction `tx` it is given. Saving is idempotent: what a resumed run records again
replaces what was there.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import ConfigError, NotFound
from core.events import Cost
from core.train_config import TrainConfig, config_hash, from_dict, to_dict
from core.train_events import EpochFinished, TrainStarted
from storage.counter import advance
from storage.progress import COSTS, cost_of
from storage.reliability import Sheet
from storage.run_tables import checkpoints, epochs, runs, samples, trials, watched
from storage.sessions import new_id
from storage.tables import jobs, records
from storage.values import checked_id, clean, number
from storage.views import record_row

KIND = "train"
OUTPUT = 4_096  # characters of a run's output that are kept


def create(tx: Session, config: TrainConfig, *, name: str | None = None, parent: str | None = None) -> str:
    """Make the record of a fine-tune to come and return its id."""
    record_id = new_id()
    row = {
        "id": record_id,
        "kind": KIND,
        "name": None if name is None else clean(name),
        "prompt": clean(config.prompts[0] if config.prompts else config.prompt_set),
        "preset": clean(config.preset),
        "model": clean(config.model),
        "state": "pending",
        "headline": {},
        "parent": parent,
        "created_at": time.time(),
        "config": to_dict(config),
        "config_hash": config_hash(config),
    }
    tx.execute(sa.insert(records).values(row))
    empty: dict[str, Any] = {"started": {}, "environment": {}, "diagnosis": [], "output": ""}
    tx.execute(sa.insert(runs).values(record_id=record_id, num_epochs=config.epochs, **empty))
    return record_id


def run_row(tx: Session, record_id: str) -> sa.Row:
    """The record's row. NotFound where there is no such fine-tune."""
    row = record_row(tx, record_id)
    if row.kind != KIND:
        raise NotFound(f"there is no fine-tune {record_id!r:.60}")
    return row


def get_config(tx: Session, record_id: str) -> TrainConfig:
    """What is trained. NotFound for a record of another kind."""
    return from_dict(run_row(tx, record_id).config)


def save_started(tx: Session, record_id: str, event: TrainStarted, environment: Mapping[str, Any]) -> None:
    """Keep what the trainer says at its start, and what it runs on."""
    started = {name: _plain(getattr(event, name)) for name in event.__dataclass_fields__}
    _change(tx, record_id, {"started": started, "environment": dict(environment)})


def save_epoch(tx: Session, record_id: str, event: EpochFinished) -> None:
    """Keep an epoch's numbers; those that are not finite are kept as None."""
    row = {"metrics": _plain(event.metrics), "per_step": _plain(event.per_step), "phases": _plain(event.seconds)}
    _replace(tx, epochs, {"record_id": record_id, "epoch": event.epoch}, row | _cost(event.cost))


def save_samples(
    tx: Session, record_id: str, epoch: int, ema: bool, sheet: Sheet, rewards: Sequence[float | None]
) -> None:
    """Keep one sheet of the fixed prompts; it becomes the record's picture."""
    row = {"sheet": sheet.name, "columns": sheet.columns, "cell": sheet.cell, "rewards": [number(r) for r in rewards]}
    _replace(tx, samples, {"record_id": record_id, "epoch": epoch, "ema": ema}, row)
    tx.execute(sa.update(records).where(records.c.id == record_id).values(picture=sheet.name))


def save_checkpoint(
    tx: Session, record_id: str, epoch: int, folder: str, files: Mapping[str, Any], *, kept: bool
) -> None:
    """Say that a checkpoint is complete; one that was kept before stays so."""
    key = {"record_id": record_id, "epoch": epoch}
    before = next((one for one in checkpoints_of(tx, record_id) if one.epoch == epoch), None)
    row = {"folder": folder, "files": dict(files), "kept": kept or bool(before and before.kept)}
    _replace(tx, checkpoints, key, row)


def drop_checkpoint(tx: Session, record_id: str, epoch: int) -> None:
    """Forget a checkpoint."""
    tx.execute(sa.delete(checkpoints).where(checkpoints.c.record_id == record_id, checkpoints.c.epoch == epoch))
    advance(tx, record_id)


def save_watched(tx: Session, record_id: str, epoch: int, session_id: str) -> None:
    """Say which session holds the search that was watched in an epoch."""
    _replace(tx, watched, {"record_id": record_id, "epoch": epoch}, {"session_id": session_id})


def save_told(tx: Session, record_id: str, **told: Any) -> None:
    """Keep some of `diagnosis` (sentences), `output` (its end is kept) and `environment`."""
    if "output" in told:
        told["output"] = clean(told["output"])[-OUTPUT:]
    _change(tx, record_id, told)


def save_headline(tx: Session, record_id: str, headline: Mapping[str, Any]) -> None:
    """Keep what lists say of the run; its latest held-out reward is what they sort by."""
    latest = (headline.get("heldout") or headline.get("reward_mean") or [None])[-1]
    tx.execute(sa.update(records).where(records.c.id == record_id).values(headline=_plain(headline), reward=latest))


def save_finished(tx: Session, record_id: str, cost: Cost, headline: Mapping[str, Any]) -> None:
    """Keep what the run cost in all, and what lists say of it."""
    _change(tx, record_id, _cost(cost) | {"finished_at": time.time()})
    save_headline(tx, record_id, headline)
    tx.execute(sa.update(records).where(records.c.id == record_id).values(state="succeeded"))


def told(tx: Session, record_id: str) -> sa.Row:
    """The run's own row: num_epochs, started, environment, diagnosis, output, finished_at and cost."""
    return tx.execute(sa.select(runs).where(runs.c.record_id == checked_id(record_id))).one()


def epochs_of(tx: Session, record_id: str, after: int = -1) -> list[sa.Row]:
    """The epochs that are stored, in order; only those written since the record's counter stood at `after`."""
    return _rows(tx, epochs, record_id, after)


def samples_of(tx: Session, record_id: str, after: int = -1) -> list[sa.Row]:
    """The sheets of the fixed prompts, by epoch."""
    return _rows(tx, samples, record_id, after)


def checkpoints_of(tx: Session, record_id: str) -> list[sa.Row]:
    """The complete checkpoints, the oldest first."""
    return _rows(tx, checkpoints, record_id, -1)


def watched_of(tx: Session, record_id: str) -> list[sa.Row]:
    """The sessions of watched searches, by epoch."""
    return _rows(tx, watched, record_id, -1)


def spent(tx: Session, record_id: str) -> Cost:
    """What the run has spent by its newest stored epoch."""
    newest = sa.select(epochs).where(epochs.c.record_id == record_id).order_by(epochs.c.epoch.desc()).limit(1)
    row = tx.execute(newest).first()
    return Cost() if row is None else cost_of(row)


def trained(tx: Session) -> list[sa.Row]:
    """The runs with a checkpoint that are not in the trash, newest first: id, name, prompt, preset, model, state."""
    columns = (records.c[name] for name in ("id", "name", "prompt", "preset", "model", "state"))
    query = sa.select(*columns).where(records.c.kind == KIND, records.c.deleted_at.is_(None), ~records.c.erased)
    query = query.where(sa.exists().where(checkpoints.c.record_id == records.c.id))
    return list(tx.execute(query.order_by(records.c.created_at.desc(), records.c.id)))


def with_config(tx: Session, digest: str) -> list[sa.Row]:
    """The runs of a config, by its hash, the newest first: id and state; those in the trash do not count."""
    query = sa.select(records.c.id, records.c.state).where(records.c.kind == KIND, records.c.config_hash == digest)
    alive = query.where(records.c.deleted_at.is_(None), ~records.c.erased)
    return list(tx.execute(alive.order_by(records.c.created_at.desc(), records.c.id)))


def begun(tx: Session, model: str, *, here: Callable[[str], bool], newest: int = 5) -> list[dict[str, Any]]:
    """The newest runs of a model that have an epoch and ran `here`, which is asked by id: config, `started`, the
    `phases` of their latest epochs (seconds by phase) and the most memory they took. Configs that this version cannot
    read are left out.
    """
    query = sa.select(records.c.id, records.c.config, runs.c.started, runs.c.environment)
    query = query.join(runs, runs.c.record_id == records.c.id).where(records.c.model == clean(model), ~records.c.erased)
    found = []
    for row in tx.execute(query.order_by(records.c.created_at.desc(), records.c.id).limit(4 * newest)):
        if not here(row.id):
            continue
        recent = sa.select(epochs.c.phases).where(epochs.c.record_id == row.id)
        phases = list(tx.scalars(recent.order_by(epochs.c.epoch.desc()).limit(20)))
        try:
            config = from_dict(row.config)
        except ConfigError:
            continue
        if phases:
            memory = (row.environment.get("usage") or {}).get("peak_memory_mb")
            found.append({"config": config, "started": row.started, "phases": phases, "memory_mb": memory})
    return found[:newest]


def new_trial(tx: Session, record_id: str, asked: Mapping[str, Any]) -> int:
    """Note that the trained model is to be tried; returns the trial's number in its run."""
    known = sa.select(sa.func.max(trials.c.number)).where(trials.c.record_id == record_id)
    number_of_it = int(tx.scalar(known) or 0) + 1
    _replace(tx, trials, {"record_id": record_id, "number": number_of_it}, {"asked": dict(asked), "result": None})
    return number_of_it


def save_trial(tx: Session, record_id: str, number_of_it: int, **values: Any) -> None:
    """Set a trial's `job_id` or `result`."""
    here = (trials.c.record_id == record_id, trials.c.number == number_of_it)
    tx.execute(sa.update(trials).where(*here).values(values | {"seq": advance(tx, record_id)}))


def trials_of(tx: Session, record_id: str) -> list[sa.Row]:
    """A run's trials with their job's `status` and `error`, the oldest first."""
    query = sa.select(trials, jobs.c.status, jobs.c.error).outerjoin(jobs, jobs.c.id == trials.c.job_id)
    return list(tx.execute(query.where(trials.c.record_id == checked_id(record_id)).order_by(trials.c.number)))


def _rows(tx: Session, table: sa.Table, record_id: str, after: int) -> list[sa.Row]:
    wanted = sa.select(table).where(table.c.record_id == checked_id(record_id), table.c.seq > after)
    return list(tx.execute(wanted.order_by(*table.primary_key.columns)))


def _change(tx: Session, record_id: str, values: dict[str, Any]) -> None:
    changed = tx.execute(sa.update(runs).where(runs.c.record_id == checked_id(record_id)).values(values))
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise NotFound(f"there is no fine-tune {record_id!r:.60}")
    advance(tx, record_id)


def _replace(tx: Session, table: sa.Table, key: dict[str, Any], row: dict[str, Any]) -> None:
    run_row(tx, key["record_id"])
    tx.execute(sa.delete(table).where(*(table.c[name] == value for name, value in key.items())))
    tx.execute(sa.insert(table), key | row | {"seq": advance(tx, key["record_id"])})


def _cost(cost: Cost) -> dict[str, Any]:
    return {name: getattr(cost, name) for name in COSTS}


def _plain(value: Any) -> Any:
    """As JSON has it: None for what is not finite."""
    if isinstance(value, Mapping):
        return {clean(str(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return number(value)
    return clean(value) if isinstance(value, str) else value
