"""The library: records as they are renamed, starred, put into the trash, brought back and deleted.

Every function works in the transaction `tx` it is given.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import StorageError
from storage.counter import advance
from storage.jobs import FINAL, FINISH
from storage.listing import get_record, list_records
from storage.run_tables import epochs, runs, samples
from storage.tables import (
    arms,
    candidates,
    finishes,
    iterations,
    jobs,
    marks,
    records,
    reliability,
    sessions,
    siblings,
    steps,
)
from storage.values import checked_id, clean, missing, this
from storage.views import record_row

__all__ = [
    "any_record",
    "artifacts_of",
    "candidate_images",
    "change_record",
    "erase",
    "erased",
    "get_record",
    "ids_that_begin",
    "in_trash",
    "in_use",
    "list_records",
    "mark",
    "record_ids",
    "remove_rows",
    "restore",
    "schedules",
    "searched_steps",
    "set_mark",
    "trash",
]

_ROWS_AT_ONCE = 2_000


def ids_that_begin(tx: Session, text: str, limit: int = 5, kind: str | None = "session") -> list[str]:
    """The record of a kind, or of any, with that id, else those whose ids begin with it; none for what cannot be the
    beginning of one."""
    if not (text.isascii() and text.isalnum()):
        return []
    there = sa.select(records.c.id).where(~records.c.erased, *([records.c.kind == kind] if kind else []))
    found = list(tx.scalars(there.where(records.c.id.startswith(text, autoescape=True)).limit(limit)))
    return [text] if text in found else found


def change_record(tx: Session, record_id: str, values: dict[str, Any]) -> None:
    """Set some of name, star, note and locked; what they may be is the caller's to check."""
    foreign = values.keys() - {"name", "star", "note", "locked"}
    if foreign:
        raise StorageError(
            f"of a record its name, star, note and lock can be changed, not {', '.join(sorted(foreign))}"
        )
    _change(tx, record_id, {name: clean(value) if isinstance(value, str) else value for name, value in values.items()})


def trash(tx: Session, record_id: str) -> None:
    """Put a record into the trash, from which it can be restored. StorageError while anything of it runs or waits."""
    row = record_row(tx, record_id)
    if row.locked:
        raise StorageError(f"{this(row.kind)} is locked: unlock it first")
    live = sa.select(jobs.c.kind, jobs.c.status).where(jobs.c.record_id == row.id, jobs.c.status.not_in(FINAL))
    found = tx.execute(live.order_by(jobs.c.id)).first()
    if found is not None:
        busy = {"running": "is running", "paused": "is paused", "pending": "waits in the queue"}[found.status]
        what = "a roll-out of this session" if found.kind == FINISH else this(row.kind)
        raise StorageError(f"{what} {busy}: stop it first, then move it to the trash")
    if row.deleted_at is None:
        _change(tx, record_id, {"deleted_at": time.time()})


def restore(tx: Session, record_id: str) -> None:
    """Bring a record back from the trash."""
    _change(tx, record_id, {"deleted_at": None})


def erase(tx: Session, record_id: str) -> None:
    """Delete a record for good: from now on nobody finds it. Its rows are removed by `remove_rows`, in turns."""
    row = record_row(tx, record_id)
    if row.deleted_at is None:
        raise StorageError("only what lies in the trash can be deleted for good: move it there first")
    if row.locked:
        raise StorageError(f"{this(row.kind)} is locked: unlock it first")
    _change(tx, record_id, {"erased": True})


def erased(tx: Session) -> list[str]:
    """The records that are deleted for good and still have rows."""
    return list(tx.scalars(sa.select(records.c.id).where(records.c.erased)))


def remove_rows(tx: Session, record_id: str) -> bool:
    """Remove some of an erased record's rows, few enough for a short transaction; False once the record is gone."""
    step, iteration = iterations.c.step, iterations.c.iteration
    some = sa.select(step, iteration, iterations.c.num_candidates).where(iterations.c.record_id == record_id)
    removed = 0
    for row in tx.execute(some.order_by(step, iteration).limit(50)).all():
        here = (iterations.c.record_id == record_id, step == row.step, iteration == row.iteration)
        tx.execute(sa.delete(iterations).where(*here))
        removed += max(row.num_candidates, 1)
        if removed >= _ROWS_AT_ONCE:
            break
    measured = sa.select(siblings.c.row).where(siblings.c.record_id == record_id).order_by(siblings.c.row).limit(1)
    if not removed and (first := tx.scalar(measured)) is not None:
        gone = tx.execute(sa.delete(siblings).where(siblings.c.record_id == record_id, siblings.c.row == first))
        removed = gone.rowcount  # type: ignore[attr-defined]
    several = sa.select(epochs.c.epoch).where(epochs.c.record_id == record_id).order_by(epochs.c.epoch)
    if not removed and (some_epochs := list(tx.scalars(several.limit(_ROWS_AT_ONCE)))):
        these = (epochs.c.record_id == record_id, epochs.c.epoch <= some_epochs[-1])
        removed = tx.execute(sa.delete(epochs).where(*these)).rowcount  # type: ignore[attr-defined]
    if not removed:
        tx.execute(sa.delete(records).where(records.c.id == record_id, records.c.erased))
    return removed > 0


