"""The queue as people see and change it: what runs, what waits and in which order, what ended."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import NotFound, StorageError
from storage.counter import advance_waiting
from storage.jobs import FINAL, FINISH, OWN, Command, enqueue, latest_job, line, pending_commands
from storage.tables import job_commands, job_events, jobs, records
from storage.values import iso, this

_FINISHING = 500  # roll-outs of one record that are looked through: more never wait
RESULTS = ("iteration", "step", "arm", "finish", "siblings", "epoch", "run")
_JOB = ("id", "kind", "lane", "record_id", "status", "payload", "error", "claimed_at", "claimed_units", "ended_at")
_RECORD = ("name", "prompt", "picture", "config")


def job_view(tx: Session, record_id: str) -> dict[str, Any] | None:
    """The newest job of a record's own as pages show it; None without one.

    `queue_position` is 1 for the next to be taken and None unless the job waits, `ahead` is then whose turn comes
    before it ({id, name}); `refusal` is why the latest command was not followed, None if it was.
    """
    own = sa.select(jobs).where(jobs.c.record_id == record_id, jobs.c.kind.in_(OWN))
    job = tx.execute(own.order_by(jobs.c.id.desc()).limit(1)).first()
    if job is None:
        return None
    job_id = job.id
    refusals = sa.select(job_commands.c.refusal).where(job_commands.c.job_id == job_id)
    shown = {"id": job_id, "status": job.status, "attempt": job.attempt, "error": job.error}
    return shown | {
        **_place(tx, job),
        "mode": mode_of(job, pending_commands(tx, job_id)),
        "refusal": tx.scalar(refusals.order_by(job_commands.c.seq.desc()).limit(1)),
    }


def mode_of(job: sa.Row, waiting: list[Command]) -> str:
    """What a job is about to do: run, pausing, stepping, stopping or paused.

    Stopping outranks all; else the latest of what is still asked of it decides; a step stays unread until the event it
    asked for.
    """
    if any(one.kind == "cancel" for one in waiting):
        return "stopping"
    modes = {"pause": "pausing", "step": "stepping", "continue": "run"}
    asked = [modes[one.kind] for one in waiting if one.kind in modes]
    return "paused" if job.status == "paused" else (asked or ["run"])[-1]


def _place(tx: Session, job: sa.Row) -> dict[str, Any]:
    if job.status != "pending":
        return {"queue_position": None, "ahead": None}
    waiting = list(tx.scalars(waiting_line(job.lane)))
    at = waiting.index(job.id)
    before = jobs.c.id == waiting[at - 1] if at else sa.and_(jobs.c.lane == job.lane, jobs.c.status == "running")
    found = sa.select(records.c.id, records.c.name, records.c.prompt).join(jobs).where(before).order_by(jobs.c.id)
    row = tx.execute(found.limit(1)).first()
    ahead = None if row is None else {"id": row.id, "name": row.name or row.prompt}
    return {"queue_position": at + 1, "ahead": ahead}


def live_jobs(tx: Session) -> list[dict[str, Any]]:
    """Every job that has not ended: those that run, then those that wait in their order, then those that are paused.

    Beside what is shown (see `_shown`) each has what an estimate needs: payload, config, claimed_at, claimed_units.
    """
    state = sa.case({"running": 0, "pending": 1}, value=jobs.c.status, else_=2)
    rows = tx.execute(_select().where(jobs.c.status.not_in(FINAL)).order_by(state, *line())).all()
    places: dict[str, int] = {}
    shown = []
    for row in rows:
        if row.status == "pending":
            places[row.lane] = places.get(row.lane, 0) + 1
        position = places[row.lane] if row.status == "pending" else None
        shown.append(_shown(row) | {"position": position, "mode": mode_of(row, pending_commands(tx, row.id))})
    return shown


def ended_jobs(tx: Session, limit: int) -> list[dict[str, Any]]:
    """The jobs that ended last, the newest first, without those of records that lie in the trash."""
    query = _select().where(jobs.c.status.in_(FINAL), records.c.deleted_at.is_(None), ~records.c.erased)
    rows = tx.execute(query.order_by(jobs.c.ended_at.desc(), jobs.c.id.desc()).limit(limit))
    return [_shown(row) | {"position": None, "mode": "ended"} for row in rows]


def _select() -> sa.Select[Any]:
    columns = [jobs.c[name] for name in _JOB] + [records.c[name] for name in _RECORD]
    return sa.select(*columns, jobs.c.created_at).join(records)


def _shown(row: sa.Row) -> dict[str, Any]:
    plain = row._mapping
    kept = ("record_id", "kind", "name", "prompt", "picture", "error", "payload", "config", "claimed_at")
    shown = {name: plain[name] for name in (*kept, "claimed_units")}
    ended = None if row.ended_at is None else iso(row.ended_at)
    return shown | {"job_id": str(row.id), "state": row.status, "created": iso(row.created_at), "ended": ended}


def last_result(tx: Session, job_id: int) -> float | None:
    """When a job last got anywhere, in seconds since 1970; None before it has."""
    of_it = (job_events.c.job_id == job_id, job_events.c.kind.in_(RESULTS))
    newest = sa.select(job_events.c.created_at).where(*of_it).order_by(job_events.c.seq.desc())
    return tx.scalar(newest.limit(1))


def finishing(tx: Session, record_id: str) -> tuple[list[dict[str, Any]], str | None]:
    """The payloads ({step, iteration, candidates}) of a record's roll-outs that wait or run, oldest first; and why the
    newest one that has ended failed, None if it did not."""
    of_it = sa.select(jobs.c.status, jobs.c.payload, jobs.c.error).where(
        jobs.c.record_id == record_id, jobs.c.kind == FINISH
    )
    rows = tx.execute(of_it.order_by(jobs.c.id.desc()).limit(_FINISHING)).all()
    errors = [row.error if row.status == "failed" else None for row in rows if row.status in FINAL]
    return [row.payload for row in reversed(rows) if row.status not in FINAL], errors[0] if errors else None


def find_job(tx: Session, job_id: Any) -> sa.Row:
    """A job's row; the id may come from anywhere. NotFound where there is none."""
    text = str(job_id)
    found = None
    if text.isascii() and text.isdecimal() and len(text) < 10:
        found = tx.execute(sa.select(jobs).where(jobs.c.id == int(text))).first()
    if found is None:
        raise NotFound(f"there is no job {job_id!r:.60}")
    return found


