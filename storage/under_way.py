"""What a sweep has under way: a run has no job of its own there, so it takes the state of the sweep's."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.tables import records
from storage.values import clean

UNDER_WAY = ("pending", "running", "paused")
KINDS = ("session", "train")


def leave_runs(tx: Session, record_id: str, state: str, error: str | None = None) -> None:
    """Give the runs that a sweep has under way the state in which they are left."""
    these = (records.c.parent == record_id, records.c.kind.in_(KINDS), records.c.state.in_(UNDER_WAY))
    left = {"state": state, "error": None if error is None else clean(error), "seq": records.c.seq + 1}
    tx.execute(sa.update(records).where(*these).values(left))
