"""What a sweep has under way: a run has no job of its own there, so it takes the state of the sweep's."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.tables import jobs, records
from storage.values import clean

UNDER_WAY = ("pending", "running", "paused")
KINDS = ("session", "train")


def has_job(tx: Session, record_id: str) -> bool:
    """Whether a job of its own is on its way: a person asked for one of a sweep's runs by itself."""
    return tx.scalar(sa.select(_own_jobs().where(jobs.c.record_id == record_id).exists())) is True


def _own_jobs() -> sa.Select[tuple[int]]:
    return sa.select(jobs.c.id).where(jobs.c.status.in_(UNDER_WAY))


def leave_runs(tx: Session, record_id: str, state: str, error: str | None = None) -> None:
    """Give the runs that a sweep has under way the state in which they are left; not those with a job of their own."""
    these = (records.c.parent == record_id, records.c.kind.in_(KINDS), records.c.state.in_(UNDER_WAY))
    alone = _own_jobs().where(jobs.c.record_id == records.c.id).correlate(records).exists()
    left = {"state": state, "error": None if error is None else clean(error), "seq": records.c.seq + 1}
    tx.execute(sa.update(records).where(*these, ~alone).values(left))
