"""Sweeps as they are recorded and read.

A sweep is a record with a config and no rows of its own: its runs are sessions, found by the digest of what they ran,
so one that was run before, by whomever, is not run again. Every function works in the transaction `tx` it is given.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import NotFound
from storage.counter import advance
from storage.sessions import new_id
from storage.tables import arm_rewards, arms, records, sessions
from storage.values import clean
from storage.views import record_row

KIND = "sweep"


@dataclass(frozen=True)
class Outcome:
    """A session that a sweep needs: the record, how it stands, and each arm's finite rewards by name."""

    record_id: str
    state: str
    error: str | None
    picture: str | None
    own: bool
    nfe: int = 0
    seconds: float = 0.0
    arms: dict[str, dict[str, float]] = field(default_factory=dict)


def create(
    tx: Session, plain: dict[str, Any], digest: str, *, name: str, preset: str, parent: str | None = None
) -> str:
    """Make the record of a sweep to come and return its id; `plain` is its config."""
    record_id = new_id()
    row = {
        "id": record_id,
        "kind": KIND,
        "name": clean(name),
        "prompt": plain["prompts"][0],
        "preset": clean(preset),
        "model": clean(plain["base"]["model"]),
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


def outcomes(tx: Session, record_id: str, hashes: Iterable[str]) -> dict[str, Outcome]:
    """The session that stands for each digest: the first that finished, else the sweep's own newest; with its numbers
    once it has finished. What lies in the trash does not count.
    """
    columns = [records.c[name] for name in ("id", "config_hash", "state", "error", "picture", "parent")]
    query = sa.select(*columns, sessions.c.nfe, sessions.c.seconds).join(sessions)
    wanted = query.where(records.c.config_hash.in_(list(hashes)), records.c.deleted_at.is_(None), ~records.c.erased)
    found: dict[str, Outcome] = {}
    for row in tx.execute(wanted.order_by(records.c.created_at, records.c.id)):
        own, before = row.parent == record_id, found.get(row.config_hash)
        if (before is not None and before.state == "succeeded") or not (own or row.state == "succeeded"):
            continue
        spent = {"nfe": row.nfe, "seconds": row.seconds} if row.state == "succeeded" else {}
        found[row.config_hash] = Outcome(row.id, row.state, row.error, row.picture, own, **spent)
    ended = {one.record_id: one for one in found.values() if one.state == "succeeded"}
    rewards = sa.select(arm_rewards.c.record_id, arm_rewards.c.arm, arm_rewards.c.name, arm_rewards.c.value)
    finite = (arm_rewards.c.record_id.in_(ended), arm_rewards.c.value.is_not(None))
    for session_id, arm, name, value in tx.execute(rewards.where(*finite)).tuples():
        ended[session_id].arms.setdefault(arm, {})[name] = value
    spent_by_arm = sa.select(arms.c.record_id, arms.c.arm, arms.c.nfe).where(arms.c.record_id.in_(ended))
    for session_id, arm, nfe in tx.execute(spent_by_arm).tuples():
        ended[session_id].arms.setdefault(arm, {})["nfe"] = nfe
    return found


def save_headline(tx: Session, record_id: str, headline: dict[str, Any], picture: str | None) -> None:
    """Keep what lists say of a sweep, and its newest picture."""
    changed = {"headline": headline} | ({} if picture is None else {"picture": picture})
    tx.execute(sa.update(records).where(records.c.id == record_id).values(changed))
    advance(tx, record_id)


def done_of(tx: Session, record_id: str) -> tuple[int, int | None]:
    """How many runs have ended and how many there are; None before the first."""
    headline = sweep_row(tx, record_id).headline
    return headline.get("done", 0), headline.get("runs")


def seconds_left(tx: Session, record_id: str) -> float | None:
    """How long the rest takes if every run takes as long as the sweep's own took; None before the first of those."""
    own = sa.select(sa.func.avg(sessions.c.seconds)).join(records, records.c.id == sessions.c.record_id)
    took = tx.scalar(own.where(records.c.parent == record_id, sessions.c.finished_at.is_not(None)))
    done, many = done_of(tx, record_id)
    return None if took is None or many is None else float(took) * (many - done)
