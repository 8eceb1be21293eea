"""Reading several records at once, to set them side by side, and others that ran with the same settings.

Every function works in the transaction `tx` it is given.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.tables import arm_rewards, arms, records


def rows_by_id(tx: Session, ids: Iterable[str]) -> dict[str, sa.Row]:
    """The records that there are, also those in the trash, by id."""
    wanted = sa.select(records).where(records.c.id.in_(list(ids)), ~records.c.erased)
    return {row.id: row for row in tx.execute(wanted)}


def finished_alike(tx: Session, like: Any, limit: int) -> list[sa.Row]:
    """id and config of the newest finished records of a record's kind, model and preset, the newest first.

    Those in the trash do not count.
    """
    same = (records.c[name] == getattr(like, name) for name in ("kind", "model", "preset"))
    there = (records.c.state == "succeeded", records.c.deleted_at.is_(None), ~records.c.erased)
    query = sa.select(records.c.id, records.c.config).where(*same, *there)
    return list(tx.execute(query.order_by(records.c.created_at.desc(), records.c.id).limit(limit)))


def outcomes(tx: Session, ids: Sequence[str], arm: str = "search") -> dict[str, dict[str, float]]:
    """The finite rewards of an arm of each of these sessions; its velocity evaluations as `nfe`."""
    found: dict[str, dict[str, float]] = {}
    here = (arm_rewards.c.record_id.in_(ids), arm_rewards.c.arm == arm, arm_rewards.c.value.is_not(None))
    columns = (arm_rewards.c.record_id, arm_rewards.c.name, arm_rewards.c.value)
    for record_id, name, value in tx.execute(sa.select(*columns).where(*here)).tuples():
        found.setdefault(record_id, {})[name] = value
    spent = sa.select(arms.c.record_id, arms.c.nfe).where(arms.c.record_id.in_(ids), arms.c.arm == arm)
    for record_id, nfe in tx.execute(spent).tuples():
        found.setdefault(record_id, {})["nfe"] = nfe
    return found
