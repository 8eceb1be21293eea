"""A lab's data folder as pandas frames, for notebooks and scripts. Nothing here writes; no torch.

    from app.frames import candidates_frame, records_frame
    records = records_frame("data", kind="session")
    candidates_frame("data", records.id).groupby(["record", "step"]).total.max()

A frame of rows names its record in the column `record`; steps, iterations and candidates count from 0 as in exported
tables, step -1 being the search of x_1. Numbers that were not finite are NaN. `image` is the path of a stored picture.
Each call is one look at the database, which a lab that writes has to wait for: ask for what you need of a large one.
The folder must be of this version: `python -m app serve` or `search` brings an older one up to date.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.settings import Settings
from core.errors import LabError
from storage.artifacts import Artifacts
from storage.columns import ARTIFACT
from storage.engine import Database, open_database
from storage.progress import spent_by
from storage.run_tables import epochs, samples
from storage.tables import (
    arm_rewards,
    arms,
    candidate_rewards,
    candidates,
    finish_rewards,
    finishes,
    iterations,
    records,
    siblings,
    step_rewards,
    steps,
)
from storage.tags import tags_of

Ids = str | Iterable[str] | None
_KEPT = ("id", "kind", "name", "prompt", "preset", "model", "state", "reward", "parent", "star", "note", "config")
_LEFT_OUT = ("record_id", "seq", "finite", "latents")
_AT_ONCE = 200  # records in one query


def records_frame(folder: str | Path = "data", *, kind: str | None = None, settings: bool = False) -> pd.DataFrame:
    """Every record that is not in the trash, the newest first: what lists say of it, its tags, cost and config.

    `kind` is session, reliability, train or sweep. With `settings` the config's fields are columns as well, such as
    `config.seed` and `config.search.num_candidates`. Raises LabError where there is no lab.
    """
    with _reading(folder) as (tx, artifacts):
        wanted = sa.select(records).where(records.c.deleted_at.is_(None), ~records.c.erased)
        if kind is not None:
            wanted = wanted.where(records.c.kind == kind)
        rows = tx.execute(wanted.order_by(records.c.created_at.desc(), records.c.id)).mappings().all()
        ids = [row["id"] for row in rows]
        tags, spent = tags_of(tx, ids), spent_by(tx, ids)
    names = [*_KEPT, "created", "tags", "nfe", "seconds", "image"]
    frame = pd.DataFrame([_record(row, artifacts, tags, spent) for row in rows], columns=names)
    frame["created"] = pd.to_datetime(frame["created"], unit="s", utc=True)
    if settings and len(frame):
        flat = pd.json_normalize(frame["config"].tolist()).add_prefix("config.")
        frame = pd.concat([frame, flat], axis=1)
    return frame


def _record(row: Any, artifacts: Artifacts, tags: Mapping[str, Any], spent: Mapping[str, Any]) -> dict[str, Any]:
    cost = spent.get(row["id"])
    return {name: row[name] for name in _KEPT} | {
        "created": row["created_at"],
        "tags": tags.get(row["id"], []),
        "nfe": cost.nfe if cost else None,
        "seconds": cost.seconds if cost else None,
        "image": _path(artifacts, row["picture"]),
    }


def steps_frame(folder: str | Path = "data", record: Ids = None) -> pd.DataFrame:
    """A row a timestep: `reward NAME` of the guess there, noise_norm, log_prob, and the cost since the beginning."""
    return _rows(folder, steps, record, step_rewards)


def iterations_frame(folder: str | Path = "data", record: Ids = None) -> pd.DataFrame:
    """A row a scored iteration: its elites, what its candidates came to, and the search's centre and spread."""
    return _rows(folder, iterations, record).drop(columns="sheet")


def candidates_frame(folder: str | Path = "data", record: Ids = None) -> pd.DataFrame:
    """A row a candidate: `total`, `reward NAME`, noise norm, kurtosis, whether it was `elite`."""
    frame = _rows(folder, candidates, record, candidate_rewards)
    scored = _rows(folder, iterations, record)[["record", "step", "iteration", "elites"]]
    if frame.empty:
        return frame.assign(elite=pd.Series(dtype=bool))
    chosen = scored.explode("elites").dropna().rename(columns={"elites": "candidate"}).assign(elite=True)
    key = ["record", "step", "iteration", "candidate"]
    merged = frame.merge(chosen.astype({"candidate": "int64"}), how="left", on=key)
    return merged.assign(elite=merged["elite"].eq(True))


def arms_frame(folder: str | Path = "data", record: Ids = None) -> pd.DataFrame:
    """A row an outcome: `search` and what it is compared with, `reward NAME`, and each arm's own cost."""
    return _rows(folder, arms, record, arm_rewards)


