"""The library: records as they are listed, renamed, starred, put into the trash, brought back and deleted.

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
from storage.values import checked_id, clean, iso, missing, this
from storage.views import record_row

SORTS = ("newest", "oldest", "reward", "cost", "name")
_SHOWN = ("id", "kind", "name", "prompt", "preset", "model", "state", "error", "headline", "parent", "star", "note")
_COLUMNS = [records.c[name] for name in (*_SHOWN, "locked", "picture", "reward", "created_at", "deleted_at")]
_KINDS = (sessions, reliability, runs)  # a record has a row in one of them
_ROWS_AT_ONCE = 2_000
_LOWEST = -1e308  # below every reward: where there is none


def list_records(
    tx: Session,
    *,
    limit: int,
    before: str | None = None,
    text: str | None = None,
    sort: str = "newest",
    trash: bool = False,
    star: bool | None = None,
    **same: str | None,
) -> list[dict[str, Any]]:
    """Records in an order of `SORTS`, newest first by default; `before` is the id of the last one already shown.

    `text` must occur in the prompt, name, note, preset or model, in whatever case; `same` are columns (kind, state,
    preset, model) and the values that they must have. With `trash` those in the trash are listed, else the others.
    """
    query = _select().where(~records.c.erased, records.c.deleted_at.is_not(None) == trash)
    query = query.where(*(records.c[name] == value for name, value in same.items() if value is not None))
    if star is not None:
        query = query.where(records.c.star == star)
    wanted = clean(text or "").strip().lower()
    if wanted:
        searched = (records.c.prompt, records.c.name, records.c.note, records.c.preset, records.c.model)
        query = query.where(sa.or_(*(sa.func.lower(column).contains(wanted, autoescape=True) for column in searched)))
    keys, descending = _order(sort)
    if before is not None:
        query = query.where(_after(tx, keys, descending, record_row(tx, before).id))
    rows = tx.execute(query.order_by(*(key.desc() if descending else key for key in keys)).limit(limit))
    return [_listed(row) for row in rows]


def get_record(tx: Session, record_id: str) -> dict[str, Any]:
    """One record as a list shows it, also in the trash. NotFound where there is none."""
    query = _select().where(records.c.id == checked_id(record_id), ~records.c.erased)
    row = tx.execute(query).first()
    if row is None:
        raise missing(record_id)
    return _listed(row)


def ids_that_begin(tx: Session, text: str, limit: int = 5) -> list[str]:
    """The session with that id, else those whose ids begin with it; none for what cannot be the beginning of one."""
    if not (text.isascii() and text.isalnum()):
        return []
    sessions_of = sa.select(records.c.id).where(~records.c.erased, records.c.kind == "session")
    found = list(tx.scalars(sessions_of.where(records.c.id.startswith(text, autoescape=True)).limit(limit)))
    return [text] if text in found else found


def _select() -> sa.Select[Any]:
    query = sa.select(*_COLUMNS, _either("seconds").label("seconds"), _either("finished_at").label("finished_at"))
    joined = records.outerjoin(sessions)
    for table in (reliability, runs):
        joined = joined.outerjoin(table, table.c.record_id == records.c.id)
    return query.select_from(joined)


def _either(column: str) -> sa.ColumnElement[Any]:
    """A column that sessions, measurements and runs all have."""
    return sa.func.coalesce(*(table.c[column] for table in _KINDS))


def _order(sort: str) -> tuple[list[sa.ColumnElement[Any]], bool]:
    """What a list is sorted by, the id last so that no two records are equal; and whether the largest comes first."""
    if sort not in SORTS:
        raise StorageError(f"a list is expected to be sorted by {', '.join(SORTS)}, got {sort!r:.60}")
    dated: list[sa.ColumnElement[Any]] = [records.c.created_at, records.c.id]
    if sort == "reward":
        return [sa.func.coalesce(records.c.reward, _LOWEST), *dated], True
    if sort == "cost":  # of those that have finished: before that their row holds none
        each = (sa.select(one.c.seconds).where(one.c.record_id == records.c.id) for one in _KINDS)
        spent = (one.correlate(records).scalar_subquery() for one in each)
        return [sa.func.coalesce(*spent, 0.0), *dated], True
    if sort == "name":
        return [sa.func.lower(sa.func.coalesce(records.c.name, records.c.prompt)), *dated], False
    return dated, sort == "newest"


def _after(tx: Session, keys: list[sa.ColumnElement[Any]], descending: bool, record_id: str) -> sa.ColumnElement[bool]:
    """Comes after that record. The database works out both sides, so that both are cased and rounded alike."""
    last = tx.execute(sa.select(*keys).where(records.c.id == record_id)).one()
    here, there = sa.tuple_(*keys), sa.tuple_(*(sa.literal(value) for value in last))
    return here < there if descending else here > there


def _listed(row: sa.Row) -> dict[str, Any]:
    plain = dict(row._mapping)
    deleted, finished, seconds = (plain.pop(name) for name in ("deleted_at", "finished_at", "seconds"))
    return plain | {
        "created": iso(plain.pop("created_at")),
        "deleted": deleted is not None,
        "seconds": None if finished is None else seconds,
    }


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
