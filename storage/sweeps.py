"""Sweeps as they are recorded and read.

A sweep is a record with a config and no rows of its own: its runs are sessions or fine-tunes, found by the digest of
what they ran, so one that was run before, by whomever, is not run again. Every function works in the transaction `tx`
it is given.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import NotFound
from storage.counter import advance
from storage.run_tables import epochs, runs
from storage.sessions import new_id
from storage.tables import arm_rewards, arms, records, sessions
from storage.under_way import UNDER_WAY
from storage.values import clean
from storage.views import record_row

KIND = "sweep"
TRAIN = "train"
RESULT, BASE = "result", "base"  # what stands for arms of a fine-tune: what it made, and what it began from


@dataclass(frozen=True)
class Outcome:
    """A run that a sweep needs: the record, how it stands, and each arm's finite rewards by name.

    Of a fine-tune the arms are `result` and `base`, each with what it was judged by on held-out prompts: heldout (the
    sum), each reward by name, and verifier. `done` is the share that has been run.
    """

    record_id: str
    state: str
    error: str | None
    picture: str | None
    own: bool
    nfe: int = 0
    seconds: float = 0.0
    arms: dict[str, dict[str, float]] = field(default_factory=dict)
    done: float = 0.0


def key_of(kind: str, digest: str, config: Mapping[str, Any]) -> str:
    """What a run is found by: the digest and, of a fine-tune, what decides how it was judged and when it ended."""
    if kind != TRAIN:
        return digest
    most = config.get("max_seconds")
    return f"{digest}/{config.get('eval_steps')}/{None if most is None else float(most)}"


def create(
    tx: Session, plain: dict[str, Any], digest: str, *, name: str, preset: str, parent: str | None = None
) -> str:
    """Make the record of a sweep to come and return its id; `plain` is its config."""
    record_id, base = new_id(), plain["base"]
    row = {
        "id": record_id,
        "kind": KIND,
        "name": clean(name),
        "prompt": clean([*plain["prompts"], *base.get("prompts", ()), base.get("prompt_set", "")][0]),
        "preset": clean(preset),
        "model": clean(base["model"]),
        "state": "pending",
        "headline": {},
        "parent": parent,
        "created_at": time.time(),
        "config": plain,
        "config_hash": digest,
    }
    tx.execute(sa.insert(records).values(row))
    return record_id


def sweep_row(tx: Session, record_id: str) -> sa.Row:
    """The record's row. NotFound where there is no such sweep."""
    row = record_row(tx, record_id)
    if row.kind != KIND:
        raise NotFound(f"there is no sweep {record_id!r:.60}")
    return row


def newest(tx: Session, many: int) -> list[sa.Row]:
    """Sweeps that are not in the trash, the newest first: id, name, config, created_at."""
    query = sa.select(*(records.c[name] for name in ("id", "name", "config", "created_at")))
    alive = query.where(records.c.kind == KIND, records.c.deleted_at.is_(None), ~records.c.erased)
    return list(tx.execute(alive.order_by(records.c.created_at.desc(), records.c.id).limit(many)))


def outcomes(tx: Session, record_id: str, keys: Iterable[str], kind: str = "session") -> dict[str, Outcome]:
    """The run that stands for each key: the first that finished, else the sweep's own newest; with its numbers once it
    has finished. What lies in the trash does not count.
    """
    wanted = set(keys)
    found: dict[str, Outcome] = {}
    for row in _alike(tx, kind, {key.partition("/")[0] for key in wanted}):
        key = key_of(kind, row.config_hash, row.config or {})
        own, before = row.parent == record_id, found.get(key)
        if key not in wanted or (before and before.state == "succeeded") or not (own or row.state == "succeeded"):
            continue
        ended = row.state == "succeeded"
        spent = {"nfe": row.nfe, "seconds": row.seconds, "done": 1.0} if ended else {"done": _share(row)}
        found[key] = Outcome(row.id, row.state, row.error, row.picture, own, **spent)
    ids = [one.record_id for one in found.values() if one.state == "succeeded"]
    told = _judged(tx, ids) if kind == TRAIN else _rewarded(tx, ids)
    return {key: replace(one, arms=told.get(one.record_id, {})) for key, one in found.items()}