def finishes_frame(folder: str | Path = "data", record: Ids = None) -> pd.DataFrame:
    """A row a candidate that was followed to its true final picture."""
    return _rows(folder, finishes, record, finish_rewards)


def epochs_frame(folder: str | Path = "data", record: Ids = None) -> pd.DataFrame:
    """A row an epoch of a fine-tune, a column a metric (see `core.train_events.EpochFinished`), and the cost so far."""
    frame = _rows(folder, epochs, record)
    metrics = pd.DataFrame(frame.pop("metrics").tolist(), index=frame.index)
    frame = frame.drop(columns=["per_step", "phases"])
    return pd.concat([frame, metrics.drop(columns=[name for name in metrics if name in frame])], axis=1)


def samples_frame(folder: str | Path = "data", record: Ids = None) -> pd.DataFrame:
    """A row a sheet of a fine-tune's fixed prompts: `rewards` by prompt, and how the sheet is divided."""
    return _rows(folder, samples, record)


def siblings_frame(folder: str | Path = "data", record: Ids = None) -> pd.DataFrame:
    """A row a sibling, estimate and reward of a measurement: `guess` beside `truth`, where and when."""
    with _reading(folder) as (tx, _):
        found = list(_each(tx, siblings, _ids(record)))
    columns = ["record", "row", "prompt", "seed", "step", "sigma", "sibling", "estimate", "reward", "guess", "truth"]
    rows = [
        (row["record_id"], row["row"], row["prompt"], row["seed"], row["step"], row["sigma"])
        + (index, estimate, reward, guess, row["data"]["truth"][reward][index])
        for row in found
        for estimate, scored in row["data"]["proxy"].items()
        for reward, guesses in scored.items()
        for index, guess in enumerate(guesses)
    ]
    return pd.DataFrame(rows, columns=columns).astype({"guess": float, "truth": float})


@contextmanager
def _reading(folder: str | Path) -> Iterator[tuple[Session, Artifacts]]:
    """One consistent look at a data folder. LabError where there is none."""
    where = Settings(Path(folder))
    if not (where.data_dir / "lab.sqlite").is_file():
        raise LabError(f"there is no lab in {folder}: expected the folder that `serve` or `search` worked in")
    database: Database = open_database(where.database)
    try:
        with database.read() as tx:
            yield tx, Artifacts(where.artifacts_dir)
    finally:
        database.dispose()


def _ids(record: Ids) -> list[str] | None:
    return None if record is None else [record] if isinstance(record, str) else list(record)


def _each(tx: Session, table: sa.Table, ids: Sequence[str] | None) -> Iterator[Mapping[str, Any]]:
    """A table's rows of some records, or of all that are not in the trash, in the order of their key."""
    alive = sa.select(records.c.id).where(records.c.deleted_at.is_(None), ~records.c.erased)
    parts = [alive] if ids is None else [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
    for part in parts:
        wanted = sa.select(table).where(table.c.record_id.in_(part)).order_by(*table.primary_key.columns)
        yield from (row._asdict() for row in tx.execute(wanted))


def _rows(folder: str | Path, table: sa.Table, record: Ids, rewards: sa.Table | None = None) -> pd.DataFrame:
    """A table as a frame, with a column a reward where its rewards lie in a table of their own."""
    with _reading(folder) as (tx, artifacts):
        ids = _ids(record)
        found = [_plain(table, row, artifacts) for row in _each(tx, table, ids)]
        scored = [] if rewards is None else [dict(row) for row in _each(tx, rewards, ids)]
    names = ["record", *(column.name for column in table.columns if column.name not in _LEFT_OUT)]
    frame = pd.DataFrame(found, columns=names)
    if rewards is None or not scored:
        return frame
    key = [column.name for column in rewards.primary_key if column.name not in ("record_id", "name")]
    each = pd.DataFrame(scored).rename(columns={"record_id": "record"})
    wide = each.pivot(index=["record", *key], columns="name", values="value").astype(float).add_prefix("reward ")
    return frame.merge(wide.reset_index(), how="left", on=["record", *key])


def _plain(table: sa.Table, row: Mapping[str, Any], artifacts: Artifacts) -> dict[str, Any]:
    plain = {"record": row["record_id"]}
    for column in table.columns:
        if column.name not in _LEFT_OUT:
            value = row[column.name]
            plain[column.name] = _path(artifacts, value) if column.type is ARTIFACT else value
    return plain


def _path(artifacts: Artifacts, name: str | None) -> str | None:
    return None if name is None else str(artifacts.path(name))
