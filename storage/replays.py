"""What records were made on, and the checks that computed them once more.

Every function works in the transaction `tx` it is given.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.counter import advance
from storage.run_tables import runs
from storage.tables import jobs, origins, replays
from storage.values import checked_id


def keep_origin(tx: Session, record_id: str, environment: Mapping[str, Any]) -> None:
    """Note what a record is being made on; the same as the time before is not noted again."""
    known = tx.scalar(sa.select(origins.c.environments).where(origins.c.record_id == checked_id(record_id)))
    if known is None:
        tx.execute(sa.insert(origins).values(record_id=record_id, environments=[dict(environment)]))
    elif not known or known[-1] != environment:
        told = sa.update(origins).where(origins.c.record_id == record_id)
        tx.execute(told.values(environments=[*known, dict(environment)]))


def origin_of(tx: Session, record_id: str) -> list[dict[str, Any]]:
    """What a record was made on, the first first; empty where nobody noted it."""
    known = tx.scalar(sa.select(origins.c.environments).where(origins.c.record_id == checked_id(record_id)))
    if known is not None:
        return list(known)
    trained = tx.scalar(sa.select(runs.c.environment).where(runs.c.record_id == record_id))
    return [trained] if trained else []


def made_on(tx: Session, record_id: str, machine: Mapping[str, Any]) -> bool:
    """Whether it was this machine that last worked on a record, as far as anything was noted."""
    told = origin_of(tx, record_id)
    return all(told[-1].get(name, value) == value for name, value in machine.items()) if told else True


def new_replay(tx: Session, record_id: str) -> int:
    """Note that a record is to be computed once more; returns the check's number among the record's."""
    known = sa.select(sa.func.max(replays.c.number)).where(replays.c.record_id == checked_id(record_id))
    number = int(tx.scalar(known) or 0) + 1
    tx.execute(sa.insert(replays).values(record_id=record_id, number=number, seq=advance(tx, record_id)))
    return number


def save_replay(tx: Session, record_id: str, number: int, **values: Any) -> None:
    """Set a check's `job_id` or `result`."""
    here = (replays.c.record_id == record_id, replays.c.number == number)
    tx.execute(sa.update(replays).where(*here).values(values | {"seq": advance(tx, record_id)}))


def latest_replay(tx: Session, record_id: str) -> dict[str, Any] | None:
    """The record's newest check: number, result, and the status and error of its job (None where it had none)."""
    query = sa.select(replays.c.number, replays.c.result, jobs.c.status, jobs.c.error)
    query = query.outerjoin(jobs, jobs.c.id == replays.c.job_id).where(replays.c.record_id == checked_id(record_id))
    row = tx.execute(query.order_by(replays.c.number.desc()).limit(1)).first()
    return None if row is None else dict(row._mapping)
