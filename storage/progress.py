"""How far records and jobs have come, counted in velocity evaluations: the one cost that is planned exactly."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.events import Cost
from storage.run_tables import epochs
from storage.tables import arms, finishes, iterations, siblings, steps

COSTS = ("nfe", "decodes", "reward_calls", "seconds")


@dataclass(frozen=True)
class Spent:
    """What stored records have spent in all, a session's arms included."""

    nfe: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        """Field by field."""
        return Spent(self.nfe + other.nfe, self.seconds + other.seconds)


def cost_of(row: Any) -> Cost:
    """The cost columns of a row."""
    return Cost(**{name: getattr(row, name) for name in COSTS})


def search_cost(tx: Session, record_id: str) -> Cost:
    """The search's own cost at its latest step or iteration; both count from the session's beginning."""
    latest = []
    for table, order in ((steps, (steps.c.step,)), (iterations, (iterations.c.step, iterations.c.iteration))):
        columns = (table.c.step, *(table.c[name] for name in COSTS))
        newest = sa.select(*columns).where(table.c.record_id == record_id).order_by(*(one.desc() for one in order))
        latest.append(tx.execute(newest.limit(1)).first())
    taken, scored = latest
    if scored is not None and (taken is None or scored.step > taken.step):
        taken = scored
    return Cost() if taken is None else cost_of(taken)


def arms_cost(tx: Session, record_id: str) -> Cost:
    """What the arms beside the search have cost together."""
    columns = (arms.c[name] for name in COSTS)
    rows = tx.execute(sa.select(*columns).where(arms.c.record_id == record_id, arms.c.arm != "search"))
    return sum((cost_of(row) for row in rows), Cost())


def spent_by(tx: Session, record_ids: Iterable[str]) -> dict[str, Spent]:
    """What each of many sessions, measurements and runs has spent so far; those that have not begun are left out."""
    ids = list(record_ids)
    found: dict[str, Spent] = {}
    for table in (steps, iterations, epochs):  # all count from the beginning: the larger is the later
        columns = (table.c.record_id, sa.func.max(table.c.nfe), sa.func.max(table.c.seconds))
        newest = sa.select(*columns).where(table.c.record_id.in_(ids)).group_by(table.c.record_id)
        for record_id, nfe, seconds in tx.execute(newest).tuples():
            known = found.get(record_id, Spent())
            found[record_id] = Spent(max(known.nfe, nfe), max(known.seconds, seconds))
    sums = sa.select(arms.c.record_id, sa.func.sum(arms.c.nfe), sa.func.sum(arms.c.seconds))
    beside = sums.where(arms.c.record_id.in_(ids), arms.c.arm != "search").group_by(arms.c.record_id)
    for record_id, nfe, seconds in tx.execute(beside).tuples():
        found[record_id] = found.get(record_id, Spent()) + Spent(int(nfe), float(seconds))
    sums = sa.select(siblings.c.record_id, sa.func.sum(siblings.c.nfe), sa.func.sum(siblings.c.seconds))
    for record_id, nfe, seconds in tx.execute(
        sums.where(siblings.c.record_id.in_(ids)).group_by(siblings.c.record_id)
    ).tuples():
        found[record_id] = Spent(int(nfe), float(seconds))
    return found


def epochs_done(tx: Session, record_ids: Iterable[str]) -> dict[str, int]:
    """How many epochs each of many fine-tunes has stored; those that have not begun are left out."""
    newest = sa.select(epochs.c.record_id, sa.func.max(epochs.c.epoch)).group_by(epochs.c.record_id)
    return dict(tx.execute(newest.where(epochs.c.record_id.in_(list(record_ids)))).tuples().all())


def unfinished(tx: Session, record_id: str, payload: dict[str, Any]) -> list[int]:
    """The candidates of a roll-out's payload ({step, iteration, candidates}) that have no true final picture yet."""
    where = (finishes.c.record_id == record_id, finishes.c.step == payload["step"])
    done = tx.scalars(sa.select(finishes.c.candidate).where(*where, finishes.c.iteration == payload["iteration"]))
    return sorted(set(payload["candidates"]) - set(done))
