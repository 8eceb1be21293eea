"""How fast sessions were here, for telling how long the next one will take."""

from collections.abc import Sequence
from statistics import median

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.tables import records, sessions
from storage.values import clean


def seconds_per_nfe(tx: Session, model: str, *, without: Sequence[str] = (), newest: int = 5) -> float | None:
    """Seconds a velocity evaluation took, everything else of a session included: the median of the model's newest
    finished sessions, None where there is none. Records whose ids are in `without` do not count: they ran elsewhere.
    """
    query = (
        sa.select(sessions.c.seconds / sessions.c.nfe)
        .join(records, records.c.id == sessions.c.record_id)
        .where(records.c.model == clean(model), records.c.state == "succeeded")
        .where(sessions.c.nfe > 0, sessions.c.seconds > 0)
        .where(records.c.id.not_in(list(without)))
        .order_by(sessions.c.finished_at.desc())
        .limit(newest)
    )
    found = [float(rate) for rate in tx.scalars(query)]
    return median(found) if found else None
