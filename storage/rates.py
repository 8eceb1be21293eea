"""How fast sessions were here, for telling how long the next one will take."""

from collections.abc import Callable
from statistics import median

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.tables import records, sessions
from storage.values import clean

LOOKED_AT = 40  # records, for as many as are wanted that ran here


def seconds_per_nfe(tx: Session, model: str, *, here: Callable[[str], bool], newest: int = 5) -> float | None:
    """Seconds a velocity evaluation took, everything else of a session included: the median of the model's newest
    finished sessions that ran `here`, which is asked by id; None where there is none.
    """
    query = (
        sa.select(records.c.id, sessions.c.seconds / sessions.c.nfe)
        .join(records, records.c.id == sessions.c.record_id)
        .where(records.c.model == clean(model), records.c.state == "succeeded")
        .where(sessions.c.nfe > 0, sessions.c.seconds > 0)
        .order_by(sessions.c.finished_at.desc())
        .limit(LOOKED_AT)
    )
    found = [float(rate) for record_id, rate in tx.execute(query) if here(record_id)]
    return median(found[:newest]) if found else None