def retry(tx: Session, job_id: int) -> int:
    """Queue a failed or cancelled job again, as a new one that goes on from what is stored; returns its id."""
    job = find_job(tx, job_id)
    if job.status not in ("failed", "cancelled"):
        raise StorageError(
            f"{this(job.kind)} has finished: there is nothing to try again"
            if job.status == "succeeded"
            else f"{this(job.kind)} has not ended: there is nothing to try again yet"
        )
    deleted = tx.scalar(sa.select(records.c.deleted_at).where(records.c.id == job.record_id))
    if deleted is not None:
        raise StorageError(f"{this(job.kind)} lies in the trash: restore it first")
    if job.kind in OWN and latest_job(tx, job.record_id) != job.id:
        raise StorageError(f"{this(job.kind)} has been tried again already")
    return enqueue(tx, kind=job.kind, record_id=job.record_id, lane=job.lane, payload=job.payload)


def move(tx: Session, job_id: int, to: int) -> None:
    """Give a waiting job another place among those that wait in its lane, 1 for the next to be taken.

    Roll-outs stay ahead of sessions: they are short, and somebody waits for each.
    """
    job = find_job(tx, job_id)
    order = list(tx.scalars(waiting_line(job.lane).with_for_update()))
    if job.id not in order:
        told = {"running": "runs already", "paused": "is paused: continue it first"}.get(job.status, "has ended")
        raise StorageError(f"only a job that waits has a place in the queue; this one {told}")
    rows = {
        row.id: row for row in tx.execute(sa.select(jobs.c.id, jobs.c.rank, jobs.c.kind).where(jobs.c.id.in_(order)))
    }
    ranks = sorted(row.rank for row in rows.values())  # the same places, dealt out again
    order.remove(job.id)
    order.insert(max(0, to - 1), job.id)
    order.sort(key=lambda one: rows[one].kind != FINISH)
    for one, rank in zip(order, ranks, strict=True):
        tx.execute(sa.update(jobs).where(jobs.c.id == one).values(rank=rank))
    advance_waiting(tx, job.lane)


def waiting_line(lane: str) -> sa.Select[tuple[int]]:
    """Asks for the jobs that wait in a lane, the next one first."""
    return sa.select(jobs.c.id).where(jobs.c.lane == lane, jobs.c.status == "pending").order_by(*line())