def _alike(tx: Session, kind: str, digests: Iterable[str]) -> Iterator[sa.Row]:
    """The records of a kind with those digests, the oldest first; `config` and `num_epochs` of fine-tunes alone."""
    columns = [records.c[name] for name in ("id", "config_hash", "state", "error", "picture", "parent", "headline")]
    own = runs if kind == TRAIN else sessions
    more = [records.c.config, runs.c.num_epochs] if kind == TRAIN else [sa.null().label("config")]
    query = sa.select(*columns, own.c.nfe, own.c.seconds, *more).join(own, own.c.record_id == records.c.id)
    alive = (records.c.config_hash.in_(list(digests)), records.c.deleted_at.is_(None), ~records.c.erased)
    yield from tx.execute(query.where(*alive).order_by(records.c.created_at, records.c.id))


def _share(row: sa.Row) -> float:
    """How much of a fine-tune has been run; a session is too short to tell."""
    return row.headline.get("epochs", 0) / row.num_epochs if "num_epochs" in row._mapping else 0.0


def _rewarded(tx: Session, ids: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """The finite rewards of each session's arms, and what each arm cost."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    rewards = sa.select(arm_rewards.c.record_id, arm_rewards.c.arm, arm_rewards.c.name, arm_rewards.c.value)
    finite = (arm_rewards.c.record_id.in_(ids), arm_rewards.c.value.is_not(None))
    for session_id, arm, name, value in tx.execute(rewards.where(*finite)).tuples():
        found.setdefault(session_id, {}).setdefault(arm, {})[name] = value
    spent_by_arm = sa.select(arms.c.record_id, arms.c.arm, arms.c.nfe).where(arms.c.record_id.in_(ids))
    for session_id, arm, nfe in tx.execute(spent_by_arm).tuples():
        found.setdefault(session_id, {}).setdefault(arm, {})["nfe"] = nfe
    return found


def _judged(tx: Session, ids: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """How each fine-tune was judged before its first epoch and after its last."""
    ends = sa.select(epochs.c.record_id, sa.func.max(epochs.c.epoch).label("last"))
    last = ends.where(epochs.c.record_id.in_(ids)).group_by(epochs.c.record_id).subquery()
    query = sa.select(epochs.c.record_id, epochs.c.epoch, epochs.c.metrics)
    query = query.join(last, last.c.record_id == epochs.c.record_id)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for run_id, epoch, metrics in tx.execute(
        query.where(sa.or_(epochs.c.epoch == 0, epochs.c.epoch == last.c.last))
    ).tuples():
        found.setdefault(run_id, {})[RESULT if epoch else BASE] = judged(metrics)
    return found


def judged(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """An epoch's held-out figures by what was judged: of the averaged weights, where there are such."""
    found: dict[str, float] = {}
    for end in ("", "_ema"):
        for name, value in metrics.items():
            head, _, reward = name.partition("/")
            if value is not None and head in (f"heldout{end}", f"verifier{end}"):
                found[reward or head.removesuffix(end)] = value
    return found


def save_headline(tx: Session, record_id: str, headline: dict[str, Any], picture: str | None) -> None:
    """Keep what lists say of a sweep, and its newest picture."""
    changed = {"headline": headline} | ({} if picture is None else {"picture": picture})
    tx.execute(sa.update(records).where(records.c.id == record_id).values(changed))
    advance(tx, record_id)


def done_of(tx: Session, record_id: str) -> tuple[float, int | None]:
    """How many runs have ended, with the share of the one under way, and how many there are; None before the first."""
    headline = sweep_row(tx, record_id).headline
    under_way = (records.c.parent == record_id, records.c.kind == TRAIN, records.c.state.in_(UNDER_WAY))
    query = sa.select(records.c.headline, runs.c.num_epochs).join(runs, runs.c.record_id == records.c.id)
    share = sum(row.headline.get("epochs", 0) / row.num_epochs for row in tx.execute(query.where(*under_way)))
    return headline.get("done", 0) + min(share, 1.0), headline.get("runs")


def seconds_left(tx: Session, record_id: str) -> float | None:
    """How long the rest takes if every run takes as long as the sweep's own took, from being made to the end, looking
    included: their median, for some may have been paused. None before the first of those.
    """
    ended = sa.func.coalesce(sessions.c.finished_at, runs.c.finished_at)
    own = sa.select(ended - records.c.created_at).select_from(
        records.outerjoin(sessions).outerjoin(runs, runs.c.record_id == records.c.id)
    )
    took = list(tx.scalars(own.where(records.c.parent == record_id, ended.is_not(None))))
    done, many = done_of(tx, record_id)
    return None if not took or many is None else float(median(took)) * (many - done)
