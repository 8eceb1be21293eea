"""Where a stored picture stands in a session."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.tables import arms, candidates, finishes, steps
from storage.views import session_row

# What a place is made of, from the first table that has the picture.
_PLACES: tuple[tuple[sa.Table, tuple[str, ...]], ...] = (
    (arms, ("arm",)),
    (candidates, ("step", "iteration", "candidate")),
    (finishes, ("step", "iteration", "candidate")),
    (steps, ("step",)),
)


def place_of(tx: Session, record_id: str, image: str, hint: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where in a session a picture stands; None where it is not one of its pictures. NotFound for no such session.

    Equal pictures have one name: `hint` (some of step, iteration, candidate, arm) says which of several is meant.
    """
    session_row(tx, record_id)
    for table, names in _PLACES:
        if any(name not in names for name in hint):
            continue
        query = sa.select(*(table.c[name] for name in names))
        query = query.where(table.c.record_id == record_id, table.c.image == image)
        query = query.where(*(table.c[name] == value for name, value in hint.items()))
        found = tx.execute(query.order_by(*table.primary_key).limit(1)).first()
        if found is not None:
            finished = {"finished": True} if table is finishes else {}
            return dict(zip(names, found, strict=True)) | finished
    return None
