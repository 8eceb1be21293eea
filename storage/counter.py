"""One counter a record: it rises with whatever a page would show of it, and stamps the rows that rose it.

A cursor over it misses nothing and outlives jobs: events of a session's own job, of roll-outs beside it and of a later
try all raise the same number, as do a new name and a row written without any job. What changed since a cursor is then
simply what carries a higher number.
"""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.tables import jobs, records
from storage.values import checked_id, missing

# Made once: to build a statement costs more than to run it, and a search runs this one with every event.
_RAISED = (
    sa.update(records)
    .where(records.c.id == sa.bindparam("of"), ~records.c.erased)
    .values(seq=records.c.seq + 1)
    .returning(records.c.seq)
)


def advance(tx: Session, record_id: str) -> int:
    """Raise a record's counter, once in a transaction, and return it.

    The record is locked until the transaction ends, so numbers appear in order; and all that one transaction changes
    appears at once, so one number serves it all.
    """
    raised = tx.info.setdefault(advance, {})
    if record_id not in raised:
        number = tx.scalar(_RAISED, {"of": checked_id(record_id)})
        if number is None:
            raise missing(record_id)
        raised[record_id] = int(number)
    return int(raised[record_id])


def last_seq(tx: Session, record_id: str) -> int:
    """A record's counter. Cheap: ask it before `view`."""
    found = tx.scalar(sa.select(records.c.seq).where(records.c.id == checked_id(record_id), ~records.c.erased))
    if found is None:
        raise missing(record_id)
    return int(found)


def advance_waiting(tx: Session, lane: str) -> None:
    """Raise the counters of a lane's waiting sessions: their place in the queue may have changed.

    Those that another transaction holds are raised by it, so nobody waits for anybody and two cannot block each other.
    """
    waiting = sa.select(jobs.c.record_id).where(jobs.c.lane == lane, jobs.c.status == "pending")
    free = sa.select(records.c.id).where(records.c.id.in_(waiting)).with_for_update(skip_locked=True)
    ids = list(tx.scalars(free))
    if ids:
        tx.execute(sa.update(records).where(records.c.id.in_(ids)).values(seq=records.c.seq + 1))