def in_trash(tx: Session) -> list[str]:
    """Every record that lies in the trash, the last thrown away first."""
    lying = (~records.c.erased, records.c.deleted_at.is_not(None))
    return list(tx.scalars(sa.select(records.c.id).where(*lying).order_by(records.c.deleted_at.desc(), records.c.id)))


def record_ids(tx: Session) -> list[str]:
    """Every record, those in the trash too."""
    return list(tx.scalars(sa.select(records.c.id).where(~records.c.erased)))


def artifacts_of(tx: Session, record_id: str) -> Iterator[str]:
    """The names of the stored files that a record's rows need, its candidates' aside."""
    yield from tx.scalars(sa.select(records.c.picture).where(records.c.id == record_id, records.c.picture.is_not(None)))
    named = (sessions.c.latents, steps.c.latents, steps.c.image, arms.c.latents, arms.c.image)
    sheets = (iterations.c.sheet, siblings.c.guesses, siblings.c.finals, samples.c.sheet)
    for column in (*named, *sheets, finishes.c.image):
        of_it = (column.table.c.record_id == record_id, column.is_not(None))
        yield from tx.scalars(sa.select(column).where(*of_it))


def searched_steps(tx: Session, record_id: str) -> list[int]:
    """The steps that have candidates."""
    return list(tx.scalars(sa.select(iterations.c.step).where(iterations.c.record_id == record_id).distinct()))


def candidate_images(tx: Session, record_id: str, step: int) -> list[str]:
    """The names of the pictures of one step's candidates."""
    here = (candidates.c.record_id == record_id, candidates.c.step == step)
    return list(tx.scalars(sa.select(candidates.c.image).where(*here)))


def schedules(tx: Session, ids: Iterable[str]) -> dict[str, tuple[dict[str, Any], list[float] | None]]:
    """The stored config and sigmas of each of these records; no sigmas before one has begun, and none of a run."""
    wanted = list(ids)
    found: dict[str, tuple[dict[str, Any], list[float] | None]] = {}
    for table in (sessions, reliability):
        columns = (records.c.id, records.c.config, table.c.sigmas)
        rows = tx.execute(sa.select(*columns).join(table).where(records.c.id.in_(wanted))).tuples()
        found |= {record_id: (config, sigmas) for record_id, config, sigmas in rows}
    rows_of_runs = sa.select(records.c.id, records.c.config).join(runs).where(records.c.id.in_(wanted))
    return found | {record_id: (config, None) for record_id, config in tx.execute(rows_of_runs).tuples()}


def set_mark(tx: Session, name: str, value: str) -> None:
    """Keep a fact about the whole lab under a name."""
    tx.execute(sa.delete(marks).where(marks.c.name == name))
    tx.execute(sa.insert(marks).values(name=name, value=value))


def mark(tx: Session, name: str) -> str | None:
    """A fact about the whole lab; None where it is not known."""
    return tx.scalar(sa.select(marks.c.value).where(marks.c.name == name))


def any_record(tx: Session) -> bool:
    """Whether there is any record, in the trash or not."""
    return tx.execute(sa.select(records.c.id).where(~records.c.erased).limit(1)).first() is not None


def in_use(tx: Session, record_id: str) -> bool | None:
    """Whether a record can be opened: False in the trash, None where there is none."""
    found = sa.select(records.c.deleted_at).where(records.c.id == record_id, ~records.c.erased)
    row = tx.execute(found).first()
    return None if row is None else row.deleted_at is None


def _change(tx: Session, record_id: str, values: dict[str, Any]) -> None:
    alive = (records.c.id == checked_id(record_id), ~records.c.erased)
    changed = tx.execute(sa.update(records).where(*alive).values(values)) if values else None
    if changed is not None and changed.rowcount != 1:  # type: ignore[attr-defined]
        raise missing(record_id)
    if not values.get("erased"):
        advance(tx, record_id)
